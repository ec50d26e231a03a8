// SPDX-License-Identifier: Apache-2.0
//
// What an optimizer keeps beside each trained parameter, as MindSpore names it. The states lie as
// their parameter.
//
//   sgd        accum.layer1.weight   stat.layer1.weight
//   momentum   moments.layer1.weight
//   adam       moment1.layer1.weight moment2.layer1.weight
//   and others: see the table in optimizer_states.cc
//
// With pipeline stages or gradient accumulation there is an accumulated gradient too,
// accu_grads.layer1.weight.
#pragma once

#include <string_view>
#include <vector>

#include "relayout/base/status.h"

namespace relayout {

inline constexpr std::string_view kAccumulatedGradientPrefix = "accu_grads.";

// The prefixes that the optimizer `name` ("sgd", "momentum", "adam", ...) puts before a parameter's
// name. Fails for a name that is not known, with those that are.
Result<std::vector<std::string_view>> OptimizerStatePrefixes(std::string_view name);
// The names OptimizerStatePrefixes knows.
std::vector<std::string_view> OptimizerNames();

}  // namespace relayout
