// SPDX-License-Identifier: Apache-2.0
#include "tests/oracle/plan_check.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/layout/notation.h"
#include "tests/oracle/layouts.h"

namespace relayout::oracle {
namespace {

constexpr uint64_t kContent = 7;

PlacedTensor Place(const PlacedSpec& placed, const Ints& shape) {
  auto layout = Layout::Create(placed.spec);
  RELAYOUT_CHECK(layout.ok());
  auto partition = Partition::Create(*std::move(layout), ToDims(shape));
  RELAYOUT_CHECK(partition.ok());
  return {.partition = *std::move(partition), .first_rank = placed.first_rank};
}

bool Holds(const Region& region, const Ints& index) {
  for (size_t d = 0; d < index.size(); ++d) {
    if (index[d] < region.begin[d] || index[d] >= region.end[d]) return false;
  }
  return true;
}

Region ToRegion(const Box& box) { return {ToInts(box.begin), ToInts(box.end)}; }

int64_t Volume(const Box& box) { return Product(ToRegion(box).shape()); }

// The place of a tensor's element in the dense bytes of a region.
int64_t PlaceIn(const Region& region, const Ints& index) {
  Ints local;
  for (size_t d = 0; d < index.size(); ++d) local.push_back(index[d] - region.begin[d]);
  return FlatIndex(region.shape(), local);
}

bool IsInside(const Region& inner, const Region& outer) {
  for (size_t d = 0; d < inner.begin.size(); ++d) {
    if (inner.begin[d] < outer.begin[d] || inner.end[d] > outer.end[d]) return false;
  }
  return true;
}

bool IsOneRun(const Region& inner, const Region& outer) {
  int64_t expected = -1;
  for (const Ints& index : IndicesOf(inner)) {
    const int64_t place = PlaceIn(outer, index);
    if (expected >= 0 && place != expected) return false;
    expected = place + 1;
  }
  return true;
}

// A rank's memory: what it stores and how often each element was touched.
struct Memory {
  Region region;
  std::string bytes;
  std::vector<int> touched;
};

class Checker {
 public:
  explicit Checker(const PlanCase& plan_case)
      : case_(plan_case),
        size_(plan_case.element_size_bytes),
        whole_(Content(kContent, Product(plan_case.shape), size_)) {
    for (const PlacedSpec& placed : case_.sources) sources_.push_back(Memories(placed));
    for (const PlacedSpec& placed : case_.targets) {
      targets_.push_back(Memories(placed));
      for (auto& [rank, memory] : targets_.back()) {
        std::fill(memory.bytes.begin(), memory.bytes.end(), '?');
      }
    }
  }

  std::string Run(PlanCounts* counts) {
    TransferRequest request{
        .element_size_bytes = size_,
        .sources = {},
        .targets = {},
        .is_available = [&](int64_t r) { return !case_.unavailable.contains(r); },
        .is_wanted = [&](int64_t r) { return IsWanted(r); }};
    for (const PlacedSpec& placed : case_.sources) {
      request.sources.push_back(Place(placed, case_.shape));
    }
    for (const PlacedSpec& placed : case_.targets) {
      request.targets.push_back(Place(placed, case_.shape));
    }
    ReplicaChooser chooser;
    const auto transfer = PlanTransfer(request, chooser);
    const auto usable = FirstUsableSource();
    if (!transfer.ok()) {
      if (usable) return "refused, but a source has it all: " + transfer.status().message();
      if (counts != nullptr) ++counts->refused;
      return "";
    }
    if (!usable) return "planned, but no source has all that is needed";
    source_ = *usable;
    if (transfer->source.first_rank != case_.sources[source_].first_rank) {
      return "not the first source that can serve";
    }
    TileCursor cursor(*transfer, case_.options);
    while (const auto tile = cursor.Next()) {
      if (std::string wrong = Carry(*transfer, *tile); !wrong.empty()) {
        return Format("tile {}: {}", ToText(tile->box), wrong);
      }
      if (counts != nullptr) ++(tile->direct ? counts->direct_tiles : counts->gather_tiles);
    }
    return CheckEnd(*transfer);
  }

 private:
  using MemoryOfRank = std::map<int64_t, Memory>;

  bool IsWanted(int64_t rank) const { return !case_.unwanted.contains(rank); }

  MemoryOfRank Memories(const PlacedSpec& placed) const {
    const auto regions = RegionsOfRanks(placed.spec, case_.shape);
    RELAYOUT_CHECK(regions.has_value());
    MemoryOfRank memories;
    for (size_t local = 0; local < regions->size(); ++local) {
      const Region& region = (*regions)[local];
      memories[placed.first_rank + static_cast<int64_t>(local)] = {
          .region = region,
          .bytes = Cut(whole_, case_.shape, size_, region),
          .touched = std::vector<int>(static_cast<size_t>(Product(region.shape())), 0)};
    }
    return memories;
  }

  bool IsNeeded(const Ints& index) const {
    return std::any_of(targets_.begin(), targets_.end(), [&](const MemoryOfRank& memories) {
      return std::any_of(memories.begin(), memories.end(), [&](const auto& entry) {
        return IsWanted(entry.first) && Holds(entry.second.region, index);
      });
    });
  }

  bool IsServed(const MemoryOfRank& memories, const Ints& index) const {
    return std::any_of(memories.begin(), memories.end(), [&](const auto& entry) {
      return !case_.unavailable.contains(entry.first) && Holds(entry.second.region, index);
    });
  }

  std::optional<size_t> FirstUsableSource() const {
    const Region whole{Ints(case_.shape.size(), 0), case_.shape};
    const std::vector<Ints> indices = IndicesOf(whole);
    for (size_t s = 0; s < sources_.size(); ++s) {
      if (std::all_of(indices.begin(), indices.end(), [&](const Ints& index) {
            return !IsNeeded(index) || IsServed(sources_[s], index);
          })) {
        return s;
      }
    }
    return std::nullopt;
  }

  std::string Carry(const Transfer& transfer, const Tile& tile) {
    if (Volume(tile.box) == 0) return "empty";
    std::vector<Memory*> holders;
    for (const ShardPiece& piece : tile.sources) {
      holders.push_back(nullptr);
      if (Volume(piece.box) == 0) continue;
      const int64_t rank = transfer.source_ranks[static_cast<size_t>(piece.shard)];
      const auto memory = sources_[source_].find(rank);
      if (memory == sources_[source_].end()) return Format("source rank {}", rank);
      if (case_.unavailable.contains(rank)) return Format("rank {} is not available", rank);
      if (memory->second.region != ToRegion(piece.shard_box)) {
        return Format("rank {} does not hold {}", rank, ToText(piece.shard_box));
      }
      if (!IsInside(ToRegion(piece.box), ToRegion(tile.box)) ||
          !IsInside(ToRegion(piece.box), memory->second.region)) {
        return "a source piece leaves its tile or shard";
      }
      if (tile.direct && !IsOneRun(ToRegion(piece.box), memory->second.region)) {
        return "direct, but the source is not one run";
      }
      holders.back() = &memory->second;
      for (const Ints& index : IndicesOf(ToRegion(piece.box))) {
        ++memory->second.touched[static_cast<size_t>(PlaceIn(memory->second.region, index))];
      }
    }
    if (tile.direct && tile.sources.size() != 1) return "direct with several source pieces";
    if (std::string wrong = CheckSize(transfer, tile); !wrong.empty()) return wrong;
    std::set<size_t> direct_targets;
    for (const TargetPiece& target : tile.targets) {
      if (tile.direct && !direct_targets.insert(target.target).second) {
        return "direct with two pieces of one target";
      }
      if (std::string wrong = Write(transfer, tile, target, holders); !wrong.empty()) return wrong;
    }
    return "";
  }

  std::string Write(const Transfer& transfer, const Tile& tile, const TargetPiece& target,
                    const std::vector<Memory*>& holders) {
    const auto& ranks =
        transfer.targets[target.target].ranks_of_shard[static_cast<size_t>(target.piece.shard)];
    if (ranks.empty()) return "a target piece that nobody wants";
    const Region box = ToRegion(target.piece.box);
    for (const int64_t rank : ranks) {
      if (!IsWanted(rank)) return Format("rank {} is not wanted", rank);
      Memory& memory = targets_[target.target].at(rank);
      if (memory.region != ToRegion(target.piece.shard_box)) {
        return Format("target rank {} does not store {}", rank, ToText(target.piece.shard_box));
      }
      if (!IsInside(box, ToRegion(tile.box)) || !IsInside(box, memory.region)) {
        return "a target piece leaves its tile or shard";
      }
      if (tile.direct && !IsOneRun(box, memory.region)) {
        return "direct, but the target is not one run";
      }
      for (const Ints& index : IndicesOf(box)) {
        const auto to = static_cast<size_t>(PlaceIn(memory.region, index));
        ++memory.touched[to];
        int found = 0;
        for (const size_t i : target.sources) {
          if (holders[i] == nullptr || !Holds(ToRegion(tile.sources[i].box), index)) continue;
          ++found;
          const auto size = static_cast<size_t>(size_);
          const auto from = static_cast<size_t>(PlaceIn(holders[i]->region, index));
          memory.bytes.replace(to * size, size, holders[i]->bytes, from * size, size);
        }
        if (found != 1) return Format("an element with {} sources", found);
      }
    }
    return "";
  }

  // Gather tiles within gather_bytes, direct ones within max_direct_bytes; both may have one row of
  // what no side cuts.
  std::string CheckSize(const Transfer& transfer, const Tile& tile) const {
    const int64_t bytes = Volume(tile.box) * size_;
    const Region around = transfer.wants_everything()
                              ? Region{Ints(case_.shape.size(), 0), case_.shape}
                              : ToRegion(tile.targets[0].piece.shard_box);
    size_t first_uncut = case_.shape.size();
    while (first_uncut > 0 && IsUncut(transfer, tile, around, first_uncut - 1)) --first_uncut;
    int64_t row_bytes = size_;
    for (size_t d = std::max<size_t>(first_uncut, 1); d < case_.shape.size(); ++d) {
      row_bytes *= around.end[d] - around.begin[d];
    }
    const int64_t limit = tile.direct ? case_.options.max_direct_bytes : case_.options.gather_bytes;
    if (bytes > std::max(limit, row_bytes)) {
      return Format("{} bytes, more than {} and than a row of {}", bytes, limit, row_bytes);
    }
    return "";
  }

  bool IsUncut(const Transfer& transfer, const Tile& tile, const Region& around, size_t d) const {
    const auto is_whole = [&](const MemoryOfRank& memories) {
      return std::all_of(memories.begin(), memories.end(), [&](const auto& entry) {
        const Region& region = entry.second.region;
        // Pieces beside the region do not cut it.
        if (region.end[d] <= around.begin[d] || region.begin[d] >= around.end[d]) return true;
        return region.begin[d] == around.begin[d] && region.end[d] == around.end[d];
      });
    };
    if (!is_whole(sources_[source_])) return false;
    if (!transfer.wants_everything()) return is_whole(targets_[tile.targets[0].target]);
    return std::all_of(targets_.begin(), targets_.end(), is_whole);
  }

  std::string CheckEnd(const Transfer& transfer) const {
    for (const MemoryOfRank& memories : targets_) {
      for (const auto& [rank, memory] : memories) {
        for (const int touched : memory.touched) {
          if (touched != (IsWanted(rank) ? 1 : 0)) {
            return Format("an element of target rank {} was written {} times", rank, touched);
          }
        }
        if (IsWanted(rank) && memory.bytes != Cut(whole_, case_.shape, size_, memory.region)) {
          return Format("target rank {} has wrong bytes", rank);
        }
      }
    }
    if (!transfer.wants_everything()) return "";
    int64_t read = 0;
    for (const auto& [rank, memory] : sources_[source_]) {
      for (const int touched : memory.touched) {
        if (touched > 1) return Format("an element of source rank {} was read twice", rank);
        read += touched;
      }
    }
    if (read != Product(case_.shape)) return Format("{} elements were read", read);
    return "";
  }

  const PlanCase& case_;
  const int64_t size_;
  const std::string whole_;
  std::vector<MemoryOfRank> sources_;
  std::vector<MemoryOfRank> targets_;
  size_t source_ = 0;
};

}  // namespace

std::string CheckPlan(const PlanCase& plan_case, PlanCounts* counts) {
  return Checker(plan_case).Run(counts);
}

PlanCase RandomPlanCase(Random& random) {
  constexpr int64_t kMaxElements = 600;
  PlanCase made;
  const auto dim_count = static_cast<size_t>(random.Between(0, 4));
  std::vector<LayoutSpec> specs;
  const auto place = [&](std::vector<PlacedSpec>& side) {
    const int64_t count = random.OneIn(3) ? 2 : 1;
    int64_t first_rank = random.Below(3);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t devices = random.Between(1, 8);
      side.push_back({RandomLayout(random, devices, dim_count), first_rank});
      specs.push_back(side.back().spec);
      first_rank += devices + random.Below(2);
    }
  };
  do {
    made.sources.clear();
    made.targets.clear();
    specs.clear();
    place(made.sources);
    place(made.targets);
    made.shape = CommonShape(specs, dim_count);
  } while (Product(made.shape) > kMaxElements);
  for (int64_t& length : made.shape) {
    const int64_t factor = random.OneIn(20) ? 0 : random.Between(1, 4);
    if (Product(made.shape) * std::max<int64_t>(1, factor) <= kMaxElements) length *= factor;
  }
  for (auto* side : {&made.sources, &made.targets}) {
    for (PlacedSpec& placed : *side) {
      const bool splits = placed.spec.optimizer_group != 1;
      if (dim_count > 0 && !splits && random.OneIn(4))
        MakeUneven(random, placed.spec, made.shape[0]);
    }
  }
  made.element_size_bytes = random.Pick(std::vector<int64_t>{1, 2, 4, 8, 16});
  if (random.OneIn(2)) {
    for (int64_t rank = 0; rank < 20; ++rank) {
      if (random.OneIn(2)) made.unwanted.insert(rank);
      if (random.OneIn(6)) made.unavailable.insert(rank);
    }
  }
  made.options.gather_bytes = int64_t{1} << random.Between(0, 12);
  made.options.min_direct_bytes =
      std::min(made.options.gather_bytes, int64_t{1} << random.Between(0, 10));
  made.options.max_direct_bytes = int64_t{1} << random.Between(4, 12);
  return made;
}

std::string Describe(const PlanCase& plan_case) {
  std::string text = ToText(ToDims(plan_case.shape));
  const auto add = [&](const char* name, const std::vector<PlacedSpec>& side) {
    for (const PlacedSpec& placed : side) {
      text += Format("\n{} {} from rank {}", name, ToText(*Layout::Create(placed.spec)),
                     placed.first_rank);
    }
  };
  add("source", plan_case.sources);
  add("target", plan_case.targets);
  return text + Format("\nunwanted {}\nunavailable {}\ngather {} direct {}-{}, elements of {}",
                       RankRuns({plan_case.unwanted.begin(), plan_case.unwanted.end()}),
                       RankRuns({plan_case.unavailable.begin(), plan_case.unavailable.end()}),
                       plan_case.options.gather_bytes, plan_case.options.min_direct_bytes,
                       plan_case.options.max_direct_bytes, plan_case.element_size_bytes);
}

}  // namespace relayout::oracle
