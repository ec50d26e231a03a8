// SPDX-License-Identifier: Apache-2.0
//
// Small trainings on threads: what the tests of this folder share.
//
//   Run run{.ranks = 8, .network = Classifier({.cuts = {{{2, 1}, {1, 2}}}}), .optimizer = ...};
//   run.parallel.full_batch = true;
//   StepBatches batches = ... // Step i takes batch i % 8 of the data.
//
// Data and where networks begin are MindSporeCases (tests/spmd/testing.h).
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/train/load_param_into_net.h"
#include "relayout/train/model.h"
#include "tests/spmd/testing.h"

namespace relayout {

// Rows [begin, begin + count) of dim 0.
inline Tensor RowsOf(const Tensor& all, int64_t begin, int64_t count) {
  Dims shape = all.shape();
  const int64_t row_bytes = all.size_bytes() / shape[0];
  shape[0] = count;
  Tensor rows(all.dtype(), shape);
  std::ranges::copy(all.bytes().subspan(static_cast<size_t>(begin * row_bytes),
                                        static_cast<size_t>(count * row_bytes)),
                    rows.bytes().begin());
  return rows;
}

// Which rows of a batch a rank is fed.
struct Reader {
  int64_t shard = 0;
  int64_t shard_count = 1;

  static Reader Of(const Comm& comm, const ParallelOptions& parallel) {
    if (parallel.full_batch) return {};
    const int64_t stage_ranks = comm.size() / parallel.stage_count;
    return {comm.rank() % stage_ranks, stage_ranks};
  }
  Tensor RowsFor(const Tensor& batch) const {
    const int64_t count = batch.shape()[0] / shard_count;
    return RowsOf(batch, shard * count, count);
  }
};

// Batches from tensors whose dim 0 counts batches; steps take them in turn, from `first_step` on.
class StepBatches : public Dataset {
 public:
  StepBatches(std::vector<std::string> names, std::vector<const Tensor*> tensors, Reader reader,
              int64_t steps, int64_t first_step = 0)
      : names_(std::move(names)),
        tensors_(std::move(tensors)),
        reader_(reader),
        steps_(steps),
        first_step_(first_step) {}

  int64_t batch_count() const override { return steps_; }
  std::vector<std::string> names() const override { return names_; }
  std::vector<TensorType> types() const override {
    std::vector<TensorType> types;
    for (const Tensor* const tensor : tensors_) {
      const Tensor batch = reader_.RowsFor(BatchOf(*tensor, 0));
      types.push_back({batch.dtype(), batch.shape()});
    }
    return types;
  }
  Result<std::vector<Tensor>> Batch(int64_t epoch, int64_t index) const override {
    std::vector<Tensor> batch;
    const int64_t step = first_step_ + epoch * steps_ + index;
    for (const Tensor* const tensor : tensors_) {
      batch.push_back(reader_.RowsFor(BatchOf(*tensor, step % tensor->shape()[0])));
    }
    return batch;
  }

 private:
  static Tensor BatchOf(const Tensor& all, int64_t index) {
    Tensor batch = RowsOf(all, index, 1);
    Dims shape;
    for (size_t d = 1; d < all.shape().size(); ++d) shape.push_back(all.shape()[d]);
    batch.Reshape(shape);
    return batch;
  }

  std::vector<std::string> names_;
  std::vector<const Tensor*> tensors_;
  Reader reader_;
  int64_t steps_;
  int64_t first_step_;
};

// Dense layers with ReLU between, in the cells layer1, relu1, layer2, ...
struct ClassifierOptions {
  bool nn_dense = false;             // As nn.Dense: weight [out,in] and BiasAdd.
  std::vector<int64_t> widths = {};  // Of the layers' results.
  std::vector<Cuts> cuts = {};       // Of the layers' products; none where there are fewer.
};

inline NetworkTensor ClassifierLayer(NetworkBuilder& net, const NetworkTensor& x, int64_t width,
                                     bool nn_dense, const Cuts& cuts) {
  const ParameterOptions normal{.initializer = "normal(0.2)"};
  const Dims shape = nn_dense ? Dims{width, x.dim(-1)} : Dims{x.dim(-1), width};
  const NetworkTensor w = net.Parameter("weight", shape, normal);
  const NetworkTensor bias = net.Parameter("bias", {width}, normal);
  NetworkTensor y = net.MatMul(x, w, {.transpose_b = nn_dense});
  if (!cuts.empty()) y = y.Cut(cuts);
  return nn_dense ? net.BiasAdd(y, bias) : y + bias;
}

inline NetworkFunction Classifier(const ClassifierOptions& options) {
  return [options](NetworkBuilder& net, std::span<const NetworkTensor> inputs) {
    NetworkTensor x = inputs[0];
    for (size_t i = 0; i < options.widths.size(); ++i) {
      const Cuts cuts = i < options.cuts.size() ? options.cuts[i] : Cuts{};
      {
        const Scope layer(net, Format("layer{}", i + 1));
        x = ClassifierLayer(net, x, options.widths[i], options.nn_dense, cuts);
      }
      if (i + 1 == options.widths.size()) break;
      const Scope relu(net, Format("relu{}", i + 1));
      x = net.ReLU(x);
    }
    return std::vector{x};
  };
}

// The whole tensors of a case as a checkpoint, by the names of the model's parameters.
inline LoadedCheckpoint CheckpointOf(const MindSporeCase& start, const TrainingView& view) {
  LoadedCheckpoint checkpoint{.path = "the case", .values = {}};
  for (const StateTensor& state : view.state) {
    if (!start.Has(state.name)) continue;
    const Tensor& whole = start[state.name];
    const auto bytes = whole.bytes();
    checkpoint.values.push_back({.name = state.name,
                                 .kind = ValueKind::kTensor,
                                 .dtype = whole.dtype(),
                                 .shape = whole.shape(),
                                 .bytes = {bytes.begin(), bytes.end()}});
  }
  return checkpoint;
}

// Every parameter has its value of the case.
inline Status Begin(Model& model, const MindSporeCase& start) {
  const TrainingView view = model.training_view();
  return LoadParamIntoNet(view, CheckpointOf(start, view), {.slice_whole = true}).status();
}

// The largest relative difference of steps [0, count).
inline double WorstOf(std::span<const float> got, std::span<const float> want, size_t count) {
  double worst = 0;
  for (size_t i = 0; i < count; ++i) {
    const double difference = std::fabs(static_cast<double>(got[i]) - want[i]) / std::fabs(want[i]);
    worst = difference <= worst ? worst : difference;  // NaN is worse than anything.
  }
  return worst;
}

}  // namespace relayout
