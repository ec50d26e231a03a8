// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/rules/dims.h"

#include <algorithm>
#include <optional>

#include "relayout/base/text.h"

namespace relayout {

Status ExpectTensors(const Operator& op, size_t input_count, size_t output_count) {
  if (op.inputs.size() == input_count && op.outputs.size() == output_count) return OkStatus();
  return InvalidInput(Format("{}: takes {} and gives {}; here it has {} and {}", Describe(op),
                             Count(static_cast<int64_t>(input_count), "tensor"), output_count,
                             op.inputs.size(), op.outputs.size()));
}

Status ExpectInputs(const Operator& op, size_t least_count) {
  if (op.inputs.size() >= least_count && !op.outputs.empty()) return OkStatus();
  return InvalidInput(Format("{}: takes at least {} and gives one; here it has {} and {}",
                             Describe(op), Count(static_cast<int64_t>(least_count), "tensor"),
                             op.inputs.size(), op.outputs.size()));
}

int AddAxis(OperatorAxes& axes, int64_t length) {
  if (length == 1) return OperatorAxes::kWhole;
  axes.lengths.push_back(length);
  return static_cast<int>(axes.lengths.size() - 1);
}

std::vector<int> AddAxes(OperatorAxes& axes, const Dims& shape, const std::vector<bool>& whole) {
  std::vector<int> dims;
  for (size_t d = 0; d < shape.size(); ++d) {
    const bool is_whole = d < whole.size() && whole[d];
    dims.push_back(is_whole ? OperatorAxes::kWhole : AddAxis(axes, shape[d]));
  }
  return dims;
}

std::vector<int> AllWhole(const Dims& shape) {
  return std::vector<int>(shape.size(), OperatorAxes::kWhole);
}

std::vector<int> Follow(const std::vector<int>& dims, const Dims& model, const Dims& shape) {
  std::vector<int> following = AllWhole(shape);
  for (size_t from_right = 1; from_right <= std::min(model.size(), shape.size()); ++from_right) {
    const size_t of_model = model.size() - from_right;
    const size_t own = shape.size() - from_right;
    if (shape[own] == model[of_model]) following[own] = dims[of_model];
  }
  return following;
}

Status AddBroadcast(const Graph& graph, const Operator& op, OperatorAxes& axes) {
  const Dims& whole = OutputShape(graph, op, 0);
  const std::vector<int> output = AddAxes(axes, whole);
  for (size_t i = 0; i < op.outputs.size(); ++i) {
    const Dims& shape = OutputShape(graph, op, i);
    axes.outputs.push_back(shape == whole ? output : AllWhole(shape));
  }
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const Dims& shape = InputShape(graph, op, i);
    for (size_t d = 0; d < shape.size(); ++d) {
      const size_t from_right = shape.size() - d;
      const bool fits = from_right <= whole.size() &&
                        (shape[d] == 1 || shape[d] == whole[whole.size() - from_right]);
      if (!fits) {
        return InvalidInput(Format("{}: input {} {} does not broadcast to the result's {}",
                                   Describe(op), i, ToText(shape), ToText(whole)));
      }
    }
    axes.inputs.push_back(Follow(output, whole, shape));
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

Result<size_t> AxisAttribute(const Operator& op, std::initializer_list<std::string_view> names,
                             int64_t otherwise, size_t dim_count) {
  const std::optional<std::vector<int64_t>> axis = IntsAttribute(op, names);
  return NormalAxis(op, axis && axis->size() == 1 ? (*axis)[0] : otherwise, dim_count);
}

Result<std::vector<bool>> AxesAttribute(const Operator& op,
                                        std::initializer_list<std::string_view> names,
                                        size_t dim_count) {
  const std::optional<std::vector<int64_t>> list = IntsAttribute(op, names);
  if (!list || list->empty()) return std::vector<bool>(dim_count, true);
  std::vector<bool> marks(dim_count, false);
  for (const int64_t axis : *list) {
    RELAYOUT_ASSIGN_OR_RETURN(const size_t dim, NormalAxis(op, axis, dim_count));
    marks[dim] = true;
  }
  return marks;
}

std::optional<std::vector<int64_t>> IntsAttribute(const Operator& op,
                                                  std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    std::optional<std::vector<int64_t>> list = op.attributes.GetInts(name);
    if (list) return list;
  }
  return std::nullopt;
}

}  // namespace relayout
