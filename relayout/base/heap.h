// SPDX-License-Identifier: Apache-2.0
//
// The heap as the system sees it.
#pragma once

#include <cstdint>

namespace relayout {

// Gives memory that was freed back to the system where the library can; takes milliseconds. For use
// after a step that needed much for a short while in small pieces, which the heap would else keep.
void ReturnFreedMemory();

// The most memory that this process has held at once so far, of all kinds; 0 where the system does
// not tell.
int64_t PeakMemoryBytes();

}  // namespace relayout
