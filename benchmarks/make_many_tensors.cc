// SPDX-License-Identifier: Apache-2.0
//
// Writes a checkpoint set of very many tiny tensors with its strategies, to measure what one tensor
// costs in memory and time whatever its size:
//
//   make_many_tensors OUT --tensors 1000000 --source 8 --target 4
//
// gives OUT/src/rank_<r>/checkpoint_<r>.ckpt, OUT/src_strategy.ckpt and OUT/dst_strategy.ckpt. Each
// tensor is f32[16,4], cut by rows; names are as long as those of real models.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/format/strategy_file.h"
#include "relayout/io/posix_file_system.h"
#include "relayout/layout/strategy.h"

namespace relayout {
namespace {

constexpr int64_t kRows = 16;
constexpr int64_t kColumns = 4;

struct Options {
  std::string directory;
  int64_t tensors = 10000;
  int64_t source_devices = 8;
  int64_t target_devices = 4;
};

// 43 characters for six digits.
std::string NameOf(int64_t tensor) {
  return Format("decoder.layers.{}.mlp.experts.{}.up.weight", tensor / 1000, tensor);
}

Status WriteStrategy(FileSystem& fs, const std::string& path, int64_t tensors, int64_t devices) {
  LayoutSpec spec;
  spec.mesh = {devices};
  spec.dim_axes = {{0}, {}};
  RELAYOUT_ASSIGN_OR_RETURN(const Layout layout, Layout::Create(std::move(spec)));
  StrategyFile file;
  file.current_stage = 1;
  file.operators.push_back({.name = "MatMul", .stage = 0, .strategy = {{1, 1}}});
  StageStrategy& stage = file.stages.emplace_back().layouts;
  for (int64_t i = 0; i < tensors; ++i) {
    stage.parameters.push_back({.name = NameOf(i), .layout = layout, .whole_shape = {}});
  }
  RELAYOUT_RETURN_IF_ERROR(RemoveTree(fs, path));
  return WriteWholeFile(fs, path, SerializeStrategyProtobuf(file), /*sync=*/false);
}

// The bytes of the file of `rank`; every byte of payload is `rank` + 1.
Result<std::string> FileOf(const Options& options, int64_t rank) {
  std::vector<StoredValue> values;
  for (int64_t i = 0; i < options.tensors; ++i) {
    values.push_back({.name = NameOf(i),
                      .kind = ValueKind::kTensor,
                      .dtype = DType::kFloat32,
                      .shape = {kRows / options.source_devices, kColumns},
                      .extents = {}});
  }
  RELAYOUT_ASSIGN_OR_RETURN(const FileImage image,
                            LayOutFile(FileFormat::kMindSporeCheckpoint, values));
  std::string bytes(static_cast<size_t>(image.size_bytes), static_cast<char>(rank + 1));
  for (const FileImage::Segment& header : image.headers) {
    bytes.replace(static_cast<size_t>(header.offset_bytes), header.bytes.size(), header.bytes);
  }
  return bytes;
}

Status Make(const Options& options) {
  for (const int64_t devices : {options.source_devices, options.target_devices}) {
    if (devices < 1 || kRows % devices != 0) {
      return InvalidInput(Format("{} devices: must divide {}", devices, kRows));
    }
  }
  const auto fs = NewPosixFileSystem();
  RELAYOUT_RETURN_IF_ERROR(MakeDirectories(*fs, options.directory));
  RELAYOUT_RETURN_IF_ERROR(WriteStrategy(*fs, JoinPath(options.directory, "src_strategy.ckpt"),
                                         options.tensors, options.source_devices));
  RELAYOUT_RETURN_IF_ERROR(WriteStrategy(*fs, JoinPath(options.directory, "dst_strategy.ckpt"),
                                         options.tensors, options.target_devices));
  for (int64_t rank = 0; rank < options.source_devices; ++rank) {
    const std::string folder =
        JoinPath(JoinPath(options.directory, "src"), Format("rank_{}", rank));
    RELAYOUT_RETURN_IF_ERROR(MakeDirectories(*fs, folder));
    RELAYOUT_ASSIGN_OR_RETURN(const std::string bytes, FileOf(options, rank));
    const std::string path = JoinPath(folder, Format("checkpoint_{}.ckpt", rank));
    RELAYOUT_RETURN_IF_ERROR(RemoveTree(*fs, path));
    RELAYOUT_RETURN_IF_ERROR(WriteWholeFile(*fs, path, bytes, /*sync=*/false));
  }
  return OkStatus();
}

}  // namespace
}  // namespace relayout

int main(int argc, char** argv) {
  relayout::Options options;
  CLI::App app{"Writes a set of very many tiny tensors."};
  app.add_option("directory", options.directory)->required();
  app.add_option("--tensors", options.tensors)->capture_default_str();
  app.add_option("--source", options.source_devices, "source ranks")->capture_default_str();
  app.add_option("--target", options.target_devices, "target ranks")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const relayout::Status status = relayout::Make(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "make_many_tensors: %s\n", status.message().c_str());
  return 1;
}
