// SPDX-License-Identifier: Apache-2.0
//
// Trainings that calculate nothing, on threads, into a file system in memory.
#include "relayout/train/model_checkpoint.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/comm/thread_comm.h"
#include "relayout/io/fault_file_system.h"
#include "relayout/io/memory_file_system.h"
#include "relayout/train/fake_state.h"
#include "relayout/train/load_param_into_net.h"

namespace relayout {
namespace {

using testing_support::ElementText;
using testing_support::FakeModel;

struct Steps {
  int64_t epochs = 1;
  int64_t per_epoch = 1;
};

using BeforeStep = std::function<void(int64_t step)>;

Status Train(
    const TrainingView& view, Callback& callback, const Steps& steps,
    const BeforeStep& before_step = [](int64_t) {}) {
  RELAYOUT_RETURN_IF_ERROR(callback.OnBegin(view));
  TrainingProgress progress = {.epoch_count = steps.epochs, .steps_per_epoch = steps.per_epoch};
  for (int64_t step = 1; step <= steps.epochs * steps.per_epoch; ++step) {
    before_step(step);
    progress.epoch = (step - 1) / steps.per_epoch + 1;
    progress.step_in_epoch = (step - 1) % steps.per_epoch + 1;
    progress.step = step;
    RELAYOUT_RETURN_IF_ERROR(callback.OnStepEnd(view, progress));
  }
  return callback.OnEnd(view, progress);
}

std::string Listing(FileSystem& fs, const std::string& directory) {
  const auto entries = fs.List(directory);
  if (!entries.ok()) return entries.status().message();
  std::string text;
  for (const DirectoryEntry& entry : *entries) {
    text.append(text.empty() ? "" : " ").append(entry.name);
  }
  return text;
}

CheckpointConfig Every(int64_t steps, int64_t keep = 5) {
  CheckpointConfig config;
  config.save_checkpoint_steps = steps;
  config.keep_checkpoint_max = keep;
  return config;
}

// What MindSpore's callback leaves after the same trainings: tests/mindspore holds it against that.
TEST(ModelCheckpointTest, LeavesTheFilesThatAreDue) {
  struct Case {
    CheckpointConfig config;
    Steps steps;
    std::string files;
  };
  CheckpointConfig safetensors = Every(5);
  safetensors.format = FileFormat::kSafetensors;
  const Case cases[] = {
      {Every(1), {1, 2}, "net-1_1.ckpt net-1_2.ckpt"},
      {Every(3, 2), {1, 8}, "net-1_6.ckpt net-1_8.ckpt"},
      {Every(3, 9),
       {2, 8},
       "net-1_3.ckpt net-1_6.ckpt net-2_1.ckpt net-2_4.ckpt net-2_7.ckpt net-2_8.ckpt"},
      {Every(20), {1, 8}, "net-1_8.ckpt"},
      {Every(1, 1), {2, 3}, "net-2_3.ckpt"},
      {Every(1, 0), {2, 3}, "net-2_3.ckpt"},
      {safetensors, {1, 8}, "net-1_5.safetensors net-1_8.safetensors"},
      {Every(0), {1, 8}, ""},
  };
  for (const Case& c : cases) {
    MemoryFileSystem fs;
    const auto comm = NewSelfComm();
    FakeModel model(*comm, {"w f32[2,2] @ (-,-)"}, "{a:1}");
    ModelCheckpoint callback(fs, "net", "d/e", c.config);
    ASSERT_EQ(Train(model.View(), callback, c.steps).message(), "");
    EXPECT_EQ(Listing(fs, "d/e"), c.files);
  }
}

TEST(ModelCheckpointTest, NeverTakesAnOlderTrainingsNames) {
  MemoryFileSystem fs;
  fs.SetFile("net-9_9.safetensors", "old");
  const auto comm = NewSelfComm();
  FakeModel model(*comm, {"w f32[2] @ (-)"}, "{a:1}");
  ModelCheckpoint callback(fs, "net", ".", Every(1, 1));
  EXPECT_EQ(callback.latest_file(), "");
  ASSERT_TRUE(Train(model.View(), callback, {1, 2}).ok());
  EXPECT_EQ(callback.latest_file(), "./net_1-1_2.ckpt");
  ASSERT_TRUE(Train(model.View(), callback, {1, 3}).ok());
  EXPECT_EQ(Listing(fs, "."), "net-9_9.safetensors net_1-1_2.ckpt net_2-1_3.ckpt");
}

TEST(ModelCheckpointTest, SavesByTheClock) {
  MemoryFileSystem fs;
  const auto comm = NewSelfComm();
  FakeModel model(*comm, {"w f32[2] @ (-)"}, "{a:1}");
  CheckpointConfig config = Every(0, 0);
  config.save_checkpoint_seconds = 60;
  config.keep_checkpoint_per_n_minutes = 5;
  int64_t now_ns = 77;
  ModelCheckpoint callback(fs, "net", ".", config, [&] { return now_ns; });
  const auto before = [&](int64_t) { now_ns += 25'000'000'000; };
  // Due after 75 s, 150 s, 225 s and so on. Those of 75 s, 300 s and 525 s are the oldest of their
  // five minutes; the last is of the end.
  ASSERT_EQ(Train(model.View(), callback, {1, 26}, before).message(), "");
  EXPECT_EQ(Listing(fs, "."), "net-1_12.ckpt net-1_21.ckpt net-1_26.ckpt net-1_3.ckpt");
}

// On mesh {a:2,b:2}.
const std::vector<std::string> kTensors = {"w f32[4,2] @ (a,b)", "moments.w f32[4,2] @ (a,b)",
                                           "v f32[4] @ (a) opt:2", "n i32[1] @ (-)",
                                           "s f32[] @ ()"};

// Saved on four ranks, the model comes back on four ranks that held something else; whole, on one.
TEST(ModelCheckpointTest, TheStateComesBack) {
  for (const bool integrated : {false, true}) {
    for (const int64_t stage_count : {1, 2}) {
      MemoryFileSystem fs;
      const int rank_count = static_cast<int>(4 * stage_count);
      const Status status = RunThreadComm(rank_count, [&](Comm& comm) -> Status {
        FakeModel model(comm, kTensors, "{a:2,b:2}", 100, stage_count);
        CheckpointConfig config = Every(1);
        config.integrated_save = integrated;
        const std::string folder = Format("rank_{}", comm.rank());
        ModelCheckpoint callback(fs, "net", folder, config);
        RELAYOUT_RETURN_IF_ERROR(Train(model.View(), callback, {}));

        FakeModel other(comm, kTensors, "{a:2,b:2}", 0, stage_count);
        RELAYOUT_ASSIGN_OR_RETURN(const LoadReport report,
                                  LoadCheckpointIntoNet(other.View(), fs, callback.latest_file(),
                                                        {}, {.slice_whole = integrated}));
        EXPECT_TRUE(report.param_not_load.empty() && report.ckpt_not_load.empty());
        for (size_t i = 0; i < kTensors.size(); ++i) {
          EXPECT_EQ(ElementText(other[i]), ElementText(model[i])) << kTensors[i];
        }
        return OkStatus();
      });
      EXPECT_EQ(status.message(), "");
      const auto file = LoadCheckpoint(fs, "rank_3/net-1_1.ckpt");
      ASSERT_TRUE(file.ok());
      std::string types;
      for (const CheckpointValue& value : file->values) {
        types.append(Format("{} {} ", value.name, TypeText(value)));
      }
      EXPECT_EQ(types, integrated ? "w f32[4,2] moments.w f32[4,2] v f32[4] n i32[1] s f32[] "
                                  : "w f32[2,1] moments.w f32[2,1] v f32[1] n i32[1] s f32[] ");
    }
  }
}

TEST(ModelCheckpointTest, AppendsItsInfo) {
  MemoryFileSystem fs;
  const auto comm = NewSelfComm();
  FakeModel model(*comm, {"w f32[2] @ (-)"}, "{a:1}");
  CheckpointConfig config = Every(1);
  config.append_info.epoch_num = 10;
  config.append_info.step_num = 0;
  config.append_info.values = {NumberValue("lr", 0.5F), TextValue("note", "hi")};
  ModelCheckpoint callback(fs, "net", ".", config);
  ASSERT_TRUE(Train(model.View(), callback, {2, 3}).ok());
  const auto file = LoadCheckpoint(fs, "net-2_3.ckpt");
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(file->values.size(), 5U);
  EXPECT_EQ(file->values[1].name, "epoch_num");
  EXPECT_EQ(IntegerOf(file->values[1]), 12);
  EXPECT_EQ(file->values[2].name, "step_num");
  EXPECT_EQ(IntegerOf(file->values[2]), 6);
  EXPECT_EQ(TextOf(file->values[4]), "hi");
}

// Rank 1 has the files of a training that broke off: all ranks go by it.
TEST(ModelCheckpointTest, RanksNumberTheirSetAlike) {
  MemoryFileSystem fs;
  fs.SetFile("rank_1/net_6-1_1.ckpt", "old");
  const Status status = RunThreadComm(3, [&](Comm& comm) -> Status {
    FakeModel model(comm, {"w f32[3] @ (a)"}, "{a:3}");
    ModelCheckpoint callback(fs, "net", Format("rank_{}", comm.rank()), Every(1));
    return Train(model.View(), callback, {});
  });
  EXPECT_EQ(status.message(), "");
  EXPECT_EQ(Listing(fs, "rank_0"), "net_7-1_1.ckpt");
  EXPECT_EQ(Listing(fs, "rank_1"), "net_6-1_1.ckpt net_7-1_1.ckpt");
}

TEST(ModelCheckpointTest, Refuses) {
  struct Case {
    std::string prefix;
    std::string directory;  // {} is the rank.
    CheckpointConfig config;
    std::string message;
  };
  CheckpointConfig negative;
  negative.keep_checkpoint_max = -1;
  CheckpointConfig twice;
  twice.append_info.values = {NumberValue("w", 1)};
  const Case cases[] = {
      {"net", "rank_{}", negative,
       "CheckpointConfig: keep_checkpoint_max is -1; it must be 0 or more"},
      {"a/b",
       "rank_{}",
       {},
       "ModelCheckpoint: the prefix \"a/b\" holds a '/'; folders belong into the directory"},
      {"net",
       "x",
       {},
       "x: ranks 0 and 1 would both save here, one over the other; give each rank a directory of "
       "its own, e.g. x/rank_1"},
      {"net", "file/rank_{}", {}, "file: exists and is not a directory"},
      {"net", "rank_{}", twice,
       "rank 0: rank_0/net-1_1.ckpt: w: is to be saved twice in one file; give one of the two "
       "another name"},
  };
  for (const Case& c : cases) {
    MemoryFileSystem fs;
    fs.SetFile("file", "");
    const Status status = RunThreadComm(2, [&](Comm& comm) -> Status {
      FakeModel model(comm, {"w f32[2] @ (a)"}, "{a:2}");
      ModelCheckpoint callback(fs, c.prefix, Format(fmt::runtime(c.directory), comm.rank()),
                               c.config);
      return Train(model.View(), callback, {});
    });
    EXPECT_EQ(status.message(), c.message);
  }
}

// Rank 1's disk fails once, at each of its operations: all ranks hear of it, what has a final name
// is whole, nothing else is left, and there is a set of one step on all ranks.
TEST(ModelCheckpointTest, AFailedSaveLeavesTheOlderSet) {
  int64_t failures = 0;
  for (int64_t n = 0; n < 200; ++n) {
    MemoryFileSystem disk;
    FaultFileSystem faulty(disk);
    faulty.FailOnce(n);
    std::vector<std::string> seen(3);
    bool began = false;
    const Status status = RunThreadComm(3, [&](Comm& comm) -> Status {
      FakeModel model(comm, {"w f32[3,2] @ (a,-)", "n i32[1] @ (-)"}, "{a:3}");
      FileSystem& fs = comm.rank() == 1 ? static_cast<FileSystem&>(faulty) : disk;
      ModelCheckpoint callback(fs, "net", Format("rank_{}", comm.rank()), Every(1, 2));
      const auto before = [&](int64_t step) { began = began || (comm.rank() == 0 && step > 1); };
      const Status trained = Train(model.View(), callback, {1, 4}, before);
      seen[static_cast<size_t>(comm.rank())] = trained.message();
      return trained;
    });
    if (faulty.operation_count() <= n) break;
    EXPECT_EQ(seen, std::vector<std::string>(3, status.message())) << n;
    EXPECT_TRUE(status.ok() || status.message().starts_with("rank 1: ")) << status.message();
    failures += status.ok() ? 0 : 1;
    int64_t common = 0;
    for (int64_t step = 1; step <= 4; ++step) {
      int64_t holders = 0;
      for (int rank = 0; rank < 3; ++rank) {
        const std::string path = Format("rank_{}/net-1_{}.ckpt", rank, step);
        if (!Exists(disk, path)) continue;
        EXPECT_EQ(LoadCheckpoint(disk, path).status().message(), "") << n;
        ++holders;
      }
      // Unless it was the last rename that failed, a step is on all ranks or on none.
      const bool is_publishing = status.message().find("rename") != std::string::npos;
      EXPECT_TRUE(is_publishing || holders == 0 || holders == 3) << n << ": " << status.message();
      common += holders == 3 ? 1 : 0;
    }
    EXPECT_TRUE(!began || common > 0) << n << ": " << status.message();
    for (int rank = 0; rank < 3; ++rank) {
      EXPECT_EQ(Listing(disk, Format("rank_{}", rank)).find("tmp"), std::string::npos) << n;
    }
  }
  EXPECT_GT(failures, 20);
}

// The machine dies at each operation of a training: what is found afterwards is whole, and once
// the first save is done there is a checkpoint.
TEST(ModelCheckpointTest, APowerCutLeavesAWholeFile) {
  const auto comm = NewSelfComm();
  FakeModel model(*comm, {"w f32[3,2] @ (-,-)"}, "{a:1}");
  for (int64_t n = 0; n < 200; ++n) {
    MemoryFileSystem disk;
    FaultFileSystem fs(disk);
    fs.FailAfter(n);
    ModelCheckpoint callback(fs, "net", "d", Every(1, 1));
    bool has_saved = false;
    const Status status = Train(model.View(), callback, {1, 3},
                                [&](int64_t step) { has_saved = has_saved || step > 1; });
    disk.LoseUnsynced();
    int64_t whole = 0;
    for (int64_t step = 1; step <= 3; ++step) {
      const std::string path = Format("d/net-1_{}.ckpt", step);
      if (!Exists(disk, path)) continue;
      const auto file = LoadCheckpoint(disk, path);
      ASSERT_EQ(file.status().message(), "") << n;
      EXPECT_EQ(file->values[0].bytes,
                std::vector(model[0].bytes().begin(), model[0].bytes().end()));
      ++whole;
    }
    EXPECT_TRUE(!has_saved || whole > 0) << n;
    EXPECT_EQ(status.ok(), fs.operation_count() <= n);
    if (status.ok()) return;
  }
  FAIL() << "not run to its end";
}

// A file that cannot be removed, since a folder has its name: training goes on, and says so at the
// end.
TEST(ModelCheckpointTest, WhatCannotBeRemovedIsReportedAtTheEnd) {
  MemoryFileSystem fs;
  const auto comm = NewSelfComm();
  FakeModel model(*comm, {"w f32[2] @ (-)"}, "{a:1}");
  ModelCheckpoint callback(fs, "net", ".", Every(1, 1));
  const auto before = [&](int64_t step) {
    if (step != 2) return;
    ASSERT_TRUE(fs.RemoveFile("net-1_1.ckpt").ok());
    fs.SetFile("net-1_1.ckpt/x", "");
  };
  const Status status = Train(model.View(), callback, {1, 4}, before);
  EXPECT_EQ(status.message(), "cannot remove ./net-1_1.ckpt: Is a directory");
  EXPECT_EQ(Listing(fs, "."), "net-1_1.ckpt net-1_4.ckpt");
}

}  // namespace
}  // namespace relayout
