// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/writer.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "relayout/base/content_hash.h"
#include "relayout/base/text.h"
#include "relayout/checkpoint/catalog.h"
#include "relayout/checkpoint/file_hash.h"
#include "relayout/checkpoint/rank_files.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/io/fault_file_system.h"
#include "relayout/io/memory_file.h"
#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

using Files = std::map<std::string, std::string>;

// A set to be written: its generation, which also decides its contents, and its ranks.
struct Set {
  std::string generation;
  std::vector<int64_t> ranks;
  CheckpointWriterOptions options;
};

CheckpointWriterOptions Options(bool overwrite = false) {
  CheckpointWriterOptions options;
  options.directory = "out/set";
  options.overwrite = overwrite;
  return options;
}

CheckpointWriterOptions SingleFile(const std::string& path) {
  CheckpointWriterOptions options;
  options.single_file = path;
  return options;
}

std::string Payload(const std::string& generation, int64_t rank) {
  std::string payload = Format("{} of rank {} ", generation, rank);
  while (payload.size() < 64) payload += static_cast<char>('a' + payload.size() % 26);
  return payload;
}

FileImage Image(FileFormat format) {
  const StoredValue value{.name = "w", .dtype = DType::kUInt8, .shape = {64}, .extents = {}};
  return *LayOutFile(format, std::span(&value, 1));
}

FileFrame FrameOf(const FileImage& image) {
  int64_t payload_bytes = 0;
  for (const auto& extents : image.extents) payload_bytes += TotalBytes(extents);
  return {.size_bytes = image.size_bytes,
          .payload_bytes = payload_bytes,
          .lay_out = [image](LayoutSink& sink) {
            for (const FileImage::Segment& header : image.headers) {
              RELAYOUT_RETURN_IF_ERROR(sink.AddHeader(header.offset_bytes, header.bytes));
            }
            return OkStatus();
          }};
}

StagedPlan Plan(const std::string& generation, const std::vector<int64_t>& ranks) {
  return {.generation = {.source_strategy = generation,
                         .target_strategy = "t",
                         .options = "o",
                         .source_of_rank = {{0, "f"}}},
          .change_of_source = {{0, "10 20"}},
          .ranks = ranks,
          .replicas = "copy",
          .chunk_bytes = 1 << 20,
          .thread_memory_bytes = 1 << 20};
}

// The whole protocol, as Transform drives it. The payload is written again when a dead run's work
// is gone on with, which does no harm.
Status Publish(FileSystem& fs, const Set& set) {
  const StagedPlan plan = Plan(set.generation, set.ranks);
  RELAYOUT_ASSIGN_OR_RETURN(const auto writer, CheckpointWriter::Begin(fs, set.options, plan));
  if (writer->is_complete()) return OkStatus();
  std::map<int64_t, Hash128> sums;
  std::map<int64_t, std::string> paths;
  const FileImage image = Image(set.options.format);
  for (const int64_t rank : set.ranks) {
    if (set.options.original_of_replica.contains(rank)) continue;
    RELAYOUT_ASSIGN_OR_RETURN(paths[rank], writer->Create(rank, FrameOf(image)));
  }
  RELAYOUT_RETURN_IF_ERROR(writer->SavePlan(plan));
  for (const auto& [rank, path] : paths) {
    RELAYOUT_ASSIGN_OR_RETURN(const auto file, fs.OpenForWrite(path));
    const std::string payload = Payload(set.generation, rank);
    const auto bytes = std::as_bytes(std::span(payload));
    RELAYOUT_RETURN_IF_ERROR(file->WriteAt(image.extents[0][0].offset_bytes, bytes));
    RELAYOUT_RETURN_IF_ERROR(file->Close());
    sums[rank] = BlockTerm(StreamId("w"), 0, bytes);
  }
  return writer->Publish(2, sums);
}

// All files below a directory, but locks.
void AddFiles(MemoryFileSystem& fs, const std::string& directory, Files& files) {
  const auto entries = fs.List(directory);
  if (!entries.ok()) return;
  for (const DirectoryEntry& entry : *entries) {
    const std::string path = JoinPath(directory, entry.name);
    if (entry.kind == FileKind::kDirectory) {
      AddFiles(fs, path, files);
    } else if (entry.name != "lock") {
      files[path] = *fs.FileBytes(path);
    }
  }
}

Files AllFiles(MemoryFileSystem& fs) {
  Files files;
  AddFiles(fs, "out", files);
  return files;
}

// Those under final names.
Files FinalFiles(MemoryFileSystem& fs) {
  Files files = AllFiles(fs);
  std::erase_if(
      files, [](const auto& entry) { return entry.first.find(".relayout") != std::string::npos; });
  return files;
}

// --- Without failures ---------------------------------------------------------------------------

TEST(WriterTest, PublishesASet) {
  MemoryFileSystem fs;
  const Status status = Publish(fs, {.generation = "g1", .ranks = {1, 0}, .options = Options()});
  ASSERT_TRUE(status.ok()) << status.message();
  const Files files = AllFiles(fs);
  std::vector<std::string> paths;
  for (const auto& [path, bytes] : files) paths.push_back(path);
  EXPECT_EQ(paths, (std::vector<std::string>{"out/set/.relayout/rank_0", "out/set/.relayout/rank_1",
                                             "out/set/rank_0/checkpoint_0.ckpt",
                                             "out/set/rank_1/checkpoint_1.ckpt"}));
  EXPECT_NE(files.at("out/set/rank_1/checkpoint_1.ckpt").find(Payload("g1", 1)), std::string::npos);
  const auto record = ParseRecord(files.at("out/set/.relayout/rank_1"));
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->generation.source_strategy, "g1");
  EXPECT_EQ(record->file_name, "rank_1/checkpoint_1.ckpt");
  EXPECT_EQ(record->size_bytes, 82);
}

TEST(WriterTest, SurvivesAPowerCut) {
  MemoryFileSystem fs;
  ASSERT_TRUE(Publish(fs, {.generation = "g1", .ranks = {0, 1, 2}, .options = Options()}).ok());
  const Files files = AllFiles(fs);
  fs.LoseUnsynced();
  EXPECT_EQ(AllFiles(fs), files);
  // And so does one that replaced a larger one, whose folders held other files, too.
  fs.SetFile("out/set/rank_2/notes.txt", "mine");
  ASSERT_TRUE(Publish(fs, {.generation = "g2", .ranks = {0, 1}, .options = Options(true)}).ok());
  const Files replaced = AllFiles(fs);
  EXPECT_EQ(replaced.size(), 5U);
  fs.LoseUnsynced();
  EXPECT_EQ(AllFiles(fs), replaced);
}

TEST(WriterTest, AppendsATrailerThatReadersAccept) {
  MemoryFileSystem fs;
  auto options = Options();
  options.crc_trailer = true;
  ASSERT_TRUE(Publish(fs, {.generation = "g1", .ranks = {0}, .options = options}).ok());
  const std::string bytes = *fs.FileBytes("out/set/rank_0/checkpoint_0.ckpt");
  const auto index = ReadFileIndex(MemoryFile("a.ckpt", bytes));
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(index->crc_covers_bytes, std::ssize(bytes) - 17);
}

TEST(WriterTest, WritesOneFileWhereItIsTold) {
  MemoryFileSystem fs;
  const Set set{.generation = "g1", .ranks = {5}, .options = SingleFile("out/mine.ckpt")};
  ASSERT_TRUE(Publish(fs, set).ok());
  EXPECT_EQ(AllFiles(fs).size(), 1U);
  EXPECT_FALSE(Exists(fs, "out/.relayout"));
  const Status again = Publish(fs, set);
  EXPECT_EQ(again.code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(again.message(), "out/mine.ckpt: exists; use --overwrite to replace it");
  Set other = set;
  other.generation = "g2";
  other.options.overwrite = true;
  ASSERT_TRUE(Publish(fs, other).ok());
  EXPECT_NE(fs.FileBytes("out/mine.ckpt")->find(Payload("g2", 5)), std::string::npos);
}

TEST(WriterTest, RefusesPrefixesThatLeaveTheFolder) {
  const std::vector<std::string> prefixes = {"a/b", "..", "../x", "/", std::string("a\0b", 3)};
  for (const std::string& prefix : prefixes) {
    MemoryFileSystem fs;
    auto options = Options();
    options.names.prefix = prefix;
    const Status status = Publish(fs, {.generation = "g1", .ranks = {0}, .options = options});
    EXPECT_EQ(status.code(), StatusCode::kInvalidInput) << prefix;
    EXPECT_NE(status.message().find("may not contain '/' or '..'"), std::string::npos);
    EXPECT_FALSE(Exists(fs, "out"));
  }
}

TEST(WriterTest, RefusesToOverwrite) {
  MemoryFileSystem fs;
  ASSERT_TRUE(Publish(fs, {.generation = "g1", .ranks = {0, 1}, .options = Options()}).ok());
  const Files files = AllFiles(fs);
  for (const char* generation : {"g1", "g2"}) {
    const Status status =
        Publish(fs, {.generation = generation, .ranks = {0, 1}, .options = Options()});
    EXPECT_EQ(status.code(), StatusCode::kAlreadyExists);
    EXPECT_NE(status.message().find("use --overwrite to replace them all"), std::string::npos);
    EXPECT_NE(status.message().find("out/set/rank_0/checkpoint_0.ckpt"), std::string::npos);
    EXPECT_EQ(AllFiles(fs), files);
  }
}

TEST(WriterTest, ReplacesASetAsAWhole) {
  MemoryFileSystem fs;
  ASSERT_TRUE(Publish(fs, {.generation = "g1", .ranks = {0, 1, 2, 3}, .options = Options()}).ok());
  auto options = Options(true);
  options.names.prefix = "new-";
  fs.SetFile("out/set/rank_3/notes.txt", "mine");
  ASSERT_TRUE(Publish(fs, {.generation = "g2", .ranks = {0, 1}, .options = options}).ok());
  std::vector<std::string> paths;
  for (const auto& [path, bytes] : AllFiles(fs)) paths.push_back(path);
  EXPECT_EQ(paths,
            (std::vector<std::string>{"out/set/.relayout/rank_0", "out/set/.relayout/rank_1",
                                      "out/set/rank_0/new-0.ckpt", "out/set/rank_1/new-1.ckpt",
                                      "out/set/rank_3/notes.txt"}));
  EXPECT_FALSE(Exists(fs, "out/set/rank_2"));
}

TEST(WriterTest, KeepsFilesOfOtherNamesWhenTold) {
  MemoryFileSystem fs;
  ASSERT_TRUE(Publish(fs, {.generation = "g1", .ranks = {0, 1, 2}, .options = Options()}).ok());
  fs.SetFile("out/set/part0.safetensors", "of a unified set");
  const Files before = AllFiles(fs);
  const auto paths = [&] {
    std::vector<std::string> found;
    for (const auto& [path, bytes] : AllFiles(fs)) found.push_back(path);
    return found;
  };
  // Another prefix: nothing is in the way, nothing is replaced, and the records are the new set's.
  auto options = Options();
  options.keep_others = true;
  options.names.prefix = "new-";
  ASSERT_TRUE(Publish(fs, {.generation = "g2", .ranks = {0, 1}, .options = options}).ok());
  EXPECT_EQ(paths(), (std::vector<std::string>{
                         "out/set/.relayout/rank_0", "out/set/.relayout/rank_1",
                         "out/set/part0.safetensors", "out/set/rank_0/checkpoint_0.ckpt",
                         "out/set/rank_0/new-0.ckpt", "out/set/rank_1/checkpoint_1.ckpt",
                         "out/set/rank_1/new-1.ckpt", "out/set/rank_2/checkpoint_2.ckpt"}));
  for (const auto& [path, bytes] : before) {
    if (path.find(".relayout") != std::string::npos) continue;
    EXPECT_EQ(AllFiles(fs).at(path), bytes) << path;
  }
  // The same names: a set is replaced as a whole, when told to.
  options.names.prefix = "checkpoint_";
  EXPECT_EQ(Publish(fs, {.generation = "g3", .ranks = {0}, .options = options}).code(),
            StatusCode::kAlreadyExists);
  options.overwrite = true;
  ASSERT_TRUE(Publish(fs, {.generation = "g3", .ranks = {0}, .options = options}).ok());
  EXPECT_EQ(paths(),
            (std::vector<std::string>{"out/set/.relayout/rank_0", "out/set/part0.safetensors",
                                      "out/set/rank_0/checkpoint_0.ckpt",
                                      "out/set/rank_0/new-0.ckpt", "out/set/rank_1/new-1.ckpt"}));
}

TEST(WriterTest, JoinsRanksOfOneGeneration) {
  MemoryFileSystem fs;
  auto options = Options();
  options.whole_set = false;
  ASSERT_TRUE(Publish(fs, {.generation = "g1", .ranks = {0}, .options = options}).ok());
  ASSERT_TRUE(Publish(fs, {.generation = "g1", .ranks = {2}, .options = options}).ok());
  const Files both = AllFiles(fs);
  EXPECT_EQ(both.size(), 4U);

  // Another generation may not join, nor a set that is whole by itself.
  Set other{.generation = "g2", .ranks = {1}, .options = options};
  EXPECT_EQ(Publish(fs, other).code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(Publish(fs, {.generation = "g1", .ranks = {1}, .options = Options()}).code(),
            StatusCode::kAlreadyExists);
  EXPECT_EQ(AllFiles(fs), both);

  // One rank again: only that one is replaced.
  options.overwrite = true;
  ASSERT_TRUE(Publish(fs, {.generation = "g1", .ranks = {2}, .options = options}).ok());
  EXPECT_EQ(AllFiles(fs), both);
  // With --overwrite another generation replaces all.
  other.options.overwrite = true;
  ASSERT_TRUE(Publish(fs, other).ok());
  std::vector<std::string> paths;
  for (const auto& [path, bytes] : AllFiles(fs)) paths.push_back(path);
  EXPECT_EQ(paths, (std::vector<std::string>{"out/set/.relayout/rank_1",
                                             "out/set/rank_1/checkpoint_1.ckpt"}));
}

TEST(WriterTest, TwoAtATime) {
  MemoryFileSystem fs;
  auto options = Options();
  options.whole_set = false;
  const auto begin = [&](const char* generation, int64_t rank) {
    auto writer = CheckpointWriter::Begin(fs, options, Plan(generation, {rank}));
    EXPECT_TRUE(writer.ok());
    EXPECT_TRUE((*writer)->Create(rank, FrameOf(Image(options.format))).ok());
    return *std::move(writer);
  };
  auto first = begin("g1", 0);
  auto sibling = begin("g1", 1);
  auto stranger = begin("g2", 2);
  EXPECT_TRUE(first->Publish(1, {}).ok());
  EXPECT_TRUE(sibling->Publish(1, {}).ok());
  // Looked at again before publishing: the directory was empty when the stranger began.
  EXPECT_EQ(stranger->Publish(1, {}).code(), StatusCode::kAlreadyExists);
  first.reset();
  sibling.reset();
  stranger.reset();
  EXPECT_EQ(FinalFiles(fs).size(), 2U);
  EXPECT_EQ(AllFiles(fs).size(), 4U);
}

TEST(WriterTest, RemovesWhatTheDeadLeft) {
  MemoryFileSystem fs;
  fs.SetFile("out/set/.relayout/staging-0/rank_0.ckpt", "half");
  fs.SetFile("out/set/.relayout/staging-0/lock", "");
  ASSERT_TRUE(Publish(fs, {.generation = "g1", .ranks = {0}, .options = Options()}).ok());
  EXPECT_EQ(AllFiles(fs).size(), 2U);
}

TEST(WriterTest, LeavesNothingWhenItIsNotPublished) {
  MemoryFileSystem fs;
  fs.SetFile("out/other.txt", "mine");
  {
    auto writer = CheckpointWriter::Begin(fs, Options(), Plan("g1", {0, 1}));
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE((*writer)->Create(0, FrameOf(Image(FileFormat::kMindSporeCheckpoint))).ok());
    EXPECT_TRUE(FinalFiles(fs).size() == 1);
  }
  EXPECT_EQ(AllFiles(fs).size(), 1U);
  EXPECT_FALSE(Exists(fs, "out/set"));
  EXPECT_TRUE(Exists(fs, "out"));
}

// --- With every failure there can be ------------------------------------------------------------

struct FaultCase {
  const char* name;
  std::vector<Set> before;  // Published first, without failures.
  Files beside;             // Files that are not ours.
  Set set;
};

std::vector<FaultCase> FaultCases() {
  auto by_rank = Options();
  by_rank.whole_set = false;
  auto by_rank_over = by_rank;
  by_rank_over.overwrite = true;
  auto with_trailer = Options(true);
  with_trailer.crc_trailer = true;
  const auto one = SingleFile("out/set/one.ckpt");
  auto safetensors = Options();
  safetensors.format = FileFormat::kSafetensors;
  auto one_over = one;
  one_over.overwrite = true;
  return {
      {"Fresh", {}, {}, {"new", {0, 1, 2}, Options()}},
      {"Smaller",
       {{"old", {0, 1, 2, 3}, Options()}},
       {{"out/set/rank_3/notes.txt", "mine"}},
       {"new", {0, 1}, Options(true)}},
      {"Larger", {{"old", {0}, Options()}}, {}, {"new", {0, 1, 2}, with_trailer}},
      {"OtherSafetensors", {{"old", {0, 1}, safetensors}}, {}, {"new", {0, 1}, Options(true)}},
      {"Sibling", {{"new", {0}, by_rank}}, {}, {"new", {1}, by_rank}},
      {"SiblingAgain",
       {{"new", {0}, by_rank}, {"new", {1}, by_rank}},
       {},
       {"new", {1}, by_rank_over}},
      {"RankOfAnotherGeneration",
       {{"old", {0}, by_rank}, {"old", {1}, by_rank}},
       {},
       {"new", {1}, by_rank_over}},
      {"SingleFile", {}, {}, {"new", {3}, one}},
      {"SingleFileAgain", {{"old", {3}, one}}, {}, {"new", {3}, one_over}},
  };
}

class WriterFaultTest : public testing::TestWithParam<FaultCase> {
 protected:
  static void Prepare(MemoryFileSystem& disk) {
    for (const Set& set : GetParam().before) ASSERT_TRUE(Publish(disk, set).ok());
    for (const auto& [path, bytes] : GetParam().beside) disk.SetFile(path, bytes);
  }

  // The states between which there is nothing.
  void SetUp() override {
    MemoryFileSystem disk;
    Prepare(disk);
    old_ = AllFiles(disk);
    old_final_ = FinalFiles(disk);
    FaultFileSystem counting(disk);
    ASSERT_TRUE(Publish(counting, GetParam().set).ok());
    operations_ = counting.operation_count();
    new_ = AllFiles(disk);
    new_final_ = FinalFiles(disk);
    disk.LoseUnsynced();
    ASSERT_EQ(AllFiles(disk), new_);
    EXPECT_GT(operations_, 15);
  }

  // Whole files of one of the two sets, and no rank whose record belongs to other contents.
  void ExpectNoMixture(MemoryFileSystem& disk, const std::string& where) {
    const Files files = AllFiles(disk);
    bool may_be_old = true;
    bool may_be_new = true;
    for (const auto& [path, bytes] : FinalFiles(disk)) {
      const auto before = old_final_.find(path);
      const auto after = new_final_.find(path);
      const bool is_old = before != old_final_.end() && before->second == bytes;
      const bool is_new = after != new_final_.end() && after->second == bytes;
      EXPECT_TRUE(is_old || is_new) << where << ": " << path << " is not whole";
      may_be_old = may_be_old && is_old;
      may_be_new = may_be_new && is_new;
    }
    EXPECT_TRUE(may_be_old || may_be_new) << where << ": a mixture";
    for (const auto& [path, bytes] : GetParam().beside) {
      EXPECT_TRUE(files.contains(path) && files.at(path) == bytes) << where << ": " << path;
    }
    for (const auto& [path, record] : files) {
      const auto rank = RankOfFolder(BaseName(path));
      if (!rank || BaseName(ParentPath(path)) != ".relayout") continue;
      const auto generation = ParseRecord(record);
      if (!generation.ok()) {
        ADD_FAILURE() << where << ": " << path << " is not whole";
        continue;
      }
      for (const auto& [final_path, bytes] : FinalFiles(disk)) {
        if (ParentPath(final_path) != "out/set/" + BaseName(path)) continue;
        if (!FormatOfName(final_path)) continue;
        EXPECT_NE(bytes.find(Payload(generation->generation.source_strategy, *rank)),
                  std::string::npos)
            << where << ": the record of rank " << *rank << " is of "
            << generation->generation.source_strategy << ", its file is not";
      }
    }
  }

  // Whatever happened, a new attempt works.
  void ExpectNextRunWorks(MemoryFileSystem& disk, const std::string& where) {
    Set again = GetParam().set;
    again.options.overwrite = true;
    const Status status = Publish(disk, again);
    ASSERT_TRUE(status.ok()) << where << ": " << status.message();
    const Files final_files = FinalFiles(disk);
    for (const auto& [path, bytes] : new_final_) {
      const bool is_mine = path.find("rank_") == std::string::npos || final_files.contains(path);
      EXPECT_TRUE(is_mine && final_files.at(path) == bytes) << where << ": " << path;
    }
    for (const auto& [path, bytes] : AllFiles(disk)) {
      EXPECT_TRUE(new_.contains(path)) << where << ": " << path << " is left over";
    }
  }

  Files old_, old_final_, new_, new_final_;
  int64_t operations_ = 0;
};

TEST_P(WriterFaultTest, OneOperationFails) {
  for (int64_t n = 0; n < operations_ + 20; ++n) {
    MemoryFileSystem disk;
    Prepare(disk);
    FaultFileSystem fs(disk);
    fs.FailOnce(n);
    const Status status = Publish(fs, GetParam().set);
    const std::string where = Format("operation {} ({})", n, status.message());
    // All or nothing, and the status says which; what is there is durable either way.
    for (const bool power_cut : {false, true}) {
      if (power_cut) disk.LoseUnsynced();
      EXPECT_EQ(FinalFiles(disk), status.ok() ? new_final_ : old_final_)
          << where << (power_cut ? " after a power cut" : "");
      ExpectNoMixture(disk, where);
    }
    ExpectNextRunWorks(disk, where);
    if (HasFailure()) return;
  }
}

TEST_P(WriterFaultTest, TheProcessDies) {
  for (int64_t n = 0; n < operations_; ++n) {
    for (const bool power_cut : {false, true}) {
      MemoryFileSystem disk;
      Prepare(disk);
      FaultFileSystem fs(disk);
      fs.FailAfter(n);
      const Status status = Publish(fs, GetParam().set);
      if (power_cut) disk.LoseUnsynced();
      const std::string where =
          Format("operation {} ({}){}", n, status.message(), power_cut ? ", then a power cut" : "");
      ExpectNoMixture(disk, where);
      if (status.ok()) {
        EXPECT_EQ(FinalFiles(disk), new_final_) << where;
      }
      ExpectNextRunWorks(disk, where);
      if (HasFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, WriterFaultTest, testing::ValuesIn(FaultCases()),
                         [](const auto& info) { return std::string(info.param.name); });

// --- Going on with what a dead run left ---------------------------------------------------------

// What the manifest says is what the files hold.
void ExpectManifestIsRight(MemoryFileSystem& fs, const std::vector<int64_t>& ranks,
                           const std::string& where) {
  for (const int64_t rank : ranks) {
    const auto record = ReadRecord(fs, "out/set", rank);
    ASSERT_TRUE(record.ok()) << where << ": " << record.status().message();
    const std::string path = "out/set/" + record->file_name;
    const auto catalog = Catalog::Open(fs, {{rank, path}}, 1);
    ASSERT_TRUE(catalog.ok()) << where << ": " << catalog.status().message();
    const auto hash = HashCheckpointFile(fs, catalog->files()[0], nullptr, nullptr);
    ASSERT_TRUE(hash.ok());
    EXPECT_EQ(*hash, record->content_hash) << where << ": " << path;
    EXPECT_EQ(std::ssize(*fs.FileBytes(path)), record->size_bytes);
  }
}

struct ResumeCase {
  const char* name;
  std::vector<Set> before;
  Set set;
};

std::vector<ResumeCase> ResumeCases() {
  auto resume = Options();
  resume.resume = true;
  auto replace = resume;
  replace.overwrite = true;
  replace.crc_trailer = true;
  auto by_rank = resume;
  by_rank.whole_set = false;
  auto linked = resume;
  linked.original_of_replica = {{2, 0}, {3, 1}};
  linked.replica_mode = ReplicaMode::kHardLink;
  auto cloned = linked;
  cloned.replica_mode = ReplicaMode::kReflink;
  return {{"Fresh", {}, {"new", {0, 1, 2}, resume}},
          {"Replacing", {{"old", {0, 1, 2, 3}, Options()}}, {"new", {0, 1}, replace}},
          {"Sibling", {{"new", {0}, by_rank}}, {"new", {1}, by_rank}},
          {"Linked", {}, {"new", {0, 1, 2, 3}, linked}},
          {"Cloned", {}, {"new", {0, 1, 2, 3}, cloned}}};
}

class WriterResumeTest : public testing::TestWithParam<ResumeCase> {};

// Killed before any operation, with or without a power cut, then resumed, also twice: what stands
// in the end is what an undisturbed run leaves, to the last byte and record.
TEST_P(WriterResumeTest, EndsAsIfNothingHadHappened) {
  const ResumeCase& c = GetParam();
  MemoryFileSystem undisturbed;
  for (const Set& set : c.before) ASSERT_TRUE(Publish(undisturbed, set).ok());
  FaultFileSystem counting(undisturbed);
  ASSERT_TRUE(Publish(counting, c.set).ok());
  const Files expected = AllFiles(undisturbed);
  ExpectManifestIsRight(undisturbed, c.set.ranks, "undisturbed");
  for (int64_t n = 0; n < counting.operation_count(); ++n) {
    for (const bool power_cut : {false, true}) {
      for (const int64_t second : {-1, 3, 10, 25}) {
        MemoryFileSystem disk;
        for (const Set& set : c.before) ASSERT_TRUE(Publish(disk, set).ok());
        FaultFileSystem fs(disk);
        fs.FailAfter(n);
        static_cast<void>(Publish(fs, c.set));
        if (power_cut) disk.LoseUnsynced();
        if (second >= 0) {
          fs.FailAfter(second);
          static_cast<void>(Publish(fs, c.set));
        }
        const std::string where = Format("operation {}, then {}", n, second);
        const Status status = Publish(disk, c.set);
        ASSERT_TRUE(status.ok()) << where << ": " << status.message();
        EXPECT_EQ(AllFiles(disk), expected) << where;
        ExpectManifestIsRight(disk, c.set.ranks, where);
        if (HasFailure()) return;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, WriterResumeTest, testing::ValuesIn(ResumeCases()),
                         [](const auto& info) { return std::string(info.param.name); });

std::string Other() { return "x"; }

// A run that was killed when all was created.
void LeaveUnfinished(FileSystem& fs, const StagedPlan& plan) {
  auto options = Options();
  options.resume = true;
  const auto writer = CheckpointWriter::Begin(fs, options, plan);
  ASSERT_TRUE(writer.ok());
  for (const int64_t rank : plan.ranks) {
    ASSERT_TRUE((*writer)->Create(rank, FrameOf(Image(FileFormat::kMindSporeCheckpoint))).ok());
  }
  ASSERT_TRUE((*writer)->SavePlan(plan).ok());
}

// Headers are written again, between the values.
TEST(WriterTest, KeepsThePayloadOfADeadRun) {
  std::vector<StoredValue> values;
  for (const char* name : {"a", "b", "c"}) {
    values.push_back({.name = name, .dtype = DType::kUInt8, .shape = {64}, .extents = {}});
  }
  const FileImage image = *LayOutFile(FileFormat::kMindSporeCheckpoint, values);
  auto options = Options();
  options.resume = true;
  const StagedPlan plan = Plan("g1", {0});
  MemoryFileSystem fs;
  std::string path;
  {
    const auto writer = CheckpointWriter::Begin(fs, options, plan);
    ASSERT_TRUE(writer.ok());
    path = *(*writer)->Create(0, FrameOf(image));
    ASSERT_TRUE((*writer)->SavePlan(plan).ok());
  }
  std::string want(static_cast<size_t>(image.size_bytes), '\0');
  for (const FileImage::Segment& header : image.headers) {
    want.replace(static_cast<size_t>(header.offset_bytes), header.bytes.size(), header.bytes);
  }
  EXPECT_TRUE(fs.FileBytes(path) == want);

  for (const auto& extents : image.extents) {
    want.replace(static_cast<size_t>(extents[0].offset_bytes), 64, std::string(64, 'p'));
  }
  std::string lost = want;  // Some headers, with the power.
  lost.replace(0, 5, 5, '\0');
  lost.replace(static_cast<size_t>(image.headers[1].offset_bytes), 5, 5, '\0');
  fs.SetFile(path, lost);
  const auto writer = CheckpointWriter::Begin(fs, options, plan);
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE((*writer)->adopted_plan().has_value());
  EXPECT_EQ(*(*writer)->Create(0, FrameOf(image)), path);
  EXPECT_TRUE(fs.FileBytes(path) == want);
}

TEST(WriterTest, RefusesToResumeAnotherConversion) {
  struct Case {
    const char* what;
    std::function<void(StagedPlan&)> change;
  };
  const std::vector<Case> cases = {
      {"the source strategy", [](auto& p) { p.generation.source_strategy = Other(); }},
      {"the target strategy", [](auto& p) { p.generation.target_strategy = Other(); }},
      {"the options that shape the output", [](auto& p) { p.generation.options = Other(); }},
      {"the source file of rank 0", [](auto& p) { p.generation.source_of_rank[0] = Other(); }}};
  for (const Case& c : cases) {
    MemoryFileSystem fs;
    LeaveUnfinished(fs, Plan("g", {0, 1}));
    const Files files = AllFiles(fs);
    StagedPlan plan = Plan("g", {0, 1});
    c.change(plan);
    auto options = Options();
    options.resume = true;
    const auto writer = CheckpointWriter::Begin(fs, options, plan);
    EXPECT_EQ(writer.status().code(), StatusCode::kInvalidInput);
    EXPECT_NE(writer.status().message().find(c.what), std::string::npos)
        << writer.status().message();
    EXPECT_NE(writer.status().message().find("without --resume"), std::string::npos);
    EXPECT_EQ(AllFiles(fs), files) << c.what;
  }
}

TEST(WriterTest, RefusesToResumeWithOtherMeansOrOtherTimes) {
  struct Case {
    const char* what;
    std::function<void(StagedPlan&)> change;
  };
  const std::vector<Case> cases = {
      {"--replicas", [](auto& p) { p.replicas = Other(); }},
      {"the source file of rank 0", [](auto& p) { p.change_of_source[0] = "1 2"; }},
      {"the number of source files", [](auto& p) { p.change_of_source[7] = "1 2"; }}};
  for (const Case& c : cases) {
    MemoryFileSystem fs;
    StagedPlan plan = Plan("g", {0, 1});
    plan.change_of_source = {{0, "1 1"}};
    LeaveUnfinished(fs, plan);
    c.change(plan);
    auto options = Options();
    options.resume = true;
    const auto writer = CheckpointWriter::Begin(fs, options, plan);
    EXPECT_EQ(writer.status().code(), StatusCode::kInvalidInput) << c.what;
    EXPECT_NE(writer.status().message().find(c.what), std::string::npos)
        << writer.status().message();
  }
}

TEST(WriterTest, StagedWorkOutlivesAPowerCut) {
  MemoryFileSystem fs;
  const StagedPlan plan = Plan("g", {0, 1});
  LeaveUnfinished(fs, plan);
  fs.LoseUnsynced();
  auto options = Options();
  options.resume = true;
  const auto writer = CheckpointWriter::Begin(fs, options, plan);
  ASSERT_TRUE(writer.ok()) << writer.status().message();
  EXPECT_TRUE((*writer)->adopted_plan());
}

TEST(WriterTest, WithoutResumeStartsAnew) {
  MemoryFileSystem fs;
  LeaveUnfinished(fs, Plan("old", {0, 1}));
  ASSERT_TRUE(Publish(fs, {.generation = "new", .ranks = {0, 1}, .options = Options()}).ok());
  EXPECT_EQ(AllFiles(fs).size(), 4U);
}

TEST(WriterTest, SaysWhatToDoWhereFilesCannotBeLinked) {
  MemoryFileSystem fs;
  fs.SetAbilities({.hard_links = false});
  auto options = Options();
  options.original_of_replica = {{1, 0}};
  options.replica_mode = ReplicaMode::kHardLink;
  const Status status = Publish(fs, {.generation = "g", .ranks = {0, 1}, .options = options});
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_NE(status.message().find("use --replicas=copy"), std::string::npos) << status.message();
  EXPECT_TRUE(AllFiles(fs).empty());
}

TEST(WriterTest, AFullDiskShowsBeforeAnythingIsMoved) {
  MemoryFileSystem fs(/*capacity_bytes=*/1000);
  ASSERT_TRUE(Publish(fs, {.generation = "old", .ranks = {0}, .options = Options()}).ok());
  const Files files = AllFiles(fs);
  const Status status =
      Publish(fs, {.generation = "new", .ranks = {0, 1, 2, 3}, .options = Options(true)});
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_NE(status.message().find("no space left"), std::string::npos) << status.message();
  EXPECT_EQ(AllFiles(fs), files);
}

}  // namespace
}  // namespace relayout
