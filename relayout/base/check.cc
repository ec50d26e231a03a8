// SPDX-License-Identifier: Apache-2.0
#include "relayout/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace relayout {

void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr,
               "relayout: internal error: %s does not hold (%s:%d). "
               "No output file was given its final name. Please report this.\n",
               condition, file, line);
  std::abort();
}

}  // namespace relayout
