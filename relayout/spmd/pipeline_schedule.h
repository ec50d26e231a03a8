// SPDX-License-Identifier: Apache-2.0
//
// What a stage of a pipeline does in a training step, in which order: micro batches forward and
// backward by turns (1F1B), so that few of them are in memory at a time.
//
//   4 micro batches, 2 stages          F0: micro batch 0 forward, B0: backward
//
//     stage 0    F0 F1 B0 F2 B1 F3 B2 B3       at most 2 in flight
//     stage 1    F0 B0 F1 B1 F2 B2 F3 B3       at most 1
//
// Neighbours exchange: values forward after F, gradients back after B. Between them both happen in
// one exchange where a stage gives one and needs the other, because each waits for its neighbour:
//
//     stage 0    F0 >f0 F1 >f1<b0 B0 F2 >f2<b1 B1 F3 >f3<b2 B2 <b3 B3
//     stage 1    >f0 F0 B0 >f1<b0 F1 B1 >f2<b1 F2 B2 ...
//
// Both sides have the same exchanges in the same order (Comm's rule for groups).
#pragma once

#include <cstdint>
#include <vector>

namespace relayout {

struct PipelineAction {
  static constexpr int64_t kNone = -1;

  enum class Kind : uint8_t {
    kForward,
    kBackward,
    kExchangePrevious,  // With the stage before: takes values, gives gradients.
    kExchangeNext,      // With the stage behind: gives values, takes gradients.
  };
  Kind kind = Kind::kForward;
  // The micro batch whose values, and the one whose gradients. kForward has the first only,
  // kBackward the second; an exchange one of them or both.
  int64_t forward = kNone;
  int64_t backward = kNone;

  friend bool operator==(const PipelineAction&, const PipelineAction&) = default;
};

// @pre 0 <= stage < stage_count, micro_batch_count >= 1
std::vector<PipelineAction> PipelineSchedule(int64_t stage, int64_t stage_count,
                                             int64_t micro_batch_count);

// The most micro batches that are forward and not yet backward.
int64_t MicroBatchesInFlight(int64_t stage, int64_t stage_count, int64_t micro_batch_count);

}  // namespace relayout
