// SPDX-License-Identifier: Apache-2.0
//
// Writes a GPT-like checkpoint set with its strategies, for benchmarks and for trying things at
// size:
//
//   make_gpt_set OUT --size 2GiB --source "rows tp:4 dp:2 opt" --target "columns tp:4"
//
// gives OUT/src/rank_<r>/checkpoint_<r>.ckpt, OUT/src_strategy.ckpt and OUT/dst_strategy.ckpt,
// which MindSpore reads too, and prints the bytes of all tensors, each counted once. A layout is
//
//   rows       tp devices cut every matrix by rows
//   columns    tp devices cut every matrix by columns
//   megatron   tp devices cut qkv and up-projection by columns, the others by rows
//   whole      nothing is cut
//   tp:N dp:N  ... on a mesh of dp x tp devices, so that there are dp replicas
//   pp:N       ... in each of N pipeline stages, which share the layers out
//   opt        the replicas share every matrix out by rows (the optimizer split)
//
// Weights are bf16, the two Adam moments f32. Contents are pseudo-random and equal on replicas.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
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
  int64_t layer;  // -1 = before the first; layer_count = after the last
};

struct Model {
  int64_t layer_count = 0;
  std::vector<Tensor> tensors;
};

// A layout as the command line says it.
struct LayoutChoice {
  std::string kind;
  int64_t tensor_parallel = 1;
  int64_t data_parallel = 1;
  int64_t stage_count = 1;
  bool optimizer_split = false;

  int64_t devices_per_stage() const { return tensor_parallel * data_parallel; }
};

struct Options {
  std::string directory;
  std::string size = "2GiB";
  std::string source = "rows tp:8";
  std::string target = "columns tp:4";
  int64_t columns = 0;
};

// "rows tp:4 dp:2 opt" -> a choice.
Result<LayoutChoice> ParseLayoutChoice(const std::string& text) {
  LayoutChoice choice;
  std::istringstream words(text);
  words >> choice.kind;
  if (choice.kind != "rows" && choice.kind != "columns" && choice.kind != "megatron" &&
      choice.kind != "whole") {
    return InvalidInput(Format("'{}': a layout is rows, columns, megatron or whole", text));
  }
  for (std::string word; words >> word;) {
    const std::string name = word.substr(0, word.find(':'));
    const int64_t count =
        ParseDecimal(std::string_view(word).substr(std::min(word.size(), name.size() + 1)))
            .value_or(0);
    if (word == "opt") {
      choice.optimizer_split = true;
    } else if (name == "tp" && count > 0) {
      choice.tensor_parallel = count;
    } else if (name == "dp" && count > 0) {
      choice.data_parallel = count;
    } else if (name == "pp" && count > 0) {
      choice.stage_count = count;
    } else {
      return InvalidInput(Format("'{}': '{}' is none of tp:N, dp:N, pp:N, opt", text, word));
    }
  }
  return choice;
}

// `value` rounded to the nearest multiple of `step`, but not to 0.
int64_t RoundTo(int64_t value, int64_t step) {
  return std::max<int64_t>(1, (value + step / 2) / step) * step;
}

// The shape of a matrix, or one of about as many elements with `columns` columns (0 = as it is) and
// rows that 8 devices can share.
Dims MatrixShape(int64_t rows, int64_t width, int64_t columns) {
  if (columns == 0) return {rows, width};
  return {RoundTo(rows * width / columns, 8), columns};
}

// The weights of a transformer of about `size_bytes` together with its Adam moments.
Model GptWeights(int64_t size_bytes, int64_t columns) {
  // A layer has 12 h^2 parameters of 2 + 4 + 4 bytes. Keep about eight; the vocabulary takes what
  // whole layers leave over, one to two layers' worth.
  int64_t hidden = 96;
  const auto layer_bytes_of = [](int64_t h) { return 12 * h * h * 10; };
  while (9 * layer_bytes_of(hidden + 96) <= size_bytes) hidden += 96;
  const int64_t layers = std::max<int64_t>(1, size_bytes / layer_bytes_of(hidden) - 1);
  const int64_t rest_bytes = size_bytes - layers * layer_bytes_of(hidden);
  const int64_t vocabulary = RoundTo(rest_bytes / (hidden * 10), 48);  // 6 and 8 divide 48.
  std::vector<Tensor> weights;
  const auto add_vector = [&](std::string name, int64_t layer) {
    weights.push_back({std::move(name), DType::kBFloat16, {hidden}, false, layer});
  };
  const auto add_matrix = [&](std::string name, int64_t rows, int64_t width, bool cut_columns,
                              int64_t layer) {
    weights.push_back(
        {std::move(name), DType::kBFloat16, MatrixShape(rows, width, columns), cut_columns, layer});
  };
  add_matrix("embedding.word.weight", vocabulary, hidden, false, -1);
  for (int64_t i = 0; i < layers; ++i) {
    const std::string layer = Format("decoder.layers.{}.", i);
    add_vector(layer + "norm1.gamma", i);
    add_matrix(layer + "attention.qkv.weight", hidden, 3 * hidden, true, i);
    add_matrix(layer + "attention.projection.weight", hidden, hidden, false, i);
    add_vector(layer + "norm2.gamma", i);
    add_matrix(layer + "mlp.up.weight", hidden, 4 * hidden, true, i);
    add_matrix(layer + "mlp.down.weight", 4 * hidden, hidden, false, i);
  }
  add_vector("decoder.norm.gamma", layers);
  return {.layer_count = layers, .tensors = std::move(weights)};
}

void AddAdamMoments(Model& model) {
  const std::vector<Tensor> weights = model.tensors;
  for (const char* moment : {"adam_m.", "adam_v."}) {
    for (Tensor tensor : weights) {
      tensor.name = moment + tensor.name;
      tensor.dtype = DType::kFloat32;
      model.tensors.push_back(std::move(tensor));
    }
  }
}

// Layers lie in stages in equal shares, what is before and after them in the first and last stage.
int64_t StageOf(const Tensor& tensor, int64_t layer_count, int64_t stage_count) {
  const int64_t layer = std::clamp<int64_t>(tensor.layer, 0, layer_count - 1);
  return layer * stage_count / layer_count;
}

Result<Layout> LayoutOf(const Tensor& tensor, const LayoutChoice& choice) {
  LayoutSpec spec;
  spec.mesh = {choice.data_parallel, choice.tensor_parallel};
  spec.dim_axes.resize(tensor.shape.size());
  if (tensor.shape.size() == 2) {
    const bool is_megatron = choice.kind == "megatron";
    const bool columns =
        choice.kind == "columns" || (is_megatron && tensor.cut_columns_in_megatron);
    const bool rows = choice.kind == "rows" || (is_megatron && !tensor.cut_columns_in_megatron);
    if (columns) spec.dim_axes[1] = {1};
    if (rows) spec.dim_axes[0] = {1};
    if (choice.optimizer_split) spec.optimizer_group = LayoutSpec::kAllReplicas;
  }
  return Layout::Create(std::move(spec));
}

// One stage of a strategy, with the tensors that its parameters are.
struct Stage {
  StageStrategy strategy;
  std::vector<size_t> tensors;  // Index into Model::tensors.
};

Result<std::vector<Stage>> MakeStages(const Model& model, const LayoutChoice& choice) {
  if (choice.stage_count > model.layer_count) {
    return InvalidInput(Format("{} cannot be shared out to {}", Count(model.layer_count, "layer"),
                               Count(choice.stage_count, "stage")));
  }
  std::vector<Stage> stages(static_cast<size_t>(choice.stage_count));
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    const Tensor& tensor = model.tensors[i];
    RELAYOUT_ASSIGN_OR_RETURN(Layout layout, LayoutOf(tensor, choice));
    Stage& stage =
        stages[static_cast<size_t>(StageOf(tensor, model.layer_count, choice.stage_count))];
    stage.tensors.push_back(i);
    stage.strategy.parameters.push_back(
        {.name = tensor.name, .layout = std::move(layout), .whole_shape = {}});
  }
  return stages;
}

Status WriteStrategy(FileSystem& fs, const std::string& path, std::span<const Stage> stages) {
  StrategyFile file;
  file.merged = stages.size() > 1;
  file.current_stage = 1;
  for (int64_t i = 0; i < std::ssize(stages); ++i) {
    file.operators.push_back({.name = Format("MatMul_{}", i), .stage = i, .strategy = {{1, 1}}});
    file.stages.push_back({.stage = i, .layouts = stages[static_cast<size_t>(i)].strategy});
  }
  RELAYOUT_RETURN_IF_ERROR(RemoveTree(fs, path));
  return WriteWholeFile(fs, path, SerializeStrategyProtobuf(file), /*sync=*/false);
}

// Fills `words` with a xorshift stream.
void Fill(uint64_t seed, std::vector<uint64_t>& words) {
  uint64_t state = seed * 0x9E3779B97F4A7C15U + 1;
  for (uint64_t& word : words) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    word = state;
  }
}

// What one rank stores, and the seed of each value's contents.
struct RankContents {
  std::vector<StoredValue> values;
  std::vector<uint64_t> seeds;
};

Result<RankContents> ContentsOf(const Model& model, const Stage& stage, int64_t local_rank) {
  RankContents contents;
  const auto add = [&](const std::string& name, DType dtype, const Dims& shape, uint64_t seed) {
    contents.values.push_back(
        {.name = name, .kind = ValueKind::kTensor, .dtype = dtype, .shape = shape, .extents = {}});
    contents.seeds.push_back(seed);
  };
  for (size_t i = 0; i < stage.tensors.size(); ++i) {
    const Tensor& tensor = model.tensors[stage.tensors[i]];
    const Layout& layout = stage.strategy.parameters[i].layout;
    RELAYOUT_ASSIGN_OR_RETURN(const Partition partition, Partition::Create(layout, tensor.shape));
    const Dims cell = layout.CellOf(local_rank);
    add(tensor.name, tensor.dtype, partition.BoxOf(cell).shape(),
        (uint64_t{stage.tensors[i]} << 40) +
            (static_cast<uint64_t>(layout.ShardIndexOf(cell)) << 20));
  }
  add("global_step", DType::kInt64, {}, 0);
  return contents;
}

Status WriteExtent(WritableFile& file, const Extent& extent, uint64_t seed) {
  std::vector<uint64_t> words(size_t{32} << 10);
  for (int64_t done = 0; done < extent.size_bytes;) {
    Fill(++seed, words);
    const auto bytes = std::as_bytes(std::span(words));
    const auto size =
        static_cast<size_t>(std::min<int64_t>(std::ssize(bytes), extent.size_bytes - done));
    RELAYOUT_RETURN_IF_ERROR(file.WriteAt(extent.offset_bytes + done, bytes.first(size)));
    done += static_cast<int64_t>(size);
  }
  return OkStatus();
}

Status WriteRank(FileSystem& fs, const std::string& directory, const RankContents& contents,
                 int64_t rank) {
  RELAYOUT_ASSIGN_OR_RETURN(const FileImage image,
                            LayOutFile(FileFormat::kMindSporeCheckpoint, contents.values));
  const std::string folder = JoinPath(JoinPath(directory, "src"), Format("rank_{}", rank));
  RELAYOUT_RETURN_IF_ERROR(MakeDirectories(fs, folder));
  const std::string path = JoinPath(folder, Format("checkpoint_{}.ckpt", rank));
  RELAYOUT_RETURN_IF_ERROR(RemoveTree(fs, path));
  RELAYOUT_ASSIGN_OR_RETURN(const auto file, fs.CreateForWrite(path, image.size_bytes));
  for (const FileImage::Segment& header : image.headers) {
    RELAYOUT_RETURN_IF_ERROR(
        file->WriteAt(header.offset_bytes, std::as_bytes(std::span(header.bytes))));
  }
  for (size_t i = 0; i < contents.values.size(); ++i) {
    // A tensor above 512 MiB has several extents, which get the same contents.
    for (const Extent& extent : image.extents[i]) {
      RELAYOUT_RETURN_IF_ERROR(WriteExtent(*file, extent, contents.seeds[i]));
    }
  }
  return file->Close();
}

int64_t TensorBytes(const Model& model) {
  int64_t bytes = 0;
  for (const Tensor& tensor : model.tensors) {
    int64_t count = 1;
    for (const int64_t length : tensor.shape) count *= length;
    bytes += count * ElementSize(tensor.dtype);
  }
  return bytes;
}

Status Make(const Options& options) {
  const auto fs = NewPosixFileSystem();
  const auto size = ParseBytes(options.size);
  if (!size) return InvalidInput(options.size + " is not a size");
  RELAYOUT_ASSIGN_OR_RETURN(const LayoutChoice source, ParseLayoutChoice(options.source));
  RELAYOUT_ASSIGN_OR_RETURN(const LayoutChoice target, ParseLayoutChoice(options.target));
  Model model = GptWeights(*size, options.columns);
  AddAdamMoments(model);
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<Stage> stages, MakeStages(model, source));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<Stage> target_stages, MakeStages(model, target));
  const std::string& directory = options.directory;
  RELAYOUT_RETURN_IF_ERROR(MakeDirectories(*fs, directory));
  RELAYOUT_RETURN_IF_ERROR(WriteStrategy(*fs, JoinPath(directory, "src_strategy.ckpt"), stages));
  RELAYOUT_RETURN_IF_ERROR(
      WriteStrategy(*fs, JoinPath(directory, "dst_strategy.ckpt"), target_stages));
  const int64_t devices = source.devices_per_stage();
  RELAYOUT_RETURN_IF_ERROR(
      ParallelFor(DefaultThreadCount(), devices * source.stage_count, [&](int64_t rank) -> Status {
        const Stage& stage = stages[static_cast<size_t>(rank / devices)];
        RELAYOUT_ASSIGN_OR_RETURN(const RankContents contents,
                                  ContentsOf(model, stage, rank % devices));
        return WriteRank(*fs, directory, contents, rank);
      }));
  std::printf("%lld\n", static_cast<long long>(TensorBytes(model)));
  return OkStatus();
}

}  // namespace
}  // namespace relayout

int main(int argc, char** argv) {
  relayout::Options options;
  CLI::App app{"Writes a GPT-like checkpoint set with its strategies."};
  app.add_option("OUT", options.directory)->required();
  app.add_option("--size", options.size)->capture_default_str();
  app.add_option("--source", options.source, "LAYOUT of the files")->capture_default_str();
  app.add_option("--target", options.target, "LAYOUT to convert to")->capture_default_str();
  app.add_option("--columns", options.columns,
                 "Columns of all matrices, which keep their number of elements; default: a GPT's");
  CLI11_PARSE(app, argc, argv);
  const relayout::Status status = relayout::Make(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "make_gpt_set: %s\n", status.message().c_str());
  return 1;
}
