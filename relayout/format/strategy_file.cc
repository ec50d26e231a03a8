// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/strategy_file.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/format/mindspore/strategy_json.h"
#include "relayout/format/mindspore/strategy_protobuf.h"
#include "relayout/format/mindspore/strategy_record.h"

namespace relayout {
namespace {

constexpr int64_t kMaxProtobufBytes = int64_t{1} << 30;
constexpr int64_t kMaxJsonBytes = int64_t{256} << 20;

Status CheckSize(const ReadableFile& file, int64_t limit_bytes) {
  if (file.size_bytes() == 0) return InvalidInput("the strategy file is empty");
  if (file.size_bytes() <= limit_bytes) return OkStatus();
  return InvalidInput(Format("{} is too large for a strategy file; at most {} are accepted",
                             HumanBytes(file.size_bytes()), HumanBytes(limit_bytes)));
}

// The first bytes of a file.
Result<std::string> ReadStart(const ReadableFile& file) {
  std::string start(static_cast<size_t>(std::min<int64_t>(64, file.size_bytes())), '\0');
  RELAYOUT_RETURN_IF_ERROR(file.ReadAt(0, std::as_writable_bytes(std::span(start))));
  return start;
}

bool LooksLikeJson(std::string_view start) {
  const size_t first = start.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && start[first] == '{';
}

Result<StrategyRecords> ParseJson(const ReadableFile& file) {
  RELAYOUT_RETURN_IF_ERROR(CheckSize(file, kMaxJsonBytes));
  RELAYOUT_ASSIGN_OR_RETURN(const std::string start, ReadStart(file));
  if (LooksLikeJson(start)) return ParseStrategyJson(file);
  return InvalidInput(
      "expected JSON text, which begins with {; if this is a protobuf strategy, rename it to end "
      "in "
      ".ckpt");
}

// What a file that is no protobuf strategy may be, for the end of an error.
std::string_view Hint(std::string_view start) {
  if (LooksLikeJson(start)) return "; this looks like JSON text: rename it to end in .json";
  if (start[0] == '\x0A') return "; this looks like a checkpoint, not like a strategy file";
  return "";
}

Result<StrategyRecords> ParseProtobuf(const ReadableFile& file) {
  RELAYOUT_RETURN_IF_ERROR(CheckSize(file, kMaxProtobufBytes));
  Result<StrategyRecords> records = ParseStrategyProtobuf(file);
  const Status status = records.status();
  if (status.code() != StatusCode::kInvalidInput) return records;
  RELAYOUT_ASSIGN_OR_RETURN(const std::string start, ReadStart(file));
  return InvalidInput(status.message() + std::string(Hint(start)));
}

Result<StrategyRecords> Read(const ReadableFile& file, const std::string& path) {
  return std::string_view(path).ends_with(".json") ? ParseJson(file) : ParseProtobuf(file);
}

}  // namespace

Result<StrategyFile> ReadStrategyFile(FileSystem& fs, const std::string& path) {
  RELAYOUT_ASSIGN_OR_RETURN(StrategyRecords records, ReadStrategyRecords(fs, path));
  auto strategy = ToStrategyFile(std::move(records));
  if (!strategy.ok()) return strategy.status().WithContext(path);
  return strategy;
}

Result<StrategyRecords> ReadStrategyRecords(FileSystem& fs, const std::string& path) {
  RELAYOUT_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, fs.OpenForRead(path));
  auto records = Read(*file, path);
  if (!records.ok()) return records.status().WithContext(path);
  return records;
}

StrategyFile MergedStages(std::vector<StrategyFile> stage_files) {
  StrategyFile merged;
  merged.merged = true;
  merged.current_stage = 1;
  for (StrategyFile& file : stage_files) {
    const int64_t stage = std::ssize(merged.stages);
    StageStrategy layouts = std::move(file.stages[0].layouts);
    if (layouts.parameters.empty() && file.operators.empty()) {
      merged.operators.push_back(
          {.name = Format("stage_{}_without_parameters", stage), .stage = stage, .strategy = {}});
    }
    for (StrategyFile::Operator& op : file.operators) {
      op.stage = stage;
      merged.operators.push_back(std::move(op));
    }
    merged.stages.push_back({.stage = stage, .layouts = std::move(layouts)});
  }
  return merged;
}

std::string SerializeStrategyProtobuf(const StrategyFile& file) {
  return WriteStrategyProtobuf(ToRecords(file));
}

std::string SerializeStrategyJson(const StrategyFile& file) {
  return WriteStrategyJson(ToRecords(file));
}

}  // namespace relayout
