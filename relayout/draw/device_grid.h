// SPDX-License-Identifier: Apache-2.0
//
// DeviceGrid: the devices of a mesh of any number of axes, laid out in a plane.
//
// Devices stay in order, line by line, so that device r is in row r / columns and column
// r % columns. The innermost axes of the mesh go across, the others down. What the axes are is
// written on *bands* along the edges, outermost first:
//
//   {a:2,b:2,c:2}                           b=0     b=1
//                                         c=0 c=1 c=0 c=1
//                                    a=0   0   1   2   3
//                                    a=1   4   5   6   7
//
//   {a:64} is broken into lines:             +0  +1 ...  +15
//                                  a=0-15     0   1       15
//                                  a=16-31   16  17       31
//
// An axis of one device has no band.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace relayout {

// One axis along an edge: `count` positions of `size` rows (or columns) each, repeated to the end.
struct AxisBand {
  std::string axis;
  int64_t count = 1;
  int64_t size = 1;
  // The outer part of a broken axis counts in steps of the inner part's length; else 1.
  int64_t step = 1;
  // The inner part of a broken axis counts from the outer part's value.
  bool is_inner = false;

  // "a=3", "a=16-31", "+5". `position` counts from the edge's begin.
  std::string LabelAt(int64_t position) const;
  friend bool operator==(const AxisBand&, const AxisBand&) = default;
};

struct DeviceGrid {
  int64_t device_count = 1;
  int64_t columns = 1;
  int64_t rows = 1;
  // The last row may have fewer devices; there are no bands then.
  std::vector<AxisBand> row_bands;
  std::vector<AxisBand> column_bands;
};

// Arranges the devices of a mesh with axes of these sizes, outermost first; wide rather than high.
// At most `max_columns`; 0 = 16 columns for up to 256 devices, 32 up to 4096, 64 beyond.
DeviceGrid ArrangeDevices(const std::vector<int64_t>& mesh, int64_t max_columns = 0);

}  // namespace relayout
