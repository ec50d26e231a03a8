// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/operators/calls.h"

#include <cstring>

#include "relayout/base/text.h"
#include "relayout/spmd/operators/attributes.h"

namespace relayout {

View<float> Kept(std::vector<Tensor>& kept, size_t index, const Dims& shape) {
  while (kept.size() <= index) kept.emplace_back();
  Tensor& tensor = kept[index];
  const bool fits = tensor.dtype() == DType::kFloat32 && tensor.shape() == shape;
  if (!fits) tensor = Tensor(DType::kFloat32, shape);
  return tensor.f32();
}

GradientOrScratch::GradientOrScratch(Tensor* wanted, const Dims& shape) : wanted_(wanted) {
  if (wanted == nullptr) scratch_ = Tensor(DType::kFloat32, shape);
}

void CopyElements(const Tensor& from, Tensor& to) {
  RELAYOUT_CHECK(from.dtype() == to.dtype() && from.size() == to.size());
  const bool share = to.bytes().data() == from.bytes().data();
  if (share || from.size() == 0) return;
  std::memcpy(to.bytes().data(), from.bytes().data(), static_cast<size_t>(from.size_bytes()));
}

Status ExpectFirstGradientOnly(const BackwardCall& call, std::string_view what) {
  for (size_t i = 1; i < call.output_gradients.size(); ++i) {
    if (call.output_gradients[i] == nullptr) continue;
    return Refuse(*call.at.op, Format("a gradient comes from output {} ({}), but relayout "
                                      "calculates what comes from output 0 only",
                                      i, what));
  }
  return OkStatus();
}

Status CopyForward(const ForwardCall& call) {
  CopyElements(*call.inputs[0], *call.outputs[0]);
  return OkStatus();
}

Status CopyBackward(const BackwardCall& call) {
  if (Tensor* const dx = call.input_gradients[0]) CopyElements(*call.output_gradients[0], *dx);
  return OkStatus();
}

}  // namespace relayout
