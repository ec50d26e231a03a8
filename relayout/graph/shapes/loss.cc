// SPDX-License-Identifier: Apache-2.0
//
//   SoftmaxCrossEntropyWithLogits       f32[4,10] f32[4,10]      -> f32[4] f32[4,10]   its gradient
//   SparseSoftmaxCrossEntropyWithLogits f32[4,10] i32[4]         -> f32[]
//   NLLLoss                             f32[4,10] i32[4] f32[10] -> f32[] f32[]   sum of weights
#include "relayout/base/text.h"
#include "relayout/graph/shapes/families.h"

namespace relayout {
namespace {

// One label for each row of logits[n,classes].
Status ExpectLabels(const ShapeCall& call) {
  if (call.dim_count(0) == 2 && call.dim_count(1) == 1 && call.shape(0)[0] == call.shape(1)[0]) {
    return OkStatus();
  }
  return call.Fail(
      Format("logits {} against labels {}", ToText(call.shape(0)), ToText(call.shape(1))));
}

bool IsReduced(const ShapeCall& call) { return !call.Says("reduction", "none", 2); }

Result<ResultTypeList> SoftmaxCrossEntropy(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2));
  if (call.dim_count(0) != 2 || call.shape(0) != call.shape(1)) {
    return call.Fail(
        Format("logits {} against labels {}", ToText(call.shape(0)), ToText(call.shape(1))));
  }
  return ResultTypeList{{call.dtype(0), {call.shape(0)[0]}}, call.input(0)};
}

Result<ResultTypeList> SparseSoftmaxCrossEntropy(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2));
  RELAYOUT_RETURN_IF_ERROR(ExpectLabels(call));
  if (call.attributes().GetBool("is_grad", false)) return ResultTypeList{call.input(0)};
  return ResultTypeList{{call.dtype(0), {}}};
}

Result<ResultTypeList> NLLLoss(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2, 3));
  RELAYOUT_RETURN_IF_ERROR(ExpectLabels(call));
  const Dims shape = IsReduced(call) ? Dims{} : call.shape(1);
  return ResultTypeList{{call.dtype(0), shape}, {call.dtype(0), {}}};
}

// Loss, logarithms of the probabilities, and two results that serve a term against large logits.
Result<ResultTypeList> CrossEntropyLoss(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2, 3));
  RELAYOUT_RETURN_IF_ERROR(ExpectLabels(call));
  const Dims shape = IsReduced(call) ? Dims{} : call.shape(1);
  const bool z_loss = call.attributes().GetBool("return_zloss", false);
  return ResultTypeList{{call.dtype(0), shape},
                        call.input(0),
                        {call.dtype(0), z_loss ? shape : Dims{0}},
                        {call.dtype(0), z_loss ? call.shape(1) : Dims{0}}};
}

// Element by element against a target, then reduced.
Result<ResultTypeList> ElementLoss(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2, 4));
  RELAYOUT_ASSIGN_OR_RETURN(const Dims shape, BroadcastShape(call, 0, 2));
  return ResultTypeList{{call.dtype(0), IsReduced(call) ? Dims{} : shape}};
}

Result<ResultTypeList> SigmoidCrossEntropy(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2));
  RELAYOUT_RETURN_IF_ERROR(BroadcastShape(call, 0, 2).status());
  return ResultTypeList{call.input(0)};
}

}  // namespace

std::vector<ShapeRule> LossShapes() {
  return {{"BCEWithLogitsLoss", ElementLoss},
          {"BinaryCrossEntropy", ElementLoss},
          {"CrossEntropyLoss", CrossEntropyLoss},
          {"KLDiv", ElementLoss},
          {"KLDivLoss", ElementLoss},
          {"L1LossExt", ElementLoss},
          {"MSELossExt", ElementLoss},
          {"NLLLoss", NLLLoss},
          {"SmoothL1Loss", ElementLoss},
          {"SigmoidCrossEntropyWithLogits", SigmoidCrossEntropy},
          {"SoftmaxCrossEntropyWithLogits", SoftmaxCrossEntropy},
          {"SparseSoftmaxCrossEntropyWithLogits", SparseSoftmaxCrossEntropy}};
}

}  // namespace relayout
