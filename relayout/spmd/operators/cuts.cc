// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/operators/cuts.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/spmd/operator_kernel.h"

namespace relayout {
namespace {

bool Contains(const std::vector<int>& axes, int axis) {
  return std::ranges::find(axes, axis) != axes.end();
}

// The numbers, in the whole tensor, of a box's elements in order: nested loops of (count, stride)
// around a first one, where loops that continue each other are one. Equal for equal sequences.
struct Sequence {
  int64_t first = 0;
  std::vector<std::pair<int64_t, int64_t>> loops;
  friend bool operator==(const Sequence&, const Sequence&) = default;
};

Sequence SequenceOf(const Box& box, const Dims& whole) {
  Sequence sequence;
  int64_t stride = 1;
  for (size_t d = whole.size(); d-- > 0;) {
    const int64_t count = box.end[d] - box.begin[d];
    sequence.first += box.begin[d] * stride;
    auto& loops = sequence.loops;  // The innermost first.
    if (!loops.empty() && loops.back().first * loops.back().second == stride) {
      loops.back().first *= count;
    } else if (count != 1) {
      loops.emplace_back(count, stride);
    }
    stride *= whole[d];
  }
  return sequence;
}

// Whether each rank has the same elements, in the same order, of two tensors.
bool HaveOneOrder(const Layout& a, const Dims& a_shape, const Layout& b, const Dims& b_shape) {
  const auto a_cuts = Partition::Create(a, a_shape);
  const auto b_cuts = Partition::Create(b, b_shape);
  RELAYOUT_CHECK(a_cuts.ok() && b_cuts.ok());
  for (int64_t rank = 0; rank < a.device_count(); ++rank) {
    if (SequenceOf(a_cuts->BoxOf(a.CellOf(rank)), a_shape) !=
        SequenceOf(b_cuts->BoxOf(b.CellOf(rank)), b_shape)) {
      return false;
    }
  }
  return true;
}

// Subsets of so many axes are few enough to try all.
constexpr size_t kFewAxes = 6;

// The smallest subset of `axes` without which the two tensors have one order; all if they are many.
std::vector<int> FewestToTakeOut(const std::vector<int>& axes, const auto& have_one_order) {
  if (axes.size() > kFewAxes) return axes;
  const auto members = [&axes](uint32_t set) {
    std::vector<int> subset;
    for (size_t i = 0; i < axes.size(); ++i) {
      if ((set >> i & 1) != 0) subset.push_back(axes[i]);
    }
    return subset;
  };
  for (int count = 0; count < std::ssize(axes); ++count) {
    for (uint32_t set = 0; set < uint32_t{1} << axes.size(); ++set) {
      if (std::popcount(set) == count && have_one_order(members(set))) return members(set);
    }
  }
  return axes;
}

}  // namespace

std::vector<int> CuttingAxes(const Layout& tensor, size_t begin, size_t end) {
  std::vector<int> axes;
  for (size_t d = begin; d < end; ++d) {
    const std::vector<int>& cutting = tensor.spec().dim_axes[d];
    axes.insert(axes.end(), cutting.begin(), cutting.end());
  }
  std::ranges::sort(axes);
  return axes;
}

std::vector<int> CuttingAxes(const Layout& tensor) {
  return CuttingAxes(tensor, 0, tensor.dim_count());
}

void TakeOut(Layout& tensor, const std::vector<int>& axes) {
  LayoutSpec spec = tensor.spec();
  for (std::vector<int>& cutting : spec.dim_axes) {
    std::erase_if(cutting, [&axes](int axis) { return Contains(axes, axis); });
  }
  auto made = Layout::Create(std::move(spec));
  RELAYOUT_CHECK(made.ok());
  tensor = *std::move(made);
}

void TakeOut(OperatorLayout& layout, const std::vector<int>& axes) {
  if (axes.empty()) return;
  for (Layout& input : layout.inputs) TakeOut(input, axes);
  for (Layout& output : layout.outputs) TakeOut(output, axes);
}

void MakeWhole(OperatorLayout& layout, const Layout& tensor, size_t begin, size_t end) {
  TakeOut(layout, CuttingAxes(tensor, begin, end));
}

void AdaptToOrder(const Graph& graph, const Operator& op, OperatorLayout& layout) {
  const std::vector<int> of_input = CuttingAxes(layout.inputs[0]);
  const std::vector<int> of_output = CuttingAxes(layout.outputs[0]);
  std::vector<int> of_one;
  std::ranges::set_symmetric_difference(of_input, of_output, std::back_inserter(of_one));
  TakeOut(layout, of_one);
  const Dims& input = graph.value(op.inputs[0]).shape;
  const Dims& output = graph.value(op.outputs[0]).shape;
  TakeOut(layout, FewestToTakeOut(CuttingAxes(layout.inputs[0]), [&](const std::vector<int>& axes) {
            OperatorLayout tried = layout;
            TakeOut(tried, axes);
            return HaveOneOrder(tried.inputs[0], input, tried.outputs[0], output);
          }));
}

}  // namespace relayout
