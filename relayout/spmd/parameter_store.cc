// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/parameter_store.h"

#include <algorithm>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/infer/infer_strategy.h"

namespace relayout {

Result<ParameterStore> ParameterStore::Create(const InferredStrategy& network,
                                              const RankPlace& place) {
  ParameterStore store;
  for (const LaidParameter& laid : network.parameters) {
    if (network.stage_of[static_cast<size_t>(laid.user.user)] != place.stage) continue;
    const Value& value = network.graph.value(laid.parameter);
    if (value.dtype != DType::kFloat32 && value.dtype != DType::kInt32) {
      return Unsupported(Format("{} is {}; networks of float32 and int32 can be run",
                                Describe(network.graph, laid.parameter), ShortName(value.dtype)));
    }
    RELAYOUT_ASSIGN_OR_RETURN(const Partition partition,
                              Partition::Create(laid.layout, value.shape));
    Box box = partition.BoxOf(laid.layout.CellOf(place.local_rank()));
    const Dims shape = box.shape();
    const bool trained = value.trained && value.dtype == DType::kFloat32;
    store.shards_.push_back({.name = value.name,
                             .shape = value.shape,
                             .layout = laid.layout,
                             .trained = trained,
                             .box = std::move(box),
                             .value = Tensor(value.dtype, shape),
                             .gradient = trained ? Tensor(value.dtype, shape) : Tensor()});
  }
  return store;
}

ParameterShard* ParameterStore::Find(std::string_view name) {
  const auto found = std::ranges::find(shards_, name, &ParameterShard::name);
  return found == shards_.end() ? nullptr : &*found;
}

}  // namespace relayout
