// SPDX-License-Identifier: Apache-2.0
#include "relayout/draw/loss_curve.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string_view>

#include "relayout/base/text.h"
#include "relayout/draw/markup.h"

namespace relayout {
namespace {

constexpr double kWidth = 720;
constexpr double kHeight = 360;
constexpr double kLeft = 56;
constexpr double kRight = 16;
constexpr double kTop = 40;
constexpr double kBottom = 48;
constexpr std::array<std::string_view, 4> kColors = {"#2f6fba", "#d1772b", "#3c8a4e", "#8b5bb5"};

// Round numbers, about `count` of them, from 0 to beyond `largest`: 0, 0.5, 1, ...
double TickStep(double largest, int count) {
  if (!(largest > 0)) return 1;
  const double rough = largest / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

std::string Tenths(double value) { return Format("{:g}", std::round(value * 10) / 10); }

class Curve {
 public:
  Curve(const std::vector<LossCurvePart>& parts, const LossCurveOptions& options)
      : parts_(parts), options_(options) {
    for (const LossCurvePart& part : parts) {
      step_count_ += part.losses.size();
      for (const float loss : part.losses) {
        if (std::isfinite(loss)) largest_ = std::max(largest_, static_cast<double>(loss));
      }
    }
    y_step_ = TickStep(largest_, 5);
    y_end_ = std::max(y_step_, std::ceil(largest_ / y_step_) * y_step_);
  }

  std::string Draw() {
    out_ =
        Format(R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" )", kWidth, kHeight);
    out_ += Format(R"(width="{}" height="{}" role="img" font-family="sans-serif" font-size="12">)",
                   kWidth, kHeight);
    out_ += Format("<title>{}</title><desc>{}</desc>\n", EscapeMarkup(Title()),
                   EscapeMarkup(Description()));
    Text(kLeft, 20, "start", Title(), R"( font-weight="bold")");
    DrawAxes();
    DrawParts();
    return out_ + "</svg>\n";
  }

 private:
  std::string Title() const { return options_.title.empty() ? "Loss" : options_.title; }
  std::string Description() const {
    std::string text;
    for (const LossCurvePart& part : parts_) {
      if (part.losses.empty()) continue;
      text += Format("{}{}: {}, {} {:.4g} to {:.4g}", text.empty() ? "" : "; ", part.label,
                     Count(std::ssize(part.losses), "step"), options_.y_label, part.losses.front(),
                     part.losses.back());
    }
    return text;
  }

  // Steps count from 1; a single one is in the middle.
  double X(size_t step) const {
    const double last = std::max<double>(static_cast<double>(step_count_), 2);
    return kLeft + (static_cast<double>(step) - 1) / (last - 1) * (kWidth - kLeft - kRight);
  }
  double Y(double loss) const {
    return kHeight - kBottom - loss / y_end_ * (kHeight - kTop - kBottom);
  }

  void Text(double x, double y, std::string_view anchor, const std::string& text,
            std::string_view more = "") {
    out_ += Format(R"(<text x="{}" y="{}" text-anchor="{}" fill="currentColor"{}>{}</text>)",
                   Tenths(x), Tenths(y), anchor, more, EscapeMarkup(text));
    out_ += '\n';
  }
  void Line(double x1, double y1, double x2, double y2, std::string_view more) {
    out_ += Format(R"(<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="currentColor"{}/>)", Tenths(x1),
                   Tenths(y1), Tenths(x2), Tenths(y2), more);
    out_ += '\n';
  }

  void DrawAxes() {
    for (int i = 0; i * y_step_ <= y_end_ * 1.0001; ++i) {
      const double y = Y(i * y_step_);
      Line(kLeft, y, kWidth - kRight, y, R"( stroke-opacity="0.15")");
      Text(kLeft - 6, y + 4, "end", Format("{:g}", i * y_step_));
    }
    const double step = std::max(1.0, TickStep(static_cast<double>(step_count_), 8));
    for (double at = step; at <= static_cast<double>(step_count_); at += step) {
      Text(X(static_cast<size_t>(at)), kHeight - kBottom + 18, "middle", Format("{:g}", at));
    }
    Line(kLeft, kHeight - kBottom, kWidth - kRight, kHeight - kBottom, "");
    Text(kWidth - kRight, kHeight - 10, "end", options_.x_label);
    Text(kLeft - 6, kTop - 12, "end", options_.y_label);
  }

  void DrawParts() {
    size_t first = 1;
    for (size_t i = 0; i < parts_.size(); ++i) {
      const std::string_view color = kColors[i % kColors.size()];
      if (i > 0) Line(X(first), kTop, X(first), kHeight - kBottom, R"( stroke-dasharray="4 4")");
      // From the last point of the part before, so that the curve is one.
      if (i > 0 && first > 1 && !parts_[i].losses.empty() && !parts_[i - 1].losses.empty()) {
        DrawPoints({parts_[i - 1].losses.back(), parts_[i].losses.front()}, first - 1, color);
      }
      DrawPoints(parts_[i].losses, first, color);
      out_ += Format(R"(<rect x="{}" y="{}" width="12" height="12" fill="{}"/>)", kWidth - 220,
                     12 + 18 * static_cast<int>(i), color);
      Text(kWidth - 202, 22 + 18 * static_cast<int>(i), "start", parts_[i].label);
      first += parts_[i].losses.size();
    }
  }

  void DrawPoints(const std::vector<float>& losses, size_t first, std::string_view color) {
    std::string points;
    const auto flush = [&] {
      if (!points.empty()) {
        out_ += Format(
            R"(<polyline fill="none" stroke="{}" stroke-width="1.5" stroke-linejoin="round" points="{}"/>)",
            color, points);
        out_ += '\n';
      }
      points.clear();
    };
    for (size_t i = 0; i < losses.size(); ++i) {
      if (!std::isfinite(losses[i])) {
        flush();
        continue;
      }
      points += Format("{}{},{}", points.empty() ? "" : " ", Tenths(X(first + i)),
                       Tenths(Y(static_cast<double>(losses[i]))));
    }
    flush();
  }

  const std::vector<LossCurvePart>& parts_;
  const LossCurveOptions& options_;
  size_t step_count_ = 0;
  double largest_ = 0;
  double y_step_ = 1;
  double y_end_ = 1;
  std::string out_;
};

}  // namespace

std::string LossCurveSvg(const std::vector<LossCurvePart>& parts, const LossCurveOptions& options) {
  return Curve(parts, options).Draw();
}

}  // namespace relayout
