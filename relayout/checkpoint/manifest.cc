// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/manifest.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <vector>

#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr std::string_view kFirstLine = "relayout manifest 1";
constexpr int64_t kMaxRecordBytes = int64_t{16} << 20;
constexpr int64_t kSampleCount = 32;
constexpr int64_t kSampleBytes = 512;

// "file NAME SIZE HASH"; the name may hold blanks.
Status ParseFileLine(std::string_view line, ManifestRecord& record) {
  const size_t hash = line.rfind(' ');
  const size_t size = hash == std::string_view::npos ? hash : line.rfind(' ', hash - 1);
  const size_t name = line.find(' ');
  if (size == std::string_view::npos || size <= name) {
    return InvalidInput("a manifest with a broken file line");
  }
  const auto size_bytes = ParseDecimal(line.substr(size + 1, hash - size - 1));
  const auto content_hash = ParseHash128(line.substr(hash + 1));
  if (!size_bytes || !content_hash) return InvalidInput("a manifest with a broken file line");
  record.file_name = line.substr(name + 1, size - name - 1);
  record.size_bytes = *size_bytes;
  record.content_hash = *content_hash;
  return OkStatus();
}

}  // namespace

bool IsSameGeneration(const Generation& a, const Generation& b) {
  return DescribeDifference(a, b).empty();
}

std::string DescribeDifference(const Generation& a, const Generation& b) {
  if (a.source_strategy != b.source_strategy) return "the source strategy";
  if (a.target_strategy != b.target_strategy) return "the target strategy";
  if (a.options != b.options) return "the options that shape the output";
  for (const auto& [rank, fingerprint] : a.source_of_rank) {
    const auto other = b.source_of_rank.find(rank);
    if (other != b.source_of_rank.end() && other->second != fingerprint) {
      return Format("the source file of rank {}", rank);
    }
  }
  return "";
}

std::string StateDirectory(const std::string& directory) {
  return JoinPath(directory, ".relayout");
}

std::string RecordPath(const std::string& directory, int64_t rank) {
  return JoinPath(StateDirectory(directory), Format("rank_{}", rank));
}

std::string SerializeGeneration(const Generation& generation) {
  std::string text =
      Format("source_strategy {}\ntarget_strategy {}\noptions {}\n", generation.source_strategy,
             generation.target_strategy, generation.options);
  for (const auto& [rank, fingerprint] : generation.source_of_rank) {
    text += Format("source {} {}\n", rank, fingerprint);
  }
  return text;
}

Result<bool> ParseGenerationLine(std::string_view line, Generation& generation) {
  const std::vector<std::string_view> words = SplitWords(line);
  if (words.size() == 2 && words[0] == "source_strategy") {
    generation.source_strategy = words[1];
  } else if (words.size() == 2 && words[0] == "target_strategy") {
    generation.target_strategy = words[1];
  } else if (words.size() == 2 && words[0] == "options") {
    generation.options = words[1];
  } else if (words.size() == 3 && words[0] == "source") {
    const auto rank = ParseDecimal(words[1]);
    if (!rank) return InvalidInput("a manifest names an impossible rank");
    generation.source_of_rank[*rank] = words[2];
  } else {
    return false;
  }
  return true;
}

std::string SerializeRecord(const ManifestRecord& record) {
  return Format("{}\n{}ranks {}\nfile {} {} {}\n", kFirstLine,
                SerializeGeneration(record.generation), record.rank_count, record.file_name,
                record.size_bytes, ToHex(record.content_hash));
}

Result<ManifestRecord> ParseRecord(std::string_view text) {
  const std::vector<std::string_view> lines = SplitLines(text);
  if (lines.empty() || lines[0] != kFirstLine) {
    return InvalidInput("not a manifest of this version of relayout");
  }
  ManifestRecord record;
  for (size_t i = 1; i < lines.size(); ++i) {
    RELAYOUT_ASSIGN_OR_RETURN(const bool done, ParseGenerationLine(lines[i], record.generation));
    if (done) continue;
    if (lines[i].starts_with("ranks ")) {
      record.rank_count = ParseDecimal(lines[i].substr(6)).value_or(0);
    } else if (lines[i].starts_with("file ")) {
      RELAYOUT_RETURN_IF_ERROR(ParseFileLine(lines[i], record));
    }
  }
  if (record.generation.options.empty() || record.rank_count < 1 || record.file_name.empty() ||
      !text.ends_with('\n')) {
    return InvalidInput("a manifest that is not whole");
  }
  return record;
}

Result<ManifestRecord> ReadRecord(FileSystem& fs, const std::string& directory, int64_t rank) {
  const std::string path = RecordPath(directory, rank);
  RELAYOUT_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(fs, path, kMaxRecordBytes));
  auto record = ParseRecord(text);
  if (!record.ok()) return record.status().WithContext(path);
  return record;
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
