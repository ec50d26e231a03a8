// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/loss_monitor.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "relayout/base/text.h"

namespace relayout {
namespace {

// "25" and 1 for 25 and "2.5e+01", "1" and -5 for 1e-05.
struct Digits {
  std::string digits;
  int exponent = 0;  // Of the first digit.
};

Digits Split(std::string_view scientific) {
  const size_t mark = scientific.find('e');
  Digits split;
  for (const char c : scientific.substr(0, mark)) {
    if (c != '.') split.digits += c;
  }
  split.exponent = std::atoi(std::string(scientific.substr(mark + 1)).c_str());
  return split;
}

std::string Positional(Digits number) {
  std::string& digits = number.digits;
  if (number.exponent < 0) {
    return Format("0.{}{}", std::string(static_cast<size_t>(-number.exponent - 1), '0'), digits);
  }
  const auto whole = static_cast<size_t>(number.exponent) + 1;
  if (digits.size() < whole) digits.append(whole - digits.size(), '0');
  const std::string rest = digits.substr(whole);
  return Format("{}.{}", digits.substr(0, whole), rest.empty() ? "0" : rest);
}

template <typename T>
std::string ShortestDigits(T value) {
  if (!std::isfinite(value)) return Format("{}", value);
  const T size = std::abs(value);
  std::array<char, 64> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), size,
                                 std::chars_format::scientific)
                       .ptr;
  const std::string_view scientific(buffer.data(), static_cast<size_t>(end - buffer.data()));
  const bool is_positional = size == 0 || (1e-4 <= size && size < 1e16);
  return Format("{}{}", std::signbit(value) ? "-" : "",
                is_positional ? Positional(Split(scientific)) : std::string(scientific));
}

}  // namespace

std::string PythonDigits(double value) { return ShortestDigits(value); }
std::string PythonDigits(float value) { return ShortestDigits(value); }

std::string LossLine(const TrainingProgress& progress, LossLineStyle style) {
  if (style == LossLineStyle::kTutorial) {
    return Format("epoch: {}, step: {}, loss is {}", progress.epoch, progress.step_in_epoch,
                  PythonDigits(progress.loss));
  }
  return Format("epoch: {} step: {}, loss is {}", progress.epoch, progress.step_in_epoch,
                PythonDigits(static_cast<double>(progress.loss)));
}

LossMonitor::LossMonitor(Sink sink, int64_t per_print_times, LossLineStyle style)
    : sink_(std::move(sink)), per_print_times_(per_print_times), style_(style) {}

Status LossMonitor::OnBegin(const TrainingView& view) {
  static_cast<void>(view);
  last_print_step_ = 0;
  if (per_print_times_ >= 0) return OkStatus();
  return InvalidInput(
      Format("LossMonitor: per_print_times is {}; it must be 0 or more", per_print_times_));
}

Status LossMonitor::OnStepEnd(const TrainingView& view, const TrainingProgress& progress) {
  static_cast<void>(view);
  if (!std::isfinite(progress.loss)) {
    return InvalidInput(
        Format("epoch {}, step {}: the loss is {}; training ends here, since no "
               "step can lead back; a smaller learning rate may help",
               progress.epoch, progress.step_in_epoch, progress.loss));
  }
  if (per_print_times_ == 0 || progress.step - last_print_step_ < per_print_times_) {
    return OkStatus();
  }
  last_print_step_ = progress.step;
  sink_(LossLine(progress, style_));
  return OkStatus();
}

Status LossRecorder::OnStepEnd(const TrainingView& view, const TrainingProgress& progress) {
  static_cast<void>(view);
  losses_.push_back(progress.loss);
  return OkStatus();
}

std::string LossRecorder::Csv(int64_t first_step) const {
  std::string text = "step,loss\n";
  for (const float loss : losses_) text.append(Format("{},{}\n", first_step++, PythonDigits(loss)));
  return text;
}

}  // namespace relayout
