// SPDX-License-Identifier: Apache-2.0
//
// Two operands, with broadcasting.
//
//   Add, Sub, Mul, RealDiv, Div     x[a,b] z[b]    -> y[a,b]    dz is a term along a
//   Muls, Divs, AddScalar, ...      x[a,b] number  -> y[a,b]    one operand is an attribute
//   BiasAdd                         x[a,b] bias[b] -> y[a,b]    dbias is a term along a
//   AddN                            x[a,b] ...     -> y[a,b]
#include <array>

#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/graph/operator_types.h"
#include "relayout/spmd/kernels/elementwise.h"
#include "relayout/spmd/operators/attributes.h"
#include "relayout/spmd/operators/calls.h"
#include "relayout/spmd/operators/cuts.h"
#include "relayout/spmd/operators/families.h"

namespace relayout {
namespace {

// What the two operands of an operator are; a number is an attribute by the operand's name.
struct Operands {
  std::array<std::string_view, 2> names;
  std::array<bool, 2> is_number = {false, false};

  // Which input a tensor is.
  size_t input(size_t operand) const { return operand == 1 && !is_number[0] ? 1 : 0; }
};

Operands OperandsOf(const Operator& op) {
  Operands operands;
  if (op.inputs.size() == 2) return operands;
  const auto known = FindOperands(op.type);
  RELAYOUT_CHECK(known && known->size() >= 2);
  for (size_t i = 0; i < 2; ++i) {
    operands.names[i] = (*known)[i].name;
    operands.is_number[i] = NumberOf(op, operands.names[i]).has_value();
  }
  return operands;
}

// One operand as an array: of no dims if it is a number.
class Operand {
 public:
  Operand(const Operator& op, const Operands& operands, size_t which,
          std::span<const Tensor* const> inputs) {
    if (operands.is_number[which]) {
      number_ = static_cast<float>(*NumberOf(op, operands.names[which]));
    } else {
      view_ = inputs[operands.input(which)]->f32();
    }
  }
  View<const float> f32() const {
    return view_.data != nullptr ? view_ : View<const float>{&number_, {}};
  }

 private:
  float number_ = 0;
  View<const float> view_;
};

Status CheckOperands(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectFloats(graph, op));
  RELAYOUT_RETURN_IF_ERROR(ExpectInputCount(op, 1, 2));
  const Operands operands = OperandsOf(op);
  if (op.inputs.size() == 2 || operands.is_number[0] != operands.is_number[1]) return OkStatus();
  return Refuse(op, Format("has one tensor, so that relayout needs a number for {} or {}",
                           operands.names[0], operands.names[1]));
}

// mint's sums have a factor for the second operand.
Status CheckPlainSum(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(CheckOperands(graph, op));
  if (op.attributes.Find("alpha") == nullptr || NumberOf(op, "alpha") == 1) return OkStatus();
  return RefuseAttribute(op, "alpha", "1");
}

using Function = void (*)(const View<const float>& a, const View<const float>& b,
                          const View<float>& y);

template <Function kFunction>
Status Forward(const ForwardCall& call) {
  const Operator& op = *call.at.op;
  const Operands operands = OperandsOf(op);
  kFunction(Operand(op, operands, 0, call.inputs).f32(),
            Operand(op, operands, 1, call.inputs).f32(), call.outputs[0]->f32());
  return OkStatus();
}

// Calls body(which, dx) for each operand whose gradient is wanted: the second one first, because
// the first one's may lie where dy does.
template <typename Body>
Status ForGradients(const BackwardCall& call, const Operands& operands, const Body& body) {
  for (const size_t which : {size_t{1}, size_t{0}}) {
    if (operands.is_number[which]) continue;
    if (Tensor* const dx = call.input_gradients[operands.input(which)]) body(which, dx->f32());
  }
  return OkStatus();
}

// dx = scale * dy, summed to dx's shape.
void PassTo(const View<const float>& dy, float scale, const View<float>& dx) {
  if (dx.shape != dy.shape) {
    kernels::SumTo(dy, dx, scale);
  } else if (scale != 1 || dx.data != dy.data) {
    kernels::Affine(dy, scale, 0, dx);
  }
}

Status AddBackward(const BackwardCall& call) {
  const View<const float> dy = call.output_gradients[0]->f32();
  return ForGradients(call, OperandsOf(*call.at.op),
                      [&](size_t, const View<float>& dx) { PassTo(dy, 1, dx); });
}

Status SubBackward(const BackwardCall& call) {
  const View<const float> dy = call.output_gradients[0]->f32();
  return ForGradients(call, OperandsOf(*call.at.op), [&](size_t which, const View<float>& dx) {
    PassTo(dy, which == 0 ? 1 : -1, dx);
  });
}

Status MulBackward(const BackwardCall& call) {
  const View<const float> dy = call.output_gradients[0]->f32();
  const Operator& op = *call.at.op;
  const Operands operands = OperandsOf(op);
  return ForGradients(call, operands, [&](size_t which, const View<float>& dx) {
    kernels::MulGradient(dy, Operand(op, operands, 1 - which, call.inputs).f32(), dx);
  });
}

Status DivBackward(const BackwardCall& call) {
  const View<const float> dy = call.output_gradients[0]->f32();
  const Operator& op = *call.at.op;
  const Operands operands = OperandsOf(op);
  const Operand divisor(op, operands, 1, call.inputs);
  return ForGradients(call, operands, [&](size_t which, const View<float>& dx) {
    if (which == 0) {
      kernels::DividendGradient(dy, divisor.f32(), dx);
    } else {
      kernels::DivisorGradient(dy, Operand(op, operands, 0, call.inputs).f32(), divisor.f32(), dx);
    }
  });
}

// --- BiasAdd ------------------------------------------------------------------------------------

bool ChannelsAreLast(const Operator& op) { return Says(op, "data_format", "NHWC", 1); }

// infer/ cuts the bias along with dim 1 always.
void AdaptBiasAdd(const Graph& graph, const Operator& op, OperatorLayout& layout) {
  const size_t dim_count = graph.value(op.inputs[0]).shape.size();
  if (!ChannelsAreLast(op) || dim_count == 2) return;
  MakeWhole(layout, layout.inputs[0], 1, dim_count);
}

Status BiasAddForward(const ForwardCall& call) {
  kernels::BiasAdd(call.inputs[0]->f32(), call.inputs[1]->f32(), ChannelsAreLast(*call.at.op),
                   call.outputs[0]->f32());
  return OkStatus();
}

Status BiasAddBackward(const BackwardCall& call) {
  const View<const float> dy = call.output_gradients[0]->f32();
  if (Tensor* const dbias = call.input_gradients[1]) {
    kernels::BiasAddGradient(dy, ChannelsAreLast(*call.at.op), dbias->f32());
  }
  return CopyBackward(call);
}

// --- AddN ---------------------------------------------------------------------------------------

Status AddNForward(const ForwardCall& call) {
  Tensor& y = *call.outputs[0];
  CopyElements(*call.inputs[0], y);
  for (size_t i = 1; i < call.inputs.size(); ++i) {
    kernels::Add(y.f32(), call.inputs[i]->f32(), y.f32());
  }
  return OkStatus();
}

Status AddNBackward(const BackwardCall& call) {
  for (Tensor* const dx : call.input_gradients) {
    if (dx != nullptr) CopyElements(*call.output_gradients[0], *dx);
  }
  return OkStatus();
}

OperatorKernel Sum(std::string_view type) {
  return {.type = type,
          .forward = Forward<kernels::Add>,
          .backward = AddBackward,
          .check = CheckPlainSum,
          .reads_inputs = 0,
          .reads_outputs = 0,
          .in_place = true};
}

OperatorKernel Difference(std::string_view type) {
  OperatorKernel kernel = Sum(type);
  kernel.forward = Forward<kernels::Sub>;
  kernel.backward = SubBackward;
  return kernel;
}

// Of two tensors; with a number nothing of the forward pass is read.
OperatorKernel Product(std::string_view type, uint32_t reads_inputs) {
  OperatorKernel kernel = Sum(type);
  kernel.forward = Forward<kernels::Mul>;
  kernel.backward = MulBackward;
  kernel.check = CheckOperands;
  kernel.reads_inputs = reads_inputs;
  return kernel;
}

OperatorKernel Quotient(std::string_view type, uint32_t reads_inputs) {
  OperatorKernel kernel = Product(type, reads_inputs);
  kernel.forward = Forward<kernels::RealDiv>;
  kernel.backward = DivBackward;
  return kernel;
}

}  // namespace

std::vector<OperatorKernel> ArithmeticKernels() {
  OperatorKernel add_n = Sum("AddN");
  add_n.forward = AddNForward;
  add_n.backward = AddNBackward;
  add_n.check = ExpectFloats;
  add_n.in_place = false;  // A later input may be the first one once more.
  OperatorKernel bias_add = add_n;
  bias_add.type = "BiasAdd";
  bias_add.forward = BiasAddForward;
  bias_add.backward = BiasAddBackward;
  bias_add.adapt = AdaptBiasAdd;
  bias_add.in_place = true;
  return {add_n,
          bias_add,
          Sum("Add"),
          Sum("AddExt"),
          Sum("AddScalar"),
          Difference("Sub"),
          Difference("SubExt"),
          Difference("SubScalar"),
          Product("Mul", 0b11),
          Product("Muls", 0),
          Quotient("Div", 0b11),
          Quotient("Divs", 0),
          Quotient("RealDiv", 0b11)};
}

}  // namespace relayout
