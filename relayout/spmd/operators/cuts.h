// SPDX-License-Identifier: Apache-2.0
//
// Taking cuts out of an operator's layout, for OperatorKernel::adapt.
//
//   RmsNorm  x (a,b)  gamma (b)  ->  y (a,b)       a row's mean wants the row whole
//   MakeWhole(layout, layout.inputs[1], 0, 1)
//            x (a,-)  gamma (-)  ->  y (a,-)       b repeats the calculation
//
// An axis is taken out of all tensors at once: if it went on cutting others, PartialAxes would call
// this one a term.
#pragma once

#include <cstddef>
#include <vector>

#include "relayout/graph/graph.h"
#include "relayout/infer/operator_axes.h"
#include "relayout/layout/box.h"

namespace relayout {

// The axes that cut dims [begin, end) of a tensor, ascending.
std::vector<int> CuttingAxes(const Layout& tensor, size_t begin, size_t end);
std::vector<int> CuttingAxes(const Layout& tensor);
// Takes these axes out of one tensor: what it has then is a term where they cut another.
void TakeOut(Layout& tensor, const std::vector<int>& axes);
// Takes these axes out of every tensor.
void TakeOut(OperatorLayout& layout, const std::vector<int>& axes);
// Takes out what cuts dims [begin, end) of a tensor.
void MakeWhole(OperatorLayout& layout, const Layout& tensor, size_t begin, size_t end);

// For OperatorKernel::adapt of operators with one input and output that have the same elements in
// the same order, but other dims. Takes out as few axes as it needs for the elements that a rank
// has of the input to be, in order, those that it has of the output.
void AdaptToOrder(const Graph& graph, const Operator& op, OperatorLayout& layout);

}  // namespace relayout
