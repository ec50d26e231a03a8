// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/loss_monitor.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "relayout/train/fake_state.h"

namespace relayout {
namespace {

// What Python prints for numpy.float32(x) and for float(numpy.float32(x)).
TEST(LossMonitorTest, DigitsArePythons) {
  struct Case {
    float value;
    const char* as_float32;
    const char* as_float;
  };
  const Case cases[] = {
      {0, "0.0", "0.0"},
      {-0.0F, "-0.0", "-0.0"},
      {0.10617774F, "0.10617774", "0.10617773979902267"},
      {1, "1.0", "1.0"},
      {2.5F, "2.5", "2.5"},
      {-0.25F, "-0.25", "-0.25"},
      {2.302585F, "2.302585", "2.3025848865509033"},
      {0.1F, "0.1", "0.10000000149011612"},
      {1e-4F, "1e-04", "9.999999747378752e-05"},
      {9.9e-5F, "9.9e-05", "9.899999713525176e-05"},
      {1e-5F, "1e-05", "9.999999747378752e-06"},
      {123456.79F, "123456.79", "123456.7890625"},
      {12345678, "12345678.0", "12345678.0"},
      {1e15F, "1000000000000000.0", "999999986991104.0"},
      {1e16F, "1e+16", "1.0000000272564224e+16"},
      {3e38F, "3e+38", "3.0000000054977558e+38"},
      {1e-45F, "1e-45", "1.401298464324817e-45"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(PythonDigits(c.value), c.as_float32);
    EXPECT_EQ(PythonDigits(static_cast<double>(c.value)), c.as_float);
  }
}

TEST(LossMonitorTest, Lines) {
  const TrainingProgress progress = {.epoch = 1, .step_in_epoch = 20, .loss = 0.10617774F};
  EXPECT_EQ(LossLine(progress), "epoch: 1 step: 20, loss is 0.10617773979902267");
  EXPECT_EQ(LossLine(progress, LossLineStyle::kTutorial), "epoch: 1, step: 20, loss is 0.10617774");
}

// Two epochs of 8 steps.
Status Train(Callback& callback, const std::vector<float>& losses) {
  const auto comm = NewSelfComm();
  testing_support::FakeModel model(*comm, {}, "{a:1}");
  RELAYOUT_RETURN_IF_ERROR(callback.OnBegin(model.View()));
  for (size_t i = 0; i < losses.size(); ++i) {
    const auto step = static_cast<int64_t>(i);
    RELAYOUT_RETURN_IF_ERROR(callback.OnStepEnd(model.View(), {.epoch = step / 8 + 1,
                                                               .epoch_count = 2,
                                                               .step_in_epoch = step % 8 + 1,
                                                               .steps_per_epoch = 8,
                                                               .step = step + 1,
                                                               .loss = losses[i]}));
  }
  return OkStatus();
}

TEST(LossMonitorTest, CountsStepsThroughEpochs) {
  std::string printed;
  const auto sink = [&](std::string_view line) {
    printed.append(line.substr(0, line.find(','))).append("\n");
  };
  LossMonitor monitor(sink, 3);
  ASSERT_TRUE(Train(monitor, std::vector<float>(16, 1)).ok());
  const std::string once =
      "epoch: 1 step: 3\nepoch: 1 step: 6\nepoch: 2 step: 1\nepoch: 2 step: 4\nepoch: 2 step: 7\n";
  EXPECT_EQ(printed, once);
  ASSERT_TRUE(Train(monitor, std::vector<float>(16, 1)).ok());
  EXPECT_EQ(printed, once + once);  // Again from the beginning.

  printed.clear();
  LossMonitor silent(sink, 0);
  ASSERT_TRUE(Train(silent, std::vector<float>(16, 1)).ok());
  EXPECT_EQ(printed, "");
}

TEST(LossMonitorTest, EndsTrainingWithoutALoss) {
  const auto sink = [](std::string_view) {};
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    LossMonitor monitor(sink, 0);
    std::vector<float> losses(12, 1);
    losses[9] = bad;
    EXPECT_EQ(Train(monitor, losses).message(),
              Format("epoch 2, step 2: the loss is {}; training ends here, since no step can lead "
                     "back; a smaller learning rate may help",
                     bad));
  }
  LossMonitor negative(sink, -1);
  EXPECT_EQ(Train(negative, {}).message(),
            "LossMonitor: per_print_times is -1; it must be 0 or more");
}

TEST(LossRecorderTest, KeepsTheCurve) {
  LossRecorder recorder;
  ASSERT_TRUE(Train(recorder, {2.5F, 0.10617774F}).ok());
  EXPECT_EQ(recorder.Csv(), "step,loss\n1,2.5\n2,0.10617774\n");
  ASSERT_TRUE(Train(recorder, {1}).ok());
  EXPECT_EQ(recorder.losses(), (std::vector<float>{2.5F, 0.10617774F, 1}));
  EXPECT_EQ(recorder.Csv(31), "step,loss\n31,2.5\n32,0.10617774\n33,1.0\n");
}

}  // namespace
}  // namespace relayout
