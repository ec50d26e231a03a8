// SPDX-License-Identifier: Apache-2.0
#include "relayout/draw/device_grid.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "relayout/base/text.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

// Where the mesh is divided: axes from `axis` on go across, and of the axis before them the
// innermost `inner` positions (1 = the axis is not broken).
struct Division {
  size_t axis = 0;
  int64_t inner = 1;
  int64_t columns = 1;
};

int64_t DefaultMaxColumns(int64_t device_count) {
  if (device_count <= 256) return 16;
  return device_count <= 4096 ? 32 : 64;
}

// Twice as wide as high is best; a broken axis is harder to read than a long line.
double CostOf(const Division& division, int64_t device_count) {
  const double ratio = static_cast<double>(division.columns) *
                       static_cast<double>(division.columns) / static_cast<double>(device_count);
  return std::abs(std::log2(ratio) - 1) + (division.inner > 1 ? 2.5 : 0);
}

std::optional<Division> BestDivision(const std::vector<int64_t>& mesh, int64_t device_count,
                                     int64_t limit) {
  std::optional<Division> best;
  const auto consider = [&](const Division& division) {
    if (!best || CostOf(division, device_count) < CostOf(*best, device_count)) best = division;
  };
  int64_t columns = 1;
  for (size_t axis = mesh.size();; --axis) {
    if (axis == 0 || columns > 1) consider({axis, 1, columns});
    if (axis == 0) break;
    const int64_t size = mesh[axis - 1];
    for (int64_t inner = 2; inner < size && columns * inner <= limit; ++inner) {
      if (size % inner == 0) consider({axis, inner, columns * inner});
    }
    if (size > limit / columns) break;
    columns *= size;
  }
  return best;
}

// The bands of axes whose positions are `size` places long, from the innermost out.
class BandBuilder {
 public:
  void Add(size_t axis, int64_t count, int64_t step, bool is_inner) {
    if (count > 1) bands_.push_back({AxisName(axis), count, size_, step, is_inner});
    size_ *= count;
  }
  std::vector<AxisBand> OutermostFirst() {
    std::reverse(bands_.begin(), bands_.end());
    return std::move(bands_);
  }

 private:
  std::vector<AxisBand> bands_;
  int64_t size_ = 1;
};

}  // namespace

std::string AxisBand::LabelAt(int64_t position) const {
  const int64_t value = position % count;
  if (is_inner) return Format("+{}", value);
  if (step == 1) return Format("{}={}", axis, value);
  return Format("{}={}-{}", axis, value * step, (value + 1) * step - 1);
}

DeviceGrid ArrangeDevices(const std::vector<int64_t>& mesh, int64_t max_columns) {
  DeviceGrid grid;
  for (const int64_t size : mesh) grid.device_count *= size;
  const int64_t limit = max_columns > 0 ? max_columns : DefaultMaxColumns(grid.device_count);
  const auto division = BestDivision(mesh, grid.device_count, limit);
  if (!division) {  // A long axis that nothing divides.
    grid.columns = limit;
    grid.rows = (grid.device_count + grid.columns - 1) / grid.columns;
    return grid;
  }
  BandBuilder across;
  BandBuilder down;
  for (size_t axis = mesh.size(); axis-- > 0;) {
    if (axis >= division->axis) {
      across.Add(axis, mesh[axis], 1, false);
    } else if (axis + 1 == division->axis && division->inner > 1) {
      across.Add(axis, division->inner, 1, true);
      down.Add(axis, mesh[axis] / division->inner, division->inner, false);
    } else {
      down.Add(axis, mesh[axis], 1, false);
    }
  }
  grid.columns = division->columns;
  grid.rows = grid.device_count / grid.columns;
  grid.row_bands = down.OutermostFirst();
  grid.column_bands = across.OutermostFirst();
  return grid;
}

}  // namespace relayout
