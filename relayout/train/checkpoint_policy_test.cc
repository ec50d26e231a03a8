// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/checkpoint_policy.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr int64_t kMinute = 60'000'000'000;

TEST(CheckpointPolicyTest, NextSuffix) {
  struct Case {
    std::vector<std::string> files;
    const char* prefix;
    int64_t suffix;
  };
  const Case cases[] = {
      {{}, "net", 0},
      {{"other-1_1.ckpt", "net-1_1.txt", "net.ckpt"}, "net", 0},
      {{"net-1_1.ckpt"}, "net", 1},
      {{"net-1_1.safetensors"}, "net", 1},
      {{"net_1-1_1.ckpt"}, "net", 2},
      {{"net_9-1_1.ckpt", "net_10-1_1.ckpt", "net-3_4.ckpt"}, "net", 11},
      {{"network-1_1.ckpt"}, "net", 0},
      {{"net_x-1_1.ckpt"}, "net", 0},
      {{"net-1_1.ckpt"}, "net_1", 0},
      {{"net-1_1_breakpoint.ckpt"}, "net", 0},
      {{"net-1_1.ckpt.relayout-tmp"}, "net", 0},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(NextSuffix(c.files, c.prefix), c.suffix) << JoinLimited(c.files);
  }
}

TEST(CheckpointPolicyTest, Names) {
  EXPECT_EQ(CheckpointFileName(WithSuffix("net", 0), {.epoch = 2, .step_in_epoch = 8},
                               FileFormat::kMindSporeCheckpoint),
            "net-2_8.ckpt");
  EXPECT_EQ(CheckpointFileName(WithSuffix("net", 3), {.epoch = 12, .step_in_epoch = 1},
                               FileFormat::kSafetensors),
            "net_3-12_1.safetensors");
  EXPECT_TRUE(CheckPrefix("net-2").ok());
  EXPECT_EQ(CheckPrefix("a/b").message(),
            "ModelCheckpoint: the prefix \"a/b\" holds a '/'; folders belong into the directory");
}

TEST(CheckpointPolicyTest, Normalized) {
  struct Case {
    int64_t steps, seconds, keep, minutes;
    const char* result;
  };
  const Case cases[] = {
      {1, 0, 5, 0, "1 0 5 0"}, {3, 10, 5, 7, "3 0 5 0"}, {0, 10, 0, 7, "0 10 0 7"},
      {3, 0, 0, 0, "3 0 1 0"}, {0, 0, 5, 0, "0 0 5 0"},  {0, 0, 0, 1, "0 0 0 1"},
      {0, 0, 0, 0, "all 0"},   {-1, 0, 5, 0, "-1; it"},  {1, -2, 5, 0, "-2; it"},
      {1, 0, -3, 0, "-3; it"}, {1, 0, 0, -4, "-4; it"},
  };
  for (const Case& c : cases) {
    CheckpointConfig config;
    config.save_checkpoint_steps = c.steps;
    config.save_checkpoint_seconds = c.seconds;
    config.keep_checkpoint_max = c.keep;
    config.keep_checkpoint_per_n_minutes = c.minutes;
    const auto got = Normalized(config);
    const std::string text =
        got.ok() ? Format("{} {} {} {}", got->save_checkpoint_steps, got->save_checkpoint_seconds,
                          got->keep_checkpoint_max, got->keep_checkpoint_per_n_minutes)
                 : got.status().message();
    EXPECT_NE(text.find(c.result), std::string::npos) << text << ", expected " << c.result;
  }
}

TEST(CheckpointPolicyTest, SaveIsDue) {
  struct Case {
    int64_t every_steps, every_seconds;
    int64_t step, last_saved_step;
    double waited_seconds;
    bool is_end;
    bool is_due;
  };
  const Case cases[] = {
      {1, 0, 1, 0, 0, false, true},    {3, 0, 2, 0, 0, false, false},
      {3, 0, 3, 0, 0, false, true},    {3, 0, 5, 3, 0, false, false},
      {3, 0, 5, 3, 0, true, true},     {3, 0, 3, 3, 0, true, false},
      {3, 0, 7, 3, 0, false, true},    {0, 10, 4, 0, 9.9, false, false},
      {0, 10, 4, 0, 10, false, false}, {0, 10, 4, 0, 10.1, false, true},
      {0, 10, 4, 0, 0.1, true, true},  {0, 10, 4, 4, 20, true, false},
      {0, 0, 4, 0, 99, true, false},
  };
  for (const Case& c : cases) {
    CheckpointConfig config;
    config.save_checkpoint_steps = c.every_steps;
    config.save_checkpoint_seconds = c.every_seconds;
    const SaveClock clock = {.now_ns = 500 + static_cast<int64_t>(c.waited_seconds * 1e9),
                             .last_save_ns = 500};
    EXPECT_EQ(SaveIsDue(config, c.step, c.last_saved_step, clock, c.is_end), c.is_due)
        << c.every_steps << " " << c.every_seconds << " step " << c.step << " after "
        << c.last_saved_step << ", " << c.waited_seconds << " s" << (c.is_end ? ", end" : "");
  }
}

TEST(CheckpointPolicyTest, FilesToRemove) {
  struct Case {
    int64_t keep, minutes;
    std::vector<int64_t> saved_minutes;
    int64_t now_minutes;
    std::string removed;
  };
  const Case cases[] = {
      {2, 0, {}, 9, ""},
      {2, 0, {1}, 9, ""},
      {2, 0, {1, 2}, 9, "0 "},
      {1, 0, {1}, 9, "0 "},
      {2, 0, {1, 2, 3, 4}, 9, "0 1 2 "},
      // Of the last five minutes the oldest stays.
      {0, 5, {}, 9, ""},
      {0, 5, {1}, 2, ""},
      {0, 5, {1, 2}, 3, "1 "},
      {0, 5, {1, 5}, 6, ""},
      {0, 5, {1, 5, 6}, 7, "2 "},
      {0, 5, {1, 2}, 20, ""},
  };
  for (const Case& c : cases) {
    CheckpointConfig config;
    config.keep_checkpoint_max = c.keep;
    config.keep_checkpoint_per_n_minutes = c.minutes;
    std::vector<int64_t> saved_ns;
    for (const int64_t minute : c.saved_minutes) saved_ns.push_back(minute * kMinute);
    const SaveClock clock = {.now_ns = c.now_minutes * kMinute,
                             .last_save_ns = saved_ns.empty() ? 0 : saved_ns.back()};
    std::string removed;
    for (const size_t i : FilesToRemove(config, saved_ns, clock)) removed += Format("{} ", i);
    EXPECT_EQ(removed, c.removed) << c.keep << " " << c.minutes << " at " << c.now_minutes;
  }
}

}  // namespace
}  // namespace relayout
