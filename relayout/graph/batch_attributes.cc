// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/batch_attributes.h"

#include <algorithm>
#include <array>

#include "relayout/base/checked_math.h"

namespace relayout {
namespace {

using Ints = std::vector<int64_t>;

constexpr int64_t kTooLong = INT64_MAX;  // No dim is; the shape rule then says what is wrong.

int64_t Times(int64_t length, int64_t factor) {
  return CheckedMul(length, factor).value_or(kTooLong);
}

bool Grew(const Dims& before, const Dims& after, size_t dim) {
  return dim < before.size() && before[dim] != after[dim];
}

Ints Given(const BatchChange& change, std::string_view name) {
  return change.attributes.GetInts(name).value_or(Ints());
}

size_t GivenAxis(const BatchChange& change, std::string_view name) {
  const int64_t axis = change.attributes.GetInt(name, 0);
  return static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(change.before.size()) : axis);
}

void FollowReshape(const BatchChange& change, Attributes& attributes) {
  const Ints written = Given(change, "shape");
  if (written.size() != change.result.size()) return;
  const std::optional<size_t> dim = DimOfBatch(
      change.result, ElementsOutside(change.before, change.place), change.place.length, written);
  if (!dim || written[*dim] == -1) return;
  Ints target(change.result.begin(), change.result.end());
  target[*dim] = Times(target[*dim], change.factor);
  attributes.Set("shape", target);
}

void FollowBroadcast(const BatchChange& change, Attributes& attributes) {
  Ints target = Given(change, "shape");
  if (target.size() < change.before.size()) return;
  const size_t added = target.size() - change.before.size();
  for (size_t d = 0; d < change.before.size(); ++d) {
    const bool covered = target[added + d] == change.before[d];
    if (covered && Grew(change.before, change.after, d)) target[added + d] = change.after[d];
  }
  attributes.Set("shape", target);
}

// A dim that was cut off at its end still is; what began at some part of it still does.
void FollowEnd(const BatchChange& change, size_t dim, int64_t& begin, int64_t& end) {
  if (!Grew(change.before, change.after, dim) || end < change.before[dim]) return;
  end = change.after[dim];
  if (begin > 0) begin = Times(begin, change.factor);
}

void FollowStridedSlice(const BatchChange& change, Attributes& attributes) {
  Ints begin = Given(change, "begin");
  Ints end = Given(change, "end");
  if (begin.size() != end.size() || begin.size() > kMaxDims) return;
  const auto bit = [&](std::string_view mask, size_t entry) {
    return ((attributes.GetInt(mask, 0) >> entry) & 1) != 0;
  };
  size_t taken = 0;  // Dims that entries other than an ellipsis speak of.
  for (size_t e = 0; e < begin.size(); ++e) {
    taken += bit("ellipsis_mask", e) || bit("new_axis_mask", e) ? 0 : 1;
  }
  size_t dim = 0;
  for (size_t e = 0; e < begin.size(); ++e) {
    if (bit("ellipsis_mask", e)) {
      dim += change.before.size() - std::min(change.before.size(), taken);
    } else if (!bit("new_axis_mask", e)) {
      FollowEnd(change, dim++, begin[e], end[e]);
    }
  }
  attributes.Set("begin", begin);
  attributes.Set("end", end);
}

void FollowSlice(const BatchChange& change, Attributes& attributes) {
  const Ints begin = Given(change, "begin");
  Ints size = Given(change, "size");
  for (size_t d = 0; d < std::min(begin.size(), size.size()); ++d) {
    if (!Grew(change.before, change.after, d)) continue;
    if (begin[d] == 0 && size[d] == change.before[d]) size[d] = change.after[d];
  }
  attributes.Set("size", size);
}

void FollowSliceExt(const BatchChange& change, Attributes& attributes) {
  int64_t begin = attributes.GetInt("start", 0);
  int64_t end = attributes.GetInt("end", INT64_MAX);
  FollowEnd(change, GivenAxis(change, "dim"), begin, end);
  attributes.Set("start", begin);
  attributes.Set("end", end);
}

// Pieces of the batch grow as it does.
void FollowSplit(const BatchChange& change, Attributes& attributes) {
  if (!Grew(change.before, change.after, GivenAxis(change, "dim"))) return;
  Ints sizes = Given(change, "split_size");
  for (int64_t& size : sizes) size = Times(size, change.factor);
  attributes.Set("split_size", sizes);
}

using Follow = void (*)(const BatchChange& change, Attributes& attributes);

Follow FollowOf(std::string_view type) {
  struct Entry {
    std::string_view type;
    Follow follow;
  };
  static constexpr std::array kEntries = {
      Entry{"Reshape", FollowReshape},           Entry{"View", FollowReshape},
      Entry{"BroadcastTo", FollowBroadcast},     Entry{"BroadcastToView", FollowBroadcast},
      Entry{"StridedSlice", FollowStridedSlice}, Entry{"Slice", FollowSlice},
      Entry{"SliceExt", FollowSliceExt},         Entry{"SliceExtView", FollowSliceExt},
      Entry{"SplitTensor", FollowSplit},         Entry{"SplitTensorView", FollowSplit},
      Entry{"SplitWithSize", FollowSplit},       Entry{"SplitWithSizeView", FollowSplit}};
  for (const Entry& entry : kEntries) {
    if (entry.type == type) return entry.follow;
  }
  return nullptr;
}

}  // namespace

// Dims are walked from the outside in. Those that begin exactly where the batch does are
// candidates: ones, which may be a batch of 1, and the first longer one.
std::optional<size_t> DimOfBatch(const Dims& shape, int64_t outer, int64_t batch,
                                 const std::vector<int64_t>& written) {
  int64_t before = 1;
  for (size_t d = 0; d < shape.size(); ++d) {
    const int64_t through = Times(before, shape[d]);
    if (before == outer && shape[d] % batch == 0) return d;
    if (before < outer && through > outer) return d;  // It holds more than the batch.
    if (before == outer && shape[d] > 1) {
      // The batch is cut: into an open dim where there is one, else into the outermost.
      for (size_t inner = d; inner < shape.size() && before < Times(outer, batch); ++inner) {
        if (inner < written.size() && written[inner] == -1) return inner;
        before = Times(before, shape[inner]);
      }
      return d;
    }
    before = through;
  }
  return std::nullopt;
}

bool KeepsOrder(std::string_view type) {
  static constexpr std::array<std::string_view, 7> kTypes = {
      "Reshape", "View", "Flatten", "FlattenExt", "ExpandDims", "ExpandDimsView", "Squeeze"};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

int64_t ElementsOutside(const Dims& shape, const BatchPlace& place) {
  int64_t count = place.outside;
  for (size_t d = 0; d < place.dim; ++d) count = Times(count, shape[d]);
  return count;
}

Attributes FollowBatch(const BatchChange& change) {
  Attributes attributes = change.attributes;
  if (const Follow follow = FollowOf(change.type)) follow(change, attributes);
  return attributes;
}

}  // namespace relayout
