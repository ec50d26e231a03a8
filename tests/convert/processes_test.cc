// SPDX-License-Identifier: Apache-2.0
//
// Several processes, as threads, share one conversion or do one each: the same bytes for any number
// of them, nobody reads what another has read, and one's failure is everybody's. The seed is
// printed; RELAYOUT_SEED repeats a run.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/hash.h"
#include "relayout/base/text.h"
#include "relayout/checkpoint/catalog.h"
#include "relayout/checkpoint/manifest.h"
#include "relayout/comm/thread_comm.h"
#include "relayout/io/fault_file_system.h"
#include "tests/convert/whole_runs.h"
#include "tests/oracle/world.h"

namespace relayout::oracle {
namespace {

constexpr int kWorlds = 40;

// Does the manifest name every file with its size and hash?
std::string CheckManifest(MemoryFileSystem& fs, const std::string& directory) {
  size_t count = 0;
  for (const auto& [path, bytes] : FilesUnder(fs, directory)) {
    if (path.starts_with(StateDirectory(directory))) continue;
    ++count;
    const auto rank = ParseDecimal(BaseName(ParentPath(path)).substr(5));
    const auto record = ReadRecord(fs, directory, *rank);
    if (!record.ok()) return record.status().message();
    if (JoinPath(directory, record->file_name) != path) return "names " + record->file_name;
    if (record->size_bytes != std::ssize(bytes)) return path + ": another size";
    const std::string naive = ToHex(NaiveContentHash(fs, path));
    if (ToHex(record->content_hash) != naive) {
      return Format("{}: hashes to {}, not {}", path, naive, ToHex(record->content_hash));
    }
  }
  return count == 0 ? "no files" : "";
}

// --- Who does what -------------------------------------------------------------------------------

// What one process asks of the file system.
class ObservedFileSystem final : public FileSystem {
 public:
  struct Range {
    std::string path;
    Extent extent;
  };

  explicit ObservedFileSystem(FileSystem& wrapped) : wrapped_(wrapped) {}

  const std::vector<std::string>& lists() const { return lists_; }
  const std::vector<Range>& reads() const { return reads_; }

  Result<std::unique_ptr<ReadableFile>> OpenForRead(const std::string& path) override {
    RELAYOUT_ASSIGN_OR_RETURN(auto file, wrapped_.OpenForRead(path));
    return std::unique_ptr<ReadableFile>(std::make_unique<Readable>(*this, std::move(file)));
  }
  Result<std::unique_ptr<WritableFile>> CreateForWrite(const std::string& path,
                                                       int64_t size_bytes) override {
    return wrapped_.CreateForWrite(path, size_bytes);
  }
  Result<std::unique_ptr<WritableFile>> OpenForWrite(const std::string& path) override {
    return wrapped_.OpenForWrite(path);
  }
  Result<FileInfo> Stat(const std::string& path) override { return wrapped_.Stat(path); }
  Result<std::vector<DirectoryEntry>> List(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    lists_.push_back(path);
    return wrapped_.List(path);
  }
  Status MakeDirectory(const std::string& path) override { return wrapped_.MakeDirectory(path); }
  Status Rename(const std::string& from, const std::string& to) override {
    return wrapped_.Rename(from, to);
  }
  Status HardLink(const std::string& from, const std::string& to) override {
    return wrapped_.HardLink(from, to);
  }
  Status CloneFile(const std::string& from, const std::string& to) override {
    return wrapped_.CloneFile(from, to);
  }
  Status RemoveFile(const std::string& path) override { return wrapped_.RemoveFile(path); }
  Status RemoveDirectory(const std::string& path) override {
    return wrapped_.RemoveDirectory(path);
  }
  Status SyncDirectory(const std::string& path) override { return wrapped_.SyncDirectory(path); }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path, bool wait) override {
    return wrapped_.Lock(path, wait);
  }
  Result<int64_t> FreeBytes(const std::string& path) override { return wrapped_.FreeBytes(path); }
  std::string Incarnation() override { return wrapped_.Incarnation(); }

 private:
  class Readable final : public ReadableFile {
   public:
    Readable(ObservedFileSystem& observer, std::unique_ptr<ReadableFile> file)
        : observer_(observer), file_(std::move(file)) {}
    int64_t size_bytes() const override { return file_->size_bytes(); }
    const std::string& path() const override { return file_->path(); }
    Status ReadAt(int64_t offset_bytes, std::span<std::byte> buffer) const override {
      const std::lock_guard lock(observer_.mutex_);
      observer_.reads_.push_back({path(), {offset_bytes, std::ssize(buffer)}});
      return file_->ReadAt(offset_bytes, buffer);
    }

   private:
    ObservedFileSystem& observer_;
    const std::unique_ptr<ReadableFile> file_;
  };

  FileSystem& wrapped_;
  std::mutex mutex_;  // Guards what follows.
  std::vector<std::string> lists_;
  std::vector<Range> reads_;
};

// The bytes of the payload of source files that processes read, by path; a byte each.
class PayloadReads {
 public:
  explicit PayloadReads(MemoryFileSystem& disk) : disk_(disk) {}

  // What is wrong with a read of a process that reads payload alone; empty when nothing is. For
  // some target ranks only, small gaps between the wanted bytes are read too, perhaps twice.
  std::string Add(const ObservedFileSystem::Range& read, bool once) {
    const auto [file, is_new] = seen_.try_emplace(read.path);
    if (is_new) file->second = PayloadOf(read.path);
    for (int64_t i = 0; i < read.extent.size_bytes; ++i) {
      char& state = file->second[static_cast<size_t>(read.extent.offset_bytes + i)];
      const int64_t at = read.extent.offset_bytes + i;
      if (state == kHeader) return Format("{}: byte {} is no payload", read.path, at);
      if (state == kRead && once) return Format("{}: byte {} was read twice", read.path, at);
      state = kRead;
    }
    return "";
  }

 private:
  static constexpr char kHeader = 'h', kUnread = '.', kRead = 'r';

  std::string PayloadOf(const std::string& path) {
    std::string state(disk_.FileBytes(path)->size(), kHeader);
    const auto catalog = Catalog::Open(disk_, {{0, path}}, 1);
    if (!catalog.ok()) return state;
    for (const ValueView& value : *catalog->files()[0].values) {
      for (const Extent& extent : value.extents) {
        std::fill_n(state.begin() + extent.offset_bytes, extent.size_bytes, kUnread);
      }
    }
    return state;
  }

  MemoryFileSystem& disk_;
  std::map<std::string, std::string> seen_;
};

// One observer each.
std::vector<std::unique_ptr<ObservedFileSystem>> Observers(int count, FileSystem& disk) {
  std::vector<std::unique_ptr<ObservedFileSystem>> observers;
  observers.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) observers.push_back(std::make_unique<ObservedFileSystem>(disk));
  return observers;
}

// Only process 0 lists and reads what is around the payload.
std::string CheckWhoReads(const std::vector<std::unique_ptr<ObservedFileSystem>>& observers,
                          MemoryFileSystem& disk, bool once) {
  PayloadReads payload(disk);
  for (size_t i = 1; i < observers.size(); ++i) {
    if (!observers[i]->lists().empty()) {
      return Format("process {} lists {}", i, observers[i]->lists()[0]);
    }
    for (const auto& read : observers[i]->reads()) {
      const std::string wrong = payload.Add(read, once);
      if (!wrong.empty()) return Format("process {}: {}", i, wrong);
    }
  }
  std::set<std::string> listed;
  for (const std::string& path : observers[0]->lists()) {
    if (path.starts_with("src") && !listed.insert(path).second) return "lists twice: " + path;
  }
  return "";
}

World AnyWorld(uint64_t seed) {
  Random random(Mix(seed));
  World world = RandomWorld(seed);
  return random.OneIn(2) ? WithManyTensors(std::move(world), random.Between(70, 200)) : world;
}

// Empty, or what is wrong with this number of processes.
std::string RunTogether(const World& world, int processes, const Files& expected,
                        int64_t* busy_count) {
  MemoryFileSystem disk;
  WriteSource(world, disk);
  TransformRequest request = RequestOf(world);
  request.thread_count = 2;
  // What these two read is not counted below.
  request.check_crc = false;
  request.trust_strategy = true;
  const auto observers = Observers(processes, disk);
  disk.ClearAccesses();
  const auto report = Convert(
      processes,
      [&](int process) -> FileSystem& { return *observers[static_cast<size_t>(process)]; },
      request);
  if (!report.ok()) return report.status().message();
  std::string wrong = CheckWrittenOnce(disk.accesses());
  if (wrong.empty()) wrong = Compare(FilesUnder(disk, "dst"), expected);
  if (wrong.empty()) wrong = CheckManifest(disk, "dst");
  if (wrong.empty()) wrong = CheckWhoReads(observers, disk, world.ranks.empty());
  if (!wrong.empty()) return wrong;
  for (size_t i = 1; i < observers.size(); ++i) *busy_count += !observers[i]->reads().empty();
  const Traffic traffic = ExpectedTraffic(world, ExpectedTarget(world));
  if (report->written_bytes != traffic.written_bytes) return "written_bytes is wrong";
  if (world.ranks.empty() && report->read_bytes != traffic.read_bytes) {
    return Format("{} bytes were read, not {}", report->read_bytes, traffic.read_bytes);
  }
  return "";
}

TEST(ProcessesTest, TheFilesAreTheSameForAnyNumber) {
  const uint64_t first = PrintedSeed();
  int64_t busy_count = 0;
  for (uint64_t seed = first; seed < first + kWorlds; ++seed) {
    const World world = AnyWorld(seed);
    MemoryFileSystem alone;
    WriteSource(world, alone);
    ASSERT_TRUE(Convert(1, alone, RequestOf(world)).ok());
    const Files expected = FilesUnder(alone, "dst");
    for (int processes = 1; processes <= 5; ++processes) {
      ASSERT_EQ(RunTogether(world, processes, expected, &busy_count), "")
          << processes << " processes, RELAYOUT_SEED=" << seed << "\n"
          << Describe(world);
    }
  }
  EXPECT_GT(busy_count, kWorlds) << "mostly process 0 did everything";
}

// Work is shared out by bytes, also where a tile is as large as several chunks (here four).
TEST(ProcessesTest, EachHasAShareOfTheBytes) {
  World one_tensor = LargeWorld();
  one_tensor.tensors = {{.name = "whole", .shape = {16 << 20}, .content = 3}};
  one_tensor.source->at(0).layouts = {{"whole", ParseSpec("{a:2} (-)")}};
  one_tensor.target.reset();
  World columns = LargeWorld();
  columns.tensors.pop_back();
  columns.source->at(0).layouts.pop_back();
  columns.target->at(0).layouts.pop_back();
  columns = WithManyTensors(columns, 12);
  for (const World& world : {one_tensor, columns}) {
    const int64_t total = ExpectedTraffic(world, ExpectedTarget(world)).read_bytes;
    for (const int processes : {2, 4}) {
      MemoryFileSystem disk;
      WriteSource(world, disk);
      const auto observers = Observers(processes, disk);
      const auto report = Convert(
          processes,
          [&](int process) -> FileSystem& { return *observers[static_cast<size_t>(process)]; },
          RequestOf(world));
      ASSERT_TRUE(report.ok()) << report.status().message();
      for (size_t i = 0; i < observers.size(); ++i) {
        int64_t mine = 0;
        for (const auto& read : observers[i]->reads()) mine += read.extent.size_bytes;
        EXPECT_GT(mine, total / processes / 2) << "process " << i << " of " << processes;
        EXPECT_LT(mine, total / processes * 2) << "process " << i << " of " << processes;
      }
    }
  }
}

// --- One fails -----------------------------------------------------------------------------------

struct Outcome {
  std::vector<Status> of_process;
  Files files;
  bool had_failure = false;  // The operation was reached.
};

struct Fault {
  int process = 0;
  int64_t operation = 0;
  bool once = false;
};

Outcome RunWithFault(const World& world, int processes, const Fault& fault) {
  MemoryFileSystem disk;
  WriteSource(world, disk);
  FaultFileSystem broken(disk);
  fault.once ? broken.FailOnce(fault.operation) : broken.FailAfter(fault.operation);
  TransformRequest request = RequestOf(world);
  request.thread_count = 1;
  Outcome outcome;
  outcome.of_process.resize(static_cast<size_t>(processes));
  static_cast<void>(RunThreadComm(processes, [&](Comm& comm) -> Status {
    FileSystem& fs = comm.rank() == fault.process ? static_cast<FileSystem&>(broken) : disk;
    Status status = TransformCheckpoints(fs, comm, request).status();
    outcome.of_process[static_cast<size_t>(comm.rank())] = status;
    return status;
  }));
  outcome.files = FilesUnder(disk, "dst");
  outcome.had_failure = broken.operation_count() > fault.operation;
  return outcome;
}

// Files below rank folders.
Files FinalFiles(const Files& files) {
  Files result;
  for (const auto& [path, bytes] : files) {
    if (!path.starts_with("dst/.relayout")) result[path] = bytes;
  }
  return result;
}

std::string CheckOutcome(const Outcome& outcome, const Fault& fault, const Files& expected) {
  const Status& first = outcome.of_process[0];
  for (const Status& status : outcome.of_process) {
    if (status.message() != first.message() || status.code() != first.code()) {
      return Format("two messages: {} | {}", first.message(), status.message());
    }
  }
  if (first.ok()) return Compare(FinalFiles(outcome.files), FinalFiles(expected));
  if (first.message().find("injected failure") == std::string::npos) return first.message();
  const Files left = FinalFiles(outcome.files);
  // A process 0 that is dead cannot put back what it has published already.
  if (fault.process == 0 && !fault.once) {
    for (const auto& [path, bytes] : left) {
      const auto file = expected.find(path);
      if (file == expected.end() || file->second != bytes) return path + ": is not right";
    }
    return "";
  }
  if (!left.empty()) return Format("left {}", left.begin()->first);
  if (fault.process != 0 && !outcome.files.empty()) {
    return Format("left {}", outcome.files.begin()->first);
  }
  return "";
}

TEST(ProcessesTest, OneFailsAndAllFail) {
  constexpr int kProcesses = 3;
  const uint64_t seed = PrintedSeed();
  Random random(seed);
  World small = LargeWorld();
  small.tensors[0].shape = {8, 6};
  small.tensors[2].shape = {5};
  small.ranks = {0, 3};
  const World world = WithManyTensors(small, 130);
  MemoryFileSystem alone;
  WriteSource(world, alone);
  ASSERT_TRUE(Convert(1, alone, RequestOf(world)).ok());
  const Files expected = FilesUnder(alone, "dst");
  for (int process = 0; process < kProcesses; ++process) {
    int64_t failures = 0;
    for (int64_t operation = 0;; operation += random.Between(1, process == 0 ? 24 : 8)) {
      Outcome outcome;
      for (const bool once : {false, true}) {
        const Fault fault{.process = process, .operation = operation, .once = once};
        outcome = RunWithFault(world, kProcesses, fault);
        failures += !outcome.of_process[0].ok();
        ASSERT_EQ(CheckOutcome(outcome, fault, expected), "")
            << "process " << process << ", operation " << operation << (once ? " once" : "")
            << ", RELAYOUT_SEED=" << seed;
      }
      if (!outcome.had_failure) break;
    }
    EXPECT_GT(failures, 40) << "process " << process;
  }
}

// --- Different requests --------------------------------------------------------------------------

TEST(ProcessesTest, DifferentConversionsAreRefused) {
  const std::vector<std::pair<const char*, std::function<void(TransformRequest&)>>> changes = {
      {"source", [](auto& r) { r.source.path = "src2"; }},
      {"source strategy", [](auto& r) { r.source.strategy_path.reset(); }},
      {"target strategy", [](auto& r) { r.target_strategy_path.reset(); }},
      {"target", [](auto& r) { r.target_directory = "dst2"; }},
      {"prefix", [](auto& r) { r.prefix = "x_"; }},
      {"format", [](auto& r) { r.format = FileFormat::kSafetensors; }},
      {"keep_extra", [](auto& r) { r.contents.keep_extra = true; }},
      {"allow_missing", [](auto& r) { r.contents.allow_missing = true; }},
      {"strict", [](auto& r) { r.contents.strict = true; }},
      {"check_replicas", [](auto& r) { r.check_replicas = true; }},
      {"trust_strategy", [](auto& r) { r.trust_strategy = true; }},
      {"check_crc", [](auto& r) { r.check_crc = false; }},
      {"overwrite", [](auto& r) { r.overwrite = true; }},
      {"sync", [](auto& r) { r.sync = false; }},
      {"crc_trailer", [](auto& r) { r.crc_trailer = true; }},
      {"resume", [](auto& r) { r.resume = true; }},
      {"replicas", [](auto& r) { r.replica_mode = ReplicaMode::kHardLink; }},
      {"memory", [](auto& r) { r.memory_bytes *= 2; }},
      {"step", [](auto& r) { r.source.step = TrainingStep{.epoch = 1, .step = 2}; }}};
  const World world = LargeWorld();
  for (const auto& [name, change] : changes) {
    MemoryFileSystem disk;
    WriteSource(world, disk);
    TransformRequest request = RequestOf(world);
    request.sync = true;
    request.format.reset();
    TransformRequest other = request;
    change(other);
    const Status status = RunThreadComm(3, [&](Comm& comm) -> Status {
      return TransformCheckpoints(disk, comm, comm.rank() == 2 ? other : request).status();
    });
    EXPECT_EQ(status.code(), StatusCode::kInvalidInput) << name;
    EXPECT_NE(status.message().find("process 2 was asked for another conversion"),
              std::string::npos)
        << name << ": " << status.message();
    EXPECT_TRUE(FilesUnder(disk, "dst").empty());
  }
}

// As many threads as each likes: it does not show.
TEST(ProcessesTest, MayDifferInThreads) {
  const World world = LargeWorld();
  MemoryFileSystem disk;
  WriteSource(world, disk);
  const Status status = RunThreadComm(3, [&](Comm& comm) -> Status {
    TransformRequest request = RequestOf(world);
    request.thread_count = comm.rank() + 1;
    return TransformCheckpoints(disk, comm, request).status();
  });
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(CheckManifest(disk, "dst"), "");
}

// transform_checkpoint_by_rank, as the tutorial does it.
TEST(ProcessesTest, OneTargetRankEach) {
  const World world = LargeWorld();
  MemoryFileSystem alone;
  WriteSource(world, alone);
  ASSERT_TRUE(Convert(1, alone, RequestOf(world)).ok());
  MemoryFileSystem disk;
  WriteSource(world, disk);
  const Status status = RunThreadComm(4, [&](Comm& comm) -> Status {
    TransformRequest request = RequestOf(world);
    request.ranks = {comm.rank()};
    RELAYOUT_ASSIGN_OR_RETURN(const auto report, TransformCheckpoints(disk, comm, request));
    EXPECT_FALSE(report.is_shared);
    EXPECT_EQ(report.file_of_rank.size(), 1U);
    EXPECT_TRUE(report.file_of_rank.contains(comm.rank()));
    return OkStatus();
  });
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(Compare(FilesUnder(disk, "dst"), FilesUnder(alone, "dst")), "");
}

TEST(ProcessesTest, RanksOfTwoProcessesDoNotMeet) {
  struct Case {
    std::vector<int64_t> of_0, of_1;
    std::string says;  // Empty: it is one request.
  };
  const std::vector<Case> cases = {
      {{0, 1}, {1, 0, 1}, ""},
      {{0, 1}, {1, 2}, "--rank 1: processes 0 and 1 would both write it"},
      {{0}, {}, "process 1 was asked for all target ranks"},
      {{}, {3}, "process 0 was asked for all target ranks"}};
  const World world = LargeWorld();
  for (const Case& c : cases) {
    MemoryFileSystem disk;
    WriteSource(world, disk);
    const Status status = RunThreadComm(2, [&](Comm& comm) -> Status {
      TransformRequest request = RequestOf(world);
      request.ranks = comm.rank() == 0 ? c.of_0 : c.of_1;
      return TransformCheckpoints(disk, comm, request).status();
    });
    if (c.says.empty()) {
      EXPECT_TRUE(status.ok()) << status.message();
      EXPECT_EQ(FilesUnder(disk, "dst").size(), 4U);
      continue;
    }
    EXPECT_EQ(status.code(), StatusCode::kInvalidInput);
    EXPECT_EQ(status.message().find(c.says), 0U) << status.message();
    EXPECT_TRUE(FilesUnder(disk, "dst").empty());
  }
}

TEST(ProcessesTest, OneOfOneTargetRankEachFailsAndAllFail) {
  const World world = LargeWorld();
  MemoryFileSystem disk;
  WriteSource(world, disk);
  std::vector<std::string> messages(4);
  const Status status = RunThreadComm(4, [&](Comm& comm) -> Status {
    TransformRequest request = RequestOf(world);
    request.ranks = {comm.rank() == 2 ? 99 : comm.rank()};
    Status mine = TransformCheckpoints(disk, comm, request).status();
    messages[static_cast<size_t>(comm.rank())] = mine.message();
    return mine;
  });
  EXPECT_EQ(status.code(), StatusCode::kInvalidInput);
  for (const std::string& message : messages) EXPECT_EQ(message, messages[0]);
  EXPECT_NE(messages[0].find("rank 2"), std::string::npos) << messages[0];
  EXPECT_NE(messages[0].find("--rank 99"), std::string::npos) << messages[0];
}

}  // namespace
}  // namespace relayout::oracle
