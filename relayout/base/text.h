// SPDX-License-Identifier: Apache-2.0
//
// Text for people: formatting (std::format's notation), sizes, lists, numbers in names.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace relayout {

// Format("{}: dim {} = {}", name, d, n). The format string is checked at compile time.
template <typename... Args>
std::string Format(fmt::format_string<Args...> format, Args&&... args) {
  return fmt::format(format, std::forward<Args>(args)...);
}

// "1.5 GiB", "256 MiB", "17 B". Binary units, at most one decimal, none for whole numbers.
std::string HumanBytes(int64_t size_bytes);

// Reads "256MiB", "64 MB", "1g", "4096" as a number of bytes; M, MB and MiB all mean 2^20.
// Nothing for anything else, for negative numbers and for more than 2^62.
std::optional<int64_t> ParseBytes(std::string_view text);

// A non-negative decimal number that fills `text` whole ("007" is 7). Nothing for "", signs, blanks
// and numbers beyond int64.
std::optional<int64_t> ParseDecimal(std::string_view text);

// The parts between single blanks, and between newlines; a newline at the end begins no line.
std::vector<std::string_view> SplitWords(std::string_view line);
std::vector<std::string_view> SplitLines(std::string_view text);

// "a, b, c"; after `limit` items "and N more".
std::string JoinLimited(const std::vector<std::string>& items, size_t limit = 8);

// Ranks as short runs: {0,1,2,5} -> "0-2, 5".
std::string RankRuns(const std::vector<int64_t>& ascending_ranks);

// `text` with control characters, quotes and bytes that are not UTF-8 made visible, so that a name
// from a hostile file cannot draw on a terminal; cut after 200 characters.
std::string Printable(std::string_view text);

// True if `text` is well-formed UTF-8.
bool IsUtf8(std::string_view text);

// "1 file", "2 files".
std::string Count(int64_t count, std::string_view singular);

}  // namespace relayout
