// SPDX-License-Identifier: Apache-2.0
#include "relayout/exec/journal.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr std::string_view kFirstWords = "relayout journal 1 ";
constexpr int64_t kMaxJournalBytes = int64_t{1} << 30;

std::string LineHash(std::string_view line) {
  return Format("{:016x}", Hash64(std::as_bytes(std::span(line))));
}

// The line without its hash; nothing when they disagree.
std::optional<std::string_view> Believed(std::string_view line) {
  const size_t blank = line.rfind(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  const std::string_view content = line.substr(0, blank);
  if (line.substr(blank + 1) != LineHash(content)) return std::nullopt;
  return content;
}

std::string ToText(const FileContribution& file) {
  std::string text = Format(" {}:{}:", file.rank, ToHex(file.sum));
  for (size_t i = 0; i < file.torn_blocks.size(); ++i) {
    const TornBlock& torn = file.torn_blocks[i];
    text += Format("{}{}.{}", i == 0 ? "" : ",", torn.job_index, torn.block);
  }
  return text;
}

std::optional<std::vector<TornBlock>> ParseTornBlocks(std::string_view text) {
  std::vector<TornBlock> blocks;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    const size_t dot = item.find('.');
    if (dot == std::string_view::npos) return std::nullopt;
    const auto job = ParseDecimal(item.substr(0, dot));
    const auto block = ParseDecimal(item.substr(dot + 1));
    if (!job || !block) return std::nullopt;
    blocks.push_back({.job_index = *job, .block = *block});
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return blocks;
}

std::optional<FileContribution> ParseFile(std::string_view word) {
  const size_t first = word.find(':');
  const size_t second = first == std::string_view::npos ? first : word.find(':', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const auto rank = ParseDecimal(word.substr(0, first));
  const auto sum = ParseHash128(word.substr(first + 1, second - first - 1));
  auto torn = ParseTornBlocks(word.substr(second + 1));
  if (!rank || !sum || !torn) return std::nullopt;
  return FileContribution{.rank = *rank, .sum = *sum, .torn_blocks = std::move(*torn)};
}

std::optional<ChunkResult> ParseChunk(const std::vector<std::string_view>& words) {
  if (words.size() < 4) return std::nullopt;
  const auto chunk = ParseDecimal(words[1]);
  const auto read = ParseDecimal(words[2]);
  const auto written = ParseDecimal(words[3]);
  if (!chunk || !read || !written) return std::nullopt;
  ChunkResult result{.chunk = *chunk, .read_bytes = *read, .written_bytes = *written, .files = {}};
  for (size_t i = 4; i < words.size(); ++i) {
    auto file = ParseFile(words[i]);
    if (!file) return std::nullopt;
    result.files.push_back(std::move(*file));
  }
  return result;
}

}  // namespace

Result<std::unique_ptr<Journal>> Journal::Create(FileSystem& fs, const std::string& path,
                                                 int64_t reserved_bytes, bool sync) {
  RELAYOUT_ASSIGN_OR_RETURN(auto file, fs.CreateForWrite(path, reserved_bytes));
  std::unique_ptr<Journal> journal(new Journal(std::move(file), sync));
  RELAYOUT_RETURN_IF_ERROR(journal->AppendLine(Format("{}{}", kFirstWords, fs.Incarnation())));
  if (sync) RELAYOUT_RETURN_IF_ERROR(fs.SyncDirectory(ParentPath(path)));
  return journal;
}

Status Journal::AppendLine(std::string line) {
  line += Format(" {}\n", LineHash(line));
  RELAYOUT_RETURN_IF_ERROR(file_->WriteAt(size_bytes_, std::as_bytes(std::span(line))));
  size_bytes_ += std::ssize(line);
  return OkStatus();
}

Status Journal::Append(const ChunkResult& result) {
  std::string line =
      Format("chunk {} {} {}", result.chunk, result.read_bytes, result.written_bytes);
  for (const FileContribution& file : result.files) line += ToText(file);
  return AppendLine(std::move(line));
}

Status Journal::MarkSynced(int64_t chunk_count) {
  if (!sync_) return OkStatus();
  RELAYOUT_RETURN_IF_ERROR(AppendLine(Format("synced {}", chunk_count)));
  return file_->Sync();
}

Result<std::vector<ChunkResult>> ReadJournal(FileSystem& fs, const std::string& path,
                                             const std::vector<std::string>& incarnations) {
  RELAYOUT_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(fs, path, kMaxJournalBytes));
  std::vector<ChunkResult> chunks;
  size_t durable_count = 0;
  bool is_present = false;
  bool is_first = true;
  for (const std::string_view line : SplitLines(text)) {
    const auto content = Believed(line);
    if (!content || content->starts_with(kFirstWords) != is_first) break;
    const std::vector<std::string_view> words = SplitWords(*content);
    if (is_first) {
      const std::string_view incarnation = content->substr(kFirstWords.size());
      is_present = !incarnation.empty() && std::find(incarnations.begin(), incarnations.end(),
                                                     incarnation) != incarnations.end();
    } else if (words[0] == "synced" && words.size() == 2) {
      durable_count = static_cast<size_t>(ParseDecimal(words[1]).value_or(0));
    } else if (auto chunk = ParseChunk(words)) {
      chunks.push_back(std::move(*chunk));
    } else {
      break;
    }
    is_first = false;
  }
  if (!is_present) chunks.resize(std::min(chunks.size(), durable_count));
  return chunks;
}

}  // namespace relayout
