// SPDX-License-Identifier: Apache-2.0
//
// The families of rules; operator_rule.cc puts them into one table.
#pragma once

#include <vector>

#include "relayout/infer/operator_rule.h"

namespace relayout {

std::vector<OperatorRule> MatrixRules();       // MatMul, BatchMatMul.
std::vector<OperatorRule> ElementwiseRules();  // Add, ReLU, Cast; with broadcasting; BiasAdd.

}  // namespace relayout
