// SPDX-License-Identifier: Apache-2.0
#include "relayout/draw/page_data.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "relayout/base/checked_math.h"
#include "relayout/base/json_writer.h"
#include "relayout/base/text.h"
#include "relayout/draw/device_grid.h"
#include "relayout/draw/palette.h"
#include "relayout/draw/stand_in.h"
#include "relayout/draw/tensor_view.h"
#include "relayout/draw/words.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

// Beyond, a plan takes seconds and a picture of it shows nothing.
constexpr int64_t kMaxShardPairs = int64_t{1} << 24;

void WriteView(JsonWriter& json, const Dims& cuts) {
  const TensorView view = ViewOf(cuts, std::nullopt);
  json.BeginArray();
  for (const auto& dim : {view.down, view.across}) {
    dim ? json.Int(static_cast<int64_t>(*dim)) : json.Null();
  }
  json.BeginArray();
  for (const size_t d : view.hidden) json.Int(static_cast<int64_t>(d));
  json.EndArray().EndArray();
}

void WriteBands(JsonWriter& json, const std::vector<AxisBand>& bands) {
  json.BeginArray();
  for (const AxisBand& band : bands) {
    json.BeginArray().Int(band.size).BeginArray();
    for (int64_t i = 0; i < band.count; ++i) json.String(band.LabelAt(i));
    json.EndArray().EndArray();
  }
  json.EndArray();
}

void WriteLayout(JsonWriter& json, const Layout& layout) {
  json.BeginObject().Key("text").String(ToText(layout)).Key("words").BeginArray();
  for (const std::string& sentence : LayoutWords(layout)) json.String(sentence);
  json.EndArray().Key("grid").Array(layout.grid());
  json.Key("parts").Int(layout.optimizer_count()).Key("copies").Int(layout.replica_count());
  if (!layout.spec().uneven_rows.empty()) {
    json.Key("rows").BeginArray();
    for (const int64_t rows : layout.spec().uneven_rows) json.Int(rows);
    json.EndArray();
  }
  json.Key("dims").BeginArray();
  for (size_t d = 0; d < layout.dim_count(); ++d) json.String(DimWord(layout.dim_count(), d));
  json.EndArray().Key("view");
  WriteView(json, layout.grid());
  const DeviceGrid grid = ArrangeDevices(layout.spec().mesh);
  json.Key("columns").Int(grid.columns).Key("down");
  WriteBands(json, grid.row_bands);
  json.Key("across");
  WriteBands(json, grid.column_bands);
  json.Key("shards").BeginArray();
  for (int64_t rank = 0; rank < layout.device_count(); ++rank) {
    json.Int(layout.ShardIndexOf(layout.CellOf(rank)));
  }
  json.EndArray().Key("colors").BeginArray();
  for (int64_t shard = 0; shard < layout.shard_count(); ++shard) {
    json.String(ShardColor(layout, shard));
  }
  json.EndArray().EndObject();
}

// The source's pieces of dimension d that piece `index` of the target's lies in; none for an uneven
// piece without rows.
std::pair<int64_t, int64_t> PiecesRead(const Partition& source, const Partition& target, size_t d,
                                       int64_t index) {
  const int64_t begin = target.PieceBegin(d, index);
  const int64_t end = target.PieceBegin(d, index + 1);
  if (begin == end) return {0, 0};
  return {source.PieceAt(d, begin), source.PieceAt(d, end - 1) + 1};
}

void WriteReads(JsonWriter& json, const Transfer& transfer) {
  json.BeginArray();
  for (const TransferTarget& target : transfer.targets) {
    const Partition& partition = target.placed.partition;
    json.BeginArray();
    for (size_t d = 0; d < partition.shape().size(); ++d) {
      json.BeginArray();
      for (int64_t i = 0; i < partition.layout().grid()[d]; ++i) {
        const auto [begin, end] = PiecesRead(transfer.source.partition, partition, d, i);
        json.BeginArray().Int(begin).Int(end).EndArray();
      }
      json.EndArray();
    }
    json.EndArray();
  }
  json.EndArray();
}

class DataWriter {
 public:
  explicit DataWriter(const PageInput& input) : input_(input) {}

  Result<std::string> Write() {
    RELAYOUT_RETURN_IF_ERROR(CheckSize(input_.source));
    if (input_.target) RELAYOUT_RETURN_IF_ERROR(CheckSize(*input_.target));
    CollectParameters();
    int64_t cells = 0;
    for (const Layout& layout : layouts_) cells += layout.device_count();
    if (cells > kMaxDrawnCells) {
      return Unsupported(Format("{}: {} different layouts of {} devices in all; a page holds {}",
                                input_.source.file, layouts_.size(), cells, kMaxDrawnCells));
    }
    json_.BeginObject();
    WriteSides();
    WriteLayouts();
    WriteForms();
    WriteTensors();
    WriteParameters();
    json_.EndObject();
    return json_.text();
  }

 private:
  // How a parameter lies on both sides.
  struct Form {
    std::vector<Placement> source;
    std::vector<Placement> target;
  };

  static Status CheckSize(const DrawnStrategy& drawn) {
    const Strategy& strategy = *drawn.strategy;
    for (int64_t stage = 0; stage < strategy.stage_count(); ++stage) {
      const int64_t devices = strategy.first_rank(stage + 1) - strategy.first_rank(stage);
      if (devices <= kMaxDrawnDevices) continue;
      return Unsupported(Format("{}: stage {} has {} devices; up to {} are drawn", drawn.file,
                                drawn.first_stage + stage, devices, kMaxDrawnDevices));
    }
    return OkStatus();
  }

  void CollectParameters() {
    for (const std::string_view name : input_.source.strategy->Names()) AddParameter(name);
    if (!input_.target) return;
    for (const std::string_view name : input_.target->strategy->Names()) {
      if (!input_.source.strategy->Contains(name)) AddParameter(name);
    }
  }

  void AddParameter(std::string_view name) {
    Form form;
    form.source = input_.source.strategy->Find(name);
    if (input_.target) form.target = input_.target->strategy->Find(name);
    names_.push_back(name);
    tensor_of_.push_back(TensorOf(name, form));
    form_of_.push_back(FormOf(std::move(form)));
  }

  int64_t FormOf(Form form) {
    std::vector<int64_t> key;
    for (const auto* placements : {&form.source, &form.target}) {
      key.push_back(std::ssize(*placements));
      for (const Placement& placement : *placements) {
        key.push_back(placement.stage);
        key.push_back(LayoutOf(placement.layout()));
      }
    }
    const auto [place, is_new] = form_of_key_.emplace(std::move(key), std::ssize(forms_));
    if (is_new) forms_.push_back(std::move(form));
    return place->second;
  }

  int64_t LayoutOf(const Layout& layout) {
    const Layout shared = pool_.Share(layout);
    const auto [place, is_new] = layout_of_.emplace(shared.identity(), std::ssize(layouts_));
    if (is_new) layouts_.push_back(shared);
    return place->second;
  }

  // What is known of a tensor, as a number; -1 = nothing.
  int64_t TensorOf(std::string_view name, const Form& form) {
    std::optional<TensorFacts> facts;
    if (input_.facts_of) facts = input_.facts_of(name);
    for (const auto* placements : {&form.source, &form.target}) {
      for (const Placement& placement : *placements) {
        if (facts || !placement.parameter->whole_shape) continue;
        facts = TensorFacts{.shape = *placement.parameter->whole_shape, .dtype = std::nullopt};
      }
    }
    if (!facts || !FitsAll(facts->shape, form)) return -1;
    const std::string key = KeyOf(*facts);
    const auto [place, is_new] = tensor_of_key_.emplace(key, std::ssize(tensors_));
    if (is_new) tensors_.push_back(*facts);
    return place->second;
  }

  // A stated shape of another number of dims says nothing that could be drawn.
  static bool FitsAll(const Dims& shape, const Form& form) {
    for (const auto* placements : {&form.source, &form.target}) {
      for (const Placement& placement : *placements) {
        if (placement.layout().dim_count() != shape.size()) return false;
      }
    }
    return ElementCount(shape).has_value();
  }

  static std::string KeyOf(const TensorFacts& facts) {
    return Format("{}{}", facts.dtype ? ShortName(*facts.dtype) : "", ToText(facts.shape));
  }

  void WriteSide(const DrawnStrategy& drawn, std::string_view role) {
    const Strategy& strategy = *drawn.strategy;
    json_.BeginObject().Key("role").String(role).Key("file").String(drawn.file);
    json_.Key("ranks").Int(strategy.rank_count()).Key("stages").BeginArray();
    for (int64_t stage = 0; stage < strategy.stage_count(); ++stage) {
      const int64_t first = strategy.first_rank(stage);
      json_.BeginArray().Int(drawn.first_stage + stage).Int(first);
      json_.Int(strategy.first_rank(stage + 1) - first).EndArray();
    }
    json_.EndArray().EndObject();
  }

  void WriteSides() {
    json_.Key("sides").BeginArray();
    WriteSide(input_.source, input_.target ? "Source" : "Strategy");
    if (input_.target) WriteSide(*input_.target, "Target");
    json_.EndArray();
  }

  void WriteLayouts() {
    json_.Key("layouts").BeginArray();
    for (const Layout& layout : layouts_) WriteLayout(json_, layout);
    json_.EndArray();
  }

  void WritePlacements(const std::vector<Placement>& placements) {
    json_.BeginArray();
    for (const Placement& placement : placements) {
      json_.BeginArray().Int(placement.stage).Int(LayoutOf(placement.layout())).EndArray();
    }
    json_.EndArray();
  }

  void WriteForms() {
    json_.Key("forms").BeginArray();
    for (const Form& form : forms_) {
      json_.BeginObject().Key("sides").BeginArray();
      WritePlacements(form.source);
      if (input_.target) WritePlacements(form.target);
      json_.EndArray();
      if (input_.target) WriteCopies(form);
      json_.EndObject();
    }
    json_.EndArray();
  }

  void WriteCopies(const Form& form) {
    const auto transfer = PlanForm(form);
    if (!transfer.ok()) {
      json_.Key("note").String(transfer.status().message());
      return;
    }
    Dims cuts = transfer->source.partition.layout().grid();
    for (const TransferTarget& target : transfer->targets) {
      for (size_t d = 0; d < cuts.size(); ++d) {
        cuts[d] = std::max(cuts[d], target.placed.partition.layout().grid()[d]);
      }
    }
    json_.Key("view");
    WriteView(json_, cuts);
    json_.Key("chosen").BeginArray();
    for (const int64_t rank : transfer->source_ranks) json_.Int(rank);
    json_.EndArray().Key("reads");
    WriteReads(json_, *transfer);
  }

  Result<Transfer> PlanForm(const Form& form) const {
    if (form.source.empty()) return NotFound("The source strategy does not know this parameter.");
    if (form.target.empty()) return NotFound("The target strategy does not know this parameter.");
    int64_t target_shards = 1;  // One too many does not matter.
    for (const Placement& placement : form.target)
      target_shards += placement.layout().shard_count();
    if (form.source[0].layout().shard_count() > kMaxShardPairs / target_shards) {
      return Unsupported("There are too many shards to draw the copies between them.");
    }
    auto transfer = PlanOnStandIn(form.source, form.target);
    if (!transfer.ok()) return transfer.status().WithContext("The two layouts do not fit");
    return transfer;
  }

  void WriteTensors() {
    json_.Key("tensors").BeginArray();
    for (const TensorFacts& facts : tensors_) {
      json_.BeginObject().Key("shape").Array(facts.shape);
      if (facts.dtype) {
        json_.Key("type").String(ShortName(*facts.dtype));
        json_.Key("item_bytes").Int(ElementSize(*facts.dtype));
      }
      json_.EndObject();
    }
    json_.EndArray();
  }

  void WriteParameters() {
    json_.Key("names").BeginArray();
    for (const std::string_view name : names_) json_.String(name);
    json_.EndArray().Key("form").BeginArray();
    for (const int64_t form : form_of_) json_.Int(form);
    json_.EndArray().Key("tensor").BeginArray();
    for (const int64_t tensor : tensor_of_) json_.Int(tensor);
    json_.EndArray();
  }

  const PageInput& input_;
  JsonWriter json_;
  LayoutPool pool_;
  std::vector<Layout> layouts_;
  std::unordered_map<const void*, int64_t> layout_of_;  // By identity.
  std::vector<Form> forms_;
  std::map<std::vector<int64_t>, int64_t> form_of_key_;
  std::vector<TensorFacts> tensors_;
  std::map<std::string, int64_t> tensor_of_key_;
  // Of each parameter.
  std::vector<std::string_view> names_;
  std::vector<int64_t> form_of_;
  std::vector<int64_t> tensor_of_;
};

}  // namespace

Result<std::string> PageData(const PageInput& input) { return DataWriter(input).Write(); }

}  // namespace relayout
