// SPDX-License-Identifier: Apache-2.0
//
// Model: a network that is trained and asked on all ranks of a Comm, as MindSpore's Model under
// semi_auto_parallel or auto_parallel.
//
//   ModelOptions options;
//   options.network = [](NetworkBuilder& net, std::span<const NetworkTensor> inputs) {
//     return std::vector{Tutorial(net, inputs[0])};
//   };
//   options.loss = Loss::kCrossEntropy;
//   options.optimizer = {.type = "momentum", .learning_rate = 0.01F};
//   RELAYOUT_ASSIGN_OR_RETURN(const auto model, Model::Create(comm, options));
//   RELAYOUT_RETURN_IF_ERROR(model->Train(10, dataset, {&monitor, &checkpoint}));
//   RELAYOUT_ASSIGN_OR_RETURN(const Tensor logits, model->Predict({&image}));
//
// As in MindSpore, a network is compiled for the shapes that it meets first: by Train, or by Build
// (MindSpore: infer_train_layout), which trains nothing. Then its strategy is known, and parameters
// have their initial values and may be loaded. What is trained is what Predict asks.
//
// # Batches
//
// The network function is called with what one rank is fed: batches of a dataset. A pipeline deals
// a batch into micro_batch_count parts.
//   full_batch   every rank is fed the whole batch, the same on all
//   else         every rank is fed its part; all ranks of a stage together see the batch, the rows
//                of local rank 0 first. (Ranks that are fed the same rows train on copies.)
// Predict is fed in the same way, and gives each rank the rows of what it was fed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/comm/comm.h"
#include "relayout/graph/builder.h"
#include "relayout/graph/graph.h"
#include "relayout/graph/training_loss.h"
#include "relayout/infer/infer_options.h"
#include "relayout/spmd/tensor.h"
#include "relayout/train/batch_rules.h"
#include "relayout/train/callback.h"
#include "relayout/train/dataset.h"
#include "relayout/train/optimizer_options.h"

namespace relayout {

class Optimizer;          // optimizer.h
class ParameterStore;     // parameter_store.h
class StageRunner;        // stage_runner.h
struct InferredStrategy;  // infer_strategy.h

// Writes a network down for inputs; what it returns are its results. Called again for other shapes.
using NetworkFunction = std::function<std::vector<NetworkTensor>(
    NetworkBuilder& net, std::span<const NetworkTensor> inputs)>;

// What MindSpore's set_auto_parallel_context and PipelineCell say.
struct ParallelOptions {
  InferMode mode = InferMode::kAnnotated;
  bool full_batch = false;
  OptimizerParallel optimizer_parallel = {};
  int64_t stage_count = 1;
  std::vector<StageRule> stage_rules = {};
  int64_t micro_batch_count = 1;
  std::vector<std::string> frozen = {};
};

struct ModelOptions {
  NetworkFunction network;
  // Instead of a function: a network that is there already, ReadMindir's with its constants. It is
  // trained on batches of its inputs' types, and asked with such. load_mindir.h has its values.
  std::optional<Graph> graph = {};
  // None: the network's result is the loss, a scalar.
  std::optional<Loss> loss;
  OptimizerOptions optimizer = {};
  ParallelOptions parallel = {};
  // Of initial values and of what is random in training. The latter depends on the optimizer's
  // global_step too, so that a training that goes on with a checkpoint does not repeat it.
  uint64_t seed = 1;
};

class Model {
 public:
  // `comm` must outlive it. Fails where options contradict each other.
  static Result<std::unique_ptr<Model>> Create(Comm& comm, ModelOptions options);
  ~Model();

  // Each of the following is collective among all ranks, and fails on all of them when it fails on
  // one; afterwards the Comm is good for nothing but its end, unless the message came before
  // anything was trained. Comm::RequestStop ends Train and Accuracy before their next batch, with
  // kCancelled.

  // Compiles for training on such batches. Fails when ranks are given different ones, and as
  // WithLoss, InferStrategy and StageRunner::Create do. Does nothing when it was compiled before.
  Status Build(const Dataset& dataset);

  // Trains on all batches of the dataset, `epoch_count` times. Ranks give as many callbacks each.
  // Fails on all ranks, before a step, when ranks train differently long or one is given a batch
  // that is none for this network: a dataset that fails, another shape, a label that is no class.
  Status Train(int64_t epoch_count, const Dataset& dataset,
               const std::vector<Callback*>& callbacks = {});

  // The network's results for the inputs: of the whole batch, or with full_batch off of the rows
  // that this rank gave.
  Result<std::vector<Tensor>> Predict(std::span<const Tensor* const> inputs);
  // Compiles for Predict on inputs of these types; without Build, parameters then lie as a strategy
  // for inference has them (MindSpore: infer_predict_layout).
  Status BuildPredict(const std::vector<TensorType>& inputs);

  // The share of rows whose largest logit is the label's, over all batches of the dataset, which
  // must be the same on all ranks. @pre a network of one result, f32[rows,classes]
  Result<double> Accuracy(const Dataset& dataset);

  // Whether it was compiled for anything, and has parameters.
  bool is_built() const { return strategy_ != nullptr; }
  // @pre is_built()
  const InferredStrategy& strategy() const { return *strategy_; }
  const RankPlace& place() const { return place_; }
  Comm& comm() { return comm_; }
  // This rank's parameters, then, after Build, what the optimizer keeps.
  const std::vector<StateTensor>& state() const { return state_; }
  TrainingView training_view() { return {comm_, place_, state_}; }

 private:
  Model(Comm& comm, ModelOptions options);

  // Makes the parameters of a strategy, once.
  Status MakeParameters(std::shared_ptr<const InferredStrategy> strategy);
  Status AgreeOnNetwork(const std::string& written);
  // The batch of a step, on all ranks or on none.
  Result<std::vector<Tensor>> ReadBatch(const Dataset& dataset, const TrainingProgress& progress);
  Result<float> TrainStep(const std::vector<Tensor>& batch);
  Result<StageRunner*> PredictorFor(const std::vector<TensorType>& inputs, bool full_batch);

  struct Predictor;  // A network compiled for asking.

  Comm& comm_;
  ModelOptions options_;
  RankPlace place_;
  std::shared_ptr<const InferredStrategy> strategy_;  // Of the parameters.
  std::unique_ptr<ParameterStore> parameters_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<StageRunner> trainer_;
  BatchRules batch_rules_;
  std::vector<Predictor> predictors_;
  std::vector<StateTensor> state_;
};

}  // namespace relayout
