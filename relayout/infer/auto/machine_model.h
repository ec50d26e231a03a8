// SPDX-License-Identifier: Apache-2.0
//
// The machine that cost_model.h prices cuts by. The defaults are round figures of an accelerator of
// the 2020s; what counts for a choice are their ratios.
#pragma once

#include <cstdint>

namespace relayout {

struct MachineModel {
  int64_t devices_per_node = 8;
  double flops_per_second = 100e12;
  double memory_bytes_per_second = 1e12;
  double bytes_within_node = 100e9;
  double bytes_between_nodes = 12.5e9;
  double message_seconds = 5e-6;
  int64_t bytes_per_device = int64_t{32} << 30;
  // A small one decides between choices of equal time; search.h raises it until memory suffices.
  double seconds_per_byte_kept = 1e-16;
};

}  // namespace relayout
