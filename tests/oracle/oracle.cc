// SPDX-License-Identifier: Apache-2.0
#include "tests/oracle/oracle.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "tests/oracle/random.h"

namespace relayout::oracle {
namespace {

// The coordinates of rank 0, 1, 2 ... of a mesh, axis 0 outermost.
std::vector<Ints> ListCoordinates(const Ints& mesh) {
  std::vector<Ints> list = {{}};
  for (const int64_t size : mesh) {
    std::vector<Ints> longer;
    for (const Ints& prefix : list) {
      for (int64_t i = 0; i < size; ++i) {
        longer.push_back(prefix);
        longer.back().push_back(i);
      }
    }
    list = std::move(longer);
  }
  return list;
}

// For each rank and dimension its coordinates on the axes that cut the dimension.
using Key = std::vector<Ints>;

std::vector<Key> ListKeys(const LayoutSpec& spec) {
  std::vector<Key> keys;
  for (const Ints& coordinates : ListCoordinates(spec.mesh)) {
    Key& key = keys.emplace_back();
    for (const auto& axes : spec.dim_axes) {
      Ints& on_axes = key.emplace_back();
      for (const int axis : axes) on_axes.push_back(coordinates[static_cast<size_t>(axis)]);
    }
  }
  return keys;
}

// Positions of the cuts of a dimension of `length` into `count` pieces.
std::optional<Ints> CutPositions(int64_t length, int64_t count, const Ints& uneven) {
  Ints positions = {0};
  if (!uneven.empty()) {
    if (std::ssize(uneven) != count) return std::nullopt;
    for (const int64_t piece : uneven) positions.push_back(positions.back() + piece);
    if (positions.back() != length) return std::nullopt;
    return positions;
  }
  if (length % count != 0) return std::nullopt;
  for (int64_t i = 0; i < count; ++i) positions.push_back(positions.back() + length / count);
  return positions;
}

}  // namespace

Ints Region::shape() const {
  Ints lengths;
  for (size_t d = 0; d < begin.size(); ++d) lengths.push_back(end[d] - begin[d]);
  return lengths;
}

std::optional<std::vector<Region>> RegionsOfRanks(const LayoutSpec& spec, const Ints& shape) {
  if (shape.size() != spec.dim_axes.size()) return std::nullopt;
  const std::vector<Key> keys = ListKeys(spec);
  // The distinct coordinates of each dimension in order: their places are the pieces.
  std::vector<std::set<Ints>> pieces(shape.size());
  for (const Key& key : keys) {
    for (size_t d = 0; d < shape.size(); ++d) pieces[d].insert(key[d]);
  }
  int64_t replicas = 0;
  for (const Key& key : keys) replicas += key == keys[0];
  const int64_t group =
      spec.optimizer_group == LayoutSpec::kAllReplicas ? replicas : spec.optimizer_group;
  if (group < 1 || replicas % group != 0 || (shape.empty() && group > 1)) return std::nullopt;
  if (!spec.uneven_rows.empty() && group > 1) return std::nullopt;

  std::vector<Ints> cuts;
  for (size_t d = 0; d < shape.size(); ++d) {
    const int64_t count = std::ssize(pieces[d]) * (d == 0 ? group : 1);
    auto positions = CutPositions(shape[d], count, d == 0 ? spec.uneven_rows : Ints{});
    if (!positions) return std::nullopt;
    cuts.push_back(*std::move(positions));
  }

  std::vector<Region> regions;
  for (size_t rank = 0; rank < keys.size(); ++rank) {
    // Ranks before this one that would share its piece: they count off in groups.
    int64_t member = 0;
    for (size_t other = 0; other < rank; ++other) {
      if (keys[other] == keys[rank]) member = member + 1 == group ? 0 : member + 1;
    }
    Region& region = regions.emplace_back();
    for (size_t d = 0; d < shape.size(); ++d) {
      int64_t piece = std::distance(pieces[d].begin(), pieces[d].find(keys[rank][d]));
      if (d == 0) piece = piece * group + member;
      region.begin.push_back(cuts[d][static_cast<size_t>(piece)]);
      region.end.push_back(cuts[d][static_cast<size_t>(piece) + 1]);
    }
  }
  return regions;
}

Ints PieceCounts(const LayoutSpec& spec) {
  Ints counts;
  int64_t unused = 1;
  for (const int64_t size : spec.mesh) unused *= size;
  for (const auto& axes : spec.dim_axes) {
    int64_t count = 1;
    for (const int axis : axes) count *= spec.mesh[static_cast<size_t>(axis)];
    counts.push_back(count);
    unused /= count;
  }
  if (!counts.empty()) {
    counts[0] *= spec.optimizer_group == LayoutSpec::kAllReplicas ? unused : spec.optimizer_group;
  }
  return counts;
}

int64_t Product(const Ints& shape) {
  int64_t product = 1;
  for (const int64_t length : shape) product *= length;
  return product;
}

std::string Content(uint64_t tensor, int64_t element_count, int64_t element_size_bytes) {
  std::string bytes;
  bytes.reserve(static_cast<size_t>(element_count * element_size_bytes));
  for (int64_t element = 0; element < element_count; ++element) {
    const uint64_t seed = tensor * 0x9E3779B97F4A7C15U + static_cast<uint64_t>(element) * 2;
    for (int64_t done = 0; done < element_size_bytes; done += 8) {
      uint64_t word = Mix(seed + static_cast<uint64_t>(done / 8));
      for (int64_t i = done; i < std::min(done + 8, element_size_bytes); ++i) {
        bytes.push_back(static_cast<char>(word & 0xFF));
        word >>= 8;
      }
    }
  }
  return bytes;
}

std::vector<Ints> IndicesOf(const Region& region) {
  std::vector<Ints> indices = {{}};
  for (size_t d = 0; d < region.begin.size(); ++d) {
    std::vector<Ints> longer;
    for (const Ints& prefix : indices) {
      for (int64_t i = region.begin[d]; i < region.end[d]; ++i) {
        longer.push_back(prefix);
        longer.back().push_back(i);
      }
    }
    indices = std::move(longer);
  }
  return indices;
}

int64_t FlatIndex(const Ints& shape, const Ints& index) {
  int64_t flat = 0;
  for (size_t d = 0; d < shape.size(); ++d) flat = flat * shape[d] + index[d];
  return flat;
}

std::string Cut(std::string_view whole, const Ints& shape, int64_t element_size_bytes,
                const Region& region) {
  std::string bytes;
  if (Product(region.shape()) == 0) return bytes;
  // The last index moves fastest; like IndicesOf, without a list.
  Ints index = region.begin;
  while (true) {
    bytes += whole.substr(static_cast<size_t>(FlatIndex(shape, index) * element_size_bytes),
                          static_cast<size_t>(element_size_bytes));
    size_t d = index.size();
    while (d > 0 && index[d - 1] + 1 == region.end[d - 1]) {
      index[d - 1] = region.begin[d - 1];
      --d;
    }
    if (d == 0) return bytes;
    ++index[d - 1];
  }
}

Dims ToDims(const Ints& values) {
  Dims dims;
  for (const int64_t value : values) dims.push_back(value);
  return dims;
}

Ints ToInts(const Dims& dims) { return {dims.begin(), dims.end()}; }

Box ToBox(const Region& region) { return {ToDims(region.begin), ToDims(region.end)}; }

}  // namespace relayout::oracle
