// SPDX-License-Identifier: Apache-2.0
#include "relayout/draw/tensor_view.h"

#include <algorithm>
#include <numeric>

namespace relayout {
namespace {

constexpr double kShortest = 0.34;
constexpr double kVectorHeight = 0.18;

// The dims to show, ascending: those cut most finely, the last ones among equals.
std::vector<size_t> ShownDims(const Dims& piece_counts) {
  std::vector<size_t> dims(piece_counts.size());
  std::iota(dims.begin(), dims.end(), size_t{0});
  std::stable_sort(dims.begin(), dims.end(),
                   [&](size_t a, size_t b) { return piece_counts[a] > piece_counts[b]; });
  dims.resize(std::min<size_t>(dims.size(), 2));
  std::sort(dims.begin(), dims.end());
  return dims;
}

}  // namespace

TensorView ViewOf(const Dims& piece_counts, const std::optional<Dims>& shape) {
  TensorView view;
  const std::vector<size_t> shown = ShownDims(piece_counts);
  if (shown.size() == 1) view.across = shown[0];
  if (shown.size() == 2) {
    view.down = shown[0];
    view.across = shown[1];
  }
  for (size_t d = 0; d < piece_counts.size(); ++d) {
    if (piece_counts[d] > 1 && view.down != d && view.across != d) view.hidden.push_back(d);
  }
  if (!view.down) {
    view.height = view.across ? kVectorHeight : kShortest;
    view.width = view.across ? 1 : kShortest;
    return view;
  }
  double ratio = 0.75;  // Height to width.
  if (shape && (*shape)[*view.across] > 0) {
    ratio = static_cast<double>((*shape)[*view.down]) / static_cast<double>((*shape)[*view.across]);
    ratio = std::clamp(ratio, kShortest, 1 / kShortest);
  }
  view.width = std::min(1.0, 1 / ratio);
  view.height = std::min(1.0, ratio);
  return view;
}

}  // namespace relayout
