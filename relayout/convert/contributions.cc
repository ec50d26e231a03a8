// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/contributions.h"

#include <limits>
#include <utility>

#include "relayout/base/byte_io.h"
#include "relayout/base/content_hash.h"
#include "relayout/base/parallel.h"
#include "relayout/checkpoint/file_hash.h"
#include "relayout/convert/conversion.h"

namespace relayout {
namespace {

constexpr int64_t kMaxInt = std::numeric_limits<int64_t>::max();

}  // namespace

void Contributions::Add(const ChunkResult& chunk) {
  for (const FileContribution& file : chunk.files) {
    OfFile& mine = of_rank_[file.rank];
    mine.sum += file.sum;
    mine.torn_blocks.insert(mine.torn_blocks.end(), file.torn_blocks.begin(),
                            file.torn_blocks.end());
  }
}

std::string Contributions::Serialize(int64_t read_bytes, int64_t written_bytes) const {
  ByteWriter writer;
  writer.Int(read_bytes);
  writer.Int(written_bytes);
  writer.Int(std::ssize(of_rank_));
  for (const auto& [rank, file] : of_rank_) {
    writer.Int(rank);
    writer.Int(static_cast<int64_t>(file.sum.high));
    writer.Int(static_cast<int64_t>(file.sum.low));
    writer.Int(std::ssize(file.torn_blocks));
    for (const TornBlock& torn : file.torn_blocks) {
      writer.Int(torn.job_index);
      writer.Int(torn.block);
    }
  }
  return writer.Take();
}

Status Contributions::Merge(std::string_view bytes, int64_t& read_bytes, int64_t& written_bytes) {
  ByteReader reader(bytes);
  ChunkResult all;
  all.read_bytes = reader.IntIn(0, kMaxInt);
  all.written_bytes = reader.IntIn(0, kMaxInt);
  for (size_t n = reader.Count(); n > 0; --n) {
    FileContribution file;
    file.rank = reader.IntIn(0, kMaxInt);
    file.sum.high = static_cast<uint64_t>(reader.Int());
    file.sum.low = static_cast<uint64_t>(reader.Int());
    for (size_t m = reader.Count(2); m > 0; --m) {
      TornBlock& torn = file.torn_blocks.emplace_back();
      torn.job_index = reader.IntIn(0, kMaxInt);
      torn.block = reader.IntIn(0, kMaxInt);
    }
    all.files.push_back(std::move(file));
  }
  if (!reader.AtEnd()) return InvalidInput("a process sent incomprehensible hashes");
  Add(all);
  read_bytes += all.read_bytes;
  written_bytes += all.written_bytes;
  return OkStatus();
}

Result<std::map<int64_t, Hash128>> Contributions::Finish(FileSystem& fs,
                                                         const Conversion& conversion,
                                                         int thread_count) const {
  const std::vector<TargetFile>& files = conversion.files();
  std::vector<Hash128> sums(files.size());
  RELAYOUT_RETURN_IF_ERROR(ParallelFor(thread_count, std::ssize(files), [&](int64_t i) -> Status {
    const TargetFile& file = files[static_cast<size_t>(i)];
    const auto mine = of_rank_.find(file.rank);
    if (mine == of_rank_.end()) return OkStatus();  // It has no payload.
    Hash128 sum = mine->second.sum;
    if (!mine->second.torn_blocks.empty()) {
      RELAYOUT_ASSIGN_OR_RETURN(const auto opened, fs.OpenForRead(file.path));
      for (const TornBlock& torn : mine->second.torn_blocks) {
        const auto value = static_cast<size_t>(torn.job_index);
        RELAYOUT_ASSIGN_OR_RETURN(const Hash128 term,
                                  HashStoredBlock(*opened, conversion.contents().values[value].name,
                                                  file.ExtentsOf(value), torn.block));
        sum += term;
      }
    }
    sums[static_cast<size_t>(i)] = sum;
    return OkStatus();
  }));
  std::map<int64_t, Hash128> sum_of_rank;
  for (size_t i = 0; i < files.size(); ++i) sum_of_rank[files[i].rank] = sums[i];
  return sum_of_rank;
}

}  // namespace relayout
