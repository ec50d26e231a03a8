// SPDX-License-Identifier: Apache-2.0
//
// What a network was exported with, as a checkpoint: its values go into a model as those of a file
// with whole tensors do.
//
//   options.graph = *ReadMindir(fs, "net.mindir", {.constants = true});
//   ... Model::Create, Build ...
//   RELAYOUT_ASSIGN_OR_RETURN(const LoadedCheckpoint values, LoadMindir(fs, "net.mindir"));
//   LoadParamIntoNet(model->training_view(), values, {.slice_whole = true});
#pragma once

#include <string>

#include "relayout/base/status.h"
#include "relayout/io/file_system.h"
#include "relayout/train/load_checkpoint.h"

namespace relayout {

// The parameters of the MindIR `path`, in the order of the file. Fails as MindirParameters does.
Result<LoadedCheckpoint> LoadMindir(FileSystem& fs, const std::string& path);

}  // namespace relayout
