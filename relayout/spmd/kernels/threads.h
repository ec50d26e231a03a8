// SPDX-License-Identifier: Apache-2.0
//
// How many threads the kernels of a rank use, and how a kernel is spread over them.
//
//   UseKernelThreads(2);                       // for kernels that this thread calls
//   ForRange(n, 4096, [&](int64_t begin, int64_t end) { ... });
//
// Ranks may be threads of one process: each calls kernels on its own, sets its own number, and has
// its own team of helpers, which lives as long as it does. Helpers sleep between kernels: OpenMP's
// spin, which on a machine where ranks, or others, want the processors too makes a kernel wait for
// a thread that cannot run (docs/performance.md, "Kernels").
#pragma once

#include <algorithm>
#include <cstdint>

namespace relayout::kernels {

// For all kernels that the calling thread calls from now on. @pre count >= 1
void UseKernelThreads(int count);
// As set; before that, the processors this process may run on. 1 inside of a part.
int KernelThreads();

// Runs work(context, 0) ... work(context, parts - 1), each on a thread of its own, part 0 on the
// caller's, and waits for them. @pre parts <= KernelThreads(); work does not throw
void RunParts(int64_t parts, void (*work)(void* context, int64_t part), void* context);

// Calls body(begin, end) for pieces that together are [0, count), each on one of the threads. No
// piece is shorter than `grain` but a last one: what is not worth a thread. Which pieces there are
// depends on the number of threads, so a body must not sum across its items.
template <typename Body>
void ForRange(int64_t count, int64_t grain, const Body& body) {
  const int64_t worthwhile = count / std::max<int64_t>(grain, 1);
  const int64_t parts = worthwhile <= 1 ? 1 : std::min<int64_t>(worthwhile, KernelThreads());
  if (parts == 1) {
    if (count > 0) body(int64_t{0}, count);
    return;
  }
  struct Call {
    const Body* body;
    int64_t count;
    int64_t parts;
  } call = {&body, count, parts};
  const auto work = [](void* context, int64_t part) {
    const Call& mine = *static_cast<const Call*>(context);
    // Without a product that could overflow.
    const int64_t length = mine.count / mine.parts;
    const int64_t longer = mine.count % mine.parts;
    const int64_t begin = part * length + std::min(part, longer);
    (*mine.body)(begin, begin + length + (part < longer ? 1 : 0));
  };
  RunParts(parts, work, &call);
}

// The grain of a loop that does little more than to read and write its elements.
inline constexpr int64_t kElementGrain = int64_t{32} * 1024;

// So many rows of `row_size` elements are worth a thread.
inline int64_t RowGrain(int64_t row_size) {
  return kElementGrain / std::max<int64_t>(row_size, 1) + 1;
}

}  // namespace relayout::kernels
