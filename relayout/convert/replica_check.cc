// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/replica_check.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>

#include "relayout/base/hash.h"
#include "relayout/base/parallel.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr int64_t kBufferBytes = int64_t{256} << 10;
constexpr int64_t kSmallValueBytes = int64_t{64} << 10;

Result<Hash128> HashValue(const ReadableFile& file, const ValueView& value,
                          std::vector<std::byte>& buffer, const std::atomic<bool>* cancel) {
  buffer.resize(kBufferBytes);
  StreamHash hash;
  for (const Extent& extent : value.extents) {
    for (int64_t done = 0; done < extent.size_bytes;) {
      if (cancel != nullptr && *cancel) return Cancelled("stopped on request");
      const int64_t size = std::min(kBufferBytes, extent.size_bytes - done);
      const auto bytes = std::span(buffer).first(static_cast<size_t>(size));
      RELAYOUT_RETURN_IF_ERROR(file.ReadAt(extent.offset_bytes + done, bytes));
      hash.Update(bytes);
      done += size;
    }
  }
  return hash.Digest();
}

// A disagreement about one shard, or nothing.
Result<std::string> CompareHolders(FileSystem& fs, const CheckpointSet& source,
                                   std::string_view name, const Box& box,
                                   const std::vector<int64_t>& ranks,
                                   const std::atomic<bool>* cancel) {
  std::vector<std::byte> buffer;
  std::vector<std::pair<Hash128, std::vector<int64_t>>> groups;
  for (const int64_t rank : ranks) {
    const auto held = source.catalog.Find(rank, name);
    if (!held) continue;
    RELAYOUT_ASSIGN_OR_RETURN(const auto file, fs.OpenForRead(source.catalog.FileOf(rank)->path));
    RELAYOUT_ASSIGN_OR_RETURN(const Hash128 hash, HashValue(*file, *held, buffer, cancel));
    const auto group =
        std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == hash; });
    if (group == groups.end()) {
      groups.push_back({hash, {rank}});
    } else {
      group->second.push_back(rank);
    }
  }
  if (groups.size() < 2) return std::string();
  std::vector<std::string> texts;
  texts.reserve(groups.size());
  for (const auto& [hash, members] : groups) texts.push_back("rank " + RankRuns(members));
  return Format("{}: the ranks that hold {} differ: {}", Printable(name), ToText(box),
                JoinLimited(texts));
}

struct ShardToCompare {
  std::string_view name;
  const PlacedTensor* source;
  int64_t shard;
};

}  // namespace

Result<std::vector<std::string>> FindDivergingReplicas(FileSystem& fs, const CheckpointSet& source,
                                                       const Contents& contents, int thread_count,
                                                       const std::atomic<bool>* cancel,
                                                       const WorkShare& share) {
  std::vector<ShardToCompare> shards;
  for (const TargetValue& value : contents.values) {
    for (const PlacedTensor& placed : value.sources) {
      const Layout& layout = placed.partition.layout();
      if (layout.replica_count() < 2) continue;
      for (int64_t shard = 0; shard < layout.shard_count(); ++shard) {
        shards.push_back({value.source_name, &placed, shard});
      }
    }
  }
  std::map<int64_t, std::string> differences;
  std::mutex mutex;
  RELAYOUT_RETURN_IF_ERROR(ParallelFor(thread_count, std::ssize(shards), [&](int64_t i) -> Status {
    if (!share.Has(i)) return OkStatus();
    const ShardToCompare& item = shards[static_cast<size_t>(i)];
    const Partition& partition = item.source->partition;
    const Box box = partition.BoxOf(partition.layout().CellOfShard(item.shard));
    RELAYOUT_ASSIGN_OR_RETURN(
        std::string difference,
        CompareHolders(fs, source, item.name, box, HoldersOf(*item.source, item.shard), cancel));
    if (difference.empty()) return OkStatus();
    const std::lock_guard lock(mutex);
    differences[i] = std::move(difference);
    return OkStatus();
  }));
  std::vector<std::string> lines;
  lines.reserve(differences.size());
  for (auto& [i, line] : differences) lines.push_back(std::move(line));
  return lines;
}

Result<std::vector<std::string>> FindCarriedDisagreements(FileSystem& fs,
                                                          const CheckpointSet& source,
                                                          const Contents& contents,
                                                          int thread_count) {
  std::vector<std::string_view> carried;
  for (const TargetValue& value : contents.values) {
    if (value.carried) carried.push_back(value.source_name);
  }
  // File by file, so that each is opened once.
  const std::vector<RankFile>& files = source.catalog.files();
  std::vector<std::map<std::string_view, Hash128>> hashes(files.size());
  if (carried.empty() || files.size() < 2) return std::vector<std::string>();
  RELAYOUT_RETURN_IF_ERROR(ParallelFor(thread_count, std::ssize(files), [&](int64_t i) -> Status {
    const RankFile& rank_file = files[static_cast<size_t>(i)];
    std::vector<std::byte> buffer;
    RELAYOUT_ASSIGN_OR_RETURN(const auto file, fs.OpenForRead(rank_file.path));
    for (const std::string_view name : carried) {
      const auto stored = source.catalog.Find(rank_file.rank, name);
      if (!stored || SizeBytes(*stored) > kSmallValueBytes) continue;
      RELAYOUT_ASSIGN_OR_RETURN(hashes[static_cast<size_t>(i)][name],
                                HashValue(*file, *stored, buffer, nullptr));
    }
    return OkStatus();
  }));
  std::vector<std::string> lines;
  for (const std::string_view name : carried) {
    const RankFile* first = nullptr;
    std::vector<int64_t> others;
    for (size_t i = 0; i < files.size(); ++i) {
      const auto hash = hashes[i].find(name);
      if (hash == hashes[i].end()) continue;
      if (first == nullptr) {
        first = &files[i];
      } else if (hash->second != hashes[static_cast<size_t>(first - files.data())][name]) {
        others.push_back(files[i].rank);
      }
    }
    if (others.empty()) continue;
    lines.push_back(Format("{}: rank {} disagrees with rank {}, whose value is taken",
                           Printable(name), RankRuns(others), first->rank));
  }
  return lines;
}

}  // namespace relayout
