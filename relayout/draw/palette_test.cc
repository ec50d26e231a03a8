// SPDX-License-Identifier: Apache-2.0
#include "relayout/draw/palette.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "relayout/layout/notation.h"

namespace relayout {
namespace {

Layout Parse(const char* text) { return ParseLayout(text).value(); }

// As WCAG 2 defines it.
double Luminance(const Rgb& rgb) {
  const auto linear = [](int channel) {
    const double x = channel / 255.0;
    return x <= 0.04045 ? x / 12.92 : std::pow((x + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * linear(rgb.red) + 0.7152 * linear(rgb.green) + 0.0722 * linear(rgb.blue);
}

constexpr const char* kLayouts[] = {"{a:2} (a)",           "{a:8} (a)",
                                    "{a:64} (a)",          "{a:8,b:8} (a,b)",
                                    "{a:64} (-,-) opt:64", "{a:8,b:8} (a,-) opt:8",
                                    "{a:2,b:2} (a,b)",     "{a:4,b:4,c:4} (a,b,-) opt:4"};

TEST(ShardColor, DifferentShardsOfUpTo64DevicesDiffer) {
  for (const char* text : kLayouts) {
    const Layout layout = Parse(text);
    std::set<std::string> colors;
    for (int64_t shard = 0; shard < layout.shard_count(); ++shard) {
      colors.insert(ShardColor(layout, shard));
    }
    EXPECT_EQ(std::ssize(colors), layout.shard_count()) << text;
  }
}

TEST(ShardColor, BlackTextCanBeReadOnAll) {
  const double ink = Luminance({.red = 0x1b, .green = 0x1f, .blue = 0x24});
  for (const char* text : kLayouts) {
    const Layout layout = Parse(text);
    for (int64_t shard = 0; shard < layout.shard_count(); ++shard) {
      const double contrast = (Luminance(ShardRgb(layout, shard)) + 0.05) / (ink + 0.05);
      EXPECT_GE(contrast, 4.5) << text << " shard " << shard;
    }
  }
}

TEST(ShardColor, TheOptimizerSplitGoesFromLightToDark) {
  const Layout layout = Parse("{a:2,b:4} (a,-) opt:4");
  for (int64_t piece = 0; piece < 2; ++piece) {
    for (int64_t part = 1; part < 4; ++part) {
      EXPECT_LT(Luminance(ShardRgb(layout, piece * 4 + part)),
                Luminance(ShardRgb(layout, piece * 4 + part - 1)));
    }
  }
}

TEST(ShardColor, IsTheSameEverywhere) {
  EXPECT_EQ(ShardColor(Parse("{a:8} (-,-)"), 0), "#cbd6e1");
  EXPECT_EQ(ShardColor(Parse("{a:2} (a,-)"), 0), "#70adea");
  EXPECT_EQ(ShardColor(Parse("{a:2} (a,-)"), 1), "#f5bc69");
}

}  // namespace
}  // namespace relayout
