// SPDX-License-Identifier: Apache-2.0
//
// Times the planning of a 405-billion-parameter GPT with its Adam moments from 10,000 ranks to
// 10,000 others, and says what each step holds in memory. No payload: the source ranks share one
// sparse file, whose headers are read once a rank.
//
//   plan_bench [--ranks 10000] [--layers 126]
#include <malloc.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/parallel.h"
#include "relayout/base/text.h"
#include "relayout/convert/checkpoint_set.h"
#include "relayout/convert/contents.h"
#include "relayout/convert/target_files.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/io/posix_file_system.h"
#include "relayout/layout/strategy.h"
#include "relayout/plan/transfer.h"

namespace relayout {
namespace {

struct Weight {
  Dims shape;
  int cut_dim;  // Which dim tensor parallelism cuts; -1 = none.
};

// One layer of a Llama-like model with a hidden size of 16384.
std::vector<Weight> LayerWeights() {
  return {{{16384}, -1},       {{16384, 16384}, 1}, {{16384, 2048}, 1},
          {{16384, 2048}, 1},  {{16384, 16384}, 0}, {{16384}, -1},
          {{16384, 53248}, 1}, {{16384, 53248}, 1}, {{53248, 16384}, 0}};
}

// `ranks` devices: tensor parallel over the innermost axis, data parallel over the other.
Layout MakeLayout(const Weight& weight, int64_t ranks, int64_t tensor_parallel) {
  LayoutSpec spec;
  spec.mesh = {ranks / tensor_parallel, tensor_parallel};
  spec.dim_axes.resize(weight.shape.size());
  if (weight.cut_dim >= 0) spec.dim_axes[static_cast<size_t>(weight.cut_dim)] = {1};
  return Layout::Create(std::move(spec)).value();
}

struct Tensor {
  std::string name;
  DType dtype;
  Weight weight;
};

std::vector<Tensor> ModelTensors(int64_t layers) {
  std::vector<Tensor> tensors;
  for (int64_t layer = 0; layer < layers; ++layer) {
    int64_t number = 0;
    for (const Weight& weight : LayerWeights()) {
      const std::string name = Format("model.layers.{}.block.weight{}", layer, number++);
      tensors.push_back({name, DType::kBFloat16, weight});
      tensors.push_back({"adam_m." + name, DType::kFloat32, weight});
      tensors.push_back({"adam_v." + name, DType::kFloat32, weight});
    }
  }
  return tensors;
}

Result<Strategy> MakeStrategy(const std::vector<Tensor>& tensors, int64_t ranks,
                              int64_t tensor_parallel, std::shared_ptr<NameTable> names) {
  StageStrategy stage;
  for (const Tensor& tensor : tensors) {
    stage.parameters.push_back({.name = tensor.name,
                                .layout = MakeLayout(tensor.weight, ranks, tensor_parallel),
                                .whole_shape = {}});
  }
  return Strategy::Create({std::move(stage)}, std::move(names));
}

// A file as every source rank has one: headers, and holes for the payload.
Status WriteSparseFile(const std::string& path, const std::vector<Tensor>& tensors, int64_t ranks,
                       int64_t tensor_parallel) {
  std::vector<StoredValue> values;
  for (const Tensor& tensor : tensors) {
    const Layout layout = MakeLayout(tensor.weight, ranks, tensor_parallel);
    RELAYOUT_ASSIGN_OR_RETURN(const Partition partition,
                              Partition::Create(layout, tensor.weight.shape));
    values.push_back({.name = tensor.name,
                      .kind = ValueKind::kTensor,
                      .dtype = tensor.dtype,
                      .shape = partition.BoxOf(layout.CellOf(0)).shape(),
                      .extents = {}});
  }
  RELAYOUT_ASSIGN_OR_RETURN(const FileImage image,
                            LayOutFile(FileFormat::kMindSporeCheckpoint, values));
  std::ofstream file(path, std::ios::binary);
  for (const FileImage::Segment& header : image.headers) {
    file.seekp(header.offset_bytes);
    file.write(header.bytes.data(), std::ssize(header.bytes));
  }
  file.close();
  if (!file) return IoError(path + ": cannot be written");
  std::filesystem::resize_file(path, static_cast<uintmax_t>(image.size_bytes));
  return OkStatus();
}

int64_t PeakMiB() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

double HeldMiB() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd) / (1 << 20);
}

// Prints a line a step.
class Steps {
 public:
  void Done(const std::string& what) {
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double> seconds = now - begin_;
    std::printf("%s\n", Format("{:6.2f} s  {:7.1f} MiB held  {:4} MiB peak  {}", seconds.count(),
                               HeldMiB(), PeakMiB(), what)
                            .c_str());
    begin_ = std::chrono::steady_clock::now();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

Status PlanAll(const Contents& contents, Steps& steps) {
  ReplicaChooser chooser;
  int64_t pairs = 0;
  int64_t shards = 0;
  for (const TargetValue& value : contents.values) {
    RELAYOUT_ASSIGN_OR_RETURN(const Transfer transfer,
                              PlanTransfer({.element_size_bytes = ElementSize(value.dtype),
                                            .sources = value.sources,
                                            .targets = value.targets,
                                            .is_available = [](int64_t) { return true; },
                                            .is_wanted = [](int64_t) { return true; }},
                                           chooser));
    shards += std::ssize(transfer.source_ranks);
    for (const auto& ranks : transfer.targets[0].ranks_of_shard) pairs += std::ssize(ranks);
  }
  steps.Done(Format("transfers: {} source shards, {} tensor-rank pairs", shards, pairs));
  return OkStatus();
}

Status Run(int64_t ranks, int64_t layers, const std::string& folder) {
  const std::vector<Tensor> tensors = ModelTensors(layers);
  const auto fs = NewPosixFileSystem();
  const std::string path = JoinPath(folder, "checkpoint.ckpt");
  RELAYOUT_RETURN_IF_ERROR(WriteSparseFile(path, tensors, ranks, 16));
  const auto names = std::make_shared<NameTable>();
  Steps steps;
  RELAYOUT_ASSIGN_OR_RETURN(Strategy source_strategy, MakeStrategy(tensors, ranks, 16, names));
  RELAYOUT_ASSIGN_OR_RETURN(const Strategy target, MakeStrategy(tensors, ranks, 8, names));
  steps.Done(Format("strategies of {} tensors, {} -> {} ranks", tensors.size(), ranks, ranks));
  std::map<int64_t, std::string> paths;
  std::vector<int64_t> target_ranks;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    paths[rank] = path;
    target_ranks.push_back(rank);
  }
  RELAYOUT_ASSIGN_OR_RETURN(Catalog catalog,
                            Catalog::Open(*fs, paths, DefaultThreadCount(), names));
  steps.Done(Format("catalog: {} files, {} different", ranks, catalog.distinct_file_count()));
  const CheckpointSet source{
      .spec = {.path = folder, .files = {}, .strategy_path = "source", .step = {}},
      .catalog = std::move(catalog),
      .has_strategy = true,
      .strategy = std::move(source_strategy),
      .format = FileFormat::kMindSporeCheckpoint,
      .step = {},
      .notes = {},
      .missing_ranks = {}};
  RELAYOUT_ASSIGN_OR_RETURN(
      const Contents contents,
      DecideContents(source, target, true, "target", [](int64_t) { return true; }, {}));
  steps.Done(Format("contents: {} values of {} forms", contents.values.size(),
                    contents.values.forms().size()));
  RELAYOUT_ASSIGN_OR_RETURN(
      const auto files, PlanTargetFiles(contents, target_ranks, FileFormat::kMindSporeCheckpoint,
                                        {}, DefaultThreadCount()));
  double bytes = 0;
  for (const TargetFile& file : files) bytes += static_cast<double>(file.plan->size_bytes);
  steps.Done(Format("target files: {}, {:.1f} TB in all", files.size(), bytes / 1e12));
  RELAYOUT_RETURN_IF_ERROR(PlanAll(contents, steps));
  const std::string message = SerializeCheckpointSet(source);
  steps.Done(Format("for other processes: {} of source", HumanBytes(std::ssize(message))));
  return OkStatus();
}

}  // namespace
}  // namespace relayout

int main(int argc, char** argv) {
  int64_t ranks = 10000;
  int64_t layers = 126;
  CLI::App app{"Times planning at the scale of a large cluster."};
  app.add_option("--ranks", ranks, "A multiple of 16, which tensor parallelism cuts")
      ->check([](const std::string& text) {
        const auto count = relayout::ParseDecimal(text);
        return count && *count >= 16 && *count % 16 == 0 ? "" : "must be a multiple of 16";
      })
      ->capture_default_str();
  app.add_option("--layers", layers)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  std::string folder = std::filesystem::temp_directory_path() / "plan_bench-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return 1;
  const relayout::Status status = relayout::Run(ranks, layers, folder);
  std::filesystem::remove_all(folder);
  if (status.ok()) return 0;
  std::fprintf(stderr, "plan_bench: %s\n", status.message().c_str());
  return 1;
}
