// SPDX-License-Identifier: Apache-2.0
#include "relayout/draw/device_grid.h"

#include <gtest/gtest.h>

#include "relayout/base/text.h"

namespace relayout {
namespace {

std::string BandText(const std::vector<AxisBand>& bands, int64_t length) {
  std::string text;
  for (const AxisBand& band : bands) {
    if (!text.empty()) text += " / ";
    for (int64_t i = 0; i * band.size < length; ++i) {
      if (i > 0) text += ' ';
      text += band.LabelAt(i);
    }
  }
  return text;
}

TEST(ArrangeDevices, PutsInnerAxesAcross) {
  struct Case {
    std::vector<int64_t> mesh;
    int64_t rows;
    int64_t columns;
    const char* down;
    const char* across;
  };
  const Case cases[] = {
      {{}, 1, 1, "", ""},
      {{1}, 1, 1, "", ""},
      {{8}, 1, 8, "", "a=0 a=1 a=2 a=3 a=4 a=5 a=6 a=7"},
      {{2, 4}, 2, 4, "a=0 a=1", "b=0 b=1 b=2 b=3"},
      {{2, 2, 2}, 2, 4, "a=0 a=1", "b=0 b=1 / c=0 c=1 c=0 c=1"},
      {{2, 1, 4}, 2, 4, "a=0 a=1", "c=0 c=1 c=2 c=3"},
      {{32}, 4, 8, "a=0-7 a=8-15 a=16-23 a=24-31", "+0 +1 +2 +3 +4 +5 +6 +7"},
      {{17, 2},
       17,
       2,
       "a=0 a=1 a=2 a=3 a=4 a=5 a=6 a=7 a=8 a=9 a=10 a=11 a=12 a=13 a=14 a=15 a=16",
       "b=0 b=1"},
      {{17}, 2, 16, "", ""},
  };
  for (const Case& c : cases) {
    const DeviceGrid grid = ArrangeDevices(c.mesh);
    const std::string mesh = Format("{} devices", grid.device_count);
    EXPECT_EQ(grid.rows, c.rows) << mesh;
    EXPECT_EQ(grid.columns, c.columns) << mesh;
    EXPECT_EQ(BandText(grid.row_bands, grid.rows), c.down) << mesh;
    EXPECT_EQ(BandText(grid.column_bands, grid.columns), c.across) << mesh;
  }
}

TEST(ArrangeDevices, KeepsToAWidth) {
  EXPECT_EQ(ArrangeDevices({8}, 4).columns, 4);
  EXPECT_EQ(ArrangeDevices({2, 8}, 7).columns, 4);
  EXPECT_EQ(ArrangeDevices({7}, 3).columns, 3);
  EXPECT_EQ(ArrangeDevices({2, 3}, 1).columns, 1);
}

TEST(ArrangeDevices, EveryDeviceHasAPlaceInABoundedWidth) {
  for (int64_t a = 1; a <= 12; ++a) {
    for (int64_t b = 1; b <= 12; ++b) {
      for (const int64_t c : {1, 2, 7, 16}) {
        const DeviceGrid grid = ArrangeDevices({a, b, c});
        EXPECT_EQ(grid.device_count, a * b * c);
        EXPECT_GE(grid.rows * grid.columns, grid.device_count);
        EXPECT_LT((grid.rows - 1) * grid.columns, grid.device_count);
        EXPECT_LE(grid.columns, grid.device_count <= 256 ? 16 : 32);
        // The bands of an edge name each of its places once.
        int64_t down = 1;
        for (const AxisBand& band : grid.row_bands) down *= band.count;
        int64_t across = 1;
        for (const AxisBand& band : grid.column_bands) across *= band.count;
        EXPECT_EQ(down, grid.rows);
        EXPECT_EQ(across, grid.columns);
      }
    }
  }
}

}  // namespace
}  // namespace relayout
