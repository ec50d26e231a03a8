// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/load_mindir.h"

#include <utility>

#include "relayout/graph/mindir_parameters.h"

namespace relayout {

Result<LoadedCheckpoint> LoadMindir(FileSystem& fs, const std::string& path) {
  RELAYOUT_ASSIGN_OR_RETURN(const MindirParameters parameters, MindirParameters::Open(fs, path));
  LoadedCheckpoint checkpoint{.path = path, .values = {}};
  for (const MindirParameter& parameter : parameters.parameters()) {
    CheckpointValue value{.name = parameter.name,
                          .kind = ValueKind::kTensor,
                          .dtype = parameter.type.dtype,
                          .shape = parameter.type.shape,
                          .bytes = {}};
    value.bytes.resize(static_cast<size_t>(parameter.size_bytes()));
    RELAYOUT_RETURN_IF_ERROR(parameters.Read(parameter, value.bytes));
    checkpoint.values.push_back(std::move(value));
  }
  return checkpoint;
}

}  // namespace relayout
