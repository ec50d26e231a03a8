// SPDX-License-Identifier: Apache-2.0
//
// Writes a GPT-like checkpoint set with its strategies, for benchmarks and for trying things at
// size:
//
//   make_gpt_set OUT --size 2GiB --devices 8 --source row --target column
//
// gives OUT/src/rank_<r>/checkpoint_<r>.ckpt, OUT/src_strategy.ckpt and OUT/dst_strategy.ckpt.
// Layouts:
//
//   row       every matrix cut by rows over all devices
//   column    every matrix cut by columns over all devices
//   megatron  qkv and up-projection by columns, the others by rows
//   zero      replicated, with the optimizer split over all devices
//   whole     replicated
//
// Weights are bf16, the two Adam moments f32. Contents are pseudo-random and equal on replicas.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/parallel.h"
#include "relayout/base/text.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/format/strategy_file.h"
#include "relayout/io/posix_file_system.h"
#include "relayout/layout/strategy.h"

namespace relayout {
namespace {

struct Tensor {
  std::string name;
  DType dtype;
  Dims shape;
  bool cut_columns_in_megatron;
};

struct Options {
  std::string directory;
  std::string size = "2GiB";
  int64_t source_devices = 8;
  int64_t target_devices = 4;
  std::string source_layout = "row";
  std::string target_layout = "column";
};

// The tensors of a transformer of about `size_bytes` with its Adam moments.
std::vector<Tensor> GptTensors(int64_t size_bytes) {
  // A layer has 12 h^2 parameters of 2 + 4 + 4 bytes; keep about eight layers.
  int64_t hidden = 96;
  const auto layer_bytes_of = [](int64_t h) { return 12 * h * h * 10; };
  while (8 * layer_bytes_of(hidden) < size_bytes) hidden += 96;
  const int64_t layer_bytes = layer_bytes_of(hidden);
  const int64_t vocabulary = 12 * hidden;
  const int64_t layers =
      std::max<int64_t>(1, (size_bytes - vocabulary * hidden * 10) / layer_bytes);
  std::vector<Tensor> weights = {
      {"embedding.word.weight", DType::kBFloat16, {vocabulary, hidden}, false}};
  for (int64_t i = 0; i < layers; ++i) {
    const std::string layer = Format("decoder.layers.{}.", i);
    weights.push_back({layer + "norm1.gamma", DType::kBFloat16, {hidden}, false});
    weights.push_back(
        {layer + "attention.qkv.weight", DType::kBFloat16, {hidden, 3 * hidden}, true});
    weights.push_back(
        {layer + "attention.projection.weight", DType::kBFloat16, {hidden, hidden}, false});
    weights.push_back({layer + "norm2.gamma", DType::kBFloat16, {hidden}, false});
    weights.push_back({layer + "mlp.up.weight", DType::kBFloat16, {hidden, 4 * hidden}, true});
    weights.push_back({layer + "mlp.down.weight", DType::kBFloat16, {4 * hidden, hidden}, false});
  }
  std::vector<Tensor> tensors = weights;
  for (const char* moment : {"adam_m.", "adam_v."}) {
    for (const Tensor& weight : weights) {
      tensors.push_back(
          {moment + weight.name, DType::kFloat32, weight.shape, weight.cut_columns_in_megatron});
    }
  }
  return tensors;
}

Result<Layout> LayoutOf(const Tensor& tensor, const std::string& kind, int64_t devices) {
  LayoutSpec spec;
  spec.mesh = {devices};
  spec.dim_axes.resize(tensor.shape.size());
  const bool is_matrix = tensor.shape.size() == 2;
  const bool columns = kind == "column" || (kind == "megatron" && tensor.cut_columns_in_megatron);
  const bool rows = kind == "row" || (kind == "megatron" && !tensor.cut_columns_in_megatron);
  if (is_matrix && columns) spec.dim_axes[1] = {0};
  if (is_matrix && rows) spec.dim_axes[0] = {0};
  if (is_matrix && kind == "zero") spec.optimizer_group = devices;
  if (!columns && !rows && kind != "zero" && kind != "whole") {
    return InvalidInput(Format("{}: unknown layout", kind));
  }
  return Layout::Create(std::move(spec));
}

Result<StageStrategy> MakeStage(const std::vector<Tensor>& tensors, const std::string& kind,
                                int64_t devices) {
  StageStrategy stage;
  for (const Tensor& tensor : tensors) {
    RELAYOUT_ASSIGN_OR_RETURN(Layout layout, LayoutOf(tensor, kind, devices));
    stage.parameters.push_back(
        {.name = tensor.name, .layout = std::move(layout), .whole_shape = {}});
  }
  return stage;
}

Status WriteStrategy(FileSystem& fs, const std::string& path, const StageStrategy& stage) {
  StrategyFile file;
  file.current_stage = 1;
  file.operators.push_back({.name = "MatMul", .stage = 0, .strategy = {{1, 1}}});
  file.stages.push_back({.stage = 0, .layouts = stage});
  RELAYOUT_RETURN_IF_ERROR(RemoveTree(fs, path));
  return WriteWholeFile(fs, path, SerializeStrategyProtobuf(file), /*sync=*/false);
}

// Fills `bytes` with a xorshift stream.
void Fill(uint64_t seed, std::vector<uint64_t>& words) {
  uint64_t state = seed * 0x9E3779B97F4A7C15U + 1;
  for (uint64_t& word : words) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    word = state;
  }
}

Status WriteRank(FileSystem& fs, const Options& options, const std::vector<Tensor>& tensors,
                 const StageStrategy& stage, int64_t rank) {
  std::vector<StoredValue> values;
  std::vector<int64_t> shards;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Layout& layout = stage.parameters[i].layout;
    RELAYOUT_ASSIGN_OR_RETURN(const Partition partition,
                              Partition::Create(layout, tensors[i].shape));
    const Dims cell = layout.CellOf(rank);
    shards.push_back(layout.ShardIndexOf(cell));
    values.push_back({.name = tensors[i].name,
                      .kind = ValueKind::kTensor,
                      .dtype = tensors[i].dtype,
                      .shape = partition.BoxOf(cell).shape(),
                      .extents = {}});
  }
  values.push_back({.name = "global_step",
                    .kind = ValueKind::kTensor,
                    .dtype = DType::kInt64,
                    .shape = {},
                    .extents = {}});
  shards.push_back(0);
  RELAYOUT_ASSIGN_OR_RETURN(const FileImage image,
                            LayOutFile(FileFormat::kMindSporeCheckpoint, values));
  const std::string folder = JoinPath(JoinPath(options.directory, "src"), Format("rank_{}", rank));
  RELAYOUT_RETURN_IF_ERROR(MakeDirectories(fs, folder));
  const std::string path = JoinPath(folder, Format("checkpoint_{}.ckpt", rank));
  RELAYOUT_RETURN_IF_ERROR(RemoveTree(fs, path));
  RELAYOUT_ASSIGN_OR_RETURN(const auto file, fs.CreateForWrite(path, image.size_bytes));
  for (const FileImage::Segment& header : image.headers) {
    RELAYOUT_RETURN_IF_ERROR(
        file->WriteAt(header.offset_bytes, std::as_bytes(std::span(header.bytes))));
  }
  std::vector<uint64_t> words(size_t{32} << 10);
  for (size_t i = 0; i < values.size(); ++i) {
    uint64_t seed = (static_cast<uint64_t>(i) << 40) + (static_cast<uint64_t>(shards[i]) << 20);
    for (const Extent& extent : image.extents[i]) {
      for (int64_t done = 0; done < extent.size_bytes;) {
        Fill(++seed, words);
        const auto bytes = std::as_bytes(std::span(words));
        const auto size =
            static_cast<size_t>(std::min<int64_t>(std::ssize(bytes), extent.size_bytes - done));
        RELAYOUT_RETURN_IF_ERROR(file->WriteAt(extent.offset_bytes + done, bytes.first(size)));
        done += static_cast<int64_t>(size);
      }
    }
  }
  return file->Close();
}

Status Make(const Options& options) {
  const auto fs = NewPosixFileSystem();
  const auto size = ParseBytes(options.size);
  if (!size) return InvalidInput(options.size + " is not a size");
  const std::vector<Tensor> tensors = GptTensors(*size);
  RELAYOUT_ASSIGN_OR_RETURN(const StageStrategy source,
                            MakeStage(tensors, options.source_layout, options.source_devices));
  RELAYOUT_ASSIGN_OR_RETURN(const StageStrategy target,
                            MakeStage(tensors, options.target_layout, options.target_devices));
  RELAYOUT_RETURN_IF_ERROR(MakeDirectories(*fs, options.directory));
  RELAYOUT_RETURN_IF_ERROR(
      WriteStrategy(*fs, JoinPath(options.directory, "src_strategy.ckpt"), source));
  RELAYOUT_RETURN_IF_ERROR(
      WriteStrategy(*fs, JoinPath(options.directory, "dst_strategy.ckpt"), target));
  return ParallelFor(DefaultThreadCount(), options.source_devices,
                     [&](int64_t rank) { return WriteRank(*fs, options, tensors, source, rank); });
}

}  // namespace
}  // namespace relayout

int main(int argc, char** argv) {
  relayout::Options options;
  CLI::App app{"Writes a GPT-like checkpoint set with its strategies."};
  app.add_option("OUT", options.directory)->required();
  app.add_option("--size", options.size)->capture_default_str();
  app.add_option("--devices", options.source_devices)->capture_default_str();
  app.add_option("--target-devices", options.target_devices)->capture_default_str();
  app.add_option("--source", options.source_layout)->capture_default_str();
  app.add_option("--target", options.target_layout)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const relayout::Status status = relayout::Make(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "make_gpt_set: %s\n", status.message().c_str());
  return 1;
}
