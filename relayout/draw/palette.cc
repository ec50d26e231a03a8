// SPDX-License-Identifier: Apache-2.0
#include "relayout/draw/palette.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "relayout/base/text.h"

namespace relayout {
namespace {

// The OKLCH colour space: steps that look equal are equal. Hue in degrees.
struct Lch {
  double lightness = 0;
  double chroma = 0;
  double hue = 0;
};

// The order of the first pieces: far apart in hue, and never two alike in lightness and in what a
// red-green blind eye sees.
constexpr std::array<Lch, 8> kFirst = {{{0.73, 0.11, 250},
                                        {0.83, 0.12, 75},
                                        {0.76, 0.11, 165},
                                        {0.70, 0.13, 25},
                                        {0.86, 0.08, 220},
                                        {0.72, 0.12, 330},
                                        {0.91, 0.12, 102},
                                        {0.68, 0.11, 290}}};
constexpr Lch kUncut = {0.87, 0.02, 250};
constexpr double kLightest = 0.92;
constexpr double kDarkest = 0.68;

double Encode(double linear) {
  return linear <= 0.0031308 ? 12.92 * linear : 1.055 * std::pow(linear, 1 / 2.4) - 0.055;
}

std::array<double, 3> ToLinear(const Lch& color) {
  const double angle = color.hue * std::numbers::pi / 180;
  const double a = color.chroma * std::cos(angle);
  const double b = color.chroma * std::sin(angle);
  const double l = std::pow(color.lightness + 0.3963377774 * a + 0.2158037573 * b, 3);
  const double m = std::pow(color.lightness - 0.1055613458 * a - 0.0638541728 * b, 3);
  const double s = std::pow(color.lightness - 0.0894841775 * a - 1.2914855480 * b, 3);
  return {4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
          -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
          -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s};
}

// The colour, paler where a screen cannot show it.
Rgb ToRgb(Lch color) {
  std::array<double, 3> linear = ToLinear(color);
  while (color.chroma > 0 &&
         std::any_of(linear.begin(), linear.end(), [](double x) { return x < 0 || x > 1; })) {
    color.chroma = std::max(0.0, color.chroma - 0.005);
    linear = ToLinear(color);
  }
  const auto channel = [](double x) {
    return static_cast<int>(std::lround(255 * Encode(std::clamp(x, 0.0, 1.0))));
  };
  return {.red = channel(linear[0]), .green = channel(linear[1]), .blue = channel(linear[2])};
}

// Which of how many.
struct Position {
  int64_t index = 0;
  int64_t count = 1;

  // In [0, 1].
  double fraction() const {
    return count == 1 ? 0 : static_cast<double>(index) / static_cast<double>(count - 1);
  }
};

struct Place {
  Position hue;
  Position shade;
};

// With few pieces each has its hue. With many, a hue follows one dimension, and the others shade.
Place PlaceOf(const Layout& layout, int64_t shard_index) {
  constexpr int64_t kManyHues = 12;
  Dims cell = layout.CellOfShard(shard_index);
  Position part = {0, layout.optimizer_count()};
  int64_t piece_count = 1;
  size_t main = 0;
  for (size_t d = 0; d < cell.size(); ++d) {
    piece_count *= layout.mesh_count(d);
    if (layout.mesh_count(d) > layout.mesh_count(main)) main = d;
  }
  if (!cell.empty()) {
    part.index = cell[0] % part.count;
    cell[0] /= part.count;
  }
  Place place{.hue = {}, .shade = {}};
  for (size_t d = 0; d < cell.size(); ++d) {
    Position& position = piece_count <= kManyHues || d == main ? place.hue : place.shade;
    position.index = position.index * layout.mesh_count(d) + cell[d];
    position.count *= layout.mesh_count(d);
  }
  place.shade.index = place.shade.index * part.count + part.index;
  place.shade.count *= part.count;
  return place;
}

Lch HueOf(const Position& hue) {
  if (hue.count <= std::ssize(kFirst)) return kFirst[static_cast<size_t>(hue.index)];
  // Around the circle, with a gap between the last and the first.
  const double angle = 250 + 330 * hue.fraction();
  return {.lightness = hue.index % 2 == 0 ? 0.72 : 0.84, .chroma = 0.12, .hue = angle};
}

}  // namespace

Rgb ShardRgb(const Layout& layout, int64_t shard_index) {
  if (layout.shard_count() == 1) return ToRgb(kUncut);
  const Place place = PlaceOf(layout, shard_index);
  Lch color = HueOf(place.hue);
  if (place.shade.count > 1) {
    color.lightness = kLightest - (kLightest - kDarkest) * place.shade.fraction();
    color.chroma = 0.13;
    // The only hue may wander, so that many shades of it stay apart.
    if (place.hue.count == 1) {
      const int64_t shades = place.shade.count;
      color.hue -= (shades <= 4 ? 0 : shades <= 16 ? 50 : 110) * place.shade.fraction();
    }
  }
  return ToRgb(color);
}

std::string ShardColor(const Layout& layout, int64_t shard_index) {
  const Rgb rgb = ShardRgb(layout, shard_index);
  return Format("#{:02x}{:02x}{:02x}", rgb.red, rgb.green, rgb.blue);
}

}  // namespace relayout
