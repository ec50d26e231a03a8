// SPDX-License-Identifier: Apache-2.0
#include "relayout/draw/svg.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/draw/device_grid.h"
#include "relayout/draw/markup.h"
#include "relayout/draw/palette.h"
#include "relayout/draw/tensor_view.h"
#include "relayout/draw/words.h"
#include "relayout/layout/notation.h"
#include "relayout/plan/tensor_map.h"

namespace relayout {
namespace {

constexpr double kMargin = 8;
constexpr double kPanelGap = 40;
constexpr double kTensorSide = 240;
constexpr double kCharWidth = 0.6;  // Of the font size; digits and small letters are no wider.
constexpr std::string_view kInk = "#1b1f24";  // On coloured cells.

size_t AsSize(int64_t i) { return static_cast<size_t>(i); }

// At most one decimal: enough for a screen, and the same on every machine.
std::string Number(double value) {
  const double tenths = std::round(value * 10);
  return Format("{:g}", tenths / 10);
}

struct Size {
  double width = 0;
  double height = 0;
};

struct Point {
  double x = 0;
  double y = 0;
};

enum class Anchor { kStart, kMiddle, kEnd };

struct Font {
  double size = 11;
  Anchor anchor = Anchor::kStart;
  bool bold = false;
  bool muted = false;
  std::string_view fill = "currentColor";
};

class Canvas {
 public:
  void Rect(Point at, Size size, std::string_view fill, std::string_view more = "") {
    out_ += Format(R"(<rect x="{}" y="{}" width="{}" height="{}" fill="{}"{}/>)", Number(at.x),
                   Number(at.y), Number(size.width), Number(size.height), fill, more);
  }

  void Line(Point from, Point to, std::string_view style) {
    out_ += Format(R"(<path d="M{} {}L{} {}" {}/>)", Number(from.x), Number(from.y), Number(to.x),
                   Number(to.y), style);
  }

  void Text(Point at, std::string_view text, const Font& font = {}) {
    std::string more;
    if (font.anchor == Anchor::kMiddle) more += R"( text-anchor="middle")";
    if (font.anchor == Anchor::kEnd) more += R"( text-anchor="end")";
    if (font.bold) more += R"( font-weight="600")";
    if (font.muted) more += R"( opacity="0.72")";
    out_ += Format(R"(<text x="{}" y="{}" font-size="{}" fill="{}"{}>{}</text>)", Number(at.x),
                   Number(at.y), Number(font.size), font.fill, more, EscapeMarkup(text));
  }

  // Read from below, its middle at `at`.
  void RotatedText(Point at, std::string_view text) {
    out_ += Format(R"svg(<text transform="translate({} {}) rotate(-90)" font-size="11" )svg"
                   R"(text-anchor="middle" fill="currentColor" opacity="0.72">{}</text>)",
                   Number(at.x), Number(at.y), EscapeMarkup(text));
  }

  void Begin(std::string_view title) {
    out_ += Format("<g><title>{}</title>", EscapeMarkup(title));
  }
  void End() { out_ += "</g>\n"; }

  std::string Take() { return std::move(out_); }

 private:
  std::string out_;
};

double WidthOf(std::string_view text, double font_size) {
  return static_cast<double>(text.size()) * font_size * kCharWidth;
}

// --- The devices --------------------------------------------------------------------------------

class DevicePanel {
 public:
  DevicePanel(const Layout& layout, int64_t first_rank)
      : layout_(layout), first_rank_(first_rank), grid_(ArrangeDevices(layout.spec().mesh)) {
    if (grid_.device_count > 64) cell_ = {30, 20};
    if (grid_.device_count > 256) cell_ = {14, 10};
    for (const AxisBand& band : grid_.row_bands) {
      row_labels_width_ += LabelWidth(band, grid_.rows);
    }
    column_labels_height_ = 15.0 * static_cast<double>(grid_.column_bands.size());
  }

  Size size() const {
    return {
        row_labels_width_ + At(grid_.columns - 1, cell_.width, grid_.column_bands) + cell_.width,
        column_labels_height_ + At(grid_.rows - 1, cell_.height, grid_.row_bands) + cell_.height};
  }

  void Draw(Canvas& canvas, Point at) const {
    DrawColumnLabels(canvas, at);
    DrawRowLabels(canvas, at);
    at.x += row_labels_width_;
    at.y += column_labels_height_;
    for (int64_t device = 0; device < grid_.device_count; ++device) {
      DrawDevice(canvas, at, device);
    }
  }

 private:
  static double LabelWidth(const AxisBand& band, int64_t length) {
    size_t longest = 0;
    for (int64_t i = 0; i < std::min(band.count, length / band.size); ++i) {
      longest = std::max(longest, band.LabelAt(i).size());
    }
    return WidthOf(std::string(longest, ' '), 11) + 8;
  }

  // Where the i-th cell of an edge begins: groups of outer axes stand apart.
  static double At(int64_t i, double cell, const std::vector<AxisBand>& bands) {
    double at = static_cast<double>(i) * (cell + 3);
    for (size_t band = 0; band + 1 < bands.size(); ++band) {
      const int64_t groups_before = i / bands[band].size;
      at += 6 * static_cast<double>(groups_before);
    }
    return at;
  }

  void DrawColumnLabels(Canvas& canvas, Point at) const {
    at.x += row_labels_width_;
    for (const AxisBand& band : grid_.column_bands) {
      at.y += 15;
      for (int64_t i = 0; i * band.size < grid_.columns; ++i) {
        const double begin = At(i * band.size, cell_.width, grid_.column_bands);
        const double end =
            At((i + 1) * band.size - 1, cell_.width, grid_.column_bands) + cell_.width;
        const std::string label = band.LabelAt(i);
        if (WidthOf(label, 11) > end - begin + 2) continue;
        canvas.Text({at.x + (begin + end) / 2, at.y - 4}, label,
                    {.anchor = Anchor::kMiddle, .muted = true});
      }
    }
  }

  void DrawRowLabels(Canvas& canvas, Point at) const {
    at.y += column_labels_height_;
    for (const AxisBand& band : grid_.row_bands) {
      at.x += LabelWidth(band, grid_.rows);
      for (int64_t i = 0; i * band.size < grid_.rows; ++i) {
        const double begin = At(i * band.size, cell_.height, grid_.row_bands);
        const double end =
            At((i + 1) * band.size - 1, cell_.height, grid_.row_bands) + cell_.height;
        if (end - begin < 11) continue;
        canvas.Text({at.x - 6, at.y + (begin + end) / 2 + 4}, band.LabelAt(i),
                    {.anchor = Anchor::kEnd, .muted = true});
      }
    }
  }

  void DrawDevice(Canvas& canvas, Point at, int64_t device) const {
    const int64_t shard = layout_.ShardIndexOf(layout_.CellOf(device));
    at.x += At(device % grid_.columns, cell_.width, grid_.column_bands);
    at.y += At(device / grid_.columns, cell_.height, grid_.row_bands);
    const std::string rank = std::to_string(first_rank_ + device);
    canvas.Begin(Format("rank {}: shard #{}", rank, shard));
    canvas.Rect(at, cell_, ShardColor(layout_, shard), R"( rx="4")");
    const double middle = at.x + cell_.width / 2;
    if (cell_.height >= 30) {
      canvas.Text({middle, at.y + 15}, rank,
                  {.size = 13, .anchor = Anchor::kMiddle, .bold = true, .fill = kInk});
      canvas.Text({middle, at.y + 28}, Format("#{}", shard),
                  {.size = 10, .anchor = Anchor::kMiddle, .fill = kInk});
    } else if (cell_.height >= 20 && WidthOf(rank, 11) <= cell_.width) {
      canvas.Text({middle, at.y + 14}, rank, {.anchor = Anchor::kMiddle, .fill = kInk});
    }
    canvas.End();
  }

  const Layout layout_;
  const int64_t first_rank_;
  const DeviceGrid grid_;
  Size cell_ = {40, 34};
  double row_labels_width_ = 0;
  double column_labels_height_ = 0;
};

// --- The tensor ---------------------------------------------------------------------------------

// A cut along one shown dimension.
struct Edge {
  double at = 0;  // In [0, 1].
  bool source = false;
  bool target = false;
};

// The cuts of one shown dimension, both ends included; a dimension that is not there has the ends.
class EdgeList {
 public:
  explicit EdgeList(std::optional<size_t> dim) : dim_(dim) {
    edges_ = {{0, true, false}, {1, true, false}};
    positions_ = {0, 1};
  }

  void Fill(const Dims& shape, const std::vector<const Partition*>& partitions) {
    if (!dim_ || shape[*dim_] == 0) return;
    const int64_t length = shape[*dim_];
    edges_.clear();
    positions_.clear();
    for (size_t side = 0; side < partitions.size(); ++side) {
      const Partition& partition = *partitions[side];
      for (int64_t piece = 0; piece <= partition.layout().grid()[*dim_]; ++piece) {
        Add(piece == 0 ? 0 : partition.PieceBegin(*dim_, piece), length, side == 0);
      }
    }
  }

  size_t interval_count() const { return edges_.size() - 1; }
  const Edge& edge(size_t i) const { return edges_[i]; }
  int64_t position(size_t i) const { return positions_[i]; }
  std::optional<size_t> dim() const { return dim_; }

 private:
  void Add(int64_t position, int64_t length, bool is_source) {
    const auto place = std::lower_bound(positions_.begin(), positions_.end(), position);
    const auto i = static_cast<size_t>(place - positions_.begin());
    if (place == positions_.end() || *place != position) {
      positions_.insert(place, position);
      edges_.insert(edges_.begin() + static_cast<std::ptrdiff_t>(i),
                    {static_cast<double>(position) / static_cast<double>(length), false, false});
    }
    (is_source ? edges_[i].source : edges_[i].target) = true;
  }

  std::optional<size_t> dim_;
  std::vector<Edge> edges_;
  std::vector<int64_t> positions_;
};

int64_t ShardAt(const Partition& partition, const Dims& point) {
  Dims cell;
  for (size_t d = 0; d < point.size(); ++d) cell.push_back(partition.PieceAt(d, point[d]));
  return partition.layout().ShardIndexOf(cell);
}

class TensorPanel {
 public:
  // `partitions`: the source's or only one, then the targets'. `names_lengths`: the shape is real.
  TensorPanel(const std::vector<const Partition*>& partitions, bool names_lengths,
              const Transfer* transfer)
      : shape_(partitions[0]->shape()),
        partition_(*partitions[0]),
        names_lengths_(names_lengths),
        transfer_(transfer),
        view_(ViewOf(CutsOf(partitions), names_lengths ? std::optional(shape_) : std::nullopt)),
        down_(view_.down),
        across_(view_.across) {
    down_.Fill(shape_, partitions);
    across_.Fill(shape_, partitions);
    body_ = {kTensorSide * view_.width, kTensorSide * view_.height};
    left_ = view_.down ? 18 : 0;
    top_ = view_.across ? 15 : 0;
  }

  Size size() const {
    const double labels = std::max(WidthOf(AxisLabel(view_.across), 11), body_.width);
    return {left_ + labels, top_ + body_.height + (view_.hidden.empty() ? 0 : 16)};
  }

  void Draw(Canvas& canvas, Point at) const {
    if (view_.across) {
      canvas.Text({at.x + left_, at.y + 11}, AxisLabel(view_.across), {.muted = true});
    }
    at.y += top_;
    if (view_.down) DrawDownLabel(canvas, at);
    at.x += left_;
    for (size_t row = 0; row < down_.interval_count(); ++row) {
      for (size_t column = 0; column < across_.interval_count(); ++column) {
        DrawPiece(canvas, at, row, column);
      }
    }
    if (transfer_ == nullptr) DrawMeshCuts(canvas, at);
    DrawTargetCuts(canvas, at);
    if (!view_.hidden.empty()) {
      std::string text = "first piece of";
      for (const size_t d : view_.hidden) text += Format(" dim {}", d);
      canvas.Text({at.x, at.y + body_.height + 14}, text, {.muted = true});
    }
  }

 private:
  static Dims CutsOf(const std::vector<const Partition*>& partitions) {
    Dims cuts = partitions[0]->layout().grid();
    for (const Partition* partition : partitions) {
      for (size_t d = 0; d < cuts.size(); ++d) {
        cuts[d] = std::max(cuts[d], partition->layout().grid()[d]);
      }
    }
    return cuts;
  }

  std::string AxisLabel(std::optional<size_t> dim) const {
    if (!dim) return "";
    std::string text = DimWord(shape_.size(), *dim);
    if (names_lengths_) text += Format(": {}", shape_[*dim]);
    return text;
  }

  void DrawDownLabel(Canvas& canvas, Point at) const {
    const double x = at.x + 11;
    const double y = at.y + body_.height / 2;
    canvas.RotatedText({x, y}, AxisLabel(view_.down));
  }

  void DrawPiece(Canvas& canvas, Point at, size_t row, size_t column) const {
    const double x0 = across_.edge(column).at * body_.width;
    const double x1 = across_.edge(column + 1).at * body_.width;
    const double y0 = down_.edge(row).at * body_.height;
    const double y1 = down_.edge(row + 1).at * body_.height;
    Dims point = Dims::Filled(shape_.size(), 0);
    if (down_.dim()) point[*down_.dim()] = down_.position(row);
    if (across_.dim()) point[*across_.dim()] = across_.position(column);
    const int64_t shard = ShardAt(partition_, point);
    const std::string label = LabelAt(point, shard);
    canvas.Begin(TitleOf(label, shard));
    canvas.Rect({at.x + x0, at.y + y0}, {x1 - x0, y1 - y0}, ShardColor(partition_.layout(), shard),
                std::min(x1 - x0, y1 - y0) < 6 ? R"( stroke="#ffffff" stroke-width="0.4")"
                                               : R"( stroke="#ffffff")");
    if (y1 - y0 >= 13 && WidthOf(label, 10) + 4 <= x1 - x0) {
      canvas.Text({at.x + (x0 + x1) / 2, at.y + (y0 + y1) / 2 + 4}, label,
                  {.size = 10, .anchor = Anchor::kMiddle, .fill = kInk});
    }
    canvas.End();
  }

  std::string LabelAt(const Dims& point, int64_t shard) const {
    if (transfer_ == nullptr) return Format("#{}", shard);
    std::set<int64_t> ranks;
    for (const TransferTarget& target : transfer_->targets) {
      const auto wanted = AsSize(ShardAt(target.placed.partition, point));
      ranks.insert(target.ranks_of_shard[wanted].begin(), target.ranks_of_shard[wanted].end());
    }
    if (ranks.empty()) return "";
    return Format("{} > {}", transfer_->source_ranks[AsSize(shard)],
                  ShortRanks({ranks.begin(), ranks.end()}, 9));
  }

  std::string TitleOf(const std::string& label, int64_t shard) const {
    return transfer_ == nullptr ? Format("shard #{}", shard)
                                : Format("shard #{} of the source: {}", shard, label);
  }

  // Where the mesh cuts dimension 0 and not the optimizer alone.
  void DrawMeshCuts(Canvas& canvas, Point at) const {
    const int64_t parts = partition_.layout().optimizer_count();
    if (parts == 1) return;
    constexpr std::string_view kStyle = R"(stroke="#ffffff" stroke-width="3")";
    if (down_.dim() == size_t{0}) {
      for (size_t i = AsSize(parts); i < down_.interval_count(); i += AsSize(parts)) {
        const double y = at.y + down_.edge(i).at * body_.height;
        canvas.Line({at.x, y}, {at.x + body_.width, y}, kStyle);
      }
    }
    if (across_.dim() == size_t{0}) {
      for (size_t i = AsSize(parts); i < across_.interval_count(); i += AsSize(parts)) {
        const double x = at.x + across_.edge(i).at * body_.width;
        canvas.Line({x, at.y}, {x, at.y + body_.height}, kStyle);
      }
    }
  }

  void DrawTargetCuts(Canvas& canvas, Point at) const {
    constexpr std::string_view kStyle = R"(stroke="#1b1f24" stroke-width="2")";
    if (transfer_ == nullptr) return;
    for (size_t i = 0; i <= down_.interval_count(); ++i) {
      const double y = at.y + down_.edge(i).at * body_.height;
      if (down_.edge(i).target) canvas.Line({at.x, y}, {at.x + body_.width, y}, kStyle);
    }
    for (size_t i = 0; i <= across_.interval_count(); ++i) {
      const double x = at.x + across_.edge(i).at * body_.width;
      if (across_.edge(i).target) canvas.Line({x, at.y}, {x, at.y + body_.height}, kStyle);
    }
  }

  const Dims shape_;
  const Partition& partition_;
  const bool names_lengths_;
  const Transfer* transfer_;
  const TensorView view_;
  EdgeList down_;
  EdgeList across_;
  Size body_;
  double left_ = 0;
  double top_ = 0;
};

// --- The whole ----------------------------------------------------------------------------------

// "ranks 4-7", "rank 0".
std::string RanksText(int64_t first_rank, const Layout& layout) {
  const int64_t last = first_rank + layout.device_count() - 1;
  return last == first_rank ? Format("rank {}", last) : Format("ranks {}-{}", first_rank, last);
}

std::string Legend(const Layout& layout) {
  std::string text = "Number: rank. # and colour: the shard it holds";
  if (layout.replica_count() > 1) text += "; same colour, same content";
  if (layout.optimizer_count() > 1) text += "; shades: the optimizer split";
  return text + ".";
}

// An <svg> element from lines above, panels side by side and lines below.
class Picture {
 public:
  void AddHead(const std::string& text, bool bold = false) { heads_.push_back({text, bold}); }
  void AddFoot(const std::string& text) { feet_.push_back(text); }

  // Draws below a caption. `draw` is called with where to.
  template <typename Panel>
  void AddPanel(const std::string& caption, const Panel& panel) {
    const double x = panels_width_ == 0 ? 0 : panels_width_ + kPanelGap;
    const double y = HeadHeight();
    canvas_.Text({kMargin + x, y + 11}, caption, {.bold = true});
    panel.Draw(canvas_, {kMargin + x, y + 20});
    panels_width_ = x + std::max(panel.size().width, WidthOf(caption, 11));
    panels_height_ = std::max(panels_height_, panel.size().height + 20);
  }

  std::string Take(const std::string& title, const std::string& description) {
    double width = panels_width_;
    double y = kMargin;
    for (const Head& head : heads_) {
      y += 16;
      canvas_.Text({kMargin, y - 4}, head.text,
                   {.size = head.bold ? 13.0 : 11.0, .bold = head.bold});
      width = std::max(width, WidthOf(head.text, head.bold ? 13 : 11));
    }
    y = HeadHeight() + panels_height_ + (panels_height_ > 0 ? 8 : 0);
    for (const std::string& foot : feet_) {
      y += 14;
      canvas_.Text({kMargin, y - 3}, foot, {.size = 10, .muted = true});
      width = std::max(width, WidthOf(foot, 10));
    }
    const std::string w = Number(std::ceil(width) + 2 * kMargin);
    const std::string h = Number(std::ceil(y) + kMargin);
    return Format(
        R"(<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}" )"
        R"(font-family="system-ui, sans-serif" role="img"><title>{2}</title><desc>{3}</desc>)"
        "\n{4}</svg>\n",
        w, h, EscapeMarkup(title), EscapeMarkup(description), canvas_.Take());
  }

 private:
  struct Head {
    std::string text;
    bool bold;
  };

  double HeadHeight() const { return kMargin + 16 * static_cast<double>(heads_.size()) + 6; }

  Canvas canvas_;
  std::vector<Head> heads_;
  std::vector<std::string> feet_;
  double panels_width_ = 0;
  double panels_height_ = 0;
};

std::string Joined(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) text += (text.empty() ? "" : " ") + sentence;
  return text;
}

// A partition to draw: of the shape if it is one that can be drawn, else of a stand-in.
struct Drawable {
  Partition partition;
  bool is_real = false;
};

Drawable MakeDrawable(const Layout& layout, const std::optional<Dims>& shape) {
  if (shape && ElementCount(*shape).value_or(0) > 0) {
    if (auto partition = Partition::Create(layout, *shape); partition.ok()) {
      return {.partition = std::move(*partition), .is_real = true};
    }
  }
  Dims stand_in = layout.grid();
  const std::vector<int64_t>& rows = layout.spec().uneven_rows;
  if (!rows.empty()) {
    stand_in[0] = 0;
    for (const int64_t piece : rows) stand_in[0] += piece;
  }
  auto partition = Partition::Create(layout, stand_in);
  RELAYOUT_CHECK(partition.ok());
  return {.partition = std::move(*partition), .is_real = false};
}

}  // namespace

std::string LayoutSvg(const Layout& layout, const LayoutSvgOptions& options) {
  Picture picture;
  const std::string notation = ToText(layout);
  if (!options.title.empty()) picture.AddHead(Printable(options.title), /*bold=*/true);
  picture.AddHead(options.shape ? Format("{} @ {}", ToText(*options.shape), notation) : notation);
  if (layout.device_count() <= kMaxSvgDevices) {
    const Drawable drawable = MakeDrawable(layout, options.shape);
    picture.AddPanel(Format("Devices: {}", RanksText(options.first_rank, layout)),
                     DevicePanel(layout, options.first_rank));
    if (Box::Whole(drawable.partition.shape()).volume() > 0) {
      picture.AddPanel(Format("Tensor: {}", Count(layout.shard_count(), "shard")),
                       TensorPanel({&drawable.partition}, drawable.is_real, nullptr));
    }
    picture.AddFoot(Legend(layout));
  }
  const std::vector<std::string> words = LayoutWords(layout);
  for (const std::string& sentence : words) picture.AddFoot(sentence);
  return picture.Take(options.title.empty() ? notation : options.title, Joined(words));
}

std::string TransferSvg(const Transfer& transfer, const TransferSvgOptions& options) {
  Picture picture;
  const PlacedTensor& source = transfer.source;
  const PlacedTensor& target = transfer.targets[0].placed;
  const Layout& from = source.partition.layout();
  const Layout& to = target.partition.layout();
  const std::string sides = Format("{}  to  {}", ToText(from), ToText(to));
  if (!options.title.empty()) picture.AddHead(Printable(options.title), /*bold=*/true);
  picture.AddHead(sides);
  if (std::max(from.device_count(), to.device_count()) <= kMaxSvgDevices) {
    picture.AddPanel(Format("Source: {}", RanksText(source.first_rank, from)),
                     DevicePanel(from, source.first_rank));
    std::vector<const Partition*> partitions = {&source.partition};
    for (const TransferTarget& each : transfer.targets)
      partitions.push_back(&each.placed.partition);
    if (Box::Whole(transfer.shape()).volume() > 0) {
      picture.AddPanel("Copies", TensorPanel(partitions, !options.is_stand_in, &transfer));
    }
    picture.AddPanel(Format("Target: {}", RanksText(target.first_rank, to)),
                     DevicePanel(to, target.first_rank));
  }
  picture.AddFoot(
      "Middle: the tensor in the colours of the source's shards; dark lines: the target's shards.");
  picture.AddFoot("3 > 0,2: read from rank 3, stored by ranks 0 and 2.");
  return picture.Take(
      options.title.empty() ? sides : options.title,
      "Source: " + Joined(LayoutWords(from)) + " Target: " + Joined(LayoutWords(to)));
}

}  // namespace relayout
