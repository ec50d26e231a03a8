// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/mindspore/strategy_json.h"

#include <limits>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "relayout/base/json_writer.h"
#include "relayout/base/text.h"
#include "relayout/format/json_reader.h"
#include "relayout/format/value_name.h"

namespace relayout {
namespace {

constexpr int64_t kMinInt32 = std::numeric_limits<int32_t>::min();
constexpr int64_t kMaxInt32 = std::numeric_limits<int32_t>::max();
constexpr int64_t kMaxUint32 = std::numeric_limits<uint32_t>::max();
constexpr int64_t kMaxInt64 = std::numeric_limits<int64_t>::max();

Result<int64_t> RequireInt32(const JsonObject& object, std::string_view key) {
  RELAYOUT_ASSIGN_OR_RETURN(const JsonValue value, object.Require(key));
  return JsonInteger(value, key, kMinInt32, kMaxInt32);
}

// One axis, or a list of them.
Result<std::vector<int64_t>> ParseAxes(JsonValue entry) {
  if (entry.is_array()) return JsonIntegers(entry, "tensor_map", kMinInt32, kMaxInt32, kMaxDims);
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t axis,
                            JsonInteger(entry, "tensor_map", kMinInt32, kMaxInt32));
  return std::vector<int64_t>{axis};
}

// tensor_shape, when it says anything.
Result<std::optional<Dims>> ParseShape(const JsonObject& object, size_t dim_count) {
  const auto value = object.Find("tensor_shape");
  if (!value) return std::optional<Dims>();
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> lengths,
                            JsonIntegers(*value, "tensor_shape", 0, kMaxInt64, kMaxDims));
  if (lengths.empty() || lengths.size() != dim_count) return std::optional<Dims>();
  Dims shape;
  for (const int64_t length : lengths) shape.push_back(length);
  if (!ElementCount(shape)) {
    return InvalidInput(Format("tensor_shape {} has more than 2^63 elements", ToText(shape)));
  }
  return std::optional<Dims>(shape);
}

Result<LayoutRecord> ParseLayout(JsonValue value) {
  RELAYOUT_ASSIGN_OR_RETURN(const JsonObject object, JsonObject::Create(value, "the layout"));
  LayoutRecord record;
  RELAYOUT_ASSIGN_OR_RETURN(const JsonValue mesh, object.Require("dev_matrix"));
  RELAYOUT_ASSIGN_OR_RETURN(record.dev_matrix,
                            JsonIntegers(mesh, "dev_matrix", 0, kMaxUint32, kMaxDims));
  RELAYOUT_ASSIGN_OR_RETURN(const JsonValue map, object.Require("tensor_map"));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<JsonValue> entries,
                            JsonList(map, "tensor_map", kMaxDims));
  for (const JsonValue entry : entries) {
    RELAYOUT_ASSIGN_OR_RETURN(std::vector<int64_t> axes, ParseAxes(entry));
    record.tensor_map.push_back(std::move(axes));
  }
  RELAYOUT_ASSIGN_OR_RETURN(record.field, RequireInt32(object, "field"));
  RELAYOUT_ASSIGN_OR_RETURN(record.opt_weight_shard_step,
                            RequireInt32(object, "opt_weight_shard_step"));
  RELAYOUT_ASSIGN_OR_RETURN(record.opt_weight_shard_size,
                            RequireInt32(object, "opt_weight_shard_size"));
  if (const auto split = object.Find("param_split_shape")) {
    RELAYOUT_ASSIGN_OR_RETURN(record.param_split_shape, JsonIntegers(*split, "param_split_shape", 0,
                                                                     kMaxInt64, kMaxSplitPieces));
  }
  if (const auto offsets = object.Find("indices_offset")) {
    RELAYOUT_ASSIGN_OR_RETURN(record.indices_offset, JsonIntegers(*offsets, "indices_offset", 0,
                                                                  kMaxInt64, kMaxSplitPieces));
  }
  RELAYOUT_ASSIGN_OR_RETURN(record.tensor_shape, ParseShape(object, record.tensor_map.size()));
  return record;
}

// `input_count` counts the inputs of all operators.
Result<StrategyFile::Operator> ParseOperator(std::string_view name, JsonValue value,
                                             size_t& input_count) {
  RELAYOUT_ASSIGN_OR_RETURN(const JsonObject object, JsonObject::Create(value, "the operator"));
  StrategyFile::Operator op;
  op.name = std::string(name);
  RELAYOUT_ASSIGN_OR_RETURN(const JsonValue stage, object.Require("stage"));
  RELAYOUT_ASSIGN_OR_RETURN(op.stage, JsonInteger(stage, "stage", 0, kMaxUint32));
  const auto strategy = object.Find("parallel_strategy");
  if (!strategy) return op;
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<JsonValue> inputs,
                            JsonList(*strategy, "parallel_strategy", kMaxOperatorInputs));
  input_count += inputs.size();
  if (input_count > kMaxStrategyInputs) return InvalidInput("too many inputs in all");
  for (const JsonValue input : inputs) {
    RELAYOUT_ASSIGN_OR_RETURN(
        std::vector<int64_t> cuts,
        JsonIntegers(input, "parallel_strategy", 0, kMaxUint32, kMaxOperatorDims));
    op.strategy.push_back(std::move(cuts));
  }
  return op;
}

Status ParseOperators(JsonValue value, StrategyRecords& records) {
  RELAYOUT_ASSIGN_OR_RETURN(const JsonObject items,
                            JsonObject::Create(value, "parallel_strategy_item"));
  if (items.fields().size() > kMaxNames) return InvalidInput("too many operators");
  size_t input_count = 0;
  for (const auto& [name, item] : items.fields()) {
    auto op = ParseOperator(name, item, input_count);
    if (!op.ok()) return op.status().WithContext(Printable(name));
    records.operators.push_back(*std::move(op));
  }
  return OkStatus();
}

Status ParseLayouts(JsonValue value, StrategyRecords& records) {
  RELAYOUT_ASSIGN_OR_RETURN(const JsonObject items,
                            JsonObject::Create(value, "parallel_layout_item"));
  if (items.fields().size() > kMaxNames) return InvalidInput("too many parameters");
  for (const auto& [name, item] : items.fields()) {
    auto record = ParseLayout(item);
    if (!record.ok()) return record.status().WithContext(Printable(name));
    records.AddLayout(std::string(name), *std::move(record));
  }
  return OkStatus();
}

void WriteIntegers(JsonWriter& json, const std::vector<int64_t>& values) {
  json.BeginArray();
  for (const int64_t value : values) json.Int(value);
  json.EndArray();
}

void WriteOperators(JsonWriter& json, const StrategyRecords& records) {
  std::unordered_set<std::string> names;
  json.BeginObject();
  for (const auto& op : records.operators) {
    std::string name = op.name;
    for (int i = 1; !names.insert(name).second; ++i) name = Format("{}_{}", op.name, i);
    json.Key(name).BeginObject().Key("stage").Int(op.stage).Key("parallel_strategy").BeginArray();
    for (const auto& cuts : op.strategy) WriteIntegers(json, cuts);
    json.EndArray().EndObject();
  }
  json.EndObject();
}

void WriteLayout(JsonWriter& json, const LayoutRecord& record) {
  json.BeginObject().Key("dev_matrix");
  WriteIntegers(json, record.dev_matrix);
  json.Key("tensor_map").BeginArray();
  for (const auto& axes : record.tensor_map) {
    if (axes.size() > 1) {
      WriteIntegers(json, axes);
    } else {
      json.Int(axes.empty() ? -1 : axes[0]);
    }
  }
  json.EndArray().Key("tensor_shape").Array(record.tensor_shape.value_or(Dims()));
  json.Key("field").Int(record.field);
  json.Key("opt_weight_shard_step").Int(record.opt_weight_shard_step);
  json.Key("opt_weight_shard_size").Int(record.opt_weight_shard_size);
  json.Key("param_split_shape");
  WriteIntegers(json, record.param_split_shape);
  json.Key("indices_offset");
  WriteIntegers(json, record.indices_offset);
  json.EndObject();
}

}  // namespace

Result<StrategyRecords> ParseStrategyJson(const ReadableFile& file) {
  RELAYOUT_ASSIGN_OR_RETURN(const JsonDocument json,
                            JsonDocument::Read(file, 0, file.size_bytes()));
  RELAYOUT_ASSIGN_OR_RETURN(const JsonObject root, JsonObject::Create(json.root(), "the file"));
  StrategyRecords records;
  if (const auto stage = root.Find("current_stage")) {
    RELAYOUT_ASSIGN_OR_RETURN(records.current_stage,
                              JsonInteger(*stage, "current_stage", 0, kMaxUint32));
  }
  if (const auto operators = root.Find("parallel_strategy_item")) {
    RELAYOUT_RETURN_IF_ERROR(ParseOperators(*operators, records));
  }
  RELAYOUT_ASSIGN_OR_RETURN(const JsonValue layouts, root.Require("parallel_layout_item"));
  RELAYOUT_RETURN_IF_ERROR(ParseLayouts(layouts, records));
  return records;
}

std::string WriteStrategyJson(const StrategyRecords& records) {
  JsonWriter json;
  json.BeginObject().Key("current_stage").Int(records.current_stage);
  json.Key("parallel_strategy_item");
  WriteOperators(json, records);
  json.Key("parallel_layout_item").BeginObject();
  for (const auto& layout : records.layouts) {
    json.Key(layout.name);
    WriteLayout(json, records.RecordOf(layout));
  }
  json.EndObject().EndObject();
  return json.text();
}

}  // namespace relayout
