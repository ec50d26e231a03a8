// SPDX-License-Identifier: Apache-2.0
//
// Losses against labels.
//
//   NLLLoss           x[n,c] t[n] w[c]     -> loss[] total_weight[]    reduction ignore_index
//   CrossEntropyLoss  x[n,c] t[n] w[c]     -> loss[] log_softmax[n,c]
//   SparseSoftmaxCrossEntropyWithLogits
//                     x[n,c] t[n]          -> loss[]                   the mean over all rows
//   SoftmaxCrossEntropyWithLogits
//                     x[n,c] t[n,c]        -> loss[n] gradient[n,c]
//
// Ranks hold rows; classes are whole. The first two divide by the weights of all rows that count,
// which no rank knows alone: they add losses and weights up over the ranks, and then each of them
// has the whole loss. A mean over all rows is a sum of terms. t may be whole where x is cut
// (infer/ does that to an NLLLoss without reduction).
#include "relayout/spmd/kernels/loss.h"

#include <array>
#include <limits>

#include "relayout/base/text.h"
#include "relayout/spmd/kernels/elementwise.h"
#include "relayout/spmd/kernels/softmax.h"
#include "relayout/spmd/operators/attributes.h"
#include "relayout/spmd/operators/calls.h"
#include "relayout/spmd/operators/cuts.h"
#include "relayout/spmd/operators/families.h"

namespace relayout {
namespace {

// --- Labels -------------------------------------------------------------------------------------

// The labels of the rows of x that this rank has, and what each row counts.
struct Labels {
  const RankOperator& at;
  View<const int32_t> of_rows;
  const float* weights = nullptr;  // Of the classes; null: 1.
  int64_t class_count = 0;
  std::optional<int64_t> ignored;

  float WeightOf(int64_t row) const {
    const int32_t label = of_rows.data[row];
    if (label == ignored) return 0;
    return weights == nullptr ? 1 : weights[label];
  }
  bool IsClass(int64_t row) const {
    const int32_t label = of_rows.data[row];
    return label == ignored || (label >= 0 && label < class_count);
  }
};

Labels LabelsOf(const RankOperator& at, std::span<const Tensor* const> inputs) {
  const Box& rows = at.input_boxes[0];
  const int64_t begin = rows.begin[0] - at.input_boxes[1].begin[0];
  return {.at = at,
          .of_rows = inputs[1]->i32().Slices(begin, begin + rows.end[0] - rows.begin[0]),
          .weights = inputs.size() > 2 ? inputs[2]->f32().data : nullptr,
          .class_count = at.whole_input(0)[1],
          .ignored = std::nullopt};
}

// ... where rows may be ignored.
constexpr int64_t kIgnoredByDefault = -100;

Labels LabelsOrIgnored(const RankOperator& at, std::span<const Tensor* const> inputs) {
  Labels labels = LabelsOf(at, inputs);
  labels.ignored = at.op->attributes.GetInt("ignore_index", kIgnoredByDefault);
  return labels;
}

// Fails for the first row whose label is no class.
Status ExpectClasses(const Labels& labels) {
  for (int64_t row = 0; row < labels.of_rows.size(); ++row) {
    if (labels.IsClass(row)) continue;
    return InvalidInput(Format("{}: the label of row {} is {}, which is none of the {} classes",
                               Describe(*labels.at.op), labels.at.input_boxes[0].begin[0] + row,
                               labels.of_rows.data[row], labels.class_count));
  }
  return OkStatus();
}

// --- Reductions ---------------------------------------------------------------------------------

enum class Reduction : uint8_t { kMean, kSum, kNone };

std::optional<Reduction> ReductionOf(const Operator& op) {
  const bool is_default = op.attributes.Find("reduction") == nullptr;
  if (is_default || Says(op, "reduction", "mean", 1)) return Reduction::kMean;
  if (Says(op, "reduction", "sum", 0)) return Reduction::kSum;
  if (Says(op, "reduction", "none", 2)) return Reduction::kNone;
  return std::nullopt;
}

Status CheckLabelled(const Graph& graph, const Operator& op, size_t most_inputs) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputCount(op, 2, most_inputs));
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const DType wanted = i == 1 ? DType::kInt32 : DType::kFloat32;
    RELAYOUT_RETURN_IF_ERROR(ExpectInput(graph, op, i, {wanted}));
  }
  if (graph.value(op.inputs[0]).shape.size() != 2 || graph.value(op.inputs[1]).shape.size() != 1) {
    return Refuse(op, Format("compares {} with labels {}, but relayout runs it on rows of classes "
                             "with a label each",
                             ToText(graph.value(op.inputs[0]).shape),
                             ToText(graph.value(op.inputs[1]).shape)));
  }
  return OkStatus();
}

Status CheckReduced(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(CheckLabelled(graph, op, 3));
  if (ReductionOf(op)) return OkStatus();
  return RefuseAttribute(op, "reduction", "mean, sum and none");
}

// Classes are whole, in the logits and in their weights.
void AdaptLabelled(const Graph& graph, const Operator& op, OperatorLayout& layout) {
  (void)graph;
  (void)op;
  MakeWhole(layout, layout.inputs[0], 1, 2);
  if (layout.inputs.size() > 2) MakeWhole(layout, layout.inputs[2], 0, 1);
}

// The loss from log probabilities, reduced over all ranks, to `loss`; gives the weight of all rows
// that count. Ranks whose own labels are well fail with those whose are not, so that none of them
// waits for another.
Result<float> ReduceLoss(const RankContext& context, const Labels& labels,
                         const View<const float>& log_probabilities, const View<float>& loss) {
  const Reduction reduction = *ReductionOf(*labels.at.op);
  const Status mine = ExpectClasses(labels);
  double sum = 0;
  double weight = 0;
  for (int64_t row = 0; mine.ok() && row < labels.of_rows.size(); ++row) {
    const float counts = labels.WeightOf(row);
    const int64_t column = counts == 0 ? 0 : labels.of_rows.data[row];
    const float term =
        counts == 0 ? 0 : -counts * log_probabilities.data[row * labels.class_count + column];
    if (reduction == Reduction::kNone) loss.data[row] = term;
    sum += static_cast<double>(term);
    weight += static_cast<double>(counts);
  }
  std::array<float, 3> sums = {static_cast<float>(sum), static_cast<float>(weight),
                               mine.ok() ? 0.0F : 1.0F};
  const std::vector<int> of_rows = CuttingAxes(labels.at.layout.inputs[0]);
  RELAYOUT_RETURN_IF_ERROR(context.Sum(labels.at, of_rows, sums));
  RELAYOUT_RETURN_IF_ERROR(mine);
  if (sums[2] != 0) {
    return InvalidInput(Format("{}: a label on another rank is no class", Describe(*labels.at.op)));
  }
  if (reduction == Reduction::kSum) *loss.data = sums[0];
  if (reduction == Reduction::kMean) *loss.data = sums[0] / sums[1];
  return sums[1];
}

// What a row's -log probability adds to the gradient: its weight, of the mean's, times the
// gradient of what it went into.
std::vector<float> RowGradients(const Labels& labels, float total_weight,
                                const View<const float>& dloss) {
  const Reduction reduction = *ReductionOf(*labels.at.op);
  std::vector<float> gradients;
  for (int64_t row = 0; row < labels.of_rows.size(); ++row) {
    const float incoming = dloss.data[reduction == Reduction::kNone ? row : 0];
    const float share = reduction == Reduction::kMean ? total_weight : 1;
    gradients.push_back(labels.WeightOf(row) * incoming / share);
  }
  return gradients;
}

// As MindSpore: a weight of a class has no gradient.
void ClearWeightGradient(const BackwardCall& call) {
  if (call.input_gradients.size() < 3 || call.input_gradients[2] == nullptr) return;
  for (float& gradient : call.input_gradients[2]->f32().elements()) gradient = 0;
}

// --- NLLLoss ------------------------------------------------------------------------------------

Status NllForward(const ForwardCall& call) {
  const Labels labels = LabelsOrIgnored(call.at, call.inputs);
  RELAYOUT_ASSIGN_OR_RETURN(
      const float weight,
      ReduceLoss(call.context, labels, call.inputs[0]->f32(), call.outputs[0]->f32()));
  *call.outputs[1]->f32().data = weight;
  return OkStatus();
}

Status NllBackward(const BackwardCall& call) {
  RELAYOUT_RETURN_IF_ERROR(ExpectFirstGradientOnly(call, "the total weight"));
  ClearWeightGradient(call);
  if (call.input_gradients[0] == nullptr) return OkStatus();
  const View<float> dx = call.input_gradients[0]->f32();
  const Labels labels = LabelsOrIgnored(call.at, call.inputs);
  const std::vector<float> of_rows =
      RowGradients(labels, *call.outputs[1]->f32().data, call.output_gradients[0]->f32());
  std::fill(dx.data, dx.data + dx.size(), 0.0F);
  for (int64_t row = 0; row < labels.of_rows.size(); ++row) {
    const int32_t label = labels.of_rows.data[row];
    if (label == labels.ignored) continue;
    dx.data[row * labels.class_count + label] = -of_rows[static_cast<size_t>(row)];
  }
  return OkStatus();
}

// --- CrossEntropyLoss ---------------------------------------------------------------------------

Status CheckCrossEntropy(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(CheckReduced(graph, op));
  for (const std::string_view term :
       {"label_smoothing", "lse_square_scale_for_zloss", "return_zloss"}) {
    if (NumberOf(op, term).value_or(0) != 0) return RefuseAttribute(op, term, "0");
  }
  return OkStatus();
}

Status CrossEntropyForward(const ForwardCall& call) {
  const View<float> log_probabilities = call.outputs[1]->f32();
  kernels::LogSoftmax(call.inputs[0]->f32(), 1, log_probabilities);
  RELAYOUT_ASSIGN_OR_RETURN(const float weight,
                            ReduceLoss(call.context, LabelsOrIgnored(call.at, call.inputs),
                                       log_probabilities, call.outputs[0]->f32()));
  *Kept(call.kept, 0, {1}).data = weight;
  return OkStatus();
}

Status CrossEntropyBackward(const BackwardCall& call) {
  RELAYOUT_RETURN_IF_ERROR(ExpectFirstGradientOnly(call, "log probabilities or z-loss"));
  ClearWeightGradient(call);
  if (call.input_gradients[0] == nullptr) return OkStatus();
  const View<float> dx = call.input_gradients[0]->f32();
  const Labels labels = LabelsOrIgnored(call.at, call.inputs);
  const std::vector<float> of_rows =
      RowGradients(labels, *call.kept[0].f32().data, call.output_gradients[0]->f32());
  kernels::SoftmaxCrossEntropyGradient(call.outputs[1]->f32(), labels.of_rows, 1, dx);
  kernels::Mul(dx, {of_rows.data(), {dx.shape[0], 1}}, dx);
  return OkStatus();
}

// --- SparseSoftmaxCrossEntropyWithLogits --------------------------------------------------------

Status CheckSparse(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(CheckLabelled(graph, op, 2));
  if (op.attributes.GetBool("is_grad", false)) return RefuseAttribute(op, "is_grad", "false");
  if (NumberOf(op, "sens").value_or(1) != 1) return RefuseAttribute(op, "sens", "1");
  return OkStatus();
}

Status SparseForward(const ForwardCall& call) {
  const Labels labels = LabelsOf(call.at, call.inputs);
  RELAYOUT_RETURN_IF_ERROR(ExpectClasses(labels));
  const View<const float> logits = call.inputs[0]->f32();
  const View<float> log_probabilities = Kept(call.kept, 0, logits.shape);
  kernels::LogSoftmax(logits, 1, log_probabilities);
  *call.outputs[0]->f32().data =
      static_cast<float>(kernels::NllSum(log_probabilities, labels.of_rows) /
                         static_cast<double>(call.at.whole_input(0)[0]));
  return OkStatus();
}

Status SparseBackward(const BackwardCall& call) {
  if (call.input_gradients[0] == nullptr) return OkStatus();
  const auto rows = static_cast<float>(call.at.whole_input(0)[0]);
  kernels::SoftmaxCrossEntropyGradient(call.kept[0].f32(), LabelsOf(call.at, call.inputs).of_rows,
                                       *call.output_gradients[0]->f32().data / rows,
                                       call.input_gradients[0]->f32());
  return OkStatus();
}

// --- SoftmaxCrossEntropyWithLogits --------------------------------------------------------------

Status RowsForward(const ForwardCall& call) {
  kernels::SoftmaxCrossEntropyOfRows(call.inputs[0]->f32(), call.inputs[1]->f32(),
                                     call.outputs[0]->f32(), call.outputs[1]->f32());
  return OkStatus();
}

// As MindSpore: the labels have no gradient.
Status RowsBackward(const BackwardCall& call) {
  RELAYOUT_RETURN_IF_ERROR(ExpectFirstGradientOnly(call, "the gradient"));
  if (Tensor* const labels = call.input_gradients[1]) {
    for (float& gradient : labels->f32().elements()) gradient = 0;
  }
  if (Tensor* const dx = call.input_gradients[0]) {
    const View<const float> gradient = call.outputs[1]->f32();
    kernels::Mul(call.output_gradients[0]->f32().Reshaped({gradient.shape[0], 1}), gradient,
                 dx->f32());
  }
  return OkStatus();
}

}  // namespace

std::vector<OperatorKernel> LossKernels() {
  return {{.type = "CrossEntropyLoss",
           .forward = CrossEntropyForward,
           .backward = CrossEntropyBackward,
           .check = CheckCrossEntropy,
           .adapt = AdaptLabelled,
           .reads_inputs = 0b110,
           .reads_outputs = 0b10,
           .sums_outputs = true},
          {.type = "NLLLoss",
           .forward = NllForward,
           .backward = NllBackward,
           .check = CheckReduced,
           .adapt = AdaptLabelled,
           .reads_inputs = 0b110,
           .reads_outputs = 0b10,
           .sums_outputs = true},
          {.type = "SoftmaxCrossEntropyWithLogits",
           .forward = RowsForward,
           .backward = RowsBackward,
           .check = ExpectFloats,
           .reads_inputs = 0,
           .reads_outputs = 0b10},
          {.type = "SparseSoftmaxCrossEntropyWithLogits",
           .forward = SparseForward,
           .backward = SparseBackward,
           .check = CheckSparse,
           .adapt = AdaptLabelled,
           .reads_inputs = 0b10,
           .reads_outputs = 0}};
}

}  // namespace relayout
