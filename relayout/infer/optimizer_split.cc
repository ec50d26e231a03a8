// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/optimizer_split.h"

#include <algorithm>
#include <utility>

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
  if (replicas % group != 0 || shape[0] % (layout.mesh_count(0) * group) != 0) return layout;
  LayoutSpec spec = layout.spec();
  spec.optimizer_group = all ? LayoutSpec::kAllReplicas : group;
  Result<Layout> split = Layout::Create(std::move(spec));
  RELAYOUT_CHECK(split.ok());
  return std::move(split).value();
}

}  // namespace relayout
