// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a small transfer: layouts, shape, who wants what and who has it, sizes of tiles. The
// plan and its tiles, carried out in memory, against the naive oracle.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "relayout/base/check.h"
#include "tests/oracle/layouts.h"
#include "tests/oracle/plan_check.h"

namespace {

using namespace relayout;
using namespace relayout::oracle;

constexpr int64_t kMaxElements = 512;
constexpr int64_t kMaxDevices = 12;

// Zeros when the bytes are used up.
class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  int64_t Below(int64_t limit) {
    if (size_ == 0) return 0;
    --size_;
    return *data_++ % limit;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

LayoutSpec TakeLayout(Bytes& bytes, size_t dim_count) {
  LayoutSpec spec;
  spec.dim_axes.resize(dim_count);
  const int64_t axis_count = bytes.Below(4);
  int64_t devices = 1;
  for (int64_t axis = 0; axis < axis_count; ++axis) {
    const int64_t size = bytes.Below(6) + 1;
    if (devices * size > kMaxDevices) break;
    devices *= size;
    spec.mesh.push_back(size);
    // A dim, at the front or the back of its axes, or none.
    const auto place = static_cast<size_t>(bytes.Below(static_cast<int64_t>(2 * dim_count + 1)));
    if (place >= 2 * dim_count) continue;
    auto& axes = spec.dim_axes[place / 2];
    axes.insert(place % 2 == 0 ? axes.begin() : axes.end(), static_cast<int>(axis));
  }
  const int64_t group = bytes.Below(6);
  spec.optimizer_group = group == 0 ? LayoutSpec::kAllReplicas : group;
  return spec;
}

// Uneven rows of `rows` in all, cut where the bytes say.
void TakeRows(Bytes& bytes, LayoutSpec& spec, int64_t rows) {
  const int64_t count = PieceCounts(spec)[0];
  Ints cuts = {0, rows};
  for (int64_t i = 1; i < count; ++i) cuts.push_back(bytes.Below(rows + 1));
  std::sort(cuts.begin(), cuts.end());
  for (size_t i = 0; i + 1 < cuts.size(); ++i) spec.uneven_rows.push_back(cuts[i + 1] - cuts[i]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes bytes(data, size);
  PlanCase plan_case;
  const auto dim_count = static_cast<size_t>(bytes.Below(5));
  std::vector<LayoutSpec> specs;
  for (auto* side : {&plan_case.sources, &plan_case.targets}) {
    const int64_t count = bytes.Below(2) + 1;
    int64_t first_rank = 0;
    for (int64_t i = 0; i < count; ++i) {
      const LayoutSpec spec = TakeLayout(bytes, dim_count);
      const auto layout = Layout::Create(spec);
      if (!layout.ok()) return 0;
      side->push_back({spec, first_rank});
      specs.push_back(spec);
      first_rank += layout->device_count();
    }
  }
  plan_case.shape = CommonShape(specs, dim_count);
  for (int64_t& length : plan_case.shape) length *= bytes.Below(5);
  if (Product(plan_case.shape) > kMaxElements) return 0;
  for (auto* side : {&plan_case.sources, &plan_case.targets}) {
    for (PlacedSpec& placed : *side) {
      const bool is_uneven = bytes.Below(4) == 1 && placed.spec.optimizer_group == 1;
      if (is_uneven && dim_count > 0) TakeRows(bytes, placed.spec, plan_case.shape[0]);
    }
  }
  plan_case.element_size_bytes = int64_t{1} << bytes.Below(5);
  plan_case.options.gather_bytes = int64_t{1} << bytes.Below(12);
  plan_case.options.min_direct_bytes =
      std::min(plan_case.options.gather_bytes, int64_t{1} << bytes.Below(10));
  plan_case.options.max_direct_bytes = int64_t{1} << bytes.Below(12);
  for (int64_t rank = 0; rank < 2 * kMaxDevices; ++rank) {
    const int64_t bits = bytes.Below(8);
    if ((bits & 1) != 0) plan_case.unwanted.insert(rank);
    if (bits == 6) plan_case.unavailable.insert(rank);
  }
  const std::string wrong = CheckPlan(plan_case);
  if (!wrong.empty()) std::fprintf(stderr, "%s\n%s\n", wrong.c_str(), Describe(plan_case).c_str());
  RELAYOUT_CHECK(wrong.empty());
  return 0;
}
