// SPDX-License-Identifier: Apache-2.0
#include "relayout/exec/executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/io/fault_file_system.h"
#include "relayout/io/memory_file_system.h"
#include "relayout/layout/notation.h"
#include "tests/oracle/layouts.h"
#include "tests/oracle/oracle.h"
#include "tests/oracle/random.h"

namespace relayout {
namespace {

using oracle::Ints;
using oracle::Region;

// So many threads that each has the smallest buffers: gather tiles of 128 KiB.
constexpr int kManyThreads = 300;

// One tensor in files that hold nothing else: src/<rank> and dst/<rank>, each cut into extents that
// lie in the file in some other order, with bytes between them that are not ours.
class Job {
 public:
  Job(std::string name, const LayoutSpec& from, const LayoutSpec& to, Ints shape, int64_t size)
      : name_(std::move(name)), from_(from), to_(to), shape_(std::move(shape)), size_(size) {
    whole_ = oracle::Content(name_.size() * 100 + 1, oracle::Product(shape_), size_);
    Place("src", from_, source_extents_);
    Place("dst", to_, target_extents_);
  }

  // Extents of at most `limit` bytes.
  void CutExtents(int64_t limit) {
    extent_limit_ = limit;
    Place("src", from_, source_extents_);
    Place("dst", to_, target_extents_);
  }

  void WriteFiles(MemoryFileSystem& fs) const {
    Write(fs, "src", from_, source_extents_, whole_);
    Write(fs, "dst", to_, target_extents_, std::string(whole_.size(), '?'));
  }

  Result<TransferJob> Make(const std::function<bool(int64_t)>& is_wanted = Any) const {
    ReplicaChooser chooser;
    RELAYOUT_ASSIGN_OR_RETURN(Transfer transfer, PlanTransfer({.element_size_bytes = size_,
                                                               .sources = {Placed(from_)},
                                                               .targets = {Placed(to_)},
                                                               .is_available = Any,
                                                               .is_wanted = is_wanted},
                                                              chooser));
    return TransferJob{.name = name_,
                       .transfer = std::move(transfer),
                       .source = [this](int64_t rank) { return At("src", rank, source_extents_); },
                       .target = [this](int64_t rank) { return At("dst", rank, target_extents_); }};
  }

  // The target files as they should be.
  std::map<std::string, std::string> Expected() const {
    MemoryFileSystem fs;
    Write(fs, "dst", to_, target_extents_, whole_);
    std::map<std::string, std::string> files;
    for (const auto& [rank, extents] : target_extents_) {
      files[Path("dst", rank)] = *fs.FileBytes(Path("dst", rank));
    }
    return files;
  }

  // What each rank's shard should be.
  std::map<int64_t, std::string> ExpectedShards() const {
    std::map<int64_t, std::string> shards;
    const auto regions = *oracle::RegionsOfRanks(to_, shape_);
    for (size_t rank = 0; rank < regions.size(); ++rank) {
      shards[static_cast<int64_t>(rank)] = oracle::Cut(whole_, shape_, size_, regions[rank]);
    }
    return shards;
  }

  const std::string& name() const { return name_; }
  int64_t whole_bytes() const { return std::ssize(whole_); }
  int64_t target_bytes() const {
    int64_t bytes = 0;
    for (const auto& [rank, extents] : target_extents_) bytes += TotalBytes(extents);
    return bytes;
  }

  static bool Any(int64_t) { return true; }

 private:
  using ExtentsOfRank = std::map<int64_t, std::vector<Extent>>;

  PlacedTensor Placed(const LayoutSpec& spec) const {
    return {.partition = *Partition::Create(*Layout::Create(spec), oracle::ToDims(shape_))};
  }

  std::string Path(const char* side, int64_t rank) const {
    return Format("{}/{}_{}", side, name_, rank);
  }

  ShardLocation At(const char* side, int64_t rank, const ExtentsOfRank& extents) const {
    return {.path = Path(side, rank), .extents = extents.at(rank)};
  }

  void Place(const char*, const LayoutSpec& spec, ExtentsOfRank& extents) const {
    extents.clear();
    const auto regions = *oracle::RegionsOfRanks(spec, shape_);
    for (size_t rank = 0; rank < regions.size(); ++rank) {
      std::vector<Extent>& mine = extents[static_cast<int64_t>(rank)];
      const int64_t bytes = oracle::Product(regions[rank].shape()) * size_;
      int64_t position = 3;
      for (int64_t done = 0; done < bytes; done += extent_limit_) {
        const int64_t length = std::min(extent_limit_, bytes - done);
        mine.push_back({position, length});
        position += length + 5;
      }
      // Neighbours change places in the file.
      for (size_t i = 0; i + 1 < mine.size(); i += 2) {
        if (mine[i].size_bytes == mine[i + 1].size_bytes) std::swap(mine[i], mine[i + 1]);
      }
    }
  }

  void Write(MemoryFileSystem& fs, const char* side, const LayoutSpec& spec,
             const ExtentsOfRank& extents, const std::string& whole) const {
    const auto regions = *oracle::RegionsOfRanks(spec, shape_);
    for (const auto& [rank, mine] : extents) {
      std::string file(static_cast<size_t>(TotalBytes(mine) + 5 * std::ssize(mine) + 8), '#');
      const std::string bytes =
          oracle::Cut(whole, shape_, size_, regions[static_cast<size_t>(rank)]);
      size_t done = 0;
      for (const Extent& extent : mine) {
        const auto length = static_cast<size_t>(extent.size_bytes);
        file.replace(static_cast<size_t>(extent.offset_bytes), length, bytes, done, length);
        done += length;
      }
      fs.SetFile(Path(side, rank), file);
    }
  }

  std::string name_;
  LayoutSpec from_;
  LayoutSpec to_;
  Ints shape_;
  int64_t size_;
  int64_t extent_limit_ = int64_t{1} << 40;
  std::string whole_;
  ExtentsOfRank source_extents_;
  ExtentsOfRank target_extents_;
};

LayoutSpec Spec(const char* text) { return ParseLayout(text)->spec(); }

// Small buffers and chunks: many of each even for small tensors.
WorkCut SmallCut(int thread_count) {
  WorkCut cut = ChooseWorkCut(0, kMinMemoryBytes, thread_count);
  cut.chunk_bytes = int64_t{100} << 10;
  if (thread_count == kManyThreads) cut.thread_memory_bytes = 1;  // The smallest tiles there are.
  return cut;
}

Result<ExecutionStats> ExecuteAll(FileSystem& fs, const std::vector<Job>& jobs,
                                  const ExecutorOptions& options) {
  return Execute(
      fs, std::ssize(jobs), [&](int64_t i) { return jobs[static_cast<size_t>(i)].Make(); },
      options);
}

// Every byte of the expected files, and no byte outside the extents.
void ExpectFiles(const MemoryFileSystem& fs, const std::vector<Job>& jobs) {
  for (const Job& job : jobs) {
    const auto expected = job.Expected();
    for (const auto& [path, bytes] : expected) {
      EXPECT_TRUE(fs.FileBytes(path) == bytes) << path;
    }
  }
}

int64_t Sum(const std::vector<Access>& accesses, Access::Kind kind, const std::string& folder) {
  int64_t bytes = 0;
  for (const Access& access : accesses) {
    if (access.kind == kind && access.path.starts_with(folder)) bytes += access.size_bytes;
  }
  return bytes;
}

// No byte of any file twice.
void ExpectDisjoint(const std::vector<Access>& accesses, Access::Kind kind) {
  std::map<std::string, std::vector<std::pair<int64_t, int64_t>>> ranges;
  for (const Access& access : accesses) {
    if (access.kind == kind) {
      ranges[access.path].emplace_back(access.offset_bytes, access.size_bytes);
    }
  }
  for (auto& [path, list] : ranges) {
    std::sort(list.begin(), list.end());
    for (size_t i = 0; i + 1 < list.size(); ++i) {
      EXPECT_LE(list[i].first + list[i].second, list[i + 1].first) << path;
    }
  }
}

// Tensors of some hundred KiB, so that small buffers make many tiles of every kind.
std::vector<Job> BigJobs() {
  std::vector<Job> jobs;
  jobs.emplace_back("rows", Spec("{a:8} (a,-)"), Spec("{a:4} (a,-)"), Ints{512, 300}, 4);
  jobs.emplace_back("columns", Spec("{a:4} (-,a)"), Spec("{a:3} (a,-)"), Ints{384, 400}, 4);
  jobs.emplace_back("narrow", Spec("{a:8} (-,a)"), Spec("{a:6} (-,a)"), Ints{9000, 24}, 2);
  jobs.emplace_back("cube", Spec("{a:2,b:3} (a,-,b)"), Spec("{a:2,b:2,c:2} (c,b,-) opt:2"),
                    Ints{24, 100, 90}, 4);
  jobs.emplace_back("middle", Spec("{a:4} (-,a,-)"), Spec("{a:2} (-,a,-)"), Ints{40, 8, 500}, 8);
  jobs.emplace_back("replicas", Spec("{a:4} (-,-)"), Spec("{a:2,b:4} (a,-)"), Ints{200, 400}, 4);
  jobs.emplace_back("bytes", Spec("{a:5} (-,a)"), Spec("{} (-,-)"), Ints{2000, 155}, 1);
  return jobs;
}

class ExecutorThreadsTest : public testing::TestWithParam<int> {};

TEST_P(ExecutorThreadsTest, MovesEveryByteOnce) {
  MemoryFileSystem fs;
  const std::vector<Job> jobs = BigJobs();
  int64_t read = 0;
  int64_t written = 0;
  for (const Job& job : jobs) {
    job.WriteFiles(fs);
    read += job.whole_bytes();
    written += job.target_bytes();
  }
  Progress progress;
  const auto stats = ExecuteAll(
      fs, jobs, {.thread_count = GetParam(), .cut = SmallCut(GetParam()), .progress = &progress});
  ASSERT_TRUE(stats.ok()) << stats.status().message();
  ExpectFiles(fs, jobs);
  EXPECT_EQ(stats->read_bytes, read);
  EXPECT_EQ(stats->written_bytes, written);
  EXPECT_EQ(progress.written_bytes, written);
  const auto accesses = fs.accesses();
  EXPECT_EQ(Sum(accesses, Access::kRead, "src/"), read);
  EXPECT_EQ(Sum(accesses, Access::kWrite, "dst/"), written);
  ExpectDisjoint(accesses, Access::kRead);
  ExpectDisjoint(accesses, Access::kWrite);
}

INSTANTIATE_TEST_SUITE_P(Threads, ExecutorThreadsTest, testing::Values(1, 2, 3, 8, kManyThreads));

// Shards in several pieces of a file, as MindSpore slices large tensors.
TEST(ExecutorTest, FollowsExtents) {
  for (const int64_t limit : {1, 7, 4096}) {
    oracle::Random random(static_cast<uint64_t>(limit));
    MemoryFileSystem fs;
    std::vector<Job> jobs;
    for (int i = 0; i < 40; ++i) {
      const auto dim_count = static_cast<size_t>(random.Between(0, 3));
      const LayoutSpec from = oracle::RandomLayout(random, random.Between(1, 6), dim_count);
      const LayoutSpec to = oracle::RandomLayout(random, random.Between(1, 6), dim_count);
      Ints shape = oracle::CommonShape({from, to}, dim_count);
      for (int64_t& length : shape) length *= random.Between(1, 3);
      jobs.emplace_back(Format("w{}", i), from, to, shape, 4).CutExtents(limit);
      jobs.back().WriteFiles(fs);
    }
    const auto stats = ExecuteAll(fs, jobs, {.thread_count = 3, .cut = SmallCut(3)});
    ASSERT_TRUE(stats.ok()) << stats.status().message();
    ExpectFiles(fs, jobs);
    ExpectDisjoint(fs.accesses(), Access::kRead);
    ExpectDisjoint(fs.accesses(), Access::kWrite);
  }
}

// One target rank of several: source shards are then read in strides.
TEST(ExecutorTest, ReadsStridesForSomeRanks) {
  MemoryFileSystem fs;
  const Job job("w", Spec("{a:2} (a,-)"), Spec("{a:4} (-,a)"), {64, 16384}, 4);
  job.WriteFiles(fs);
  const auto stats =
      Execute(fs, 1, [&](int64_t) { return job.Make([](int64_t rank) { return rank == 2; }); },
              {.thread_count = kManyThreads, .cut = SmallCut(kManyThreads)});
  ASSERT_TRUE(stats.ok());
  EXPECT_EQ(stats->written_bytes, job.whole_bytes() / 4);
  // Gaps of 48 KiB are not read.
  EXPECT_EQ(stats->read_bytes, job.whole_bytes() / 4);
  auto expected = job.Expected();
  EXPECT_TRUE(fs.FileBytes("dst/w_2") == expected["dst/w_2"]);
  EXPECT_EQ(Sum(fs.accesses(), Access::kWrite, "dst/w_1"), 0);

  fs.ClearAccesses();
  const Job narrow("n", Spec("{a:2} (a,-)"), Spec("{a:4} (-,a)"), {640, 1024}, 4);
  narrow.WriteFiles(fs);
  const auto narrow_stats =
      Execute(fs, 1, [&](int64_t) { return narrow.Make([](int64_t rank) { return rank == 3; }); },
              {.thread_count = 1, .cut = SmallCut(1)});
  ASSERT_TRUE(narrow_stats.ok());
  // Gaps of 3 KiB are: they lie in pages that are read anyway.
  EXPECT_GT(narrow_stats->read_bytes, narrow.whole_bytes() / 2);
  EXPECT_LE(narrow_stats->read_bytes, narrow.whole_bytes());
  expected = narrow.Expected();
  EXPECT_TRUE(fs.FileBytes("dst/n_3") == expected["dst/n_3"]);
}

TEST(ExecutorTest, StopsWhenAskedTo) {
  for (const int threads : {1, 4}) {
    MemoryFileSystem fs;
    const std::vector<Job> jobs = BigJobs();
    for (const Job& job : jobs) job.WriteFiles(fs);
    Progress progress;
    std::atomic<int> made = 0;
    const auto stats =
        Execute(fs, std::ssize(jobs),
                [&](int64_t i) {
                  if (++made == 3) progress.cancel_requested = true;
                  return jobs[static_cast<size_t>(i)].Make();
                },
                {.thread_count = threads, .cut = SmallCut(threads), .progress = &progress});
    ASSERT_FALSE(stats.ok());
    EXPECT_EQ(stats.status().code(), StatusCode::kCancelled);
    EXPECT_LT(progress.written_bytes, 2'500'000);
    EXPECT_LE(made, 4);
  }
}

// Whatever fails, the caller hears of it: which tensor, and which file.
TEST(ExecutorTest, ReportsEveryFailure) {
  MemoryFileSystem disk;
  std::vector<Job> jobs;
  jobs.emplace_back("columns", Spec("{a:4} (-,a)"), Spec("{a:3} (a,-)"), Ints{12, 8}, 4);
  jobs.emplace_back("rows", Spec("{a:2} (a,-)"), Spec("{a:4} (a,-)"), Ints{8, 4}, 4);
  jobs.emplace_back("replicas", Spec("{a:2} (a,-)"), Spec("{a:2,b:2} (a,-)"), Ints{8, 4}, 4);
  for (const Job& job : jobs) job.WriteFiles(disk);
  FaultFileSystem fs(disk);
  ASSERT_TRUE(ExecuteAll(fs, jobs, {.thread_count = 1, .cut = SmallCut(1)}).ok());
  const int64_t operations = fs.operation_count();
  EXPECT_GT(operations, 20);
  for (int64_t n = 0; n < operations; ++n) {
    for (const int threads : {1, 3}) {
      fs.FailOnce(n);
      const auto stats = ExecuteAll(fs, jobs, {.thread_count = threads, .cut = SmallCut(threads)});
      ASSERT_FALSE(stats.ok()) << n;
      const std::string message = stats.status().message();
      EXPECT_NE(message.find(Format("injected failure of operation {}: ", n)), std::string::npos)
          << message;
    }
  }
  // A file that is not there.
  fs.StopFailing();
  ASSERT_TRUE(disk.RemoveFile("src/rows_1").ok());
  const auto stats = ExecuteAll(fs, jobs, {.thread_count = 1, .cut = SmallCut(1)});
  ASSERT_FALSE(stats.ok());
  EXPECT_EQ(stats.status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(stats.status().message().starts_with("rows: ")) << stats.status().message();
  EXPECT_NE(stats.status().message().find("src/rows_1"), std::string::npos);
}

TEST(ExecutorTest, ReportsAJobThatCannotBeMade) {
  MemoryFileSystem fs;
  for (const int threads : {1, 5}) {
    const auto stats = Execute(
        fs, 3, [](int64_t i) -> Result<TransferJob> { return InvalidInput(Format("job {}", i)); },
        {.thread_count = threads});
    ASSERT_FALSE(stats.ok());
    EXPECT_EQ(stats.status().message(), "job 0");
  }
}

TEST(ExecutorTest, DoesNothingForNoJobs) {
  MemoryFileSystem fs;
  const auto stats =
      Execute(fs, 0, [](int64_t) -> Result<TransferJob> { return InvalidInput("none"); }, {});
  ASSERT_TRUE(stats.ok());
  EXPECT_EQ(stats->read_bytes, 0);
}

// The content hash of what each target file holds, by its definition. File names end in the rank.
std::map<std::string, Hash128> ExpectedSums(const std::vector<Job>& jobs) {
  std::map<std::string, Hash128> sums;
  for (const Job& job : jobs) {
    for (const auto& [rank, bytes] : job.ExpectedShards()) {
      Hash128& sum = sums[std::to_string(rank)];
      for (size_t begin = 0; begin < bytes.size(); begin += kHashBlockBytes) {
        const auto block = std::string_view(bytes).substr(begin, kHashBlockBytes);
        sum += BlockTerm(StreamId(job.name()), static_cast<int64_t>(begin / kHashBlockBytes),
                         std::as_bytes(std::span(block)));
      }
    }
  }
  return sums;
}

// What chunks contributed, torn blocks looked up in the expected bytes.
class Collected {
 public:
  explicit Collected(const std::vector<Job>& jobs) : jobs_(jobs) {
    for (const Job& job : jobs) shards_.push_back(job.ExpectedShards());
  }

  Status Add(const ChunkResult& result) {
    EXPECT_TRUE(chunks_.insert(result.chunk).second) << result.chunk;
    written_bytes_ += result.written_bytes;
    for (const FileContribution& file : result.files) {
      Hash128& sum = sums_[std::to_string(file.rank)];
      sum += file.sum;
      for (const TornBlock& torn : file.torn_blocks) {
        const auto job = static_cast<size_t>(torn.job_index);
        const std::string_view bytes = shards_[job].at(file.rank);
        const auto begin = static_cast<size_t>(torn.block * kHashBlockBytes);
        const auto block = bytes.substr(begin, kHashBlockBytes);
        sum += BlockTerm(StreamId(jobs_[job].name()), torn.block, std::as_bytes(std::span(block)));
      }
    }
    return OkStatus();
  }

  const std::map<std::string, Hash128>& sums() const { return sums_; }
  const std::set<int64_t>& chunks() const { return chunks_; }
  int64_t written_bytes() const { return written_bytes_; }

 private:
  const std::vector<Job>& jobs_;
  std::vector<std::map<int64_t, std::string>> shards_;
  std::map<std::string, Hash128> sums_;
  std::set<int64_t> chunks_;
  int64_t written_bytes_ = 0;
};

TEST_P(ExecutorThreadsTest, HashesWhatItWrites) {
  MemoryFileSystem fs;
  const std::vector<Job> jobs = BigJobs();
  for (const Job& job : jobs) job.WriteFiles(fs);
  Collected collected(jobs);
  const auto stats =
      ExecuteAll(fs, jobs,
                 {.thread_count = GetParam(),
                  .cut = SmallCut(GetParam()),
                  .on_written = [&](const ChunkResult& r) { return collected.Add(r); }});
  ASSERT_TRUE(stats.ok()) << stats.status().message();
  EXPECT_GT(collected.chunks().size(), 10);
  EXPECT_EQ(collected.written_bytes(), stats->written_bytes);
  EXPECT_EQ(collected.sums(), ExpectedSums(jobs));
}

// Any number of processes, each with its own chunks, write every byte once and add up to the same.
TEST(ExecutorTest, ProcessesShareChunks) {
  const std::vector<Job> jobs = BigJobs();
  for (const int64_t processes : {2, 3, 5}) {
    MemoryFileSystem fs;
    int64_t target_bytes = 0;
    for (const Job& job : jobs) {
      job.WriteFiles(fs);
      target_bytes += job.target_bytes();
    }
    Collected collected(jobs);
    int64_t most = 0;
    for (int64_t process = 0; process < processes; ++process) {
      const auto stats =
          ExecuteAll(fs, jobs,
                     {.thread_count = 2,
                      .cut = SmallCut(kManyThreads),
                      .is_mine = [=](int64_t chunk) { return chunk % processes == process; },
                      .on_written = [&](const ChunkResult& r) { return collected.Add(r); }});
      ASSERT_TRUE(stats.ok()) << stats.status().message();
      most = std::max(most, stats->written_bytes);
    }
    EXPECT_EQ(collected.written_bytes(), target_bytes);
    // Tiles of wide rows are longer than a chunk, so shares are not equal in a set this small.
    EXPECT_LT(most, target_bytes / processes * 2);
    EXPECT_EQ(collected.sums(), ExpectedSums(jobs));
    ExpectFiles(fs, jobs);
    ExpectDisjoint(fs.accesses(), Access::kWrite);
  }
}

TEST(ExecutorTest, AFailingObserverStopsIt) {
  MemoryFileSystem fs;
  const std::vector<Job> jobs = BigJobs();
  for (const Job& job : jobs) job.WriteFiles(fs);
  const auto stats = ExecuteAll(
      fs, jobs, {.thread_count = 3, .cut = SmallCut(3), .on_written = [](const ChunkResult&) {
                   return IoError("journal");
                 }});
  EXPECT_EQ(stats.status().message(), "journal");
}

// What on_synced vouches for survives a power cut.
TEST(ExecutorTest, SyncsAsItGoes) {
  MemoryFileSystem fs;
  const std::vector<Job> jobs = BigJobs();
  for (const Job& job : jobs) job.WriteFiles(fs);
  int64_t written = 0;
  std::vector<int64_t> synced;
  const auto stats = ExecuteAll(fs, jobs,
                                {.thread_count = 2,
                                 .cut = SmallCut(2),
                                 .on_written =
                                     [&](const ChunkResult&) {
                                       ++written;
                                       return OkStatus();
                                     },
                                 .sync_interval_seconds = 1e-9,
                                 .on_synced =
                                     [&](int64_t count) {
                                       EXPECT_LE(count, written);
                                       synced.push_back(count);
                                       return OkStatus();
                                     },
                                 .sync_at_end = true});
  ASSERT_TRUE(stats.ok()) << stats.status().message();
  ASSERT_GT(synced.size(), 2);
  EXPECT_TRUE(std::is_sorted(synced.begin(), synced.end()));
  EXPECT_EQ(synced.back(), written);
  fs.LoseUnsynced();
  ExpectFiles(fs, jobs);
}

}  // namespace
}  // namespace relayout
