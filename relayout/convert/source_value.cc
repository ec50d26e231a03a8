// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/source_value.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

// "rank 3 (ckpt/rank_3/x.ckpt)".
std::string Where(const HeldValue& held) {
  return Format("rank {} ({})", held.rank(), held.file->path);
}

// The same kind and type on every rank, and one that can be converted.
Status CheckKinds(const std::vector<HeldValue>& holders) {
  const ValueView& first = holders[0].value;
  if (first.kind == ValueKind::kMapTensor) {
    return Unsupported(
        Format("is a MapTensor (hash table) in {}; relayout converts tensors and strings only. "
               "Export it as "
               "tensors, or remove it from the checkpoint",
               Where(holders[0])));
  }
  for (const HeldValue& held : holders) {
    if (held.value.kind != first.kind || held.value.dtype != first.dtype) {
      return InvalidInput(Format("is {} on {}, but {} on {}; all ranks must store one type",
                                 Describe(first), Where(holders[0]), Describe(held.value),
                                 Where(held)));
    }
  }
  return OkStatus();
}

// Of a value that the source strategy does not know: whole on every rank that has it.
Result<Dims> ShapeOfWhole(const std::vector<HeldValue>& holders) {
  const Dims& shape = holders[0].value.shape;
  for (const HeldValue& held : holders) {
    // Strings may differ in length: reported as values that disagree, lowest rank's taken.
    if (held.value.shape == shape || held.value.kind == ValueKind::kString) continue;
    return InvalidInput(
        Format("is in no source strategy, so every rank must hold it whole, but it is {} on {} "
               "and {} on "
               "{}; add it to the source strategy",
               ToText(shape), Where(holders[0]), ToText(held.value.shape), Where(held)));
  }
  return shape;
}

// Of the whole that one rank's slice is of.
Result<Dims> WholeShapeOf(const std::string& strategy, const HeldValue& held,
                          const Placement& placement) {
  const StatedShape& stated = placement.parameter->whole_shape;
  const Dims& stored = held.value.shape;
  const Layout& layout = placement.layout();
  if (held.value.kind != ValueKind::kTensor) {
    return InvalidInput(Format("is {} on {}, but {} gives it a layout", Describe(held.value),
                               Where(held), strategy));
  }
  auto whole = WholeShape(layout, held.rank() - placement.first_rank, stored);
  if (whole.ok() && (!stated || *whole == *stated)) return whole;
  // Asked only now: a slice of an empty tensor, or an uneven piece of all rows, is whole rightly.
  if (stated && stored == *stated && layout.shard_count() > 1) {
    return InvalidInput(
        Format("{} stores all of {}, although {} cuts it ({}): saved with integrated_save=True? "
               "Convert that rank's file alone, without a source strategy",
               Where(held), ToText(stored), strategy, ToText(layout)));
  }
  if (!whole.ok()) {
    return whole.status().WithContext(
        Format("{} and {} ({})", Where(held), strategy, ToText(layout)));
  }
  return InvalidInput(Format("{} stores {}, which makes {} whole, but {} says {} ({})", Where(held),
                             ToText(stored), ToText(*whole), strategy, ToText(*stated),
                             ToText(layout)));
}

// Of a value that is cut: all slices must make the same whole.
Status FindShapeOfSlices(const CheckpointSet& set, const std::vector<HeldValue>& holders,
                         SourceValue& value) {
  const std::vector<Placement>& from = value.placements;
  const std::string& strategy = *set.spec.strategy_path;
  std::optional<Dims> whole;
  const HeldValue* first = nullptr;
  const FileValues* last_values = nullptr;
  const Placement* last_placement = nullptr;
  for (const HeldValue& held : holders) {
    const int64_t stage = set.strategy.StageOf(held.rank());
    const auto placement = std::find_if(from.begin(), from.end(),
                                        [stage](const Placement& p) { return p.stage == stage; });
    // A copy on a stage that does not own the parameter (a tied one): not needed.
    if (placement == from.end()) {
      value.has_unplaced_copies = true;
      continue;
    }
    // Ranks with equal files hold equal slices, unless pieces differ in length.
    const bool is_known = held.file->values == last_values && &*placement == last_placement &&
                          placement->layout().spec().uneven_rows.empty();
    if (is_known) continue;
    last_values = held.file->values;
    last_placement = &*placement;
    RELAYOUT_ASSIGN_OR_RETURN(const Dims shape, WholeShapeOf(strategy, held, *placement));
    if (whole && shape != *whole) {
      return InvalidInput(
          Format("{} stores {}, a slice of {}, but {} stores {}, a slice of {} ({})", Where(*first),
                 ToText(first->value.shape), ToText(*whole), Where(held), ToText(held.value.shape),
                 ToText(shape), ToText(placement->layout())));
    }
    if (!whole) first = &held;
    whole = shape;
  }
  if (whole) {
    value.shape = *whole;
    return OkStatus();
  }
  return InvalidInput(Format("{} holds it, but {} places it on ranks {}-{} only", Where(holders[0]),
                             strategy, from[0].first_rank,
                             from[0].first_rank + from[0].layout().device_count() - 1));
}

}  // namespace

std::string Describe(const ValueView& value) {
  switch (value.kind) {
    case ValueKind::kString:
      return "a string";
    case ValueKind::kMapTensor:
      return "a MapTensor";
    case ValueKind::kTensor:
      break;
  }
  return Format("{}{}", ShortName(value.dtype), ToText(value.shape));
}

Result<SourceValue> DescribeValue(const CheckpointSet& set, std::string_view name) {
  const std::vector<HeldValue> holders = set.catalog.Holders(name);
  RELAYOUT_CHECK(!holders.empty());
  RELAYOUT_RETURN_IF_ERROR(CheckKinds(holders));
  SourceValue value{.kind = holders[0].value.kind,
                    .dtype = holders[0].value.dtype,
                    .shape = {},
                    .placements = set.strategy.Find(name)};
  if (value.placements.empty()) {
    RELAYOUT_ASSIGN_OR_RETURN(value.shape, ShapeOfWhole(holders));
  } else {
    RELAYOUT_RETURN_IF_ERROR(FindShapeOfSlices(set, holders, value));
  }
  return value;
}

Result<std::vector<PlacedTensor>> PlaceSources(const CheckpointSet& set, const SourceValue& value) {
  std::vector<PlacedTensor> sources;
  for (const Placement& placement : value.placements) {
    auto partition = Partition::Create(placement.layout(), value.shape);
    if (!partition.ok()) return partition.status().WithContext(*set.spec.strategy_path);
    sources.push_back({.partition = std::move(*partition), .first_rank = placement.first_rank});
  }
  if (sources.empty()) sources.push_back(WholeOnAll(set.strategy.rank_count(), value.shape));
  return sources;
}

PlacedTensor WholeOnAll(int64_t rank_count, const Dims& shape) {
  const Layout layout = Layout::Replicated(rank_count, shape.size());
  return {.partition = *Partition::Create(layout, shape)};
}

}  // namespace relayout
