// SPDX-License-Identifier: Apache-2.0
//
// RELAYOUT_CHECK(condition): stops the program when one of our own invariants is broken. Always on.
// Never used on data from outside; that is what Status is for.
#pragma once

namespace relayout {

[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);

}  // namespace relayout

#define RELAYOUT_CHECK(condition)                              \
  do {                                                         \
    if (!(condition)) [[unlikely]] {                           \
      ::relayout::CheckFailed(#condition, __FILE__, __LINE__); \
    }                                                          \
  } while (false)
