// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/whole_state.h"

#include <utility>

#include "relayout/spmd/redistribute.h"

namespace relayout {

bool IsWhole(const StateTensor& tensor) { return tensor.layout.shard_count() == 1; }

Result<Tensor> GatherWhole(const TrainingView& view, const StateTensor& tensor) {
  const Layout& from = tensor.layout;
  const RedistributionRequest request = {
      .shape = tensor.shape,
      .element_size_bytes = ElementSize(tensor.value->dtype()),
      .from = from,
      .to = Layout::Replicated(from.device_count(), tensor.shape.size()),
      .first_rank = view.place.first_rank(),
  };
  auto plan = PlanRedistribution(request, view.place.local_rank());
  if (!plan.ok()) return plan.status().WithContext(tensor.name);
  Tensor whole(tensor.value->dtype(), tensor.shape);
  RELAYOUT_RETURN_IF_ERROR(
      Redistribute(view.comm, *plan, std::as_const(*tensor.value).bytes(), whole.bytes()));
  return whole;
}

}  // namespace relayout
