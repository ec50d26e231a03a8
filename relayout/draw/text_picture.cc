// SPDX-License-Identifier: Apache-2.0
#include "relayout/draw/text_picture.h"

#include <algorithm>

#include "relayout/base/text.h"
#include "relayout/draw/device_grid.h"
#include "relayout/draw/palette.h"
#include "relayout/draw/words.h"
#include "relayout/layout/box.h"
#include "relayout/plan/transfer.h"

namespace relayout {
namespace {

size_t AsSize(int64_t i) { return static_cast<size_t>(i); }

// The nearest of the 6 x 6 x 6 colours that every terminal with 256 has.
int CubeColor(const Rgb& rgb) {
  const auto level = [](int channel) { return channel < 48 ? 0 : (channel - 35) / 40; };
  return 16 + 36 * level(rgb.red) + 6 * level(rgb.green) + level(rgb.blue);
}

std::string Colored(const std::string& text, const Rgb& rgb, TextColors colors) {
  switch (colors) {
    case TextColors::k256:
      return Format("\x1b[30;48;5;{}m{}\x1b[0m", CubeColor(rgb), text);
    case TextColors::kTrueColor:
      return Format("\x1b[38;2;0;0;0;48;2;{};{};{}m{}\x1b[0m", rgb.red, rgb.green, rgb.blue, text);
    case TextColors::kNone:
      break;
  }
  return text;
}

class DevicesInText {
 public:
  DevicesInText(const Layout& layout, const TextPictureOptions& options)
      : layout_(layout), options_(options) {
    const int64_t last_rank = options.first_rank + layout.device_count() - 1;
    rank_width_ = std::to_string(last_rank).size();
    shard_width_ = std::to_string(layout.shard_count() - 1).size();
    cell_width_ = rank_width_ + shard_width_ + 4;  // "| 12 #3 |" without the lines.
    grid_ = ArrangeDevices(layout.spec().mesh, ColumnsThatFit(kLeastMargin));
    // The labels' width depends on the arrangement and the other way round; once more settles it.
    if (margin() > kLeastMargin) {
      grid_ = ArrangeDevices(layout.spec().mesh, ColumnsThatFit(margin()));
    }
  }

  std::vector<std::string> Draw() {
    for (const AxisBand& band : grid_.column_bands) lines_.push_back(ColumnLabels(band));
    for (int64_t row = 0; row < grid_.rows; ++row) {
      if (row == 0) lines_.push_back(Border(row));
      lines_.push_back(Cells(row));
      lines_.push_back(Border(row));
    }
    return std::move(lines_);
  }

 private:
  static constexpr size_t kLeastMargin = 4;

  int64_t ColumnsThatFit(size_t margin) const {
    const size_t room = options_.width > margin + 1 ? options_.width - margin - 1 : 0;
    return std::clamp<int64_t>(static_cast<int64_t>(room / (cell_width_ + 1)), 1, 16);
  }

  static size_t LabelWidth(const AxisBand& band) {
    size_t width = 0;
    for (int64_t i = 0; i < band.count; ++i) width = std::max(width, band.LabelAt(i).size());
    return width;
  }

  size_t margin() const {
    size_t margin = 1;
    for (const AxisBand& band : grid_.row_bands) margin += LabelWidth(band) + 1;
    return margin;
  }

  // Each label over the middle of the cells it names, where it fits.
  std::string ColumnLabels(const AxisBand& band) const {
    std::string line(margin() + 1, ' ');
    const size_t room = AsSize(band.size) * (cell_width_ + 1);
    for (int64_t i = 0; i * band.size < grid_.columns; ++i) {
      const std::string label = band.LabelAt(i);
      line += label.size() < room ? Format("{:^{}}", label, room) : std::string(room, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line;
  }

  // An outer axis is named beside the first of its rows.
  std::string RowLabels(int64_t row) const {
    std::string text(1, ' ');
    for (const AxisBand& band : grid_.row_bands) {
      const std::string label = row % band.size == 0 ? band.LabelAt(row / band.size) : "";
      text += Format("{:>{}} ", label, LabelWidth(band));
    }
    return text;
  }

  int64_t DevicesIn(int64_t row) const {
    return std::min(grid_.columns, grid_.device_count - row * grid_.columns);
  }

  std::string Border(int64_t row) const {
    std::string line(margin(), ' ');
    for (int64_t column = 0; column < DevicesIn(row); ++column) {
      line += '+' + std::string(cell_width_, '-');
    }
    return line + '+';
  }

  std::string Cells(int64_t row) const {
    std::string line = RowLabels(row);
    for (int64_t column = 0; column < DevicesIn(row); ++column) {
      const int64_t device = row * grid_.columns + column;
      const int64_t shard = layout_.ShardIndexOf(layout_.CellOf(device));
      const std::string text = Format(" {:>{}} #{:<{}} ", options_.first_rank + device, rank_width_,
                                      shard, shard_width_);
      line += '|' + Colored(text, ShardRgb(layout_, shard), options_.colors);
    }
    return line + '|';
  }

  const Layout& layout_;
  const TextPictureOptions& options_;
  DeviceGrid grid_;
  size_t rank_width_ = 1;
  size_t shard_width_ = 1;
  size_t cell_width_ = 1;
  std::vector<std::string> lines_;
};

// "rows 3/8 to 4/8, columns 0/2 to 1/2"; dims that are not cut are left out.
std::string FractionText(const Layout& layout, const Dims& cell) {
  std::string text;
  for (size_t d = 0; d < cell.size(); ++d) {
    const int64_t count = layout.grid()[d];
    if (count == 1) continue;
    if (!text.empty()) text += ", ";
    text +=
        Format("{} {}/{} to {}/{}", DimWord(cell.size(), d), cell[d], count, cell[d] + 1, count);
  }
  return text.empty() ? "the whole" : text;
}

std::string UnevenText(const Layout& layout, const Dims& cell) {
  const std::vector<int64_t>& rows = layout.spec().uneven_rows;
  int64_t begin = 0;
  for (size_t i = 0; i < AsSize(cell[0]); ++i) begin += rows[i];
  return Format("{} {}:{}", DimWord(cell.size(), 0), begin, begin + rows[AsSize(cell[0])]);
}

}  // namespace

std::vector<std::string> DrawDevices(const Layout& layout, const TextPictureOptions& options) {
  return DevicesInText(layout, options).Draw();
}

std::vector<std::string> ListShards(const Layout& layout, const std::optional<Dims>& shape,
                                    int64_t first_rank, size_t limit) {
  std::optional<Partition> partition;
  if (shape) {
    if (auto created = Partition::Create(layout, *shape); created.ok()) partition = *created;
  }
  const size_t count = std::min(limit, AsSize(layout.shard_count()));
  std::vector<std::string> boxes;
  size_t box_width = 0;
  for (size_t shard = 0; shard < count; ++shard) {
    const Dims cell = layout.CellOfShard(static_cast<int64_t>(shard));
    boxes.push_back(partition                           ? ToText(partition->BoxOf(cell))
                    : layout.spec().uneven_rows.empty() ? FractionText(layout, cell)
                                                        : UnevenText(layout, cell));
    box_width = std::max(box_width, boxes.back().size());
  }
  std::vector<std::string> lines;
  for (size_t shard = 0; shard < count; ++shard) {
    std::vector<int64_t> ranks;
    const Dims cell = layout.CellOfShard(static_cast<int64_t>(shard));
    for (int64_t replica = 0; replica < layout.replica_count(); ++replica) {
      ranks.push_back(first_rank + layout.RankOf(cell, replica));
    }
    lines.push_back(Format("#{:<{}}  {:<{}}  {} {}", shard, std::to_string(count - 1).size(),
                           boxes[shard], box_width, ranks.size() == 1 ? "rank" : "ranks",
                           RankRuns(ranks)));
  }
  if (count < AsSize(layout.shard_count())) {
    lines.push_back(Format("... and {} more shards", AsSize(layout.shard_count()) - count));
  }
  return lines;
}

}  // namespace relayout
