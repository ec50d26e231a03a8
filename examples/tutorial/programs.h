// SPDX-License-Identifier: Apache-2.0
//
// The programs of MindSpore's tutorial on converting distributed checkpoints, each as one rank runs
// it. Files lie where the tutorial has them, below the current folder.
//
//   flow                          program                  ranks
//   run_saving                    train_saving             8   -> src_strategy.ckpt,
//   src_checkpoints run_retrain_convert           retrain --only_compile=1 4   ->
//   dst_strategy.ckpt, dst_checkpoints run_retrain                   retrain                  4
//   run_infer_convert             infer --only_compile=1   4   -> dst_strategy.ckpt,
//   dst_checkpoints run_infer                     infer                    4 run_pipeline_train
//   pipeline_train           8   -> src_pipeline_strategys,
//                                                                 src_checkpoints_pipeline
//   run_retrain_pipeline_convert  retrain_pipeline --only_compile=1  4
//                                  -> dst_pipeline_strategy.ckpt, dst_checkpoints_pipeline
//   run_retrain_pipeline          retrain_pipeline         4
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "examples/tutorial/ranks.h"
#include "relayout/base/status.h"
#include "relayout/comm/comm.h"

namespace relayout::tutorial {

struct ProgramOptions {
  std::string data_path;    // DATA_PATH: a folder that mnist_dataset.h can read.
  int64_t epochs = 0;       // 0: as the tutorial has it.
  int64_t batch_size = 32;  // Rows that a rank is fed.
  int64_t hidden = 512;
  std::string optimizer = "sgd";
  float learning_rate = 0.01F;
  int64_t print_steps = 20;  // A line of loss every so many steps.
  // Compile the network, save its strategy, convert the checkpoint; do not train.
  bool only_compile = false;
  // Empty: the program's, from the table above.
  std::string src_strategy_file = {};
  std::string dst_strategy_file = {};
  std::string src_checkpoints_dir = {};
  std::string dst_checkpoints_dir = {};
  // Training begins with DIR/rank_x/checkpoint_x.ckpt instead of initial values (those programs
  // that do not anyway).
  std::string init_checkpoints_dir = {};
  std::string log_directory = "log_output";
  // Rank 0 writes "step,loss" lines here.
  std::string losses_file = {};
  // Rank 0 writes what infer's network says of the images that it prints, a line for each.
  std::string logits_file = {};
};

Status TrainSaving(Comm& comm, Output& output, const ProgramOptions& options);
Status Retrain(Comm& comm, Output& output, const ProgramOptions& options);
Status Infer(Comm& comm, Output& output, const ProgramOptions& options);
Status PipelineTrain(Comm& comm, Output& output, const ProgramOptions& options);
Status RetrainPipeline(Comm& comm, Output& output, const ProgramOptions& options);

// One picture (draw/loss_curve.h) of files that losses_file wrote, each given as "LABEL=FILE", in
// the order in which the trainings went on from each other.
Status DrawLosses(const std::vector<std::string>& parts, const std::string& svg_file);

}  // namespace relayout::tutorial
