// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/load_param_into_net.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/comm/thread_comm.h"
#include "relayout/io/memory_file_system.h"
#include "relayout/train/fake_state.h"
#include "relayout/train/save_checkpoint.h"

namespace relayout {
namespace {

using testing_support::ElementText;
using testing_support::FakeModel;

// Of a tensor that counts up from `first`.
CheckpointValue Counting(std::string name, DType dtype, const Dims& shape, int first = 0) {
  CheckpointValue value;
  value.name = std::move(name);
  value.dtype = dtype;
  value.shape = shape;
  value.bytes.resize(static_cast<size_t>(ElementCount(shape).value() * ElementSize(dtype)));
  const size_t count = value.bytes.size() / 4;
  for (size_t i = 0; i < count; ++i) {
    const int number = first + static_cast<int>(i);
    const auto real = static_cast<float>(number);
    std::memcpy(value.bytes.data() + 4 * i,
                dtype == DType::kInt32 ? static_cast<const void*>(&number) : &real, 4);
  }
  return value;
}

LoadedCheckpoint Checkpoint(std::vector<CheckpointValue> values) {
  LoadedCheckpoint checkpoint;
  checkpoint.path = "net.ckpt";
  checkpoint.values = std::move(values);
  return checkpoint;
}

std::string Text(const LoadReport& report) {
  return "net lacks nothing for " + JoinLimited(report.ckpt_not_load) + "; file lacks " +
         JoinLimited(report.param_not_load);
}

// One tensor of the model, on four ranks of mesh {a:2,b:2}, and what the file has for rank 3.
TEST(LoadParamIntoNetTest, TakesWhatFits) {
  struct Case {
    std::string tensor;
    Dims file_shape;
    bool slice_whole;
    std::string elements;  // On rank 3, of a value that counts from 100.
  };
  const Case cases[] = {
      {"w f32[4,2] @ (a,-)", {2, 2}, false, "100 101 102 103"},
      {"w f32[4,2] @ (a,-)", {2, 2}, true, "100 101 102 103"},
      {"w f32[4,2] @ (a,-)", {4, 2}, true, "104 105 106 107"},
      {"w f32[4,2] @ (a,b)", {4, 2}, true, "105 107"},
      {"w i32[4,2] @ (a,b)", {4, 2}, true, "105 107"},
      {"w f32[4,2] @ (-,b) opt:2", {4, 2}, true, "105 107"},
      {"w f32[2] @ (-)", {2}, false, "100 101"},
      {"w f32[] @ ()", {}, false, "100"},
      // Ones at the end do not count.
      {"w i32[] @ ()", {1}, false, "100"},
      {"w f32[4,2] @ (a,-)", {2, 2, 1, 1}, false, "100 101 102 103"},
      {"w f32[4,2] @ (a,b)", {4, 2, 1}, true, "105 107"},
  };
  for (const Case& c : cases) {
    const Status status = RunThreadComm(4, [&](Comm& comm) -> Status {
      FakeModel model(comm, {c.tensor}, "{a:2,b:2}");
      const DType dtype = model[0].dtype();
      RELAYOUT_ASSIGN_OR_RETURN(
          const LoadReport report,
          LoadParamIntoNet(model.View(), Checkpoint({Counting("w", dtype, c.file_shape, 100)}),
                           {.slice_whole = c.slice_whole}));
      EXPECT_EQ(Text(report), Text({}));
      if (comm.rank() == 3) {
        EXPECT_EQ(ElementText(model[0]), c.elements) << c.tensor;
      }
      return OkStatus();
    });
    EXPECT_EQ(status.message(), "") << c.tensor;
  }
}

TEST(LoadParamIntoNetTest, SaysWhatDoesNotFit) {
  struct Case {
    std::string tensor;
    CheckpointValue value;
    bool slice_whole;
    std::string has;
    std::string wants;
    std::string advice;
  };
  const std::string of_strategy =
      "it looks as if it was saved under another strategy; convert the checkpoint with `relayout "
      "transform`";
  const std::string of_network = "the checkpoint is of another network, or of another size of it";
  const std::string of_type = "types are not converted here; the checkpoint is of another network";
  const std::string shard = "f32[2,2], its shard of {a:2,b:2} f32[4,2] @ (a,-)";
  const std::string tensor = "w f32[4,2] @ (a,-)";
  const Case cases[] = {
      {tensor, Counting("w", DType::kFloat32, {4, 2}), false, "f32[4,2]", shard,
       "it holds the whole tensor; load with slice_whole, so that each rank takes its part, or cut "
       "it with `relayout transform`"},
      {tensor, Counting("w", DType::kFloat32, {1, 2}), true, "f32[1,2]", shard, of_strategy},
      {tensor, Counting("w", DType::kFloat32, {4, 1}), true, "f32[4,1]", shard, of_strategy},
      {tensor, Counting("w", DType::kFloat32, {3, 2}), true, "f32[3,2]", shard, of_network},
      {tensor, Counting("w", DType::kFloat32, {8, 2}), true, "f32[8,2]", shard, of_network},
      {tensor, Counting("w", DType::kFloat32, {4}), true, "f32[4]", shard, of_network},
      {tensor, Counting("w", DType::kFloat32, {0, 2}), true, "f32[0,2]", shard, of_network},
      {tensor, Counting("w", DType::kInt32, {2, 2}), false, "i32[2,2]", shard, of_type},
      {tensor, Counting("w", DType::kFloat16, {2, 2}), false, "f16[2,2]", shard, of_type},
      {tensor, TextValue("w", "hello"), false, "text", shard, of_type},
  };
  for (const Case& c : cases) {
    const Status status = RunThreadComm(4, [&](Comm& comm) -> Status {
      FakeModel model(comm, {"first i32[2] @ (-)", c.tensor}, "{a:2,b:2}");
      const auto checkpoint = Checkpoint({Counting("first", DType::kInt32, {2}, 70), c.value});
      const auto report =
          LoadParamIntoNet(model.View(), checkpoint, {.slice_whole = c.slice_whole});
      EXPECT_EQ(ElementText(model[0]), "0 1");  // Nothing is loaded.
      return report.status();
    });
    EXPECT_EQ(status.message(), Format("w: net.ckpt has it as {}, and the model wants {}; {}",
                                       c.has, c.wants, c.advice));
    EXPECT_EQ(status.code(), StatusCode::kInvalidInput);
  }
}

TEST(LoadParamIntoNetTest, ReportsWhatIsOnlyOnOneSide) {
  const Status status = RunThreadComm(2, [&](Comm& comm) -> Status {
    FakeModel model(comm, {"w f32[2] @ (a)", "moments.w f32[2] @ (a)", "accu_grads.w f32[2] @ (a)"},
                    "{a:2}", 5);
    RELAYOUT_ASSIGN_OR_RETURN(
        const LoadReport report,
        LoadParamIntoNet(model.View(),
                         Checkpoint({Counting("w", DType::kFloat32, {1}, 90),
                                     IntegerValue("epoch_num", 2), TextValue("note", "x")})));
    EXPECT_EQ(report.param_not_load, std::vector<std::string>{"moments.w"});
    EXPECT_EQ(report.ckpt_not_load, (std::vector<std::string>{"epoch_num", "note"}));
    EXPECT_EQ(ElementText(model[0]), "90");
    EXPECT_EQ(ElementText(model[1]), Format("{}", 5 + comm.rank()));  // As it was.
    return OkStatus();
  });
  EXPECT_EQ(status.message(), "");
}

TEST(LoadParamIntoNetTest, RanksAgree) {
  struct Case {
    int64_t stage_count;
    int rank;  // Whose file has something else.
    std::vector<CheckpointValue> values;
    std::string message;
  };
  const auto w = Counting("w", DType::kFloat32, {1}, 90);
  const auto b = Counting("b", DType::kFloat32, {2}, 90);
  const std::string differ =
      "b: the checkpoint of rank {} (net.ckpt) lacks it and that of rank {} (net.ckpt), of the "
      "same stage, has it; give all ranks the files of one save";
  const Case cases[] = {
      {1, 2, {w}, Format(fmt::runtime(differ), 2, 0)},
      {1, 0, {w}, Format(fmt::runtime(differ), 0, 1)},
      {2, 3, {w}, Format(fmt::runtime(differ), 3, 2)},
      {2, 2, {w}, Format(fmt::runtime(differ), 2, 3)},
      {1,
       2,
       {w, Counting("b", DType::kFloat32, {3})},
       "rank 2: b: net.ckpt has it as f32[3], and the model wants f32[2], its shard of {a:4} "
       "f32[2] @ (-); the checkpoint is of another network, or of another size of it"},
  };
  for (const Case& c : cases) {
    std::vector<std::string> seen(4);
    const Status status = RunThreadComm(4, [&](Comm& comm) -> Status {
      const std::string mesh = c.stage_count == 1 ? "{a:4}" : "{a:2}";
      const std::string tensor = c.stage_count == 1 ? "w f32[4] @ (a)" : "w f32[2] @ (a)";
      FakeModel model(comm, {tensor, "b f32[2] @ (-)"}, mesh, 5, c.stage_count);
      const auto report = LoadParamIntoNet(
          model.View(),
          Checkpoint(comm.rank() == c.rank ? c.values : std::vector<CheckpointValue>{w, b}));
      EXPECT_EQ(ElementText(model[1]), "5 6");
      seen[static_cast<size_t>(comm.rank())] = report.status().message();
      return report.status();
    });
    EXPECT_EQ(seen, std::vector<std::string>(4, c.message));
    EXPECT_EQ(status.message(), c.message);
  }
}

// Stages hold different tensors: what one stage's files lack says nothing of another's.
TEST(LoadParamIntoNetTest, StagesMayLackDifferentThings) {
  const Status status = RunThreadComm(4, [&](Comm& comm) -> Status {
    FakeModel model(comm, {"w f32[2] @ (a)", "b f32[2] @ (-)"}, "{a:2}", 0, 2);
    const bool is_first = comm.rank() < 2;
    RELAYOUT_ASSIGN_OR_RETURN(
        const LoadReport report,
        LoadParamIntoNet(model.View(),
                         Checkpoint({is_first ? Counting("w", DType::kFloat32, {1}, 90)
                                              : Counting("b", DType::kFloat32, {2}, 90)})));
    EXPECT_EQ(report.param_not_load, std::vector<std::string>{is_first ? "b" : "w"});
    return OkStatus();
  });
  EXPECT_EQ(status.message(), "");
}

TEST(LoadCheckpointIntoNetTest, AMissingFileStopsAllRanks) {
  MemoryFileSystem fs;
  const std::vector<CheckpointValue> values = {Counting("w", DType::kFloat32, {4}, 90)};
  ASSERT_TRUE(SaveCheckpoint(fs, "whole.ckpt", values).ok());
  for (const bool is_missing : {false, true}) {
    const Status status = RunThreadComm(2, [&](Comm& comm) -> Status {
      FakeModel model(comm, {"w f32[4] @ (a)"}, "{a:2}");
      const std::string path = is_missing && comm.rank() == 1 ? "none.ckpt" : "whole.ckpt";
      const Status loaded =
          LoadCheckpointIntoNet(model.View(), fs, path, {}, {.slice_whole = true}).status();
      EXPECT_EQ(loaded.ok(), !is_missing);
      const std::string before = comm.rank() == 0 ? "0 1" : "2 3";
      const std::string after = comm.rank() == 0 ? "90 91" : "92 93";
      EXPECT_EQ(ElementText(model[0]), is_missing ? before : after);
      return loaded;
    });
    EXPECT_EQ(status.message(),
              is_missing ? "rank 1: cannot open none.ckpt: No such file or directory" : "");
  }
}

}  // namespace
}  // namespace relayout
