// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/generation.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "relayout/base/hash.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr std::string_view kFirstLine = "relayout generation 1";
constexpr int64_t kSampleCount = 32;
constexpr int64_t kSampleBytes = 512;

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const size_t blank = line.find(' ');
    words.push_back(line.substr(0, blank));
    line.remove_prefix(blank == std::string_view::npos ? line.size() : blank + 1);
  }
  return words;
}

}  // namespace

bool IsSameGeneration(const Generation& a, const Generation& b) {
  if (a.request != b.request) return false;
  return std::all_of(a.source_of_rank.begin(), a.source_of_rank.end(), [&](const auto& entry) {
    const auto other = b.source_of_rank.find(entry.first);
    return other == b.source_of_rank.end() || other->second == entry.second;
  });
}

std::string SerializeGeneration(const Generation& generation, std::string_view file_name,
                                int64_t file_size_bytes) {
  std::string text = Format("{}\nrequest {}\n", kFirstLine, generation.request);
  for (const auto& [rank, fingerprint] : generation.source_of_rank) {
    text += Format("source {} {}\n", rank, fingerprint);
  }
  return text + Format("file {} {}\n", file_name, file_size_bytes);
}

Result<Generation> ParseGeneration(std::string_view text) {
  Generation generation;
  bool first = true;
  while (!text.empty()) {
    const size_t newline = text.find('\n');
    const std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    if (first && line != kFirstLine) return InvalidInput("not a generation record of this version");
    first = false;
    const std::vector<std::string_view> words = Words(line);
    if (words.size() == 2 && words[0] == "request") generation.request = words[1];
    if (words.size() == 3 && words[0] == "source") {
      const auto rank = ParseDecimal(words[1]);
      if (!rank) return InvalidInput("a generation record names an impossible rank");
      generation.source_of_rank[*rank] = words[2];
    }
  }
  if (generation.request.empty()) return InvalidInput("a generation record without a request");
  return generation;
}

Result<std::string> FingerprintFile(const ReadableFile& file) {
  const int64_t size = file.size_bytes();
  StreamHash hash;
  hash.Update(std::as_bytes(std::span(&size, 1)));
  std::array<std::byte, kSampleBytes> sample{};
  const int64_t last = std::max<int64_t>(0, size - kSampleBytes);
  for (int64_t i = 0; i < kSampleCount; ++i) {
    const int64_t offset =
        last / (kSampleCount - 1) * i + last % (kSampleCount - 1) * i / (kSampleCount - 1);
    const auto bytes =
        std::span(sample).first(static_cast<size_t>(std::min(kSampleBytes, size - offset)));
    RELAYOUT_RETURN_IF_ERROR(file.ReadAt(offset, bytes));
    hash.Update(bytes);
  }
  return ToHex(hash.Digest());
}

}  // namespace relayout
