// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/checkpoint_policy.h"

#include <algorithm>
#include <cctype>
#include <numeric>

#include "relayout/base/text.h"
#include "relayout/format/checkpoint_file.h"

namespace relayout {
namespace {

constexpr double kSecond = 1e9;
constexpr double kMinute = 60 * kSecond;
// What a process that broke off leaves in MindSpore; it counts as no training.
constexpr std::string_view kBreakpoint = "_breakpoint.ckpt";

Status CheckNotNegative(std::string_view name, int64_t value) {
  if (value >= 0) return OkStatus();
  return InvalidInput(Format("CheckpointConfig: {} is {}; it must be 0 or more", name, value));
}

Status CheckNumbers(const CheckpointConfig& config) {
  RELAYOUT_RETURN_IF_ERROR(CheckNotNegative("save_checkpoint_steps", config.save_checkpoint_steps));
  RELAYOUT_RETURN_IF_ERROR(
      CheckNotNegative("save_checkpoint_seconds", config.save_checkpoint_seconds));
  RELAYOUT_RETURN_IF_ERROR(CheckNotNegative("keep_checkpoint_max", config.keep_checkpoint_max));
  RELAYOUT_RETURN_IF_ERROR(
      CheckNotNegative("keep_checkpoint_per_n_minutes", config.keep_checkpoint_per_n_minutes));
  if (config.save_checkpoint_steps == 0 && config.save_checkpoint_seconds == 0 &&
      config.keep_checkpoint_max == 0 && config.keep_checkpoint_per_n_minutes == 0) {
    return InvalidInput(
        "CheckpointConfig: save_checkpoint_steps, save_checkpoint_seconds, keep_checkpoint_max and "
        "keep_checkpoint_per_n_minutes are all 0; say when to save");
  }
  return OkStatus();
}

// What the file name "net_4-1_8.ckpt" tells of the next training's suffix: 5.
int64_t NextSuffixOf(std::string_view file_name, std::string_view prefix) {
  if (!FormatOfName(file_name) || file_name.ends_with(kBreakpoint)) return 0;
  if (!file_name.starts_with(prefix)) return 0;
  const std::string_view rest = file_name.substr(prefix.size());
  const size_t dash = rest.find('-');
  if (dash == std::string_view::npos) return 0;
  if (dash == 0) return 1;
  // One character, the underline, and a number.
  const auto number = ParseDecimal(rest.substr(1, dash - 1));
  const bool is_longer_name = std::isalpha(static_cast<unsigned char>(rest[0])) != 0;
  return number && !is_longer_name ? *number + 1 : 0;
}

std::vector<size_t> Range(size_t begin, size_t end) {
  std::vector<size_t> positions(end - begin);
  std::iota(positions.begin(), positions.end(), begin);
  return positions;
}

}  // namespace

Result<CheckpointConfig> Normalized(CheckpointConfig config) {
  RELAYOUT_RETURN_IF_ERROR(CheckNumbers(config));
  if (config.save_checkpoint_steps > 0) config.save_checkpoint_seconds = 0;
  if (config.keep_checkpoint_max > 0) config.keep_checkpoint_per_n_minutes = 0;
  if (config.keep_checkpoint_per_n_minutes == 0 && config.keep_checkpoint_max == 0) {
    config.keep_checkpoint_max = 1;
  }
  return config;
}

Status CheckPrefix(std::string_view prefix) {
  if (prefix.find('/') == std::string_view::npos) return OkStatus();
  return InvalidInput(
      Format("ModelCheckpoint: the prefix \"{}\" holds a '/'; folders belong into the directory",
             Printable(prefix)));
}

int64_t NextSuffix(const std::vector<std::string>& file_names, std::string_view prefix) {
  int64_t suffix = 0;
  for (const std::string& name : file_names) suffix = std::max(suffix, NextSuffixOf(name, prefix));
  return suffix;
}

std::string WithSuffix(std::string_view prefix, int64_t suffix) {
  return suffix == 0 ? std::string(prefix) : Format("{}_{}", prefix, suffix);
}

std::string CheckpointFileName(std::string_view prefix, const TrainingProgress& progress,
                               FileFormat format) {
  return Format("{}-{}_{}{}", prefix, progress.epoch, progress.step_in_epoch, Extension(format));
}

bool SaveIsDue(const CheckpointConfig& config, int64_t step, int64_t last_saved_step,
               const SaveClock& clock, bool is_end) {
  if (step == last_saved_step) return false;
  if (config.save_checkpoint_steps > 0) {
    return is_end || step - last_saved_step >= config.save_checkpoint_steps;
  }
  if (config.save_checkpoint_seconds == 0) return false;
  const auto waited_ns = static_cast<double>(clock.now_ns - clock.last_save_ns);
  return is_end || waited_ns > static_cast<double>(config.save_checkpoint_seconds) * kSecond;
}

std::vector<size_t> FilesToRemove(const CheckpointConfig& config, std::span<const int64_t> saved_ns,
                                  const SaveClock& clock) {
  const auto count = std::ssize(saved_ns);
  if (config.keep_checkpoint_max > 0) {
    const int64_t surplus = std::max(count + 1 - config.keep_checkpoint_max, int64_t{0});
    return Range(0, static_cast<size_t>(std::min(surplus, count)));
  }
  const double window_ns = static_cast<double>(config.keep_checkpoint_per_n_minutes) * kMinute;
  const auto is_recent = [&](int64_t ns) {
    return static_cast<double>(clock.now_ns - ns) < window_ns;
  };
  if (!is_recent(clock.last_save_ns)) return {};
  const auto first = std::find_if(saved_ns.begin(), saved_ns.end(), is_recent);
  if (first == saved_ns.end()) return {};
  return Range(static_cast<size_t>(first - saved_ns.begin()) + 1, saved_ns.size());
}

}  // namespace relayout
