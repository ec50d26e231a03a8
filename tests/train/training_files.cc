// SPDX-License-Identifier: Apache-2.0
//
// What training reads and writes, without the training: for tests that hold it against MindSpore
// (tests/mindspore/training_files_test.py).
//
//   training_files copy FROM TO
//       Loads a checkpoint and saves what was loaded.
//   training_files train STATE DIRECTORY PREFIX FORMAT EPOCHS SAVE_STEPS KEEP_MAX PRINT_STEPS
//   LOSS...
//       Goes through EPOCHS epochs, a LOSS a step, with ModelCheckpoint and LossMonitor. The state
//       is that of the checkpoint STATE at every step. epoch_num and step_num are appended.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/comm/comm.h"
#include "relayout/io/posix_file_system.h"
#include "relayout/train/load_checkpoint.h"
#include "relayout/train/loss_monitor.h"
#include "relayout/train/model_checkpoint.h"
#include "relayout/train/save_checkpoint.h"

namespace relayout {
namespace {

using Words = std::vector<std::string>;

Status Copy(const Words& words) {
  const auto fs = NewPosixFileSystem();
  RELAYOUT_ASSIGN_OR_RETURN(const LoadedCheckpoint checkpoint, LoadCheckpoint(*fs, words[0]));
  return SaveCheckpoint(*fs, words[1], checkpoint.values);
}

// One rank with the tensors of a file.
class State {
 public:
  explicit State(const std::vector<CheckpointValue>& values) {
    for (const CheckpointValue& value : values) {
      Tensor& tensor = tensors_.emplace_back(value.dtype, value.shape);
      std::memcpy(tensor.bytes().data(), value.bytes.data(), value.bytes.size());
      state_.push_back(
          {value.name, value.shape, Layout::Replicated(1, value.shape.size()), &tensor});
    }
  }
  TrainingView View() { return {*comm_, {}, state_}; }

 private:
  const std::unique_ptr<Comm> comm_ = NewSelfComm();
  std::deque<Tensor> tensors_;
  std::vector<StateTensor> state_;
};

struct Training {
  int64_t epochs = 1;
  std::vector<float> losses;
};

Status Run(const TrainingView& view, const std::vector<Callback*>& callbacks,
           const Training& training) {
  TrainingProgress progress;
  progress.epoch_count = training.epochs;
  progress.steps_per_epoch = std::ssize(training.losses) / training.epochs;
  for (Callback* callback : callbacks) RELAYOUT_RETURN_IF_ERROR(callback->OnBegin(view));
  for (size_t i = 0; i < training.losses.size(); ++i) {
    const auto step = static_cast<int64_t>(i);
    progress.step = step + 1;
    progress.epoch = step / progress.steps_per_epoch + 1;
    progress.step_in_epoch = step % progress.steps_per_epoch + 1;
    progress.loss = training.losses[i];
    for (Callback* callback : callbacks) {
      RELAYOUT_RETURN_IF_ERROR(callback->OnStepEnd(view, progress));
    }
  }
  for (Callback* callback : callbacks) RELAYOUT_RETURN_IF_ERROR(callback->OnEnd(view, progress));
  return OkStatus();
}

Status Train(const Words& words) {
  const auto fs = NewPosixFileSystem();
  RELAYOUT_ASSIGN_OR_RETURN(
      const LoadedCheckpoint checkpoint,
      LoadCheckpoint(*fs, words[0], {.filter_prefix = {"epoch_num", "step_num"}}));
  CheckpointConfig config;
  if (words[3] == "safetensors") config.format = FileFormat::kSafetensors;
  config.save_checkpoint_steps = ParseDecimal(words[5]).value();
  config.keep_checkpoint_max = ParseDecimal(words[6]).value();
  config.append_info.epoch_num = 0;
  config.append_info.step_num = 0;
  Training training;
  training.epochs = ParseDecimal(words[4]).value();
  for (size_t i = 8; i < words.size(); ++i) {
    training.losses.push_back(std::strtof(words[i].c_str(), nullptr));
  }
  ModelCheckpoint save(*fs, words[2], words[1], config);
  LossMonitor monitor([](std::string_view line) { std::cout << line << '\n'; },
                      ParseDecimal(words[7]).value());
  State state(checkpoint.values);
  return Run(state.View(), {&save, &monitor}, training);
}

int Main(const Words& words) {
  const Words rest(words.begin() + 1, words.end());
  const Status status = words[0] == "copy" ? Copy(rest) : Train(rest);
  if (status.ok()) return 0;
  std::cerr << status.message() << '\n';
  return 1;
}

}  // namespace
}  // namespace relayout

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 3) return 2;
  return relayout::Main(words);
}
