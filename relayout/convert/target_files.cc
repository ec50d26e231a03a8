// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/target_files.h"

#include <algorithm>
#include <utility>

#include "relayout/format/checkpoint_file.h"

namespace relayout {
namespace {

// The target among those of `value` whose ranks include `rank`.
const PlacedTensor* PlacementAt(const TargetValue& value, int64_t rank) {
  const auto found =
      std::find_if(value.targets.begin(), value.targets.end(), [rank](const PlacedTensor& placed) {
        const int64_t local = rank - placed.first_rank;
        return local >= 0 && local < placed.partition.layout().device_count();
      });
  return found == value.targets.end() ? nullptr : &*found;
}

}  // namespace

Result<TargetFile> PlanTargetFile(const Contents& contents, int64_t rank, FileFormat format) {
  TargetFile file;
  file.rank = rank;
  std::vector<StoredValue> stored;
  for (size_t i = 0; i < contents.values.size(); ++i) {
    const TargetValue& value = contents.values[i];
    const PlacedTensor* placed = PlacementAt(value, rank);
    if (placed == nullptr) continue;
    const Partition& partition = placed->partition;
    const Box box = partition.BoxOf(partition.layout().CellOf(rank - placed->first_rank));
    file.entry_of_value[i] = stored.size();
    stored.push_back({.name = value.name,
                      .kind = value.kind,
                      .dtype = value.dtype,
                      .shape = box.shape(),
                      .extents = {}});
    file.payload_bytes += SizeBytes(stored.back());
  }
  RELAYOUT_ASSIGN_OR_RETURN(file.image, LayOutFile(format, stored));
  return file;
}

}  // namespace relayout
