// SPDX-License-Identifier: Apache-2.0
//
// What was decided for a network, and why, as text.
#pragma once

#include <string>

#include "relayout/infer/infer_strategy.h"

namespace relayout {

// A line an operator: its type and name, the cuts of its inputs, and where these come from. For
// searched cuts also the costs.
std::string ExplainStrategy(const InferredStrategy& inferred);

}  // namespace relayout
