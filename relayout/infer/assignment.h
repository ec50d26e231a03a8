// SPDX-License-Identifier: Apache-2.0
//
// Assignment: for every operator of a network, into how many pieces each of its axes is cut. What
// the three ways to lay a network out (annotated, propagated, searched) decide; everything else
// follows from it by the rules.
#pragma once

#include <cstdint>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"
#include "relayout/infer/operator_axes.h"

namespace relayout {

struct Assignment {
  std::vector<AxisCuts> cuts;  // By OperatorId.
};

// The operators' tensors on `device_count` devices, by OperatorId. Fails, naming the operator, when
// a type has no rule or cuts do not fit.
Result<std::vector<OperatorLayout>> LayOutAll(const Graph& graph, const Assignment& assignment,
                                              int64_t device_count);

// The axes of every operator, by OperatorId. Fails when a type has no rule.
Result<std::vector<OperatorAxes>> AxesOfAll(const Graph& graph);

// Semi-auto parallel: annotated operators as they are annotated, every other one cut along its
// rule's default axis (its batch) into as many pieces as divide its length and the devices, as
// MindSpore does.
Result<Assignment> AssignAnnotated(const Graph& graph, int64_t device_count);

}  // namespace relayout
