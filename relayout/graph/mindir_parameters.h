// SPDX-License-Identifier: Apache-2.0
//
// The parameters' values in a MindIR file: what the network was exported with.
//
//   RELAYOUT_ASSIGN_OR_RETURN(const MindirParameters weights, MindirParameters::Open(fs, path));
//   for (const MindirParameter& parameter : weights.parameters()) {
//     std::vector<std::byte> bytes(parameter.size_bytes());
//     RELAYOUT_RETURN_IF_ERROR(weights.Read(parameter, bytes));
//   }
//
// They lie in the file itself, or for more than 1 GB beside it (net_graph.mindir and
// net_variables/data_0, ...); both are read. Opening reads the records only, reading one parameter
// touches its bytes only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/format/mindspore/mindir.h"
#include "relayout/graph/graph.h"
#include "relayout/io/file_system.h"

namespace relayout {

struct MindirParameter {
  std::string name;  // As ReadMindir calls it, and checkpoints do.
  TensorType type;
  MindirPlace place;
  int64_t size_bytes() const { return place.size_bytes; }
};

class MindirParameters {
 public:
  // `path` as for ReadMindir. Fails when the file is no MindIR, a parameter has no values there, or
  // not as many bytes as its type. `fs` must outlive this.
  static Result<MindirParameters> Open(FileSystem& fs, const std::string& path);

  // In the order of the file.
  const std::vector<MindirParameter>& parameters() const { return parameters_; }
  // nullptr when there is none.
  const MindirParameter* Find(std::string_view name) const;
  // Its elements in C order, little-endian. @pre target.size() == parameter.size_bytes()
  // Errors name the file and the parameter. May be called from several threads.
  Status Read(const MindirParameter& parameter, std::span<std::byte> target) const;

 private:
  MindirParameters(FileSystem& fs, std::string path) : fs_(&fs), path_(std::move(path)) {}
  Status Add(std::string name, const TensorType& type, const MindirTensor& tensor);

  FileSystem* fs_;
  std::string path_;  // Of the MindIR.
  std::vector<MindirParameter> parameters_;
};

}  // namespace relayout
