// SPDX-License-Identifier: Apache-2.0
//
// Times the planning of a 405-billion-parameter GPT with its Adam moments from 10,000 ranks to
// 10,000 others. No payload, no files: simulated strategies only.
//
//   plan_bench [--ranks 10000] [--layers 126]
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/layout/layout.h"
#include "relayout/layout/notation.h"
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

int64_t PeakMiB() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

void Run(int64_t ranks, int64_t layers) {
  const auto begin = std::chrono::steady_clock::now();
  ReplicaChooser chooser;
  int64_t tensors = 0;
  int64_t intersections = 0;
  for (int64_t layer = 0; layer < layers; ++layer) {
    for (const Weight& weight : LayerWeights()) {
      for (int copy = 0; copy < 3; ++copy) {  // The weight and two moments.
        const auto place = [&](int64_t tensor_parallel) {
          return PlacedTensor{
              .partition =
                  Partition::Create(MakeLayout(weight, ranks, tensor_parallel), weight.shape)
                      .value()};
        };
        const Transfer transfer = PlanTransfer({.element_size_bytes = copy == 0 ? 2 : 4,
                                                .sources = {place(16)},
                                                .targets = {place(8)},
                                                .is_available = [](int64_t) { return true; },
                                                .is_wanted = [](int64_t) { return true; }},
                                               chooser)
                                      .value();
        ++tensors;
        for (const auto& target_ranks : transfer.targets[0].ranks_of_shard) {
          intersections += static_cast<int64_t>(target_ranks.size());
        }
      }
    }
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::printf("%s\n", Format("{} tensors, {} -> {} ranks, {} tensor-rank pairs: {:.2f} s, {} MiB",
                             tensors, ranks, ranks, intersections, seconds.count(), PeakMiB())
                          .c_str());
}

}  // namespace
}  // namespace relayout

int main(int argc, char** argv) {
  int64_t ranks = 10000;
  int64_t layers = 126;
  CLI::App app{"Times planning at the scale of a large cluster."};
  app.add_option("--ranks", ranks)->capture_default_str();
  app.add_option("--layers", layers)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  relayout::Run(ranks, layers);
}
