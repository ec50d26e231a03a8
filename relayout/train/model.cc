// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/model.h"

#include <algorithm>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/infer/infer_strategy.h"
#include "relayout/spmd/parameter_store.h"
#include "relayout/spmd/stage_runner.h"
#include "relayout/train/initializer.h"
#include "relayout/train/optimizer.h"

namespace relayout {
namespace {

std::string TypeText(const TensorType& type) {
  return Format("{}{}", ShortName(type.dtype), ToText(type.shape));
}

// A network whose shapes are fixed takes these inputs or none.
Status CheckInputs(const Graph& graph, const std::vector<TensorType>& types) {
  const std::vector<ValueId>& inputs = graph.inputs();
  if (inputs.size() != types.size()) {
    return InvalidInput(Format("the network has {}, but {} given",
                               Count(std::ssize(inputs), "input"),
                               Count(std::ssize(types), "tensor")));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& input = graph.value(inputs[i]);
    const TensorType wanted{input.dtype, input.shape};
    if (wanted == types[i]) continue;
    return InvalidInput(Format("input '{}' of the network is {}, but {} is given",
                               Printable(input.name), TypeText(wanted), TypeText(types[i])));
  }
  return OkStatus();
}

// The network for these inputs.
Result<Graph> Write(const ModelOptions& options, const std::vector<TensorType>& types,
                    const std::vector<std::string>& names) {
  if (options.graph) {
    RELAYOUT_RETURN_IF_ERROR(CheckInputs(*options.graph, types));
    return *options.graph;
  }
  NetworkBuilder net;
  std::vector<NetworkTensor> inputs;
  for (size_t i = 0; i < types.size(); ++i) {
    inputs.push_back(net.Input(names[i], types[i].shape, types[i].dtype));
  }
  return net.Build(options.network(net, inputs));
}

InferOptions InferOptionsOf(const ModelOptions& options, int rank_count, bool training) {
  InferOptions infer;
  infer.device_count = rank_count;
  infer.training = training;
  infer.optimizer = options.optimizer.type;
  infer.optimizer_parallel = options.parallel.optimizer_parallel;
  infer.full_batch = options.parallel.full_batch;
  infer.stage_count = options.parallel.stage_count;
  infer.stage_rules = options.parallel.stage_rules;
  infer.micro_batch_count = training ? options.parallel.micro_batch_count : 1;
  infer.frozen = options.parallel.frozen;
  infer.mode = options.parallel.mode;
  return infer;
}

Status CheckOptions(const ModelOptions& options, int rank_count) {
  const ParallelOptions& parallel = options.parallel;
  if (!options.network && !options.graph) return InvalidInput("a model without a network");
  if (options.network && options.graph) {
    return InvalidInput("a model of two networks, one as a function and one as a graph");
  }
  if (parallel.stage_count < 1 || rank_count % parallel.stage_count != 0) {
    return InvalidInput(Format("{} cannot be dealt evenly to {}", Count(rank_count, "rank"),
                               Count(parallel.stage_count, "pipeline stage")));
  }
  if (parallel.micro_batch_count < 1) {
    return InvalidInput(Format("{} micro batches", parallel.micro_batch_count));
  }
  if (parallel.stage_count == 1 && parallel.micro_batch_count != 1) {
    return InvalidInput(Format("{} micro batches without pipeline stages; give stages or 1",
                               parallel.micro_batch_count));
  }
  return CheckOptimizer(options.optimizer);
}

}  // namespace

struct Model::Predictor {
  std::vector<TensorType> inputs;
  bool full_batch = false;
  std::shared_ptr<const InferredStrategy> strategy;
  std::unique_ptr<StageRunner> runner;
};

Model::Model(Comm& comm, ModelOptions options)
    : comm_(comm),
      options_(std::move(options)),
      place_(RankPlace::Of(comm.rank(), comm.size(), options_.parallel.stage_count)) {}

Model::~Model() = default;

Result<std::unique_ptr<Model>> Model::Create(Comm& comm, ModelOptions options) {
  RELAYOUT_RETURN_IF_ERROR(CheckOptions(options, comm.size()));
  return std::unique_ptr<Model>(new Model(comm, std::move(options)));
}

// ------------------------------------------------------------------------------------ compiling

namespace {

// The line that `at` is in.
std::string LineOf(const std::string& text, std::string::const_iterator at) {
  const auto begin = std::find(std::make_reverse_iterator(at), text.rend(), '\n').base();
  return std::string(begin, std::find(at, text.end(), '\n'));
}

// Fails where `text` is not the same on all ranks, with the first line that is not.
Status AgreeOn(Comm& comm, std::string_view what, const std::string& text) {
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<std::string> texts, comm.AllGather(text));
  for (size_t rank = 0; rank < texts.size(); ++rank) {
    if (texts[rank] == texts[0]) continue;
    const auto differs = std::ranges::mismatch(texts[0], texts[rank]);
    return InvalidInput(Format("{}: rank 0 has '{}' where rank {} has '{}'", what,
                               LineOf(texts[0], differs.in1), rank,
                               LineOf(texts[rank], differs.in2)));
  }
  return OkStatus();
}

// What the network's text does not say.
std::string SettingsText(const ModelOptions& options) {
  const ParallelOptions& parallel = options.parallel;
  std::string text =
      Format("optimizer {}, learning rate {}, weight decay {}, loss scale {}, seed {}",
             options.optimizer.type, options.optimizer.learning_rate,
             options.optimizer.weight_decay, options.optimizer.loss_scale, options.seed);
  text.append(Format(", mode {}, stages {}, micro batches {}", static_cast<int>(parallel.mode),
                     parallel.stage_count, parallel.micro_batch_count));
  if (parallel.full_batch) text.append(", full batch");
  if (parallel.optimizer_parallel.enabled) {
    text.append(Format(", optimizer parallel from {} KiB in groups of {}",
                       parallel.optimizer_parallel.threshold_kib,
                       parallel.optimizer_parallel.group));
  }
  return text;
}

// Numbers of classes are checked before they are sent anywhere.
BatchRules RulesOf(const Dataset& dataset, const Graph& network, std::optional<Loss> loss) {
  BatchRules rules{.names = dataset.names(), .types = dataset.types()};
  if (!loss || *loss == Loss::kMeanSquaredError) return rules;
  rules.class_count = network.value(network.results()[0]).shape[1];
  rules.ignored = *loss == Loss::kCrossEntropy ? -100 : -1;
  return rules;
}

}  // namespace

// All ranks must run the same network, and find out before they run it that they do not.
Status Model::AgreeOnNetwork(const std::string& written) {
  const auto agreed = AgreeOn(comm_, "ranks run different networks", written);
  if (agreed.code() != StatusCode::kInvalidInput) return agreed;
  return InvalidInput(
      Format("{}; batches and the network must be the same on all ranks", agreed.message()));
}

Status Model::MakeParameters(std::shared_ptr<const InferredStrategy> strategy) {
  RELAYOUT_ASSIGN_OR_RETURN(ParameterStore made, ParameterStore::Create(*strategy, place_));
  strategy_ = std::move(strategy);
  parameters_ = std::make_unique<ParameterStore>(std::move(made));
  const Graph& graph = strategy_->graph;
  for (ParameterShard& shard : parameters_->shards()) {
    const std::string& text = graph.value(graph.FindParameter(shard.name)).initializer;
    auto initializer = ParseInitializer(text.empty() ? "zeros" : text);
    if (!initializer.ok()) return initializer.status().WithContext(shard.name);
    if (shard.value.dtype() == DType::kFloat32) {
      auto filled = InitializeShard(*initializer, options_.seed, shard.name, shard.shape, shard.box,
                                    shard.value.f32().elements());
      if (!filled.ok()) return filled.WithContext(shard.name);
    }
    state_.push_back(
        {.name = shard.name, .shape = shard.shape, .layout = shard.layout, .value = &shard.value});
  }
  return OkStatus();
}

Status Model::Build(const Dataset& dataset) {
  if (trainer_ != nullptr) return OkStatus();
  if (strategy_ != nullptr) {
    return InvalidInput(
        "a model that was built to predict cannot be trained; build it to train "
        "first");
  }
  const int64_t micro_batch_count = options_.parallel.micro_batch_count;
  std::string written;
  const auto compile = [&]() -> Status {
    std::vector<TensorType> types = dataset.types();
    std::vector<std::string> names = dataset.names();
    if (options_.loss) {
      if (types.size() < 2) {
        return InvalidInput(
            Format("the dataset gives {} a batch, but a loss wants a label behind the network's "
                   "inputs",
                   Count(std::ssize(types), "tensor")));
      }
      types.pop_back();
      names.pop_back();
    }
    RELAYOUT_ASSIGN_OR_RETURN(Graph graph, Write(options_, types, names));
    if (options_.loss) {
      RELAYOUT_ASSIGN_OR_RETURN(Graph trained, WithLoss(graph, *options_.loss));
      batch_rules_ = RulesOf(dataset, graph, options_.loss);
      graph = std::move(trained);
    } else {
      batch_rules_ = RulesOf(dataset, graph, {});
    }
    written = relayout::ToText(graph);
    RELAYOUT_ASSIGN_OR_RETURN(InferredStrategy inferred,
                              InferStrategy(graph, InferOptionsOf(options_, comm_.size(), true)));
    return MakeParameters(std::make_shared<const InferredStrategy>(std::move(inferred)));
  };
  RELAYOUT_RETURN_IF_ERROR(Agree(comm_, compile()));
  RELAYOUT_RETURN_IF_ERROR(AgreeOnNetwork(written));
  RELAYOUT_RETURN_IF_ERROR(AgreeOn(comm_, "ranks train differently", SettingsText(options_)));
  const auto prepare = [&]() -> Status {
    RELAYOUT_ASSIGN_OR_RETURN(Optimizer optimizer,
                              Optimizer::Create(options_.optimizer, *parameters_));
    optimizer_ = std::make_unique<Optimizer>(std::move(optimizer));
    for (StateTensor& state : optimizer_->State(place_.stage_ranks())) state_.push_back(state);
    RELAYOUT_ASSIGN_OR_RETURN(trainer_,
                              StageRunner::Create({.network = strategy_.get(),
                                                   .place = place_,
                                                   .training = true,
                                                   .full_batch = options_.parallel.full_batch,
                                                   .micro_batch_count = micro_batch_count},
                                                  *parameters_));
    return OkStatus();
  };
  return Agree(comm_, prepare());
}

// ------------------------------------------------------------------------------------- training

namespace {

// What a rank says to a batch: OK to go on, or why all ranks have to end.
Status Readiness(Comm& comm, const Status& batch) {
  if (!batch.ok() || !comm.StopRequested()) return batch;
  return Cancelled("stopped on request");
}

}  // namespace

Result<float> Model::TrainStep(const std::vector<Tensor>& batch) {
  const int64_t step = optimizer_->step_count();
  std::vector<const Tensor*> inputs;
  for (const Tensor& tensor : batch) inputs.push_back(&tensor);
  const auto loss = trainer_->Train(comm_, inputs, {.step = step, .seed = options_.seed});
  if (!loss.ok()) {
    // Others may wait for this rank and never learn why. That it lost another one, they say alike.
    if (loss.status().code() == StatusCode::kIoError) return loss;
    return loss.status().WithContext(Format("rank {}, step {}", place_.rank, step + 1));
  }
  optimizer_->Step(*parameters_);
  return *loss;
}

Result<std::vector<Tensor>> Model::ReadBatch(const Dataset& dataset,
                                             const TrainingProgress& progress) {
  auto batch = dataset.Batch(progress.epoch - 1, progress.step_in_epoch - 1);
  const Status mine = batch.ok() ? CheckBatch(batch_rules_, *batch) : batch.status();
  const std::string place = Format("epoch {}, step {}", progress.epoch, progress.step_in_epoch);
  RELAYOUT_RETURN_IF_ERROR(Agree(comm_, Readiness(comm_, mine.WithContext(place))));
  return batch;
}

namespace {

// Calls each callback, one after the other on all ranks together: what fails on one rank ends all
// of them, and none waits in the next callback.
template <typename Call>
Status CallEach(Comm& comm, const std::vector<Callback*>& callbacks, const Call& call) {
  for (Callback* const callback : callbacks) {
    RELAYOUT_RETURN_IF_ERROR(Agree(comm, call(*callback)));
  }
  return OkStatus();
}

}  // namespace

Status Model::Train(int64_t epoch_count, const Dataset& dataset,
                    const std::vector<Callback*>& callbacks) {
  RELAYOUT_RETURN_IF_ERROR(Build(dataset));
  TrainingProgress progress{.epoch_count = epoch_count, .steps_per_epoch = dataset.batch_count()};
  RELAYOUT_RETURN_IF_ERROR(AgreeOn(
      comm_, "ranks train differently",
      Format("{} of {}, {}", Count(epoch_count, "epoch"), Count(progress.steps_per_epoch, "step"),
             Count(std::ssize(callbacks), "callback"))));
  const TrainingView view = training_view();
  RELAYOUT_RETURN_IF_ERROR(
      CallEach(comm_, callbacks, [&](Callback& callback) { return callback.OnBegin(view); }));
  for (progress.epoch = 1; progress.epoch <= epoch_count; ++progress.epoch) {
    for (int64_t i = 0; i < progress.steps_per_epoch; ++i) {
      progress.step_in_epoch = i + 1;
      RELAYOUT_ASSIGN_OR_RETURN(const std::vector<Tensor> batch, ReadBatch(dataset, progress));
      RELAYOUT_ASSIGN_OR_RETURN(progress.loss, TrainStep(batch));
      progress.step = (progress.epoch - 1) * progress.steps_per_epoch + progress.step_in_epoch;
      RELAYOUT_RETURN_IF_ERROR(CallEach(comm_, callbacks, [&](Callback& callback) {
        return callback.OnStepEnd(view, progress);
      }));
    }
    RELAYOUT_RETURN_IF_ERROR(CallEach(
        comm_, callbacks, [&](Callback& callback) { return callback.OnEpochEnd(view, progress); }));
  }
  progress.epoch = epoch_count;
  return CallEach(comm_, callbacks,
                  [&](Callback& callback) { return callback.OnEnd(view, progress); });
}

// --------------------------------------------------------------------------------------- asking

namespace {

// Of a result for the rows of all ranks those of this one.
Tensor OwnRows(const Tensor& all, const RankPlace& place) {
  Dims shape = all.shape();
  if (shape.empty() || shape[0] % place.stage_ranks() != 0) return all.Clone();
  shape[0] /= place.stage_ranks();
  Tensor own(all.dtype(), shape);
  const auto size_bytes = static_cast<size_t>(own.size_bytes());
  const auto begin = static_cast<size_t>(place.local_rank()) * size_bytes;
  std::ranges::copy(all.bytes().subspan(begin, size_bytes), own.bytes().begin());
  return own;
}

// As many rows as asked for, the last ones zeros where there are fewer.
Tensor WithRows(const Tensor& rows, int64_t count) {
  Dims shape = rows.shape();
  shape[0] = count;
  Tensor padded(rows.dtype(), shape);
  std::ranges::copy(rows.bytes(), padded.bytes().begin());
  return padded;
}

int64_t RightRows(const View<const float>& logits, const View<const int32_t>& labels) {
  int64_t right = 0;
  const int64_t classes = logits.shape[1];
  for (int64_t row = 0; row < labels.size(); ++row) {
    const float* const begin = logits.data + row * classes;
    right += std::max_element(begin, begin + classes) - begin == labels.data[row] ? 1 : 0;
  }
  return right;
}

}  // namespace

Result<StageRunner*> Model::PredictorFor(const std::vector<TensorType>& inputs, bool full_batch) {
  for (const Predictor& predictor : predictors_) {
    if (predictor.inputs == inputs && predictor.full_batch == full_batch) {
      return predictor.runner.get();
    }
  }
  Predictor made{
      .inputs = inputs, .full_batch = full_batch, .strategy = nullptr, .runner = nullptr};
  InferOptions infer = InferOptionsOf(options_, comm_.size(), false);
  infer.full_batch = full_batch;
  std::string written;
  const auto compile = [&]() -> Status {
    std::vector<std::string> names;
    for (size_t i = 0; i < inputs.size(); ++i) names.push_back(Format("x{}", i));
    RELAYOUT_ASSIGN_OR_RETURN(const Graph graph, Write(options_, inputs, names));
    written = relayout::ToText(graph);
    RELAYOUT_ASSIGN_OR_RETURN(InferredStrategy inferred, InferStrategy(graph, infer));
    made.strategy = std::make_shared<const InferredStrategy>(std::move(inferred));
    return strategy_ == nullptr ? MakeParameters(made.strategy) : OkStatus();
  };
  RELAYOUT_RETURN_IF_ERROR(Agree(comm_, compile()));
  RELAYOUT_RETURN_IF_ERROR(AgreeOnNetwork(written));
  const auto prepare = [&]() -> Status {
    RELAYOUT_ASSIGN_OR_RETURN(made.runner, StageRunner::Create({.network = made.strategy.get(),
                                                                .place = place_,
                                                                .training = false,
                                                                .full_batch = full_batch},
                                                               *parameters_));
    return OkStatus();
  };
  RELAYOUT_RETURN_IF_ERROR(Agree(comm_, prepare()));
  predictors_.push_back(std::move(made));
  return predictors_.back().runner.get();
}

Status Model::BuildPredict(const std::vector<TensorType>& inputs) {
  return PredictorFor(inputs, options_.parallel.full_batch).status();
}

Result<std::vector<Tensor>> Model::Predict(std::span<const Tensor* const> inputs) {
  std::vector<TensorType> types;
  for (const Tensor* const input : inputs) types.push_back({input->dtype(), input->shape()});
  const bool full_batch = options_.parallel.full_batch;
  RELAYOUT_ASSIGN_OR_RETURN(StageRunner* const runner, PredictorFor(types, full_batch));
  RELAYOUT_ASSIGN_OR_RETURN(std::vector<Tensor> results, runner->Predict(comm_, inputs));
  if (full_batch) return results;
  for (Tensor& result : results) result = OwnRows(result, place_);
  return results;
}

Result<double> Model::Accuracy(const Dataset& dataset) {
  int64_t right = 0;
  int64_t row_count = 0;
  std::vector<TensorType> types = dataset.types();
  types.pop_back();
  RELAYOUT_ASSIGN_OR_RETURN(StageRunner* const runner, PredictorFor(types, /*full_batch=*/true));
  for (int64_t i = 0; i < dataset.batch_count(); ++i) {
    auto batch = dataset.Batch(0, i);
    RELAYOUT_RETURN_IF_ERROR(Agree(comm_, Readiness(comm_, batch.status())));
    std::vector<Tensor> inputs;
    std::vector<const Tensor*> pointers;
    // The last batch may be shorter, and the network is not.
    for (size_t t = 0; t < types.size(); ++t) {
      inputs.push_back(WithRows((*batch)[t], types[t].shape[0]));
    }
    for (const Tensor& input : inputs) pointers.push_back(&input);
    RELAYOUT_ASSIGN_OR_RETURN(const std::vector<Tensor> results, runner->Predict(comm_, pointers));
    const View<const float> logits = results.front().f32();
    const View<const int32_t> labels = std::as_const(batch->back()).i32();
    if (logits.shape.size() != 2 || labels.size() > logits.shape[0]) {
      return InvalidInput(Format("accuracy of results {} against labels {}", ToText(logits.shape),
                                 ToText(labels.shape)));
    }
    right += RightRows(logits, labels);
    row_count += labels.size();
  }
  return row_count == 0 ? 0.0 : static_cast<double>(right) / static_cast<double>(row_count);
}

}  // namespace relayout
