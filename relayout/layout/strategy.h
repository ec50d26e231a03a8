// SPDX-License-Identifier: Apache-2.0
//
// Strategy: the layouts of all parameters, stage by stage, and where each stage's ranks begin.
//
//   stage 0, ranks 0-3:  layer1.weight  {a:4} (-,-) opt:4
//   stage 1, ranks 4-7:  layer2.weight  {a:4} (-,-) opt:4
//
// A parameter may live in several stages (a tied embedding), with a layout in each.
// Names are numbers of a NameTable, equal layouts are stored once: a parameter costs 12 bytes
// beside its name, which strategies and catalogs of one conversion share.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/byte_io.h"
#include "relayout/base/dims.h"
#include "relayout/base/index_iterator.h"
#include "relayout/base/name_table.h"
#include "relayout/base/status.h"
#include "relayout/layout/layout.h"

namespace relayout {

// A shape that a file may state or not, in two words. Copies share; compared by what it says.
class StatedShape {
 public:
  StatedShape() = default;
  // Implicit on purpose: `parameter.whole_shape = shape;`.
  StatedShape(const Dims& shape) : shape_(std::make_shared<const Dims>(shape)) {}
  StatedShape(const std::optional<Dims>& shape) {
    if (shape) shape_ = std::make_shared<const Dims>(*shape);
  }

  explicit operator bool() const { return shape_ != nullptr; }
  const Dims& operator*() const { return *shape_; }
  friend bool operator==(const StatedShape& a, const StatedShape& b) {
    return a.shape_ == b.shape_ || (a.shape_ && b.shape_ && *a == *b);
  }

 private:
  std::shared_ptr<const Dims> shape_;
};

// One parameter of one stage, as files give it.
struct ParameterLayout {
  std::string name;
  Layout layout;
  // The whole tensor's shape where the strategy file states it (JSON's tensor_shape).
  StatedShape whole_shape;
};

// The parameters of one stage, in the order of the file. A deque, so that it grows without a second
// copy and can be taken apart from the front.
struct StageStrategy {
  std::deque<ParameterLayout> parameters;
};

// What parameters have in common. Many share one.
struct ParameterForm {
  Layout layout;
  StatedShape whole_shape;
};

// A parameter's layout on the ranks [first_rank, first_rank + layout().device_count()).
struct Placement {
  int64_t stage = 0;
  int64_t first_rank = 0;
  const ParameterForm* parameter = nullptr;

  const Layout& layout() const { return parameter->layout; }
};

class Strategy {
 public:
  // One parameter of a strategy; valid while the strategy lives.
  struct Parameter {
    std::string_view name;
    const Layout& layout;
    const StatedShape& whole_shape;
  };

  // The parameters of one stage, in the order of the file. For range-for.
  class Parameters {
   public:
    Parameters(const Strategy& strategy, size_t begin, size_t end)
        : strategy_(&strategy), begin_(begin), end_(end) {}
    size_t size() const { return end_ - begin_; }
    Parameter operator[](size_t i) const { return strategy_->ParameterAt(begin_ + i); }
    IndexIterator<Parameters> begin() const { return {this, 0}; }
    IndexIterator<Parameters> end() const { return {this, size()}; }

   private:
    const Strategy* strategy_;
    size_t begin_;
    size_t end_;
  };

  // Checks and indexes `stages`. Fails when no stage has a parameter, a name occurs twice in a
  // stage, or the parameters of a stage disagree about its number of devices. A stage without
  // parameters has as many devices as the others, which then must agree.
  // Names are added to `names`, which several strategies and catalogs may share; null = its own.
  static Result<Strategy> Create(std::vector<StageStrategy> stages,
                                 std::shared_ptr<NameTable> names = nullptr);

  // `device_count` ranks in one stage without any parameter: nothing is known, all is whole.
  static Strategy Empty(int64_t device_count);

  Strategy(Strategy&&) = default;
  Strategy& operator=(Strategy&&) = default;
  Strategy(const Strategy&) = delete;  // Placements point into it.
  Strategy& operator=(const Strategy&) = delete;

  Parameters parameters(int64_t stage) const;
  int64_t stage_count() const { return static_cast<int64_t>(first_ranks_.size()) - 1; }
  int64_t rank_count() const { return first_ranks_.back(); }
  // Stage `stage` has the ranks [first_rank(stage), first_rank(stage + 1)).
  int64_t first_rank(int64_t stage) const { return first_ranks_[static_cast<size_t>(stage)]; }
  // @pre 0 <= rank < rank_count()
  int64_t StageOf(int64_t rank) const;

  // Where `name` lives, in ascending stage; empty when the strategy does not know it.
  // Valid while the strategy lives and is not moved from.
  std::vector<Placement> Find(std::string_view name) const;
  bool Contains(std::string_view name) const { return FirstOf(name) != kNone; }
  // Every name once, in order of first appearance; valid while the strategy lives.
  std::vector<std::string_view> Names() const;

  // For other processes of this program. Fails on bytes that are no strategy.
  std::string Serialize() const;
  static Result<Strategy> Deserialize(std::string_view bytes);
  // The same in a larger message, without the names: the reader has them as `names`.
  void Write(ByteWriter& writer) const;
  static Result<Strategy> Read(ByteReader& reader, std::shared_ptr<NameTable> names);
  const std::shared_ptr<NameTable>& name_table() const { return names_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  explicit Strategy(std::shared_ptr<NameTable> names) : names_(std::move(names)) {}
  Parameter ParameterAt(size_t number) const;
  uint32_t FirstOf(std::string_view name) const;
  size_t StageOfParameter(size_t number) const;
  Result<std::vector<int64_t>> DeviceCounts() const;
  Status FillRanks();
  Status FillFirst();

  std::shared_ptr<NameTable> names_;
  std::vector<ParameterForm> forms_;  // Distinct.
  // Of each parameter, stage after stage: its name and its form.
  std::vector<uint32_t> name_of_;
  std::vector<uint32_t> form_of_;
  std::vector<size_t> stage_begins_;  // Into the two above; stage_count() + 1 entries.
  std::vector<int64_t> first_ranks_;  // stage_count() + 1 entries.
  // Of each name its first parameter, and of each parameter the next of its name, or kNone. The
  // latter only with several stages.
  std::vector<uint32_t> first_of_name_;
  std::vector<uint32_t> next_of_;
};

}  // namespace relayout
