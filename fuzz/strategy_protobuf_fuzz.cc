// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a protobuf strategy: an error, or a strategy that survives being written and read
// again.
#include "fuzz/strategy_round_trip.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  relayout::TryStrategy("fuzz.ckpt", std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
