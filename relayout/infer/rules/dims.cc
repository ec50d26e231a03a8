// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/rules/dims.h"

#include "relayout/base/text.h"

namespace relayout {

Status ExpectTensors(const Operator& op, size_t input_count, size_t output_count) {
  if (op.inputs.size() == input_count && op.outputs.size() == output_count) return OkStatus();
  return InvalidInput(Format("{}: takes {} and gives {}; here it has {} and {}", Describe(op),
                             Count(static_cast<int64_t>(input_count), "tensor"), output_count,
                             op.inputs.size(), op.outputs.size()));
}

int AddAxis(OperatorAxes& axes, int64_t length) {
  if (length == 1) return OperatorAxes::kWhole;
  axes.lengths.push_back(length);
  return static_cast<int>(axes.lengths.size() - 1);
}

std::vector<int> AddAxes(OperatorAxes& axes, const Dims& shape) {
  std::vector<int> dims;
  for (const int64_t length : shape) dims.push_back(AddAxis(axes, length));
  return dims;
}

Status AddBroadcast(const Graph& graph, const Operator& op, OperatorAxes& axes) {
  const Dims& whole = graph.value(op.outputs[0]).shape;
  const std::vector<int> output = AddAxes(axes, whole);
  axes.outputs.assign(op.outputs.size(), output);
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const Dims& shape = graph.value(op.inputs[i]).shape;
    std::vector<int> dims;
    for (size_t d = 0; d < shape.size(); ++d) {
      const size_t from_right = shape.size() - d;
      const bool fits = from_right <= whole.size() &&
                        (shape[d] == 1 || shape[d] == whole[whole.size() - from_right]);
      if (!fits) {
        return InvalidInput(Format("{}: input {} {} does not broadcast to the result's {}",
                                   Describe(op), i, ToText(shape), ToText(whole)));
      }
      dims.push_back(shape[d] == 1 ? OperatorAxes::kWhole : output[whole.size() - from_right]);
    }
    axes.inputs.push_back(std::move(dims));
  }
  return OkStatus();
}

Result<size_t> NormalAxis(const Operator& op, int64_t axis, size_t dim_count) {
  const auto count = static_cast<int64_t>(dim_count);
  if (axis < -count || axis >= count) {
    return InvalidInput(
        Format("{}: axis {} does not exist, the tensor has {} dims", Describe(op), axis, count));
  }
  return static_cast<size_t>(axis < 0 ? axis + count : axis);
}

}  // namespace relayout
