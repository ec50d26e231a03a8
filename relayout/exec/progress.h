// SPDX-License-Identifier: Apache-2.0
//
// What a caller and a long run share: how far it is, the wish to stop, and how much memory it may
// take.
#pragma once

#include <atomic>
#include <cstdint>

namespace relayout {

inline constexpr int64_t kDefaultMemoryBytes = int64_t{256} << 20;
inline constexpr int64_t kMinMemoryBytes = int64_t{64} << 20;

// Shared with whoever watches or stops a run. All members may be used from any thread at any time.
struct Progress {
  std::atomic<int64_t> total_bytes = 0;    // To be written; set before the first byte moves.
  std::atomic<int64_t> written_bytes = 0;  // Payload written so far, replicas counted.
  std::atomic<bool> cancel_requested = false;
};

// Has somebody asked to stop? `progress` may be null.
inline bool IsCancelled(const Progress* progress) {
  return progress != nullptr && progress->cancel_requested.load(std::memory_order_relaxed);
}

}  // namespace relayout
