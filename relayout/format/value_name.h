// SPDX-License-Identifier: Apache-2.0
//
// What every format asks of the name of a value or parameter.
#pragma once

#include <cstdint>
#include <string_view>

#include "relayout/base/status.h"

namespace relayout {

// Longer than any path through a network; a bound on what a hostile file can make us allocate.
inline constexpr int64_t kMaxNameBytes = 4096;
// Values in a file or parameters in a strategy; the largest networks have some 100,000.
inline constexpr size_t kMaxNames = size_t{1} << 20;

// Fails unless `name` is well-formed UTF-8 of 1 to kMaxNameBytes bytes.
Status CheckName(std::string_view name);

}  // namespace relayout
