// SPDX-License-Identifier: Apache-2.0
#include "relayout/base/text.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <limits>

#include "relayout/base/checked_math.h"

namespace relayout {
namespace {

// The length of the well-formed UTF-8 sequence at the start of `text`, or 0.
size_t Utf8SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates and values beyond U+10FFFF.
  const bool bad_second = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F) ||
                          (lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F);
  return bad_second ? 0 : length;
}

std::optional<int64_t> UnitFactor(std::string_view unit) {
  std::string lower;
  for (const char c : unit) {
    if (c != ' ') lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  if (lower.empty() || lower == "b") return 1;
  static constexpr std::string_view kPrefixes = "kmgt";
  const size_t power = kPrefixes.find(lower[0]);
  const std::string rest = lower.substr(1);
  if (power == std::string_view::npos || (!rest.empty() && rest != "b" && rest != "ib")) {
    return std::nullopt;
  }
  return int64_t{1} << (10 * (power + 1));
}

std::vector<std::string_view> SplitAt(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return parts;
}

}  // namespace

std::string HumanBytes(int64_t size_bytes) {
  static constexpr std::array<const char*, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double amount = static_cast<double>(size_bytes);
  size_t unit = 0;
  while (amount >= 1024 && unit + 1 < kUnits.size()) {
    amount /= 1024;
    ++unit;
  }
  const bool whole = amount == static_cast<double>(static_cast<int64_t>(amount)) || amount >= 100;
  return whole ? fmt::format("{:.0f} {}", amount, kUnits[unit])
               : fmt::format("{:.1f} {}", amount, kUnits[unit]);
}

std::optional<int64_t> ParseDecimal(std::string_view text) {
  if (text.empty()) return std::nullopt;
  int64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto shifted = CheckedMul(number, 10);
    const auto sum = shifted ? CheckedAdd(*shifted, c - '0') : std::nullopt;
    if (!sum) return std::nullopt;
    number = *sum;
  }
  return number;
}

std::optional<int64_t> ParseBytes(std::string_view text) {
  const size_t digits = text.find_first_not_of("0123456789");
  const auto number = ParseDecimal(text.substr(0, digits));
  const auto factor = UnitFactor(digits == std::string_view::npos ? "" : text.substr(digits));
  if (!number || !factor) return std::nullopt;
  const auto size = CheckedMul(*number, *factor);
  if (!size || *size > (int64_t{1} << 62)) return std::nullopt;
  return size;
}

std::vector<std::string_view> SplitWords(std::string_view line) { return SplitAt(line, ' '); }

std::vector<std::string_view> SplitLines(std::string_view text) { return SplitAt(text, '\n'); }

std::string JoinLimited(const std::vector<std::string>& items, size_t limit) {
  std::string joined;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i == limit) return joined + fmt::format(" and {} more", items.size() - limit);
    joined += (i == 0 ? "" : ", ") + items[i];
  }
  return joined;
}

std::string RankRuns(const std::vector<int64_t>& ascending_ranks) {
  std::string text;
  for (size_t i = 0; i < ascending_ranks.size();) {
    size_t last = i;
    while (last + 1 < ascending_ranks.size() &&
           ascending_ranks[last + 1] == ascending_ranks[last] + 1) {
      ++last;
    }
    text += fmt::format("{}{}", text.empty() ? "" : ", ", ascending_ranks[i]);
    if (last > i) text += fmt::format("{}{}", last == i + 1 ? ", " : "-", ascending_ranks[last]);
    i = last + 1;
  }
  return text;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = Utf8SequenceLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string Printable(std::string_view text) {
  constexpr size_t kLimit = 200;
  std::string printable;
  size_t written = 0;
  while (!text.empty() && written < kLimit) {
    const size_t length = Utf8SequenceLength(text);
    const auto byte = static_cast<unsigned char>(text[0]);
    if (length == 0 || byte < 0x20 || byte == 0x7F) {
      printable += fmt::format("\\x{:02x}", byte);
      text.remove_prefix(1);
    } else {
      printable += text.substr(0, length);
      text.remove_prefix(length);
    }
    ++written;
  }
  return text.empty() ? printable : printable + "...";
}

std::string Count(int64_t count, std::string_view singular) {
  return fmt::format("{} {}{}", count, singular, count == 1 ? "" : "s");
}

}  // namespace relayout
