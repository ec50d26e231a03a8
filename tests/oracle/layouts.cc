// SPDX-License-Identifier: Apache-2.0
#include "tests/oracle/layouts.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace relayout::oracle {
namespace {

// Ordered factorizations into factors above 1.
std::vector<Ints> Meshes(int64_t device_count) {
  if (device_count == 1) return {{}};
  std::vector<Ints> meshes;
  for (int64_t first = 2; first <= device_count; ++first) {
    if (device_count % first != 0) continue;
    for (const Ints& rest : Meshes(device_count / first)) {
      Ints& mesh = meshes.emplace_back(Ints{first});
      mesh.insert(mesh.end(), rest.begin(), rest.end());
    }
  }
  return meshes;
}

// Puts axis `axis` and those after it everywhere: unused, or at any place of any dim's list.
void PlaceAxes(LayoutSpec& spec, int axis, std::vector<LayoutSpec>& placed) {
  if (axis == static_cast<int>(spec.mesh.size())) {
    placed.push_back(spec);
    return;
  }
  PlaceAxes(spec, axis + 1, placed);
  for (size_t d = 0; d < spec.dim_axes.size(); ++d) {
    for (size_t place = 0; place <= spec.dim_axes[d].size(); ++place) {
      std::vector<int>& axes = spec.dim_axes[d];
      axes.insert(axes.begin() + static_cast<std::ptrdiff_t>(place), axis);
      PlaceAxes(spec, axis + 1, placed);
      spec.dim_axes[d].erase(spec.dim_axes[d].begin() + static_cast<std::ptrdiff_t>(place));
    }
  }
}

int64_t ReplicaCount(const LayoutSpec& spec) {
  std::vector<bool> used(spec.mesh.size(), false);
  for (const auto& axes : spec.dim_axes) {
    for (const int axis : axes) used[static_cast<size_t>(axis)] = true;
  }
  int64_t replicas = 1;
  for (size_t i = 0; i < used.size(); ++i) replicas *= used[i] ? 1 : spec.mesh[i];
  return replicas;
}

}  // namespace

std::vector<LayoutSpec> AllLayouts(int64_t device_count, size_t dim_count) {
  std::vector<LayoutSpec> all;
  for (const Ints& mesh : Meshes(device_count)) {
    LayoutSpec bare;
    bare.mesh = mesh;
    bare.dim_axes.resize(dim_count);
    std::vector<LayoutSpec> placed;
    PlaceAxes(bare, 0, placed);
    for (LayoutSpec& spec : placed) {
      const int64_t replicas = dim_count == 0 ? 1 : ReplicaCount(spec);
      for (int64_t group = 1; group <= replicas; ++group) {
        if (replicas % group != 0) continue;
        spec.optimizer_group = group;
        all.push_back(spec);
      }
    }
  }
  return all;
}

LayoutSpec RandomLayout(Random& random, int64_t device_count, size_t dim_count) {
  LayoutSpec spec;
  spec.mesh = random.Pick(Meshes(device_count));
  while (spec.mesh.size() < 5 && random.OneIn(6)) {
    spec.mesh.insert(spec.mesh.begin() + random.Between(0, std::ssize(spec.mesh)), 1);
  }
  spec.dim_axes.resize(dim_count);
  if (dim_count == 0) return spec;
  std::vector<int> order(spec.mesh.size());
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[static_cast<size_t>(random.Below(static_cast<int64_t>(i)))]);
  }
  for (const int axis : order) {
    if (random.OneIn(3)) continue;
    spec.dim_axes[static_cast<size_t>(random.Below(static_cast<int64_t>(dim_count)))].push_back(
        axis);
  }
  if (!random.OneIn(3)) return spec;
  if (random.OneIn(3)) {
    spec.optimizer_group = LayoutSpec::kAllReplicas;
    return spec;
  }
  const int64_t replicas = ReplicaCount(spec);
  Ints groups;
  for (int64_t group = 1; group <= replicas; ++group) {
    if (replicas % group == 0) groups.push_back(group);
  }
  spec.optimizer_group = random.Pick(groups);
  return spec;
}

void MakeUneven(Random& random, LayoutSpec& spec, int64_t rows) {
  spec.optimizer_group = 1;
  const int64_t count = PieceCounts(spec)[0];
  Ints cuts = {0, rows};
  for (int64_t i = 1; i < count; ++i) cuts.push_back(random.Between(0, rows));
  std::sort(cuts.begin(), cuts.end());
  spec.uneven_rows.clear();
  for (size_t i = 0; i + 1 < cuts.size(); ++i) spec.uneven_rows.push_back(cuts[i + 1] - cuts[i]);
}

Ints CommonShape(const std::vector<LayoutSpec>& specs, size_t dim_count) {
  Ints shape(dim_count, 1);
  for (const LayoutSpec& spec : specs) {
    const Ints counts = PieceCounts(spec);
    for (size_t d = 0; d < dim_count; ++d) {
      if (d == 0 && !spec.uneven_rows.empty()) continue;
      shape[d] = std::lcm(shape[d], counts[d]);
    }
  }
  return shape;
}

}  // namespace relayout::oracle
