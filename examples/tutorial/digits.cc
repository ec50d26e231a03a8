// SPDX-License-Identifier: Apache-2.0
#include "examples/tutorial/digits.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "relayout/base/check.h"
#include "relayout/base/philox.h"

namespace relayout {
namespace {

constexpr int64_t kSide = 28;
// Of the box that a digit is drawn into: MNIST has a margin of four pixels, too.
constexpr double kBoxSide = 20;

// Strokes are drawn in a box from (0, 0), the upper left corner, to (1, 1).
struct Point {
  double x = 0;
  double y = 0;
};
using Stroke = std::vector<Point>;

Stroke Joined(Stroke first, const Stroke& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// Part of an ellipse, as a stroke of short lines. Degrees: 0 is right, 90 down.
Stroke Arc(Point center, Point radius, double begin, double end) {
  constexpr int kLineCount = 12;
  Stroke stroke;
  for (int i = 0; i <= kLineCount; ++i) {
    const double angle = (begin + (end - begin) * i / kLineCount) * std::numbers::pi / 180;
    stroke.push_back(
        {center.x + radius.x * std::cos(angle), center.y + radius.y * std::sin(angle)});
  }
  return stroke;
}

using Strokes = std::vector<Stroke>;

std::array<Strokes, 10> AllStrokes() {
  return {{
      {Arc({0.5, 0.5}, {0.3, 0.42}, 0, 360)},
      {{{0.35, 0.25}, {0.55, 0.08}, {0.55, 0.92}}},
      {Joined(Arc({0.5, 0.3}, {0.28, 0.22}, 180, 390), {{0.2, 0.92}, {0.82, 0.92}})},
      {Arc({0.47, 0.3}, {0.27, 0.21}, 200, 450), Arc({0.47, 0.71}, {0.3, 0.21}, -90, 160)},
      {{{0.65, 0.92}, {0.65, 0.08}, {0.18, 0.62}, {0.85, 0.62}}},
      {Joined({{0.78, 0.08}, {0.28, 0.08}, {0.25, 0.45}},
              Arc({0.48, 0.65}, {0.3, 0.26}, -130, 140))},
      {{{0.68, 0.08}, {0.45, 0.25}, {0.28, 0.5}}, Arc({0.5, 0.68}, {0.26, 0.23}, 0, 360)},
      {{{0.18, 0.08}, {0.82, 0.08}, {0.42, 0.92}}},
      {Arc({0.5, 0.28}, {0.23, 0.2}, 0, 360), Arc({0.5, 0.7}, {0.28, 0.22}, 0, 360)},
      {Arc({0.5, 0.32}, {0.26, 0.24}, 0, 360), {{0.76, 0.32}, {0.72, 0.6}, {0.6, 0.92}}},
  }};
}

// The random numbers of one image, one after the other.
class ImageRandom {
 public:
  ImageRandom(uint64_t seed, int64_t image) : key_(PhiloxKeyOf(seed)), image_(image) {}

  // In [0, 1).
  double Unit() {
    if (used_ == words_.size()) {
      const auto low = static_cast<uint32_t>(image_);
      words_ = Philox(key_, {low, static_cast<uint32_t>(image_ >> 32), block_++, 2});
      used_ = 0;
    }
    return words_[used_++] * 0x1p-32;
  }
  double Between(double low, double high) { return low + (high - low) * Unit(); }

 private:
  PhiloxKey key_;
  int64_t image_;
  uint32_t block_ = 0;
  PhiloxWords words_{};
  size_t used_ = words_.size();
};

// From the box of the strokes to pixels.
class Placing {
 public:
  explicit Placing(ImageRandom& random)
      : width_(random.Between(0.65, 1) * kBoxSide),
        height_(random.Between(0.8, 1.1) * kBoxSide),
        slant_(random.Between(-0.3, 0.3)),
        turn_(random.Between(-0.2, 0.2)),
        middle_{kSide / 2.0 + random.Between(-2.5, 2.5), kSide / 2.0 + random.Between(-2.5, 2.5)} {}

  Point At(Point point) const {
    const double y = (point.y - 0.5) * height_;
    const double x = (point.x - 0.5) * width_ - slant_ * y;
    return {middle_.x + std::cos(turn_) * x - std::sin(turn_) * y,
            middle_.y + std::sin(turn_) * x + std::cos(turn_) * y};
  }

 private:
  double width_;
  double height_;
  double slant_;
  double turn_;
  Point middle_;
};

double DistanceToLine(Point p, Point a, Point b) {
  const Point line = {b.x - a.x, b.y - a.y};
  const double square = line.x * line.x + line.y * line.y;
  const double along = square == 0 ? 0 : ((p.x - a.x) * line.x + (p.y - a.y) * line.y) / square;
  const double t = std::clamp(along, 0.0, 1.0);
  return std::hypot(p.x - a.x - t * line.x, p.y - a.y - t * line.y);
}

double DistanceToStrokes(Point p, const Strokes& strokes) {
  double least = kSide;
  for (const Stroke& stroke : strokes) {
    for (size_t i = 1; i < stroke.size(); ++i) {
      least = std::min(least, DistanceToLine(p, stroke[i - 1], stroke[i]));
    }
  }
  return least;
}

// The strokes in pixels, each point a little off where it should be.
Strokes Place(const Strokes& strokes, ImageRandom& random) {
  const Placing placing(random);
  Strokes placed = strokes;
  for (Stroke& stroke : placed) {
    for (Point& point : stroke) {
      point.x += random.Between(-0.025, 0.025);
      point.y += random.Between(-0.025, 0.025);
      point = placing.At(point);
    }
  }
  return placed;
}

void DrawImage(const Strokes& strokes, ImageRandom& random, std::vector<uint8_t>& pixels) {
  const Strokes placed = Place(strokes, random);
  const double pen = random.Between(0.6, 1.5);  // Half its width.
  const double light = random.Between(170, 255);
  const double noise = random.Between(0, 60);
  for (int64_t y = 0; y < kSide; ++y) {
    for (int64_t x = 0; x < kSide; ++x) {
      const Point middle = {static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5};
      const double covered = std::clamp(pen + 0.5 - DistanceToStrokes(middle, placed), 0.0, 1.0);
      // Noise cubed: most pixels have little, a few have much.
      const double grain = std::pow(random.Unit(), 3) * noise;
      pixels.push_back(static_cast<uint8_t>(std::min(covered * light + grain, 255.0)));
    }
  }
}

}  // namespace

Digits DrawDigits(int64_t first, int64_t count, uint64_t seed) {
  RELAYOUT_CHECK(0 <= first && 0 <= count && count <= UINT32_MAX);
  static const std::array<Strokes, 10> kStrokes = AllStrokes();
  Digits digits = {{{count, kSide, kSide}, {}}, {{count}, {}}};
  digits.images.values.reserve(static_cast<size_t>(count * kSide * kSide));
  for (int64_t image = first; image < first + count; ++image) {
    ImageRandom random(seed, image);
    const auto digit = static_cast<uint8_t>(random.Unit() * 10);
    DrawImage(kStrokes[digit], random, digits.images.values);
    digits.labels.values.push_back(digit);
  }
  return digits;
}

}  // namespace relayout
