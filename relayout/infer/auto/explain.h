// SPDX-License-Identifier: Apache-2.0
//
// What cuts cost, as a text for people: `relayout strategy --explain`.
//
//   microseconds of a step by relayout's model: 100 TFLOP/s and 1e+03 GB/s of memory a device, ...
//   operator                 cuts           compute  reduce  ...  memory   next best
//   MatMul '.../op0'         ((2,1),(1,1))     1536       0  ...  126 KiB  +37.1 ((1,2),(2,1))
//   ReLU '.../op0'           ((1,2),)          6.14       0  ...  1 KiB    +3.02 ((2,1),)
//     from MatMul '.../op0'
//   total                                      1542       0  ...  127 KiB
//   a step: 1579 us; memory: 127 KiB of 32 GiB a device
//   optimal among all cuts (7 candidates of 2 operators)
#pragma once

#include <string>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"
#include "relayout/infer/auto/cost_model.h"

namespace relayout {

struct SearchResult;

// A table, a line an operator and an indented one for each edge that costs something; the totals of
// each column; whether the result is optimal. Ends with a newline.
// @pre `result` is Search's for this graph.
std::string ExplainText(const Graph& graph, const SearchResult& result);

// The same for any assignment's price, without the next best. Fails when a type has no rule.
Result<std::string> ExplainText(const Graph& graph, const Assignment& assignment,
                                const CostTable& cost, const MachineModel& machine);

}  // namespace relayout
