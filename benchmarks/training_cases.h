// SPDX-License-Identifier: Apache-2.0
//
// What training_bench trains: networks with their losses, the same as training_peer.py writes them
// with MindSpore's cells, from the same weights on the same batch.
//
//   tutorial.sgd, .momentum, .adam   784-512-512-10, batch 256, cross entropy
//   gpt.adam                         one block: hidden 512, 8 heads, 8 sequences of 128,
//   feed-forward
//                                    2048, causal mask, layer norms; mean of squares
//
// Values of tensor number n are hashes of n and of the element's number, so that both sides make
// them without a file: parameters are numbered from 0 in the order of the network, x is 100, labels
// are 101.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/base/status.h"
#include "relayout/graph/graph.h"
#include "relayout/infer/infer_strategy.h"
#include "relayout/train/optimizer.h"

namespace relayout {

struct TrainingCase {
  std::string name;
  OptimizerOptions optimizer;
};

std::vector<TrainingCase> TrainingCases();

// The network with its loss, where a rank is fed one part in `rank_count` of the batch.
Result<Graph> NetworkOf(const TrainingCase& one, int64_t rank_count);

inline constexpr int64_t kInputNumber = 100;
inline constexpr int64_t kLabelNumber = 101;

// Element `index` of tensor `number`: evenly in [-1, 1).
float HashedValue(int64_t number, int64_t index);

}  // namespace relayout
