// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/probe.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <span>

#include "relayout/base/parallel.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kBlockBytes = int64_t{1} << 20;     // From one file before the next has its turn.
constexpr int64_t kBufferBytes = int64_t{256} << 10;  // As the executor's.
constexpr int64_t kSyncBytes = int64_t{16} << 20;     // By one thread, so that time is looked at.
constexpr size_t kMaxFiles = 64;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// A part of a source and where its copy goes.
struct Block {
  size_t source = 0;
  int64_t offset_bytes = 0;
  int64_t size_bytes = 0;
  int64_t target_offset_bytes = 0;
};

// Some of the sources, evenly.
std::vector<ProbeSource> Sample(const std::vector<ProbeSource>& sources) {
  std::vector<ProbeSource> sample;
  const size_t count = std::min(kMaxFiles, sources.size());
  for (size_t i = 0; i < count; ++i) sample.push_back(sources[i * sources.size() / count]);
  return sample;
}

std::vector<Block> CutBlocks(const std::vector<ProbeSource>& sources, int64_t limit_bytes) {
  std::vector<Block> blocks;
  int64_t total = 0;
  int64_t last_total = -1;
  for (int64_t offset = 0; total > last_total; offset += kBlockBytes) {
    last_total = total;
    for (size_t i = 0; i < sources.size(); ++i) {
      const int64_t size =
          std::min({kBlockBytes, sources[i].size_bytes - offset, limit_bytes - total});
      if (size <= 0) continue;
      blocks.push_back(
          {.source = i, .offset_bytes = offset, .size_bytes = size, .target_offset_bytes = total});
      total += size;
    }
  }
  return blocks;
}

// A file without a name: it is gone when it is closed, however that comes about.
Result<std::unique_ptr<WritableFile>> CreateNameless(FileSystem& fs, const std::string& directory,
                                                     int64_t size_bytes) {
  for (int n = 0;; ++n) {
    const std::string path = JoinPath(directory, Format(".relayout-probe-{}", n));
    auto file = fs.CreateForWrite(path, size_bytes);
    if (file.status().code() == StatusCode::kAlreadyExists && n < 1000) continue;
    if (file.ok()) RELAYOUT_RETURN_IF_ERROR(fs.RemoveFile(path));
    return file;
  }
}

class Probe {
 public:
  Probe(std::vector<std::unique_ptr<ReadableFile>> sources, std::vector<Block> blocks,
        WritableFile& target, const ProbeOptions& options)
      : sources_(std::move(sources)),
        blocks_(std::move(blocks)),
        target_(target),
        options_(options) {}

  Result<ProbeResult> Run() {
    const int thread_count = std::max(1, options_.thread_count);
    RELAYOUT_RETURN_IF_ERROR(RunWorkers(thread_count, [this](int) { return Work(); }));
    result_.seconds = SecondsSince(begin_);
    // What threads did at the same time took the time once.
    const double sum = result_.read_seconds + result_.write_seconds;
    const double share = sum > 0 ? result_.seconds / sum : 0;
    result_.read_seconds *= share;
    result_.write_seconds *= share;
    return result_;
  }

 private:
  Status Work() {
    const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kBufferBytes);
    ProbeResult own;
    int64_t unsynced_bytes = 0;
    while (SecondsSince(begin_) < options_.limit_seconds) {
      if (IsCancelled(options_.progress)) return Cancelled("stopped on request");
      const size_t next = next_block_++;
      if (next >= blocks_.size()) break;
      RELAYOUT_RETURN_IF_ERROR(Copy(blocks_[next], buffer.get(), own));
      unsynced_bytes += blocks_[next].size_bytes;
      if (unsynced_bytes >= kSyncBytes) {
        RELAYOUT_RETURN_IF_ERROR(Sync(own));
        unsynced_bytes = 0;
      }
    }
    if (unsynced_bytes > 0) RELAYOUT_RETURN_IF_ERROR(Sync(own));
    const std::lock_guard lock(mutex_);
    result_.copied_bytes += own.copied_bytes;
    result_.read_seconds += own.read_seconds;
    result_.write_seconds += own.write_seconds;
    return OkStatus();
  }

  Status Copy(const Block& block, std::byte* buffer, ProbeResult& own) {
    for (int64_t done = 0; done < block.size_bytes; done += kBufferBytes) {
      const std::span bytes(buffer,
                            static_cast<size_t>(std::min(kBufferBytes, block.size_bytes - done)));
      const Clock::time_point begin = Clock::now();
      RELAYOUT_RETURN_IF_ERROR(sources_[block.source]->ReadAt(block.offset_bytes + done, bytes));
      const Clock::time_point middle = Clock::now();
      RELAYOUT_RETURN_IF_ERROR(target_.WriteAt(block.target_offset_bytes + done, bytes));
      own.read_seconds += std::chrono::duration<double>(middle - begin).count();
      own.write_seconds += SecondsSince(middle);
    }
    own.copied_bytes += block.size_bytes;
    return OkStatus();
  }

  Status Sync(ProbeResult& own) {
    if (!options_.sync) return OkStatus();
    const Clock::time_point begin = Clock::now();
    RELAYOUT_RETURN_IF_ERROR(target_.Sync());
    own.write_seconds += SecondsSince(begin);
    return OkStatus();
  }

  const std::vector<std::unique_ptr<ReadableFile>> sources_;
  const std::vector<Block> blocks_;
  WritableFile& target_;
  const ProbeOptions& options_;
  const Clock::time_point begin_ = Clock::now();
  std::atomic<size_t> next_block_ = 0;
  std::mutex mutex_;  // Guards result_.
  ProbeResult result_;
};

}  // namespace

Result<ProbeResult> ProbeDisks(FileSystem& fs, const std::vector<ProbeSource>& sources,
                               const std::string& directory, const ProbeOptions& options) {
  const std::vector<ProbeSource> sample = Sample(sources);
  std::vector<Block> blocks = CutBlocks(sample, options.limit_bytes);
  if (blocks.empty()) return ProbeResult{};
  std::vector<std::unique_ptr<ReadableFile>> files;
  for (const ProbeSource& source : sample) {
    RELAYOUT_ASSIGN_OR_RETURN(auto file, fs.OpenForRead(source.path));
    files.push_back(std::move(file));
  }
  const int64_t size = blocks.back().target_offset_bytes + blocks.back().size_bytes;
  RELAYOUT_ASSIGN_OR_RETURN(const auto target, CreateNameless(fs, directory, size));
  return Probe(std::move(files), std::move(blocks), *target, options).Run();
}

double EstimateSeconds(const ProbeResult& probe, int64_t read_bytes, int64_t written_bytes) {
  RELAYOUT_CHECK(probe.copied_bytes > 0);
  const auto copied = static_cast<double>(probe.copied_bytes);
  return static_cast<double>(read_bytes) / copied * probe.read_seconds +
         static_cast<double>(written_bytes) / copied * probe.write_seconds;
}

}  // namespace relayout
