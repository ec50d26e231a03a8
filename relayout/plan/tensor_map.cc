// SPDX-License-Identifier: Apache-2.0
#include "relayout/plan/tensor_map.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr size_t kRanksWidth = 9;

// Whose shards begin at a position.
struct Cut {
  bool source = false;
  bool target = false;
};

// One dimension with all its cuts, the end included.
struct Axis {
  size_t dim = 0;
  std::vector<int64_t> positions;
  std::vector<Cut> cuts;

  size_t interval_count() const { return positions.size() - 1; }
};

void AddCuts(const Partition& partition, size_t d, bool is_source, std::map<int64_t, Cut>& cuts) {
  for (int64_t piece = 0; piece <= partition.layout().grid()[d]; ++piece) {
    Cut& cut = cuts[piece == 0 ? 0 : partition.PieceBegin(d, piece)];
    (is_source ? cut.source : cut.target) = true;
  }
}

Axis MakeAxis(const Transfer& transfer, size_t d) {
  std::map<int64_t, Cut> cuts;
  AddCuts(transfer.source.partition, d, /*is_source=*/true, cuts);
  for (const TransferTarget& target : transfer.targets) {
    AddCuts(target.placed.partition, d, /*is_source=*/false, cuts);
  }
  Axis axis{.dim = d, .positions = {}, .cuts = {}};
  for (const auto& [position, cut] : cuts) {
    axis.positions.push_back(position);
    axis.cuts.push_back(cut);
  }
  return axis;
}

// The dims that are cut, the most finely cut first.
std::vector<Axis> CutAxes(const Transfer& transfer) {
  std::vector<Axis> axes;
  for (size_t d = 0; d < transfer.shape().size(); ++d) {
    Axis axis = MakeAxis(transfer, d);
    if (axis.interval_count() > 1) axes.push_back(std::move(axis));
  }
  std::stable_sort(axes.begin(), axes.end(), [](const Axis& a, const Axis& b) {
    return a.interval_count() > b.interval_count();
  });
  return axes;
}

int64_t ShardAt(const Partition& partition, const Dims& point) {
  Dims cell;
  for (size_t d = 0; d < point.size(); ++d) cell.push_back(partition.PieceAt(d, point[d]));
  return partition.layout().ShardIndexOf(cell);
}

// "4 > 0,2": who is read and who stores the element at `point`; empty where nobody wants it.
std::string LabelAt(const Transfer& transfer, const Dims& point) {
  std::set<int64_t> ranks;
  for (const TransferTarget& target : transfer.targets) {
    const auto shard = static_cast<size_t>(ShardAt(target.placed.partition, point));
    ranks.insert(target.ranks_of_shard[shard].begin(), target.ranks_of_shard[shard].end());
  }
  if (ranks.empty()) return "";
  const int64_t source = ShardAt(transfer.source.partition, point);
  return Format("{} > {}", transfer.source_ranks[static_cast<size_t>(source)],
                ShortRanks({ranks.begin(), ranks.end()}, kRanksWidth));
}

class MapDrawing {
 public:
  MapDrawing(const Transfer& transfer, const TensorMapLimits& limits)
      : transfer_(transfer), axes_(CutAxes(transfer)) {
    if (axes_.empty()) return;
    AssignAxes();
    if (rows_) row_count_ = std::min(limits.row_count, rows_->interval_count());
    if (rows_) {
      for (const int64_t position : rows_->positions) {
        margin_ = std::max(margin_, std::to_string(position).size() + 1);
      }
    }
    FillLabels(limits.width);
  }

  std::vector<std::string> Draw() {
    if (axes_.empty()) return {};
    if (columns_) lines_.push_back(ColumnNumbers());
    for (size_t row = 0; row < row_count_; ++row) {
      lines_.push_back(Border(row));
      lines_.push_back(Cells(row));
    }
    lines_.push_back(Border(row_count_));
    AddLegend();
    return std::move(lines_);
  }

 private:
  // The more finely cut of the two runs down only if it comes first in the tensor, so that the
  // picture lies as the tensor does. A vector lies.
  void AssignAxes() {
    if (axes_.size() == 1) {
      (axes_[0].dim + 1 == transfer_.shape().size() ? columns_ : rows_) = axes_[0];
      return;
    }
    rows_ = axes_[0].dim < axes_[1].dim ? axes_[0] : axes_[1];
    columns_ = axes_[0].dim < axes_[1].dim ? axes_[1] : axes_[0];
  }

  // As many columns as fit beside each other.
  void FillLabels(size_t width) {
    const size_t all = columns_ ? columns_->interval_count() : 1;
    labels_.resize(row_count_);
    for (column_count_ = 0; column_count_ < all; ++column_count_) {
      size_t cell_width = cell_width_;
      for (size_t row = 0; row < row_count_; ++row) {
        labels_[row].push_back(LabelAt(transfer_, PointOf(row, column_count_)));
        cell_width = std::max(cell_width, labels_[row].back().size() + 2);
      }
      const size_t end = margin_ + (column_count_ + 1) * (cell_width + 1) + 1;
      if (column_count_ > 0 && end > width) break;
      cell_width_ = cell_width;
    }
  }

  Dims PointOf(size_t row, size_t column) const {
    Dims point = Dims::Filled(transfer_.shape().size(), 0);
    if (rows_) point[rows_->dim] = rows_->positions[row];
    if (columns_) point[columns_->dim] = columns_->positions[column];
    return point;
  }

  std::string ColumnNumbers() const {
    std::string line;
    for (size_t column = 0; column <= column_count_; ++column) {
      const size_t at = margin_ + column * (cell_width_ + 1);
      if (column > 0 && line.size() + 1 > at) continue;  // No room beside a long number.
      line.resize(at, ' ');
      line += std::to_string(columns_->positions[column]);
    }
    return line;
  }

  std::string Border(size_t row) const {
    const Cut cut = rows_ ? rows_->cuts[row] : Cut{.source = true, .target = true};
    const std::string number = rows_ ? std::to_string(rows_->positions[row]) : "";
    std::string line = Format("{:>{}} ", number, margin_ - 1);
    const char fill = cut.source && cut.target ? '=' : cut.source ? '-' : '.';
    for (size_t column = 0; column < column_count_; ++column) {
      line += Edge(column);
      line.append(cell_width_, fill);
    }
    return line + Edge(column_count_);
  }

  std::string Cells(size_t row) const {
    std::string line(margin_, ' ');
    for (size_t column = 0; column < column_count_; ++column) {
      const std::string& label = labels_[row][column];
      line += Format("{}{:^{}}", Edge(column), label, cell_width_);
    }
    return line + Edge(column_count_);
  }

  char Edge(size_t column) const {
    if (!columns_) return '#';
    const Cut cut = columns_->cuts[column];
    return cut.source && cut.target ? '#' : cut.source ? '|' : ':';
  }

  void AddLegend() {
    std::string dims;
    if (rows_) dims += Format("down: dim {}", rows_->dim);
    if (columns_) dims += Format("{}across: dim {}", rows_ ? ", " : "", columns_->dim);
    lines_.push_back(dims + "; 3 > 0,2 is read from rank 3 and stored by ranks 0 and 2");
    AddAbbreviation();
    lines_.emplace_back("lines: | - a source shard begins, : . a target shard, # = both");
    for (size_t i = 2; i < axes_.size(); ++i) {
      lines_.push_back(Format("dim {} is cut too; drawn is its first part, {}:{}", axes_[i].dim,
                              axes_[i].positions[0], axes_[i].positions[1]));
    }
    const size_t rows = rows_ ? rows_->interval_count() : 1;
    const size_t columns = columns_ ? columns_->interval_count() : 1;
    if (row_count_ == rows && column_count_ == columns) return;
    lines_.push_back(Format("drawn are the first {} of {} rows and the first {} of {} columns",
                            row_count_, rows, column_count_, columns));
  }

  // Explains the first "0+63" that is drawn.
  void AddAbbreviation() {
    for (size_t row = 0; row < row_count_; ++row) {
      for (size_t column = 0; column < column_count_; ++column) {
        const std::string& label = labels_[row][column];
        const size_t plus = label.find('+');
        if (plus == std::string::npos) continue;
        const size_t begin = label.rfind(' ') + 1;
        lines_.push_back(Format("{} are rank {} and {} more", label.substr(begin),
                                label.substr(begin, plus - begin), label.substr(plus + 1)));
        return;
      }
    }
  }

  const Transfer& transfer_;
  const std::vector<Axis> axes_;
  std::optional<Axis> rows_;
  std::optional<Axis> columns_;
  size_t margin_ = 1;  // Left of the picture.
  size_t row_count_ = 1;
  size_t column_count_ = 1;
  size_t cell_width_ = 3;
  std::vector<std::vector<std::string>> labels_;  // By row and column.
  std::vector<std::string> lines_;
};

}  // namespace

std::string ShortRanks(const std::vector<int64_t>& ascending_ranks, size_t limit) {
  std::string runs = RankRuns(ascending_ranks);
  std::erase(runs, ' ');
  if (runs.size() <= limit) return runs;
  return Format("{}+{}", ascending_ranks[0], ascending_ranks.size() - 1);
}

std::vector<std::string> DrawTensorMap(const Transfer& transfer, const TensorMapLimits& limits) {
  if (Box::Whole(transfer.shape()).volume() == 0) return {};
  return MapDrawing(transfer, limits).Draw();
}

}  // namespace relayout
