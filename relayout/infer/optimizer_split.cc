// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/optimizer_split.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "relayout/base/check.h"
#include "relayout/base/checked_math.h"

namespace relayout {
namespace {

bool IsLargeEnough(DType dtype, const Dims& shape, int64_t threshold_kib) {
  const auto elements = ElementCount(shape);
  const auto size_bytes = elements ? CheckedMul(*elements, ElementSize(dtype)) : std::nullopt;
  const auto threshold_bytes = CheckedMul(threshold_kib, 1024);
  return !size_bytes || (threshold_bytes && *size_bytes >= *threshold_bytes);
}

constexpr int64_t kDevicesPerNode = 8;

// Would MindSpore make a communicator of these devices? (Of numbers of devices that it refuses
// altogether it makes none; there nothing is held against them.)
bool IsCommunicator(const std::vector<int64_t>& devices) {
  std::map<int64_t, int64_t> count_on_node;
  for (const int64_t device : devices) ++count_on_node[device / kDevicesPerNode];
  const int64_t count = count_on_node.begin()->second;
  const bool is_even = std::all_of(count_on_node.begin(), count_on_node.end(),
                                   [count](const auto& node) { return node.second == count; });
  return is_even && (count & (count - 1)) == 0;
}

// The first rank's group, and the ranks that hold the same piece of their groups as MindSpore
// counts them.
bool CanCommunicate(const Layout& layout, int64_t group) {
  const int64_t device_count = layout.device_count();
  if (device_count % kDevicesPerNode != 0) return true;
  std::vector<int64_t> members;
  const Dims cell = layout.CellOf(0);
  for (int64_t i = 0; i < group; ++i) members.push_back(layout.RankOf(cell, i));
  std::vector<int64_t> mirrors;
  const int64_t mirror_count = layout.replica_count() / group;
  for (int64_t i = 0; i < mirror_count; ++i) mirrors.push_back(i * (device_count / mirror_count));
  return IsCommunicator(members) && IsCommunicator(mirrors);
}

}  // namespace

Layout SplitForOptimizer(const Layout& layout, DType dtype, const Dims& shape,
                         const OptimizerParallel& parallel) {
  const int64_t replicas = layout.replica_count();
  if (!parallel.enabled || shape.empty() || replicas == 1 ||
      !IsLargeEnough(dtype, shape, parallel.threshold_kib)) {
    return layout;
  }
  const bool all = parallel.group == OptimizerParallel::kAllReplicas || parallel.group == 1;
  const int64_t group = all ? replicas : std::min(parallel.group, replicas);
  if (replicas % group != 0 || shape[0] % (layout.mesh_count(0) * group) != 0 ||
      !CanCommunicate(layout, group)) {
    return layout;
  }
  LayoutSpec spec = layout.spec();
  spec.optimizer_group = all ? LayoutSpec::kAllReplicas : group;
  Result<Layout> split = Layout::Create(std::move(spec));
  RELAYOUT_CHECK(split.ok());
  return std::move(split).value();
}

}  // namespace relayout
