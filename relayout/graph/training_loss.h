// SPDX-License-Identifier: Apache-2.0
//
// A loss behind a network: what is trained, as MindSpore's Model(net, loss_fn, optimizer) makes it.
//
//   // x input f32[32,784]                         x input f32[32,784]
//   // ...                                         label input i32[32]
//   // #6 Add (#5, layer3.bias) -> f32[32,10]      ...
//   // return #6                                   #6 Add (#5, layer3.bias) -> f32[32,10]
//                                                  #7 CrossEntropyLoss (#6, label) -> f32[] ...
//   WithLoss(graph, Loss::kCrossEntropy)           return #7.0
//
//   loss                   in MindSpore                          the network's result   label
//   cross_entropy          nn.CrossEntropyLoss()                 f32[n,c]               i32[n]
//   softmax_cross_entropy  nn.SoftmaxCrossEntropyWithLogits(     f32[n,c]               i32[n]
//                              sparse=True, reduction='mean')
//   mean_squared_error     nn.MSELoss()                          f32[a,...]             as that
//
// Labels are numbers of classes, 0 to c - 1. The first loss leaves rows out whose label is -100,
// and is a mean over the others. nn.CrossEntropyLoss consists of some 18 small operators in
// MindSpore; here it is one, with the same value.
//
// Annotated or propagated, no parameter lies elsewhere for the loss: strategy files are the same
// with and without it. A search (InferMode::kSearched) prices the loss too and may find other cuts,
// so a network that is to be trained is searched with its loss. MindSpore refuses
// softmax_cross_entropy, and so does InferStrategy, where not all devices can cut the rows and some
// can.
#pragma once

#include <string_view>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"

namespace relayout {

enum class Loss { kCrossEntropy, kSoftmaxCrossEntropy, kMeanSquaredError };

// "cross_entropy", as in the table.
std::string_view ToText(Loss loss);
// The error names all of them.
Result<Loss> ParseLoss(std::string_view text);

// The name of the input with the labels.
inline constexpr std::string_view kLabelInput = "label";

// `graph` with the loss of its result: another input, the last, called "label", and operators in
// the cell "_loss_fn" behind all others; returns the loss, f32[]. Values and operators of the
// network keep their ids; what it returned is Operator::inputs[0] of the first operator behind it.
// Fails, naming shapes and what is wanted, unless the network returns one tensor of the table's
// kind, and when it has an input "label".
Result<Graph> WithLoss(const Graph& graph, Loss loss);

}  // namespace relayout
