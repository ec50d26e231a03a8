// SPDX-License-Identifier: Apache-2.0
#include "tests/spmd/operators.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "relayout/graph/testing.h"
#include "relayout/spmd/mesh_group.h"

namespace relayout::testing {
namespace {

// How many of the layouts for each number of ranks are run.
constexpr size_t kLayouts = 8;

// --- Tensors ------------------------------------------------------------------------------------

Tensor RandomTensor(oracle::Random& random, const OperatorCase& c, const Value& value) {
  Tensor tensor(value.dtype, value.shape);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (value.dtype == DType::kInt32) {
      tensor.i32().data[i] = static_cast<int32_t>(random.Below(c.id_count));
    } else {
      const double share = static_cast<double>(random.Below(1'000'001)) / 1e6;
      tensor.f32().data[i] = static_cast<float>(c.lowest + (c.highest - c.lowest) * share);
    }
  }
  return tensor;
}

// What no kernel has written, so that it is seen where one leaves something out.
Tensor Unwritten(DType dtype, const Dims& shape) {
  Tensor tensor(dtype, shape);
  if (dtype == DType::kInt32) {
    std::fill_n(tensor.i32().data, tensor.size(), INT32_MAX);
  } else {
    std::fill_n(tensor.f32().data, tensor.size(), std::nanf(""));
  }
  return tensor;
}

Tensor CutOut(const Tensor& whole, const Box& box) {
  Tensor piece(whole.dtype(), box.shape());
  if (piece.size() == 0) return piece;
  const Box all = Box::Whole(whole.shape());
  Dims index = box.begin;
  int64_t i = 0;
  do {
    const int64_t from = OffsetIn(all, index);
    if (whole.dtype() == DType::kInt32) {
      piece.i32().data[i++] = whole.i32().data[from];
    } else {
      piece.f32().data[i++] = whole.f32().data[from];
    }
  } while (NextIndex(box.begin, box.end, index));
  return piece;
}

// Of each input or output a tensor; a null pointer where there is none.
struct Pointers {
  std::vector<const Tensor*> constant;
  std::vector<Tensor*> mutable_;
};

Pointers PointersTo(std::vector<Tensor>& tensors, uint32_t mask = ~uint32_t{0}) {
  Pointers pointers;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const bool is_there = (mask >> std::min<size_t>(i, 31) & 1) != 0;
    pointers.constant.push_back(is_there ? &tensors[i] : nullptr);
    pointers.mutable_.push_back(is_there ? &tensors[i] : nullptr);
  }
  return pointers;
}

uint32_t FloatInputs(const OneOperator& one) {
  uint32_t mask = 0;
  for (size_t i = 0; i < one.op().inputs.size(); ++i) {
    if (one.input(i).dtype == DType::kFloat32) mask |= uint32_t{1} << i;
  }
  return mask;
}

// --- Layouts ------------------------------------------------------------------------------------

// All cuts of the operator's axes that `device_count` devices can make.
std::vector<AxisCuts> AllCuts(const OperatorAxes& axes, int64_t device_count) {
  std::vector<AxisCuts> all = {{}};
  for (const int64_t length : axes.lengths) {
    std::vector<AxisCuts> longer;
    for (const AxisCuts& cuts : all) {
      int64_t used = 1;
      for (const int64_t pieces : cuts) used *= pieces;
      for (int64_t pieces = 1; pieces <= device_count; ++pieces) {
        if (length % pieces != 0 || device_count % (used * pieces) != 0) continue;
        longer.push_back(cuts);
        longer.back().push_back(pieces);
      }
    }
    all = std::move(longer);
  }
  return all;
}

// Also where MindSpore would not cut it so (OperatorRule::check).
Result<OperatorLayout> LayOutAnyhow(const OneOperator& one, const OperatorRule& rule,
                                    const OperatorAxes& axes, const AxisCuts& cuts,
                                    int64_t device_count) {
  const MeshOrder order = rule.order == nullptr
                              ? MeshOrder::InOrder(axes.count())
                              : rule.order(one.graph(), one.op(), axes, cuts, device_count);
  return LayOut(one.op(), axes, cuts, order, device_count);
}

// The same layout on a mesh whose axes are prime, so that several of them cut a dim.
OperatorLayout OnPrimeMesh(OperatorLayout layout) {
  const auto refine = [](Layout& tensor) {
    LayoutSpec fine;
    std::vector<std::vector<int>> factors_of;
    for (int64_t length : tensor.spec().mesh) {
      factors_of.emplace_back();
      for (int64_t prime = 2; length > 1; ++prime) {
        for (; length % prime == 0; length /= prime) {
          factors_of.back().push_back(static_cast<int>(fine.mesh.size()));
          fine.mesh.push_back(prime);
        }
      }
    }
    for (const std::vector<int>& axes : tensor.spec().dim_axes) {
      fine.dim_axes.emplace_back();
      for (const int axis : axes) {
        const auto& factors = factors_of[static_cast<size_t>(axis)];
        fine.dim_axes.back().insert(fine.dim_axes.back().end(), factors.begin(), factors.end());
      }
    }
    tensor = Layout::Create(std::move(fine)).value();
  };
  std::ranges::for_each(layout.inputs, refine);
  std::ranges::for_each(layout.outputs, refine);
  return layout;
}

// Tensor number `index` of the outputs (or input gradients) of a rank, with its terms added up.
Tensor AddedUp(const std::vector<Made>& made, const Layout& layout,
               const std::vector<int>& partial_axes, int64_t rank,
               std::vector<Tensor> Made::*tensors, size_t index) {
  Tensor sum;
  for (const int member : MeshGroup(layout.spec().mesh, partial_axes, rank, 0)) {
    const Tensor& term = (made[static_cast<size_t>(member)].*tensors)[index];
    if (sum.size() == 0) {
      sum = term.Clone();
      continue;
    }
    EXPECT_EQ(sum.shape(), term.shape());
    for (int64_t i = 0; i < sum.size(); ++i) sum.f32().data[i] += term.f32().data[i];
  }
  return sum;
}

}  // namespace

std::string ToText(const OperatorCase& c) {
  std::string text = Format("{} {}", c.type, c.inputs);
  Graph graph;
  Operator op;
  op.type = c.type;
  op.attributes = c.attributes;
  graph.AddOperator(op, {});
  const std::string line = relayout::ToText(graph);
  return text + " " + line.substr(0, line.find('\n'));
}

std::string ToText(const OperatorLayout& layout) {
  MeshCuts cuts;
  for (const Layout& input : layout.inputs) cuts.push_back(input.spec());
  std::string text = relayout::ToText(cuts) + " -> ";
  cuts.clear();
  for (const Layout& output : layout.outputs) cuts.push_back(output.spec());
  return text + relayout::ToText(cuts);
}

OneOperator::OneOperator(const OperatorCase& c) {
  Operator op;
  op.type = c.type;
  op.name = "Default/" + c.type + "-op0";
  op.attributes = c.attributes;
  const std::vector<TensorType> types = TypesOf(c.inputs);
  for (const TensorType& type : types) op.inputs.push_back(graph_.AddInput("x", type));
  const auto results = ResultTypes(op, types);
  EXPECT_TRUE(results.ok()) << results.status().message();
  if (results.ok()) graph_.AddOperator(std::move(op), *results);
}

Status KernelStatus(const std::string& type, const std::string& inputs, Attributes attributes) {
  const OneOperator one({type, inputs, std::move(attributes)});
  return KernelOf(one.graph(), one.op()).status();
}

bool HaveSameBytes(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::ranges::equal(a.bytes(), b.bytes());
}

void ExpectClose(const Tensor& got, const Tensor& want, double tolerance) {
  ASSERT_EQ(relayout::ToText(got.shape()), relayout::ToText(want.shape()));
  if (want.dtype() == DType::kInt32) {
    ASSERT_TRUE(HaveSameBytes(got, want));
    return;
  }
  double largest = 1;
  for (const float value : want.f32().elements()) {
    largest = std::max(largest, std::fabs(static_cast<double>(value)));
  }
  for (int64_t i = 0; i < want.size(); ++i) {
    const double difference =
        std::fabs(static_cast<double>(got.f32().data[i]) - static_cast<double>(want.f32().data[i]));
    ASSERT_TRUE(difference <= tolerance * largest)
        << "element " << i << " of " << relayout::ToText(want.shape()) << ": " << got.f32().data[i]
        << ", whole " << want.f32().data[i];
  }
}

WholeTensors RandomTensors(oracle::Random& random, const OperatorCase& c, const OneOperator& one) {
  WholeTensors whole;
  for (size_t i = 0; i < one.op().inputs.size(); ++i) {
    whole.inputs.push_back(RandomTensor(random, c, one.input(i)));
  }
  const OperatorCase gradients;
  for (size_t i = 0; i < one.op().outputs.size(); ++i) {
    whole.output_gradients.push_back(RandomTensor(random, gradients, one.output(i)));
  }
  return whole;
}

// --- Running ------------------------------------------------------------------------------------

RankRun::RankRun(const OneOperator& one, const OperatorKernel& kernel, const OperatorLayout& layout,
                 Comm& comm, const RankContext& context)
    : one_(one), kernel_(kernel), context_(context) {
  context_.comm = &comm;
  at_.graph = &one.graph();
  at_.op = &one.op();
  at_.layout = layout;
  at_.local_rank = comm.rank();
  for (size_t i = 0; i < layout.inputs.size(); ++i) {
    at_.input_boxes.push_back(BoxOf(layout.inputs[i], at_.whole_input(i)));
  }
  for (size_t i = 0; i < layout.outputs.size(); ++i) {
    at_.output_boxes.push_back(BoxOf(layout.outputs[i], at_.whole_output(i)));
  }
}

Status RankRun::Run(const OperatorCase& c, const WholeTensors& whole, Made& made) {
  for (size_t i = 0; i < whole.inputs.size(); ++i) {
    inputs_.push_back(CutOut(whole.inputs[i], at_.input_boxes[i]));
  }
  RELAYOUT_RETURN_IF_ERROR(Forward(made));
  // Once more, with what the first call kept.
  RELAYOUT_RETURN_IF_ERROR(Forward(made));
  if (kernel_.in_place) RELAYOUT_RETURN_IF_ERROR(ForwardInPlace(made));
  if (kernel_.backward == nullptr || c.output_gradients == 0) return OkStatus();
  for (size_t i = 0; i < at_.output_boxes.size(); ++i) {
    gradients_.push_back(CutOut(whole.output_gradients[i], at_.output_boxes[i]));
  }
  const uint32_t all = FloatInputs(one_);
  RELAYOUT_RETURN_IF_ERROR(Backward(c, made, all, made.input_gradients));
  for (size_t i = 0; i < inputs_.size() && i < 31; ++i) {
    if ((all >> i & 1) != 0) RELAYOUT_RETURN_IF_ERROR(BackwardOfOne(c, made, i));
  }
  return kernel_.in_place ? BackwardInPlace(c, made) : OkStatus();
}

Box RankRun::BoxOf(const Layout& layout, const Dims& shape) const {
  return Partition::Create(layout, shape)->BoxOf(layout.CellOf(at_.local_rank));
}

Status RankRun::Forward(Made& made) {
  made.outputs.clear();
  for (size_t i = 0; i < at_.output_boxes.size(); ++i) {
    made.outputs.push_back(Unwritten(one_.output(i).dtype, at_.output_boxes[i].shape()));
  }
  const Pointers inputs = PointersTo(inputs_);
  const Pointers outputs = PointersTo(made.outputs);
  return kernel_.forward({.at = at_,
                          .context = context_,
                          .inputs = inputs.constant,
                          .outputs = outputs.mutable_,
                          .kept = kept_});
}

Status RankRun::ForwardInPlace(Made& made) {
  if (at_.input_boxes[0].shape() != at_.output_boxes[0].shape()) return OkStatus();
  std::vector<Tensor> inputs;
  for (const Tensor& input : inputs_) inputs.push_back(input.Clone());
  std::vector<Tensor> outputs;
  for (const Tensor& output : made.outputs) outputs.push_back(output.Clone());
  Pointers out = PointersTo(outputs);
  out.mutable_[0] = &inputs[0];
  std::vector<Tensor> kept;
  RELAYOUT_RETURN_IF_ERROR(kernel_.forward({.at = at_,
                                            .context = context_,
                                            .inputs = PointersTo(inputs).constant,
                                            .outputs = out.mutable_,
                                            .kept = kept}));
  EXPECT_TRUE(HaveSameBytes(inputs[0], made.outputs[0])) << "in place";
  return OkStatus();
}

Status RankRun::Backward(const OperatorCase& c, Made& made, uint32_t wanted,
                         std::vector<Tensor>& input_gradients, Tensor* first) {
  input_gradients.clear();
  for (size_t i = 0; i < inputs_.size(); ++i) {
    input_gradients.push_back(Unwritten(one_.input(i).dtype, at_.input_boxes[i].shape()));
  }
  Pointers gradients = PointersTo(gradients_, c.output_gradients);
  Pointers into = PointersTo(input_gradients, wanted);
  if (first != nullptr) {
    gradients.constant[0] = first;
    into.mutable_[0] = first;
  }
  return kernel_.backward({.at = at_,
                           .context = context_,
                           .inputs = PointersTo(inputs_, kernel_.reads_inputs).constant,
                           .outputs = PointersTo(made.outputs, kernel_.reads_outputs).constant,
                           .kept = kept_,
                           .output_gradients = gradients.constant,
                           .input_gradients = into.mutable_});
}

Status RankRun::BackwardOfOne(const OperatorCase& c, Made& made, size_t input) {
  std::vector<Tensor> alone;
  RELAYOUT_RETURN_IF_ERROR(Backward(c, made, uint32_t{1} << input, alone));
  EXPECT_TRUE(HaveSameBytes(alone[input], made.input_gradients[input]))
      << "the gradient of input " << input << " alone";
  return OkStatus();
}

Status RankRun::BackwardInPlace(const OperatorCase& c, Made& made) {
  if (at_.input_boxes[0].shape() != at_.output_boxes[0].shape()) return OkStatus();
  if ((c.output_gradients & FloatInputs(one_) & 1) == 0) return OkStatus();
  Tensor first = gradients_[0].Clone();
  std::vector<Tensor> others;
  RELAYOUT_RETURN_IF_ERROR(Backward(c, made, FloatInputs(one_), others, &first));
  EXPECT_TRUE(HaveSameBytes(first, made.input_gradients[0])) << "gradients in place";
  for (size_t i = 1; i < others.size(); ++i) {
    EXPECT_TRUE(HaveSameBytes(others[i], made.input_gradients[i])) << "gradients in place";
  }
  return OkStatus();
}

std::vector<Made> RunOnRanks(const OperatorCase& c, const OneOperator& one,
                             const OperatorKernel& kernel, const OperatorLayout& layout,
                             const WholeTensors& whole, const RankContext& context) {
  const int64_t ranks = layout.outputs[0].device_count();
  std::vector<Made> made(static_cast<size_t>(ranks));
  const Status status = RunThreadComm(static_cast<int>(ranks), [&](Comm& comm) {
    RankRun run(one, kernel, layout, comm, context);
    return run.Run(c, whole, made[static_cast<size_t>(comm.rank())]);
  });
  EXPECT_TRUE(status.ok()) << status.message();
  return made;
}

OperatorLayout OnOneRank(const OneOperator& one) {
  OperatorLayout layout;
  for (size_t i = 0; i < one.op().inputs.size(); ++i) {
    layout.inputs.push_back(Layout::Replicated(1, one.input(i).shape.size()));
  }
  for (size_t i = 0; i < one.op().outputs.size(); ++i) {
    layout.outputs.push_back(Layout::Replicated(1, one.output(i).shape.size()));
  }
  return layout;
}

// --- Comparing ----------------------------------------------------------------------------------

void ExpectSameUnder(const OperatorCase& c, const OneOperator& one, const OperatorKernel& kernel,
                     OperatorLayout layout, const WholeTensors& whole, const Made& want,
                     const RankContext& context) {
  SCOPED_TRACE(ToText(layout));
  if (kernel.adapt != nullptr) kernel.adapt(one.graph(), one.op(), layout);
  SCOPED_TRACE("run as " + ToText(layout));
  const std::vector<Made> made = RunOnRanks(c, one, kernel, layout, whole, context);
  for (int64_t rank = 0; rank < std::ssize(made); ++rank) {
    SCOPED_TRACE(Format("rank {}", rank));
    for (size_t i = 0; i < layout.outputs.size(); ++i) {
      SCOPED_TRACE(Format("output {}", i));
      const Layout& output = layout.outputs[i];
      const std::vector<int> partial =
          kernel.sums_outputs ? std::vector<int>() : PartialAxesOfOutput(layout, i);
      const Box box = Partition::Create(output, one.output(i).shape)->BoxOf(output.CellOf(rank));
      ExpectClose(AddedUp(made, output, partial, rank, &Made::outputs, i),
                  CutOut(want.outputs[i], box), c.tolerance);
    }
    for (size_t i = 0; i < want.input_gradients.size(); ++i) {
      if (one.input(i).dtype != DType::kFloat32) continue;
      SCOPED_TRACE(Format("gradient of input {}", i));
      const Layout& input = layout.inputs[i];
      const Box box = Partition::Create(input, one.input(i).shape)->BoxOf(input.CellOf(rank));
      ExpectClose(
          AddedUp(made, input, PartialAxesOfInput(layout, i), rank, &Made::input_gradients, i),
          CutOut(want.input_gradients[i], box), c.tolerance);
    }
  }
}

void ExpectSameOnPieces(const OperatorCase& c) {
  SCOPED_TRACE(ToText(c));
  const OneOperator one(c);
  ASSERT_EQ(one.graph().operators().size(), 1U);
  const OperatorRule* const rule = FindRule(c.type);
  ASSERT_NE(rule, nullptr);
  const auto axes = rule->axes(one.graph(), one.op());
  ASSERT_TRUE(axes.ok()) << axes.status().message();
  const auto kernel = KernelOf(one.graph(), one.op());
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  oracle::Random random(std::hash<std::string>()(c.type + c.inputs));
  const RankContext context = {.seed = 7, .step = 3};
  const WholeTensors whole = RandomTensors(random, c, one);
  const std::vector<Made> want = RunOnRanks(c, one, **kernel, OnOneRank(one), whole, context);
  for (const int64_t device_count : {1, 2, 3, 4, 6, 8}) {
    std::vector<AxisCuts> all = AllCuts(*axes, device_count);
    for (size_t i = 0; i < kLayouts && !all.empty(); ++i) {
      const auto pick = all.begin() + random.Below(std::ssize(all));
      const auto layout = LayOutAnyhow(one, *rule, *axes, *pick, device_count);
      ASSERT_TRUE(layout.ok()) << layout.status().message();
      ExpectSameUnder(c, one, **kernel, random.OneIn(2) ? *layout : OnPrimeMesh(*layout), whole,
                      want[0], context);
      if (::testing::Test::HasFailure()) return;
      all.erase(pick);
    }
  }
}

}  // namespace relayout::testing
