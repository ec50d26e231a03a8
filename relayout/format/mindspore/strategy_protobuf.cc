// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/mindspore/strategy_protobuf.h"

#include <limits>
#include <string_view>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/format/mindspore/wire.h"
#include "relayout/format/value_name.h"

namespace relayout {
namespace {

constexpr int64_t kWindowBytes = int64_t{64} << 10;

// ParallelStrategyMap
constexpr int kCurrentStage = 1;
constexpr int kStrategyItem = 2;
constexpr int kLayoutItem = 3;
// ParallelStrategyItem and ParallelLayoutItem
constexpr int kItemName = 1;
constexpr int kItemBody = 2;
// ParallelStrategys
constexpr int kStage = 1;
constexpr int kStrategy = 2;
// ParallelLayouts
constexpr int kDevMatrix = 1;
constexpr int kTensorMap = 2;
constexpr int kParamSplitShape = 3;
constexpr int kIndicesOffset = 4;
constexpr int kField = 5;
constexpr int kOptStep = 6;
constexpr int kOptSize = 7;
// Every list of numbers
constexpr int kDim = 1;

Result<int64_t> ReadUint32(const WireField& field, std::string_view name) {
  RELAYOUT_RETURN_IF_ERROR(ExpectType(field, WireType::kVarint, name));
  if (field.varint > std::numeric_limits<uint32_t>::max()) {
    return InvalidInput(
        Format("the {} at byte {} is {}, beyond 32 bits", name, field.offset_bytes, field.varint));
  }
  return static_cast<int64_t>(field.varint);
}

// int32 is sign-extended to 64 bits; some writers leave it at 32.
bool ToInt32(int64_t& value) {
  if (value > std::numeric_limits<int32_t>::max() &&
      value <= std::numeric_limits<uint32_t>::max()) {
    value -= int64_t{1} << 32;
  }
  return value >= std::numeric_limits<int32_t>::min() &&
         value <= std::numeric_limits<int32_t>::max();
}

Result<int64_t> ReadInt32(const WireField& field, std::string_view name) {
  RELAYOUT_RETURN_IF_ERROR(ExpectType(field, WireType::kVarint, name));
  auto value = static_cast<int64_t>(field.varint);
  if (ToInt32(value)) return value;
  return InvalidInput(
      Format("the {} at byte {} is {}, beyond 32 bits", name, field.offset_bytes, value));
}

// A message that is one list of numbers.
Result<std::vector<int64_t>> ReadNumbers(WireWindow& window, const WireField& message,
                                         std::string_view name, size_t limit) {
  RELAYOUT_RETURN_IF_ERROR(ExpectType(message, WireType::kLength, name));
  std::vector<int64_t> numbers;
  WireCursor cursor(window, message.payload, name);
  for (WireField field;;) {
    RELAYOUT_ASSIGN_OR_RETURN(const bool more, cursor.Next(field));
    if (!more) return numbers;
    if (field.number != kDim) continue;
    RELAYOUT_RETURN_IF_ERROR(AppendIntegers(window, field, name, limit, numbers));
  }
}

// A named item whose body is still to be parsed, so that errors in it can give the name.
struct Item {
  std::string name;
  WireField body;
};

Result<Item> ReadItem(WireWindow& window, const WireField& message, std::string_view what) {
  RELAYOUT_RETURN_IF_ERROR(ExpectType(message, WireType::kLength, what));
  Item item;
  FieldsSeen seen;
  WireCursor cursor(window, message.payload, what);
  for (WireField field;;) {
    RELAYOUT_ASSIGN_OR_RETURN(const bool more, cursor.Next(field));
    if (!more) break;
    if (field.number == kItemName) {
      RELAYOUT_RETURN_IF_ERROR(seen.Add(field, "name"));
      RELAYOUT_ASSIGN_OR_RETURN(item.name, ReadText(window, field, "name", kMaxNameBytes));
    } else if (field.number == kItemBody) {
      RELAYOUT_RETURN_IF_ERROR(seen.Add(field, what));
      RELAYOUT_RETURN_IF_ERROR(ExpectType(field, WireType::kLength, what));
      item.body = field;
    }
  }
  if (seen.Has(kItemName)) return item;
  return InvalidInput(Format("the {} at byte {} has no name", what, message.offset_bytes));
}

class Parser {
 public:
  explicit Parser(const ReadableFile& file)
      : window_(file, kWindowBytes), size_(file.size_bytes()) {}

  Result<StrategyRecords> Run() {
    WireCursor root(window_, {0, size_}, "the file");
    FieldsSeen seen;
    for (WireField field;;) {
      RELAYOUT_ASSIGN_OR_RETURN(const bool more, root.Next(field));
      if (!more) return std::move(records_);
      if (field.number == kCurrentStage) {
        RELAYOUT_RETURN_IF_ERROR(seen.Add(field, "current_stage"));
        RELAYOUT_ASSIGN_OR_RETURN(records_.current_stage, ReadUint32(field, "current_stage"));
      } else if (field.number == kStrategyItem) {
        RELAYOUT_RETURN_IF_ERROR(AddOperator(field));
      } else if (field.number == kLayoutItem) {
        RELAYOUT_RETURN_IF_ERROR(AddLayout(field));
      }
    }
  }

 private:
  Status AddOperator(const WireField& message) {
    RELAYOUT_ASSIGN_OR_RETURN(Item item, ReadItem(window_, message, "operator"));
    if (records_.operators.size() == kMaxNames) return InvalidInput("too many operators");
    StrategyFile::Operator& op = records_.operators.emplace_back();
    op.name = std::move(item.name);
    return ParseOperator(item.body, op).WithContext(Printable(op.name));
  }

  Status ParseOperator(const WireField& body, StrategyFile::Operator& op) {
    FieldsSeen seen;
    WireCursor cursor(window_, body.payload, "the operator");
    for (WireField field;;) {
      RELAYOUT_ASSIGN_OR_RETURN(const bool more, cursor.Next(field));
      if (!more) return OkStatus();
      if (field.number == kStage) {
        RELAYOUT_RETURN_IF_ERROR(seen.Add(field, "stage"));
        RELAYOUT_ASSIGN_OR_RETURN(op.stage, ReadUint32(field, "stage"));
      } else if (field.number == kStrategy) {
        if (op.strategy.size() == kMaxOperatorInputs || ++inputs_ > kMaxStrategyInputs) {
          return InvalidInput(Format("too many inputs at byte {}", field.offset_bytes));
        }
        RELAYOUT_ASSIGN_OR_RETURN(
            std::vector<int64_t> cuts,
            ReadNumbers(window_, field, "parallel_strategy", kMaxOperatorDims));
        for (const int64_t cut : cuts) {
          if (cut >= 0 && cut <= std::numeric_limits<uint32_t>::max()) continue;
          return InvalidInput(
              Format("the parallel_strategy at byte {} cuts into {}", field.offset_bytes, cut));
        }
        op.strategy.push_back(std::move(cuts));
      }
    }
  }

  Status AddLayout(const WireField& message) {
    RELAYOUT_ASSIGN_OR_RETURN(Item item, ReadItem(window_, message, "layout"));
    if (records_.layouts.size() == kMaxNames) return InvalidInput("too many parameters");
    LayoutRecord record;
    const Status status = ParseLayout(item.body, record);
    if (!status.ok()) return status.WithContext(Printable(item.name));
    records_.AddLayout(std::move(item.name), std::move(record));
    return OkStatus();
  }

  Status ParseLayout(const WireField& body, LayoutRecord& record) {
    FieldsSeen seen;
    std::vector<std::vector<int64_t>> maps;
    bool several_maps = false;
    WireCursor cursor(window_, body.payload, "the layout");
    for (WireField field;;) {
      RELAYOUT_ASSIGN_OR_RETURN(const bool more, cursor.Next(field));
      if (!more) break;
      if (field.number == kTensorMap) {
        several_maps = seen.Has(kTensorMap);
        seen.Note(field);
        RELAYOUT_RETURN_IF_ERROR(AddTensorMap(field, maps));
      } else {
        RELAYOUT_RETURN_IF_ERROR(ParseLayoutField(field, seen, record));
      }
    }
    if (!seen.Has(kDevMatrix)) return InvalidInput("its layout has no dev_matrix");
    if (!seen.Has(kTensorMap)) return InvalidInput("its layout has no tensor_map");
    if (several_maps) {
      record.tensor_map = std::move(maps);
    } else if (!maps.empty()) {
      for (const int64_t axis : maps[0]) record.tensor_map.push_back({axis});
    }
    return OkStatus();
  }

  // Empty messages only mark that there are several, and are not kept.
  Status AddTensorMap(const WireField& field, std::vector<std::vector<int64_t>>& maps) {
    RELAYOUT_ASSIGN_OR_RETURN(std::vector<int64_t> map,
                              ReadNumbers(window_, field, "tensor_map", kMaxDims));
    if (map.empty()) return OkStatus();
    if (maps.size() == kMaxDims) {
      return InvalidInput(
          Format("more than {} tensor_map messages at byte {}", kMaxDims, field.offset_bytes));
    }
    for (int64_t& axis : map) {
      if (ToInt32(axis)) continue;
      return InvalidInput(
          Format("the tensor_map at byte {} names axis {}", field.offset_bytes, axis));
    }
    maps.push_back(std::move(map));
    return OkStatus();
  }

  Status ParseLayoutField(const WireField& field, FieldsSeen& seen, LayoutRecord& record) {
    switch (field.number) {
      case kDevMatrix: {
        RELAYOUT_RETURN_IF_ERROR(seen.Add(field, "dev_matrix"));
        RELAYOUT_ASSIGN_OR_RETURN(record.dev_matrix,
                                  ReadNumbers(window_, field, "dev_matrix", kMaxDims));
        return OkStatus();
      }
      case kParamSplitShape: {
        RELAYOUT_RETURN_IF_ERROR(seen.Add(field, "param_split_shape"));
        RELAYOUT_ASSIGN_OR_RETURN(
            record.param_split_shape,
            ReadNumbers(window_, field, "param_split_shape", kMaxSplitPieces));
        return OkStatus();
      }
      case kIndicesOffset: {
        RELAYOUT_RETURN_IF_ERROR(seen.Add(field, "indices_offset"));
        RELAYOUT_ASSIGN_OR_RETURN(record.indices_offset,
                                  ReadNumbers(window_, field, "indices_offset", kMaxSplitPieces));
        return OkStatus();
      }
      case kField:
        return ReadScalar(field, seen, "field", record.field);
      case kOptStep:
        return ReadScalar(field, seen, "opt_weight_shard_step", record.opt_weight_shard_step);
      case kOptSize:
        return ReadScalar(field, seen, "opt_weight_shard_size", record.opt_weight_shard_size);
      default:
        return OkStatus();
    }
  }

  static Status ReadScalar(const WireField& field, FieldsSeen& seen, std::string_view name,
                           int64_t& value) {
    RELAYOUT_RETURN_IF_ERROR(seen.Add(field, name));
    RELAYOUT_ASSIGN_OR_RETURN(value, ReadInt32(field, name));
    return OkStatus();
  }

  WireWindow window_;
  int64_t size_;
  size_t inputs_ = 0;
  StrategyRecords records_;
};

std::string Numbers(const std::vector<int64_t>& values) {
  std::string bytes;
  for (const int64_t value : values) AppendNumber(bytes, kDim, value);
  return bytes;
}

void AppendItem(std::string& out, int number, const std::string& name, const std::string& body) {
  std::string item;
  AppendBytes(item, kItemName, name);
  AppendBytes(item, kItemBody, body);
  AppendBytes(out, number, item);
}

std::string OperatorBody(const StrategyFile::Operator& op) {
  std::string body;
  AppendNumber(body, kStage, op.stage);
  for (const auto& cuts : op.strategy) AppendBytes(body, kStrategy, Numbers(cuts));
  return body;
}

void AppendTensorMap(std::string& body, const LayoutRecord& record) {
  if (!record.IsNested()) {
    std::vector<int64_t> flat;
    for (const auto& axes : record.tensor_map) flat.push_back(axes.empty() ? -1 : axes[0]);
    AppendBytes(body, kTensorMap, Numbers(flat));
    return;
  }
  for (const auto& axes : record.tensor_map) AppendBytes(body, kTensorMap, Numbers(axes));
  // One message alone would be read as the flat notation.
  if (record.tensor_map.size() == 1) AppendBytes(body, kTensorMap, "");
}

std::string LayoutBody(const LayoutRecord& record) {
  std::string body;
  AppendBytes(body, kDevMatrix, Numbers(record.dev_matrix));
  AppendTensorMap(body, record);
  AppendBytes(body, kParamSplitShape, Numbers(record.param_split_shape));
  AppendBytes(body, kIndicesOffset, Numbers(record.indices_offset));
  AppendNumber(body, kField, record.field);
  AppendNumber(body, kOptStep, record.opt_weight_shard_step);
  AppendNumber(body, kOptSize, record.opt_weight_shard_size);
  return body;
}

}  // namespace

Result<StrategyRecords> ParseStrategyProtobuf(const ReadableFile& file) {
  return Parser(file).Run();
}

std::string WriteStrategyProtobuf(const StrategyRecords& records) {
  std::string bytes;
  AppendNumber(bytes, kCurrentStage, records.current_stage);
  for (const auto& op : records.operators) {
    AppendItem(bytes, kStrategyItem, op.name, OperatorBody(op));
  }
  for (const auto& layout : records.layouts) {
    AppendItem(bytes, kLayoutItem, layout.name, LayoutBody(records.RecordOf(layout)));
  }
  return bytes;
}

}  // namespace relayout
