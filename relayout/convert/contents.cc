// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/contents.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "relayout/base/byte_io.h"
#include "relayout/base/text.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

// "rank 3 (ckpt/rank_3/x.ckpt)".
std::string Where(const HeldValue& held) {
  return Format("rank {} ({})", held.rank(), held.file->path);
}

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

// The same for values that have the same form: what a form is made of.
std::string KeyOf(const ValueForm& form, const std::vector<Placement>& from,
                  const std::vector<Placement>& to) {
  ByteWriter key;
  key.Int(static_cast<int64_t>(form.kind));
  key.Int(static_cast<int64_t>(form.dtype));
  WriteDims(key, form.shape);
  for (const auto* placements : {&from, &to}) {
    key.Int(std::ssize(*placements));
    for (const Placement& placement : *placements) {
      key.Int(static_cast<int64_t>(reinterpret_cast<intptr_t>(placement.parameter)));
      key.Int(placement.first_rank);
    }
  }
  return key.Take();
}

}  // namespace

// Collects values, each form once.
class ContentsBuilder {
 public:
  explicit ContentsBuilder(std::shared_ptr<const NameTable> names) {
    values_.names_ = std::move(names);
  }

  // Adds a value with the form of an earlier one of this key; false when there was none.
  bool AddLike(const std::string& key, std::string_view name) {
    const auto form = form_of_key_.find(key);
    if (form == form_of_key_.end()) return false;
    values_.values_.push_back({*values_.names_->Find(name), form->second});
    return true;
  }

  void Add(const std::string& key, std::string_view name, ValueForm form) {
    form_of_key_.emplace(key, static_cast<uint32_t>(values_.forms_.size()));
    values_.forms_.push_back(std::move(form));
    RELAYOUT_CHECK(AddLike(key, name));
  }

  TargetValues Take() {
    values_.values_.shrink_to_fit();
    return std::move(values_);
  }

 private:
  TargetValues values_;
  std::unordered_map<std::string, uint32_t> form_of_key_;
};

namespace {

// Decides value by value. One object per DecideContents call.
class Decider {
 public:
  Decider(const CheckpointSet& source, const Strategy& target, bool target_has_strategy,
          const std::string& target_name, const std::function<bool(int64_t)>& is_wanted,
          const ContentsOptions& options)
      : source_(source),
        target_(target),
        target_has_strategy_(target_has_strategy),
        target_name_(target_name),
        is_wanted_(is_wanted),
        options_(options),
        builder_(source.catalog.name_table()) {}

  Result<Contents> Run() {
    for (const std::string_view name : source_.catalog.names()) {
      const Status status = Decide(name);
      if (!status.ok()) return status.WithContext(Printable(name));
    }
    contents_.values = builder_.Take();
    RELAYOUT_RETURN_IF_ERROR(CheckMissing());
    ReportAll();
    return std::move(contents_);
  }

 private:
  Status Decide(std::string_view name) {
    if (IsScratch(name)) {
      scratch_.emplace_back(name);
      return OkStatus();
    }
    const std::vector<Placement> from = source_.strategy.Find(name);
    const std::vector<Placement> to = target_.Find(name);
    if (!from.empty() && to.empty() && target_has_strategy_ && !options_.keep_extra) {
      left_out_.emplace_back(name);
      return OkStatus();
    }
    // With null or --keep-extra targets, and for values that no strategy knows: whole, on every
    // rank.
    const bool whole = to.empty();
    if (!whole && std::none_of(to.begin(), to.end(),
                               [&](const Placement& p) { return IsPlacementWanted(p); })) {
      return OkStatus();
    }
    const std::vector<HeldValue> holders = source_.catalog.Holders(name);
    RELAYOUT_RETURN_IF_ERROR(CheckKinds(holders));
    ValueForm form{.kind = holders[0].value.kind,
                   .dtype = holders[0].value.dtype,
                   .shape = {},
                   .sources = {},
                   .targets = {},
                   .carried = from.empty() && whole};
    RELAYOUT_ASSIGN_OR_RETURN(
        form.shape, from.empty() ? ShapeOfWhole(holders) : ShapeOfSlices(name, holders, from));
    const std::string key = KeyOf(form, from, to);
    if (builder_.AddLike(key, name)) return OkStatus();
    RELAYOUT_RETURN_IF_ERROR(from.empty() ? PlaceWhole(source_.strategy, form.shape, form.sources)
                                          : PlaceSources(from, form));
    RELAYOUT_RETURN_IF_ERROR(whole ? PlaceWhole(target_, form.shape, form.targets)
                                   : PlaceTargets(to, form));
    builder_.Add(key, name, std::move(form));
    return OkStatus();
  }

  static Status PlaceWhole(const Strategy& strategy, const Dims& shape,
                           std::vector<PlacedTensor>& placed) {
    const Layout layout = Layout::Replicated(strategy.rank_count(), shape.size());
    placed.push_back({.partition = *Partition::Create(layout, shape)});
    return OkStatus();
  }

  bool IsPlacementWanted(const Placement& placement) const {
    for (int64_t local = 0; local < placement.layout().device_count(); ++local) {
      if (is_wanted_(placement.first_rank + local)) return true;
    }
    return false;
  }

  // The same kind and type on every rank, and one that can be converted.
  static Status CheckKinds(const std::vector<HeldValue>& holders) {
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
  static Result<Dims> ShapeOfWhole(const std::vector<HeldValue>& holders) {
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

  // Of a value that is cut: all slices must make the same whole.
  Result<Dims> ShapeOfSlices(std::string_view name, const std::vector<HeldValue>& holders,
                             const std::vector<Placement>& from) {
    std::optional<Dims> whole;
    const HeldValue* first = nullptr;
    const FileValues* last_values = nullptr;
    const Placement* last_placement = nullptr;
    for (const HeldValue& held : holders) {
      const int64_t stage = source_.strategy.StageOf(held.rank());
      const auto placement = std::find_if(from.begin(), from.end(),
                                          [stage](const Placement& p) { return p.stage == stage; });
      // A copy on a stage that does not own the parameter (a tied one): not needed.
      if (placement == from.end()) {
        unplaced_.emplace(name);
        continue;
      }
      // Ranks with equal files hold equal slices, unless pieces differ in length.
      const bool is_known = held.file->values == last_values && &*placement == last_placement &&
                            placement->layout().spec().uneven_rows.empty();
      if (is_known) continue;
      last_values = held.file->values;
      last_placement = &*placement;
      RELAYOUT_ASSIGN_OR_RETURN(const Dims shape, WholeShapeOf(held, *placement));
      if (whole && shape != *whole) {
        return InvalidInput(
            Format("{} stores {}, a slice of {}, but {} stores {}, a slice of {} ({})",
                   Where(*first), ToText(first->value.shape), ToText(*whole), Where(held),
                   ToText(held.value.shape), ToText(shape), ToText(placement->layout())));
      }
      if (!whole) first = &held;
      whole = shape;
    }
    if (whole) return *whole;
    return InvalidInput(Format("{} holds it, but {} places it on ranks {}-{} only",
                               Where(holders[0]), *source_.spec.strategy_path, from[0].first_rank,
                               from[0].first_rank + from[0].layout().device_count() - 1));
  }

  Status PlaceSources(const std::vector<Placement>& from, ValueForm& form) const {
    for (const Placement& placement : from) {
      auto partition = Partition::Create(placement.layout(), form.shape);
      if (!partition.ok()) {
        return partition.status().WithContext(*source_.spec.strategy_path);
      }
      form.sources.push_back(
          {.partition = std::move(*partition), .first_rank = placement.first_rank});
    }
    return OkStatus();
  }

  Result<Dims> WholeShapeOf(const HeldValue& held, const Placement& placement) const {
    const StatedShape& stated = placement.parameter->whole_shape;
    const Dims& stored = held.value.shape;
    const Layout& layout = placement.layout();
    const std::string& strategy = *source_.spec.strategy_path;
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
    return InvalidInput(Format("{} stores {}, which makes {} whole, but {} says {} ({})",
                               Where(held), ToText(stored), ToText(*whole), strategy,
                               ToText(*stated), ToText(layout)));
  }

  Status PlaceTargets(const std::vector<Placement>& to, ValueForm& value) const {
    if (value.kind == ValueKind::kString) {
      return InvalidInput(
          Format("is a string in the files, but {} gives it a layout", target_name_));
    }
    for (const Placement& placement : to) {
      auto partition = Partition::Create(placement.layout(), value.shape);
      if (!partition.ok()) {
        return InvalidInput(Format("{} ({}, {})", partition.status().message(), target_name_,
                                   ToText(placement.layout(), value.dtype, value.shape)));
      }
      const StatedShape& stated = placement.parameter->whole_shape;
      if (stated && *stated != value.shape) {
        return InvalidInput(Format("is {} in the files, but {} says {}", ToText(value.shape),
                                   target_name_, ToText(*stated)));
      }
      value.targets.push_back(
          {.partition = std::move(*partition), .first_rank = placement.first_rank});
    }
    return OkStatus();
  }

  // Parameters that should be there and are in no file.
  Status CheckMissing() {
    std::vector<std::string> lost;
    std::vector<std::string> only_target;
    const Strategy& wanted = target_has_strategy_ ? target_ : source_.strategy;
    for (const std::string_view name : wanted.Names()) {
      if (source_.catalog.Contains(name) || IsScratch(name)) continue;
      const std::vector<Placement> to = target_.Find(name);
      if (target_has_strategy_ && std::none_of(to.begin(), to.end(), [&](const Placement& p) {
            return IsPlacementWanted(p);
          })) {
        continue;
      }
      (source_.strategy.Contains(name) ? lost : only_target).push_back(Printable(name));
    }
    if (!lost.empty() && !options_.allow_missing) {
      return InvalidInput(Format(
          "{}: in the strategies, but in no file of {}; is it the right strategy? (--allow-missing "
          "goes on without)",
          JoinLimited(lost), source_.spec.text()));
    }
    if (!only_target.empty() && options_.strict) {
      return InvalidInput(Format("{}: in {}, but in no file of {} (--strict)",
                                 JoinLimited(only_target), target_name_, source_.spec.text()));
    }
    if (!left_out_.empty() && options_.strict) {
      return InvalidInput(Format("{}: in the source strategy, but not in {} (--strict)",
                                 JoinLimited(left_out_), target_name_));
    }
    lost.insert(lost.end(), only_target.begin(), only_target.end());
    Report("missing", lost, "wanted by the target, but in no source file: not written");
    return OkStatus();
  }

  void ReportAll() {
    Report("left_out", left_out_,
           "not in the target strategy: left out (--keep-extra keeps them whole)");
    Report("scratch", scratch_, "gradient accumulators, which training makes anew: left out");
    Report(
        "unplaced", {unplaced_.begin(), unplaced_.end()},
        "also in files of stages where the source strategy does not place them: those copies were "
        "not read");
    std::vector<std::string> carried;
    for (const TargetValue& value : contents_.values) {
      if (value.carried) carried.push_back(Printable(value.name));
    }
    Report("carried", carried, "in no strategy: carried to every rank as they are");
  }

  void Report(const char* kind, const std::vector<std::string>& names, const char* what) {
    if (names.empty()) return;
    contents_.notes.push_back({.kind = kind,
                               .message = Format("{}: {} ({})", what, JoinLimited(names),
                                                 Count(std::ssize(names), "value"))});
  }

  const CheckpointSet& source_;
  const Strategy& target_;
  const bool target_has_strategy_;
  const std::string& target_name_;
  const std::function<bool(int64_t)>& is_wanted_;
  const ContentsOptions& options_;
  ContentsBuilder builder_;
  Contents contents_;
  std::vector<std::string> left_out_;
  std::vector<std::string> scratch_;
  std::set<std::string> unplaced_;
};

}  // namespace

TargetValue TargetValues::operator[](size_t i) const {
  const ValueForm& form = forms_[values_[i].form];
  return {.name = (*names_)[values_[i].name],
          .kind = form.kind,
          .dtype = form.dtype,
          .shape = form.shape,
          .sources = form.sources,
          .targets = form.targets,
          .carried = form.carried};
}

bool IsScratch(std::string_view name) { return name.starts_with("accu_grads."); }

Result<Contents> DecideContents(const CheckpointSet& source, const Strategy& target,
                                bool target_has_strategy, const std::string& target_name,
                                const std::function<bool(int64_t target_rank)>& is_wanted,
                                const ContentsOptions& options) {
  return Decider(source, target, target_has_strategy, target_name, is_wanted, options).Run();
}

}  // namespace relayout
