// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/contents.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "relayout/base/byte_io.h"
#include "relayout/base/text.h"
#include "relayout/convert/source_value.h"
#include "relayout/format/value_name.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

// The same for values that have the same form: what a form is made of.
std::string KeyOf(const SourceValue& value, const std::vector<Placement>& to) {
  ByteWriter key;
  key.Int(static_cast<int64_t>(value.kind));
  key.Int(static_cast<int64_t>(value.dtype));
  WriteDims(key, value.shape);
  for (const auto* placements : {&value.placements, &to}) {
    key.Int(std::ssize(*placements));
    for (const Placement& placement : *placements) {
      key.Int(static_cast<int64_t>(reinterpret_cast<intptr_t>(placement.parameter)));
      key.Int(placement.first_rank);
    }
  }
  return key.Take();
}

// A value's name on both sides.
struct NamePair {
  std::string_view source;
  std::string_view target;
};

}  // namespace

// Collects values, each form once.
class ContentsBuilder {
 public:
  explicit ContentsBuilder(std::shared_ptr<const NameTable> names) {
    values_.names_ = std::move(names);
  }

  // Adds a value with the form of an earlier one of this key; false when there was none.
  bool AddLike(const std::string& key, const NamePair& name) {
    const auto form = form_of_key_.find(key);
    if (form == form_of_key_.end()) return false;
    const uint32_t number = *values_.names_->Find(name.source);
    values_.values_.push_back({number, form->second});
    if (name.target != name.source) values_.new_name_of_.emplace(number, name.target);
    return true;
  }

  void Add(const std::string& key, const NamePair& name, ValueForm form) {
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
    RELAYOUT_RETURN_IF_ERROR(CheckRenames());
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
  bool has_any_strategy() const { return source_.has_strategy || target_has_strategy_; }

  Status Decide(std::string_view name) {
    if (IsScratch(name) && has_any_strategy()) {
      scratch_.emplace_back(name);
      return OkStatus();
    }
    const std::optional<std::string_view> target_name = NewNameOf(name);
    if (!target_name) {
      dropped_.emplace_back(name);
      return OkStatus();
    }
    const NamePair names{.source = name, .target = *target_name};
    const std::vector<Placement> from = source_.strategy.Find(name);
    const std::vector<Placement> to = target_.Find(names.target);
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
    RELAYOUT_ASSIGN_OR_RETURN(const SourceValue value, DescribeValue(source_, name));
    if (value.has_unplaced_copies) unplaced_.emplace_back(name);
    const std::string key = KeyOf(value, to);
    if (builder_.AddLike(key, names)) return OkStatus();
    ValueForm form{.kind = value.kind,
                   .dtype = value.dtype,
                   .shape = value.shape,
                   .sources = {},
                   .targets = {},
                   .carried = from.empty() && whole && has_any_strategy()};
    RELAYOUT_ASSIGN_OR_RETURN(form.sources, PlaceSources(source_, value));
    if (whole) {
      form.targets.push_back(WholeOnAll(target_.rank_count(), form.shape));
    } else {
      RELAYOUT_RETURN_IF_ERROR(PlaceTargets(to, form));
    }
    builder_.Add(key, names, std::move(form));
    return OkStatus();
  }

  // Nothing: the value is left out on request.
  std::optional<std::string_view> NewNameOf(std::string_view name) const {
    const auto found = options_.renames.find(name);
    if (found == options_.renames.end()) return name;
    if (!found->second) return std::nullopt;
    return *found->second;
  }

  // The way back; nothing for a name that is left out or given away.
  std::optional<std::string_view> SourceNameOf(std::string_view target_name) const {
    const auto renamed = old_name_of_.find(target_name);
    if (renamed != old_name_of_.end()) return renamed->second;
    if (options_.renames.contains(target_name)) return std::nullopt;
    return target_name;
  }

  // No two values may get one name; a name that no file has may be a slip.
  Status CheckRenames() {
    if (options_.renames.empty()) return OkStatus();
    std::vector<std::string> unused;
    for (const auto& [name, new_name] : options_.renames) {
      if (new_name) {
        RELAYOUT_RETURN_IF_ERROR(CheckName(*new_name).WithContext("a new name"));
        old_name_of_.emplace(*new_name, name);
      }
      if (!source_.catalog.Contains(name)) unused.push_back(Printable(name));
    }
    Report("rename_unused", unused, "to be renamed or left out, but in no source file");
    std::unordered_map<std::string_view, std::string_view> source_of;
    for (const std::string_view name : source_.catalog.names()) {
      const auto new_name = NewNameOf(name);
      if (!new_name) continue;
      const auto [other, is_new] = source_of.emplace(*new_name, name);
      if (is_new) continue;
      return InvalidInput(Format("{} and {} would both be called {}", Printable(other->second),
                                 Printable(name), Printable(*new_name)));
    }
    return OkStatus();
  }

  bool IsPlacementWanted(const Placement& placement) const {
    for (int64_t local = 0; local < placement.layout().device_count(); ++local) {
      if (is_wanted_(placement.first_rank + local)) return true;
    }
    return false;
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
      const auto origin = target_has_strategy_ ? SourceNameOf(name) : name;
      if ((origin && source_.catalog.Contains(*origin)) || IsScratch(name)) continue;
      const std::vector<Placement> to = target_.Find(name);
      if (target_has_strategy_ && std::none_of(to.begin(), to.end(), [&](const Placement& p) {
            return IsPlacementWanted(p);
          })) {
        continue;
      }
      const bool is_lost = origin && source_.strategy.Contains(*origin);
      (is_lost ? lost : only_target).push_back(Printable(name));
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
    Report("dropped", dropped_, "left out, as asked for");
    Report("left_out", left_out_,
           "not in the target strategy: left out (--keep-extra keeps them whole)");
    Report("scratch", scratch_, "gradient accumulators, which training makes anew: left out");
    Report(
        "unplaced", unplaced_,
        "also in files of stages where the source strategy does not place them: those copies were "
        "not read");
    std::vector<std::string> carried;
    for (const TargetValue& value : contents_.values) {
      if (value.carried) carried.push_back(Printable(value.name));
    }
    Report("carried", carried, "in no strategy: carried as they are");
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
  std::unordered_map<std::string_view, std::string_view> old_name_of_;  // Of renamed ones.
  std::vector<std::string> left_out_;
  std::vector<std::string> scratch_;
  std::vector<std::string> dropped_;
  std::vector<std::string> unplaced_;
};

}  // namespace

TargetValue TargetValues::operator[](size_t i) const {
  const Value& value = values_[i];
  const ValueForm& form = forms_[value.form];
  const std::string_view source_name = (*names_)[value.name];
  std::string_view name = source_name;
  if (!new_name_of_.empty()) {
    const auto new_name = new_name_of_.find(value.name);
    if (new_name != new_name_of_.end()) name = new_name->second;
  }
  return {.name = name,
          .source_name = source_name,
          .kind = form.kind,
          .dtype = form.dtype,
          .shape = form.shape,
          .sources = form.sources,
          .targets = form.targets,
          .carried = form.carried};
}

bool ValueForm::IsStoredBy(int64_t rank) const {
  for (size_t t = 0; t < targets.size(); ++t) {
    const Layout& layout = targets[t].partition.layout();
    const int64_t local = rank - targets[t].first_rank;
    if (local < 0 || local >= layout.device_count()) continue;
    return keepers.empty() || layout.ReplicaOf(local) == keepers[t];
  }
  return false;
}

TargetValues TargetValues::KeptBy(
    const std::function<std::vector<int64_t>(size_t i)>& keepers_of) const {
  TargetValues kept;
  kept.names_ = names_;
  kept.new_name_of_ = new_name_of_;
  kept.values_.reserve(values_.size());
  std::map<std::pair<uint32_t, std::vector<int64_t>>, uint32_t> form_of_keepers;
  for (size_t i = 0; i < values_.size(); ++i) {
    const auto [entry, is_new] = form_of_keepers.try_emplace(
        {values_[i].form, keepers_of(i)}, static_cast<uint32_t>(kept.forms_.size()));
    if (is_new) {
      kept.forms_.push_back(forms_[values_[i].form]);
      kept.forms_.back().keepers = entry->first.second;
    }
    kept.values_.push_back({values_[i].name, entry->second});
  }
  return kept;
}

TargetValues TargetValues::PlacedWhole(const std::function<int64_t(size_t i)>& rank_of) const {
  TargetValues placed;
  placed.names_ = names_;
  placed.new_name_of_ = new_name_of_;
  placed.values_.reserve(values_.size());
  std::map<std::pair<uint32_t, int64_t>, uint32_t> form_of_place;
  for (size_t i = 0; i < values_.size(); ++i) {
    const int64_t rank = rank_of(i);
    const auto [place, is_new] = form_of_place.try_emplace(
        {values_[i].form, rank}, static_cast<uint32_t>(placed.forms_.size()));
    if (is_new) {
      ValueForm form = forms_[values_[i].form];
      form.targets = {WholeOnAll(1, form.shape)};
      form.targets[0].first_rank = rank;
      placed.forms_.push_back(std::move(form));
    }
    placed.values_.push_back({values_[i].name, place->second});
  }
  return placed;
}

bool IsScratch(std::string_view name) { return name.starts_with("accu_grads."); }

Result<Contents> DecideContents(const CheckpointSet& source, const Strategy& target,
                                bool target_has_strategy, const std::string& target_name,
                                const std::function<bool(int64_t target_rank)>& is_wanted,
                                const ContentsOptions& options) {
  return Decider(source, target, target_has_strategy, target_name, is_wanted, options).Run();
}

}  // namespace relayout
