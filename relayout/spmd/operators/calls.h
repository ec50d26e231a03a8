// SPDX-License-Identifier: Apache-2.0
//
// Helpers for what every kernel does with the tensors of its call.
#pragma once

#include <vector>

#include "relayout/spmd/operator_kernel.h"

namespace relayout {

// kept[index] as f32 of this shape: made where it is not there yet.
View<float> Kept(std::vector<Tensor>& kept, size_t index, const Dims& shape);

// A gradient that is made along with others: where it is wanted, or else in memory of its own.
class GradientOrScratch {
 public:
  GradientOrScratch(Tensor* wanted, const Dims& shape);
  View<float> f32() { return wanted_ != nullptr ? wanted_->f32() : scratch_.f32(); }

 private:
  Tensor* wanted_;
  Tensor scratch_;
};

// The same elements, whatever the shapes; nothing to do where both share their memory.
void CopyElements(const Tensor& from, Tensor& to);

// Fails where a gradient comes from an output other than the first one, whose part in the backward
// pass is not calculated; `what` says which output that is.
Status ExpectFirstGradientOnly(const BackwardCall& call, std::string_view what);

// Outputs or gradients whose elements are those of the first input, or of the output, in order.
Status CopyForward(const ForwardCall& call);
Status CopyBackward(const BackwardCall& call);

}  // namespace relayout
