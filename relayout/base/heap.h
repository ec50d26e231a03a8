// SPDX-License-Identifier: Apache-2.0
//
// The heap as the system sees it.
#pragma once

namespace relayout {

// Gives memory that was freed back to the system where the library can; takes milliseconds. For use
// after a step that needed much for a short while in small pieces, which the heap would else keep.
void ReturnFreedMemory();

}  // namespace relayout
