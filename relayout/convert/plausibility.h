// SPDX-License-Identifier: Apache-2.0
//
// Is this the strategy the checkpoint was saved under? Strategy files state no shapes, so a wrong
// one for the right number of ranks often fits; what it would give is wrong without any other sign.
// Two mistakes leave traces in the files:
//
// * tensors saved whole on every rank (MindSpore's default, integrated_save=True) under a strategy
// that
//   cuts them: slices that should differ begin with the same bytes;
// * a pipeline's strategy for a checkpoint without stages: every rank holds the parameters of all
// stages.
#pragma once

#include "relayout/base/status.h"
#include "relayout/convert/contents.h"

namespace relayout {

// Reads at most 4 KiB from two slices of each of at most 16 floating-point tensors. Samples that
// are short or of few different bytes (zeros, ones) say nothing; all of the others must agree
// before anything is refused.
Status CheckStrategyIsPlausible(FileSystem& fs, const CheckpointSet& source,
                                const Contents& contents);

}  // namespace relayout
