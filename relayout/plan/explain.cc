// SPDX-License-Identifier: Apache-2.0
#include "relayout/plan/explain.h"

#include <algorithm>
#include <set>

#include "relayout/base/text.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

constexpr size_t kLineWidth = 100;
constexpr size_t kRanksWidth = 24;   // Longer than any three ranks.
constexpr size_t kLongestHead = 52;  // With its copies beside it.
constexpr size_t kItemIndent = 4;

// "rank 3", "ranks 0-3, 8", "ranks 0, 16, 32 and 61 more".
std::string RanksText(const std::vector<int64_t>& ranks) {
  if (ranks.size() == 1) return Format("rank {}", ranks[0]);
  std::string text = RankRuns(ranks);
  if (text.size() > kRanksWidth) {
    text = Format("{}, {}, {} and {} more", ranks[0], ranks[1], ranks[2], ranks.size() - 3);
  }
  return "ranks " + text;
}

std::string RanksText(const std::set<int64_t>& ranks) {
  return RanksText(std::vector<int64_t>(ranks.begin(), ranks.end()));
}

std::string PlaceText(const PlacedTensor& placed) {
  const int64_t last = placed.first_rank + placed.partition.layout().device_count() - 1;
  if (last == placed.first_rank) return Format("rank {}", last);
  return Format("ranks {}-{}", placed.first_rank, last);
}

// "ranks 0-7: 4 shards of [2,3], each on 2 ranks".
std::string ShardsText(const PlacedTensor& placed) {
  const Partition& partition = placed.partition;
  const Layout& layout = partition.layout();
  const Dims first = Dims::Filled(layout.dim_count(), 0);
  const std::string shape = layout.spec().uneven_rows.empty()
                                ? " of " + ToText(partition.BoxOf(first).shape())
                                : " of unequal rows";
  std::string text = PlaceText(placed) + ": ";
  text += layout.shard_count() == 1 ? "whole" : Format("{} shards{}", layout.shard_count(), shape);
  if (layout.replica_count() > 1) text += Format(", each on {} ranks", layout.replica_count());
  return text;
}

Box BoxOfShard(const Partition& partition, int64_t shard) {
  return partition.BoxOf(partition.layout().CellOfShard(shard));
}

class Explanation {
 public:
  Explanation(const Transfer& transfer, const ExplainLimits& limits)
      : transfer_(transfer), limits_(limits) {}

  std::vector<std::string> Explain(std::string_view name, DType dtype,
                                   const std::vector<PlacedTensor>& unused_sources) {
    const int64_t size_bytes =
        Box::Whole(transfer_.shape()).volume() * transfer_.element_size_bytes;
    Add(0, Format("{}: {}{}, {}", Printable(name), ShortName(dtype), ToText(transfer_.shape()),
                  HumanBytes(size_bytes)));
    AddSides(unused_sources);
    AddMap();
    AddReplicas();
    AddTargets();
    return std::move(lines_);
  }

 private:
  void Add(size_t indent, const std::string& text) {
    lines_.push_back(text.empty() ? "" : std::string(indent, ' ') + text);
  }

  void AddSide(std::string_view side, const PlacedTensor& placed, std::string_view remark) {
    Add(2, Format("{}  {}  {}{}", side, ToText(placed.partition.layout()), ShardsText(placed),
                  remark));
  }

  void AddSides(const std::vector<PlacedTensor>& unused_sources) {
    AddSide("source", transfer_.source, "");
    for (const PlacedTensor& source : unused_sources) {
      AddSide("source", source, "; not read: holds the same");
    }
    for (const TransferTarget& target : transfer_.targets) {
      AddSide("target", target.placed, "");
    }
    std::set<int64_t> read(transfer_.source_ranks.begin(), transfer_.source_ranks.end());
    read.erase(Transfer::kNoRank);
    std::set<int64_t> written;
    for (const TransferTarget& target : transfer_.targets) {
      for (const auto& ranks : target.ranks_of_shard) written.insert(ranks.begin(), ranks.end());
    }
    if (read.empty() || written.empty()) return Add(2, "nothing is copied");
    Add(2, Format("read from {}, written to {}", RanksText(read), RanksText(written)));
  }

  void AddMap() {
    const auto map = DrawTensorMap(transfer_, limits_.map);
    if (map.empty()) return;
    Add(0, "");
    for (const std::string& line : map) Add(4, line);
  }

  // Which of those that hold the same is read.
  void AddReplicas() {
    if (transfer_.source.partition.layout().replica_count() == 1) return;
    size_t listed = 0;
    size_t more = 0;
    for (size_t shard = 0; shard < transfer_.source_ranks.size(); ++shard) {
      const int64_t chosen = transfer_.source_ranks[shard];
      if (chosen == Transfer::kNoRank) continue;
      if (listed == limits_.source_shards) {
        ++more;
        continue;
      }
      if (listed++ == 0) Add(0, "");
      const auto index = static_cast<int64_t>(shard);
      Add(2, Format("source shard {} is on {}; rank {} is read",
                    ToText(BoxOfShard(transfer_.source.partition, index)),
                    RanksText(HoldersOf(transfer_.source, index)), chosen));
    }
    if (more > 0) Add(2, Format("... and {} more source shards with replicas", more));
  }

  // In the order of the ranks that store them, as far as a page goes.
  void AddTargets() {
    struct Wanted {
      int64_t first_rank;
      size_t target;
      int64_t shard;
      auto operator<=>(const Wanted&) const = default;
    };
    std::vector<Wanted> wanted;
    for (size_t t = 0; t < transfer_.targets.size(); ++t) {
      const auto& ranks = transfer_.targets[t].ranks_of_shard;
      for (size_t shard = 0; shard < ranks.size(); ++shard) {
        if (!ranks[shard].empty())
          wanted.push_back({ranks[shard][0], t, static_cast<int64_t>(shard)});
      }
    }
    std::sort(wanted.begin(), wanted.end());
    if (!wanted.empty()) Add(0, "");
    const size_t end = lines_.size() + limits_.target_lines;
    size_t listed = 0;
    for (; listed < wanted.size() && lines_.size() < end; ++listed) {
      AddTarget(wanted[listed].target, wanted[listed].shard);
    }
    if (listed < wanted.size()) {
      Add(2, Format("... and {} more target shards", wanted.size() - listed));
    }
  }

  void AddTarget(size_t t, int64_t shard) {
    const TransferTarget& target = transfer_.targets[t];
    const Box box = BoxOfShard(target.placed.partition, shard);
    const auto copies = CopiesInto(transfer_, t, shard);
    std::string head =
        Format("target {} {}", RanksText(target.ranks_of_shard[AsSize(shard)]), ToText(box));
    if (copies.empty()) return Add(2, head + ": no elements");
    head += Format(" {} <- ", BytesText(box));
    std::vector<std::string> items;
    for (size_t i = 0; i < std::min(copies.size(), limits_.copies_of_shard); ++i) {
      items.push_back(Format("rank {} {} ({})", copies[i].source_rank, ToText(copies[i].box),
                             BytesText(copies[i].box)));
    }
    if (items.size() < copies.size()) {
      items.push_back(Format("and {} more", copies.size() - items.size()));
    }
    AddWrapped(head, items);
  }

  // The items after the head, and below each other where they do not fit; below a long head.
  void AddWrapped(const std::string& head, const std::vector<std::string>& items) {
    const size_t indent = head.size() <= kLongestHead ? head.size() : kItemIndent;
    std::string line = head;
    if (indent < head.size()) {
      Add(2, line.substr(0, line.find_last_not_of(' ') + 1));
      line.assign(indent, ' ');
    }
    for (size_t i = 0; i < items.size(); ++i) {
      const std::string item = items[i] + (i + 1 < items.size() ? "," : "");
      if (line.size() > indent && 2 + line.size() + 1 + item.size() > kLineWidth) {
        Add(2, line);
        line.assign(indent, ' ');
      }
      line += (line.size() > indent ? " " : "") + item;
    }
    Add(2, line);
  }

  std::string BytesText(const Box& box) const {
    return HumanBytes(box.volume() * transfer_.element_size_bytes);
  }

  static size_t AsSize(int64_t i) { return static_cast<size_t>(i); }

  const Transfer& transfer_;
  const ExplainLimits& limits_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<ShardCopy> CopiesInto(const Transfer& transfer, size_t target, int64_t shard) {
  const Box wanted = BoxOfShard(transfer.targets[target].placed.partition, shard);
  if (wanted.volume() == 0) return {};
  const Partition& source = transfer.source.partition;
  const CellRange cells = CellsOverlapping(source, wanted);
  std::vector<ShardCopy> copies;
  Dims cell = cells.begin;
  do {
    const Box box = Intersect(source.BoxOf(cell), wanted);
    if (box.volume() == 0) continue;  // An uneven piece without rows.
    const auto index = static_cast<size_t>(source.layout().ShardIndexOf(cell));
    copies.push_back({.source_rank = transfer.source_ranks[index], .box = box});
  } while (NextIndex(cells.begin, cells.end, cell));
  return copies;
}

std::vector<std::string> ExplainTransfer(std::string_view name, DType dtype,
                                         const Transfer& transfer,
                                         const std::vector<PlacedTensor>& unused_sources,
                                         const ExplainLimits& limits) {
  return Explanation(transfer, limits).Explain(name, dtype, unused_sources);
}

}  // namespace relayout
