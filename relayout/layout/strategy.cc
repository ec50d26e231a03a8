// SPDX-License-Identifier: Apache-2.0
#include "relayout/layout/strategy.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "relayout/base/checked_math.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

// Numbers forms, equal ones alike.
class FormPool {
 public:
  explicit FormPool(std::vector<ParameterForm>& forms) : forms_(forms) {}

  uint32_t NumberOf(const Layout& layout, const StatedShape& shape) {
    const Layout shared = layouts_.Share(layout);
    std::vector<uint32_t>& same_layout = forms_of_layout_[shared.identity()];
    for (const uint32_t form : same_layout) {
      if (forms_[form].whole_shape == shape) return form;
    }
    const auto number = static_cast<uint32_t>(forms_.size());
    forms_.push_back({.layout = shared, .whole_shape = shape});
    same_layout.push_back(number);
    return number;
  }

 private:
  std::vector<ParameterForm>& forms_;
  LayoutPool layouts_;
  std::unordered_map<const void*, std::vector<uint32_t>> forms_of_layout_;
};

void WriteNumbers(ByteWriter& writer, const std::vector<int64_t>& numbers) {
  writer.Int(std::ssize(numbers));
  for (const int64_t number : numbers) writer.Int(number);
}

std::vector<int64_t> ReadNumbers(ByteReader& reader) {
  std::vector<int64_t> numbers(reader.Count());
  for (int64_t& number : numbers) number = reader.Int();
  return numbers;
}

void WriteForm(ByteWriter& writer, const ParameterForm& form) {
  const LayoutSpec& spec = form.layout.spec();
  WriteNumbers(writer, spec.mesh);
  writer.Int(std::ssize(spec.dim_axes));
  for (const auto& axes : spec.dim_axes) WriteNumbers(writer, {axes.begin(), axes.end()});
  writer.Int(spec.optimizer_group);
  WriteNumbers(writer, spec.uneven_rows);
  writer.Int(form.whole_shape ? 1 : 0);
  if (form.whole_shape) WriteDims(writer, *form.whole_shape);
}

Result<ParameterForm> ReadForm(ByteReader& reader) {
  LayoutSpec spec;
  spec.mesh = ReadNumbers(reader);
  spec.dim_axes.resize(reader.Count());
  for (auto& axes : spec.dim_axes) {
    axes.resize(reader.Count());
    for (int& axis : axes) axis = static_cast<int>(reader.IntIn(0, kMaxDims));
  }
  spec.optimizer_group = reader.Int();
  spec.uneven_rows = ReadNumbers(reader);
  std::optional<Dims> shape;
  if (reader.IntIn(0, 1) == 1) shape = ReadDims(reader);
  RELAYOUT_ASSIGN_OR_RETURN(Layout layout, Layout::Create(std::move(spec)));
  return ParameterForm{.layout = std::move(layout), .whole_shape = shape};
}

}  // namespace

Result<Strategy> Strategy::Create(std::vector<StageStrategy> stages,
                                  std::shared_ptr<NameTable> names) {
  Strategy strategy(names ? std::move(names) : std::make_shared<NameTable>());
  FormPool pool(strategy.forms_);
  size_t count = 0;
  for (const StageStrategy& stage : stages) count += stage.parameters.size();
  strategy.name_of_.reserve(count);
  strategy.form_of_.reserve(count);
  for (StageStrategy& stage : stages) {
    strategy.stage_begins_.push_back(strategy.name_of_.size());
    // Of a million parameters not a second copy.
    for (; !stage.parameters.empty(); stage.parameters.pop_front()) {
      const ParameterLayout& parameter = stage.parameters.front();
      strategy.name_of_.push_back(strategy.names_->Add(parameter.name).first);
      strategy.form_of_.push_back(pool.NumberOf(parameter.layout, parameter.whole_shape));
    }
  }
  strategy.stage_begins_.push_back(count);
  RELAYOUT_RETURN_IF_ERROR(strategy.FillRanks());
  RELAYOUT_RETURN_IF_ERROR(strategy.FillFirst());
  return strategy;
}

Strategy Strategy::Empty(int64_t device_count) {
  Strategy strategy(std::make_shared<NameTable>());
  strategy.stage_begins_ = {0, 0};
  strategy.first_ranks_ = {0, device_count};
  return strategy;
}

// The number of devices of each stage; stages without parameters take that of the others.
Result<std::vector<int64_t>> Strategy::DeviceCounts() const {
  std::vector<int64_t> counts(stage_begins_.size() - 1, 0);
  for (size_t s = 0; s < counts.size(); ++s) {
    for (size_t p = stage_begins_[s]; p < stage_begins_[s + 1]; ++p) {
      const int64_t count = forms_[form_of_[p]].layout.device_count();
      if (counts[s] != 0 && counts[s] != count) {
        return InvalidInput(Format("stage {}: {} is laid out on {}, but {} on {}", s,
                                   ParameterAt(stage_begins_[s]).name, Count(counts[s], "device"),
                                   Printable(ParameterAt(p).name), count));
      }
      counts[s] = count;
    }
  }
  const auto known = std::find_if(counts.begin(), counts.end(), [](int64_t n) { return n != 0; });
  if (known == counts.end()) return InvalidInput("the strategy names no parameter");
  const int64_t common = *known;
  if (std::find(counts.begin(), counts.end(), 0) != counts.end()) {
    for (int64_t& count : counts) {
      if (count != 0 && count != common) {
        return InvalidInput(
            "a stage has no parameters and the others differ in size, so its size is unknown");
      }
      count = common;
    }
  }
  return counts;
}

Status Strategy::FillRanks() {
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> counts, DeviceCounts());
  first_ranks_.push_back(0);
  for (const int64_t count : counts) {
    const auto next = CheckedAdd(first_ranks_.back(), count);
    if (!next || *next > (int64_t{1} << 40)) return InvalidInput("the strategy has too many ranks");
    first_ranks_.push_back(*next);
  }
  return OkStatus();
}

Status Strategy::FillFirst() {
  first_of_name_.assign(names_->size(), kNone);
  if (stage_count() > 1) next_of_.assign(name_of_.size(), kNone);
  // Backwards, so that each is put before those of later stages.
  for (size_t p = name_of_.size(); p-- > 0;) {
    uint32_t& first = first_of_name_[name_of_[p]];
    const size_t stage = StageOfParameter(p);
    if (first != kNone && first < stage_begins_[stage + 1]) {
      return InvalidInput(
          Format("{}: listed twice in stage {}", Printable(ParameterAt(p).name), stage));
    }
    if (!next_of_.empty()) next_of_[p] = first;
    first = static_cast<uint32_t>(p);
  }
  return OkStatus();
}

int64_t Strategy::StageOf(int64_t rank) const {
  RELAYOUT_CHECK(rank >= 0 && rank < rank_count());
  return std::upper_bound(first_ranks_.begin(), first_ranks_.end(), rank) - first_ranks_.begin() -
         1;
}

size_t Strategy::StageOfParameter(size_t number) const {
  const auto after = std::upper_bound(stage_begins_.begin(), stage_begins_.end(), number);
  return static_cast<size_t>(after - stage_begins_.begin()) - 1;
}

Strategy::Parameter Strategy::ParameterAt(size_t number) const {
  const ParameterForm& form = forms_[form_of_[number]];
  return {
      .name = (*names_)[name_of_[number]], .layout = form.layout, .whole_shape = form.whole_shape};
}

Strategy::Parameters Strategy::parameters(int64_t stage) const {
  const auto s = static_cast<size_t>(stage);
  return {*this, stage_begins_[s], stage_begins_[s + 1]};
}

uint32_t Strategy::FirstOf(std::string_view name) const {
  const auto number = names_->Find(name);
  // A shared table may have grown since.
  return number && *number < first_of_name_.size() ? first_of_name_[*number] : kNone;
}

std::vector<Placement> Strategy::Find(std::string_view name) const {
  std::vector<Placement> placements;
  for (uint32_t p = FirstOf(name); p != kNone; p = next_of_.empty() ? kNone : next_of_[p]) {
    const size_t stage = StageOfParameter(p);
    placements.push_back({.stage = static_cast<int64_t>(stage),
                          .first_rank = first_ranks_[stage],
                          .parameter = &forms_[form_of_[p]]});
  }
  return placements;
}

std::vector<std::string_view> Strategy::Names() const {
  std::vector<std::string_view> names;
  for (size_t p = 0; p < name_of_.size(); ++p) {
    if (first_of_name_[name_of_[p]] == p) names.push_back((*names_)[name_of_[p]]);
  }
  return names;
}

std::string Strategy::Serialize() const {
  ByteWriter writer;
  names_->Write(writer);
  Write(writer);
  return writer.Take();
}

Result<Strategy> Strategy::Deserialize(std::string_view bytes) {
  ByteReader reader(bytes);
  auto names = std::make_shared<NameTable>(NameTable::Read(reader));
  RELAYOUT_ASSIGN_OR_RETURN(Strategy strategy, Read(reader, std::move(names)));
  if (!reader.AtEnd()) return InvalidInput("the bytes are no strategy");
  return strategy;
}

void Strategy::Write(ByteWriter& writer) const {
  writer.Int(rank_count());
  writer.Int(std::ssize(forms_));
  for (const ParameterForm& form : forms_) WriteForm(writer, form);
  writer.Int(stage_count());
  for (size_t s = 0; s + 1 < stage_begins_.size(); ++s) {
    writer.Int(static_cast<int64_t>(stage_begins_[s + 1] - stage_begins_[s]));
    int64_t last = -1;  // Most names follow the one before.
    for (size_t p = stage_begins_[s]; p < stage_begins_[s + 1]; ++p) {
      writer.Int(name_of_[p] - last);
      writer.Int(form_of_[p]);
      last = name_of_[p];
    }
  }
}

Result<Strategy> Strategy::Read(ByteReader& reader, std::shared_ptr<NameTable> names) {
  const int64_t rank_count = reader.IntIn(0, int64_t{1} << 40);
  Strategy strategy(std::move(names));
  for (size_t left = reader.Count(); left > 0; --left) {
    RELAYOUT_ASSIGN_OR_RETURN(ParameterForm form, ReadForm(reader));
    strategy.forms_.push_back(std::move(form));
  }
  const int64_t name_count = std::ssize(*strategy.names_);
  const int64_t form_count = std::ssize(strategy.forms_);
  const size_t stage_count = reader.Count();
  for (size_t s = 0; s < stage_count; ++s) {
    strategy.stage_begins_.push_back(strategy.name_of_.size());
    int64_t last = -1;
    for (size_t left = reader.Count(2); left > 0; --left) {
      last += reader.IntIn(-last, name_count - 1 - last);
      strategy.name_of_.push_back(static_cast<uint32_t>(last));
      strategy.form_of_.push_back(static_cast<uint32_t>(reader.IntIn(0, form_count - 1)));
    }
  }
  strategy.stage_begins_.push_back(strategy.name_of_.size());
  if (!reader.ok() || stage_count == 0) return InvalidInput("the bytes are no strategy");
  if (strategy.name_of_.empty() && stage_count == 1) return Empty(rank_count);
  RELAYOUT_RETURN_IF_ERROR(strategy.FillRanks());
  RELAYOUT_RETURN_IF_ERROR(strategy.FillFirst());
  return strategy;
}

}  // namespace relayout
