// SPDX-License-Identifier: Apache-2.0
//
// The same network for a larger batch.
//
// MindSpore exports a network for the batch that one device is fed, and compiles it (without
// full_batch) for as many batches as there are devices in the stage:
//
//   exported for [32,784]            compiled on 8 devices, WithGlobalBatch(graph, 8)
//   x           input f32[32,784]    x           input f32[256,784]
//   #0 MatMul   -> f32[32,512]       #0 MatMul   -> f32[256,512]
//   #1 Reshape  -> f32[32,8,64]      #1 Reshape  -> f32[256,8,64]
//      shape=(32,8,64)                  shape=(256,8,64)
//
// # What is assumed
//
// * Dim 0 of every input is the batch; inputs without dims stay.
// * An exported network holds numbers where its author wrote -1 or x.shape[0], as above. A number
//   is taken to have come from the batch when the network holds together with it and not without:
//   - A Reshape's target grows where the batch is in the order of the elements. Of several dims
//     that it could be, the outermost one that the exported batch divides: (1,32,8) -> (1,256,8). A
//     -1 there stays, a -1 elsewhere becomes the number that it was.
//   - A BroadcastTo, a slice or a Split whose numbers covered the whole of a dim still does.
//   - A constant, BroadcastTo, Tile, Zeros, ... without the batch in its inputs grows where an
//     operator joins it with a tensor that did, and they were equally long before.
//   The values of such a constant are repeated where they are equal along that dim (a mask that
//   every row shares); where they are not, nobody knows what they would be: its bytes are null.
// * Element types and everything else stay as they were.
//
// An exported batch of 1 leaves little to see: the outermost dim of 1 is taken for it, and a
// BroadcastTo that changes nothing is taken to have been for it. Better export two rows.
#pragma once

#include <cstdint>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"

namespace relayout {

// `graph` with dim 0 of every input `factor` times as long. Values and operators keep their ids.
// Fails, naming the operator and the shapes, when a type of operator that the batch reaches has no
// rule for its shapes (operator_shapes.h), or no number explains its new inputs.
// @pre factor >= 1
Result<Graph> WithGlobalBatch(const Graph& graph, int64_t factor);

// The same network for one of `count` micro batches, into which a pipeline deals the batch: what is
// the batch in WithGlobalBatch's eyes becomes so many times shorter.
// Fails as that does, and when a length does not divide; names the tensor and both numbers.
// @pre count >= 1
Result<Graph> WithMicroBatches(const Graph& graph, int64_t count);

}  // namespace relayout
