// SPDX-License-Identifier: Apache-2.0
#include "relayout/base/heap.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace relayout {

void ReturnFreedMemory() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

// Not getrusage: that counts what the parent held when it started us.
int64_t PeakMemoryBytes() {
  std::FILE* const file = std::fopen("/proc/self/status", "re");
  if (file == nullptr) return 0;
  int64_t peak_kib = 0;
  std::array<char, 256> line{};
  while (std::fgets(line.data(), static_cast<int>(line.size()), file) != nullptr) {
    const std::string_view text(line.data());
    if (text.starts_with("VmHWM:")) peak_kib = std::strtoll(line.data() + 6, nullptr, 10);
  }
  static_cast<void>(std::fclose(file));
  return peak_kib * 1024;
}

}  // namespace relayout
