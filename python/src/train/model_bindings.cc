// SPDX-License-Identifier: Apache-2.0
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "python/src/errors.h"
#include "python/src/network_builder.h"
#include "python/src/text.h"
#include "python/src/train/arrays.h"
#include "python/src/train/bindings.h"
#include "python/src/train/callback_chain.h"
#include "python/src/train/checkpoints.h"
#include "python/src/train/rank.h"
#include "relayout/base/text.h"
#include "relayout/infer/infer_strategy.h"
#include "relayout/train/load_param_into_net.h"
#include "relayout/train/model.h"
#include "relayout/train/save_checkpoint.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

// --- What a model is made of ---------------------------------------------------------------------

// A network function of Python. What it raises is kept by the rank, and a mistake to the network.
class PythonNetwork {
 public:
  PythonNetwork(Rank& rank, nb::object function) : rank_(rank), function_(std::move(function)) {}

  std::vector<NetworkTensor> Write(NetworkBuilder& net, std::span<const NetworkTensor> inputs) {
    std::vector<NetworkTensor> results;
    const Status status = rank_.Guard([&] {
      const auto builder = std::make_shared<Builder>(net);
      const Ending ending{*builder};
      nb::list tensors;
      for (const NetworkTensor& input : inputs) tensors.append(BuiltTensor{builder, input});
      const nb::object written = function_(builder, tensors);
      for (const nb::handle tensor : nb::cast<nb::list>(written)) {
        results.push_back(nb::cast<const BuiltTensor&>(tensor).get());
      }
    });
    if (!status.ok()) net.AddMistake(status);
    return results;
  }

 private:
  struct Ending {
    Builder& builder;
    ~Ending() { builder.Finish(); }
  };

  Rank& rank_;
  const nb::object function_;
};

OptimizerOptions OptimizerOf(const nb::dict& given) {
  OptimizerOptions options;
  const auto number = [&](const char* name, float& value) {
    if (given.contains(name)) value = nb::cast<float>(given[name]);
  };
  options.type = nb::cast<std::string>(given["type"]);
  number("learning_rate", options.learning_rate);
  number("weight_decay", options.weight_decay);
  number("loss_scale", options.loss_scale);
  number("dampening", options.sgd.dampening);
  number("momentum", options.sgd.momentum);
  number("momentum", options.momentum.momentum);
  number("beta1", options.adam.beta1);
  number("beta2", options.adam.beta2);
  number("eps", options.adam.epsilon);
  const bool nesterov = given.contains("nesterov") && nb::cast<bool>(given["nesterov"]);
  options.sgd.nesterov = nesterov;
  options.momentum.nesterov = nesterov;
  options.adam.nesterov = nesterov;
  return options;
}

ParallelOptions ParallelOf(const nb::dict& given) {
  ParallelOptions options;
  const auto mode = nb::cast<std::string>(given["mode"]);
  options.mode = mode == "semi_auto"          ? InferMode::kAnnotated
                 : mode == "auto_propagation" ? InferMode::kPropagated
                                              : InferMode::kSearched;
  options.full_batch = nb::cast<bool>(given["full_batch"]);
  options.optimizer_parallel = {
      .enabled = nb::cast<bool>(given["enable_parallel_optimizer"]),
      .threshold_kib = nb::cast<int64_t>(given["parallel_optimizer_threshold"]),
      .group = nb::cast<int64_t>(given["optimizer_weight_shard_size"])};
  options.stage_count = nb::cast<int64_t>(given["pipeline_stages"]);
  for (const auto& [prefix, stage] : nb::cast<nb::dict>(given["stages"])) {
    options.stage_rules.push_back({nb::cast<std::string>(prefix), nb::cast<int64_t>(stage)});
  }
  options.micro_batch_count = nb::cast<int64_t>(given["micro_size"]);
  options.frozen = nb::cast<std::vector<std::string>>(given["frozen"]);
  return options;
}

// --- The model -----------------------------------------------------------------------------------

// The model of a rank.
class RankModel {
 public:
  // `network` is a Graph, or a function that writes one down.
  RankModel(std::shared_ptr<Rank> rank, nb::object network, const nb::dict& given)
      : rank_(std::move(rank)) {
    ModelOptions options;
    if (nb::isinstance<Graph>(network)) {
      options.graph = nb::cast<const Graph&>(network);
    } else {
      network_ = std::make_unique<PythonNetwork>(*rank_, std::move(network));
      options.network = [function = network_.get()](NetworkBuilder& net, auto inputs) {
        return function->Write(net, inputs);
      };
    }
    options.optimizer = OptimizerOf(nb::cast<nb::dict>(given["optimizer"]));
    options.parallel = ParallelOf(nb::cast<nb::dict>(given["parallel"]));
    options.seed = nb::cast<uint64_t>(given["seed"]);
    if (!given["loss"].is_none()) {
      options.loss = ValueOrThrow(ParseLoss(nb::cast<std::string>(given["loss"])));
    }
    model_ = ValueOrThrow(Model::Create(rank_->comm(), std::move(options)));
  }

  void Build(const Dataset& dataset) {
    rank_->Call([&] { return model_->Build(dataset); });
  }

  void BuildPredict(const std::vector<TypeTuple>& given) {
    std::vector<TensorType> types;
    for (const TypeTuple& type : given) types.push_back(TypeOf(type));
    rank_->Call([&] { return model_->BuildPredict(types); });
  }

  void Train(int64_t epoch_count, const Dataset& dataset, const nb::list& callbacks) {
    CallbackChain chain(*rank_, callbacks);
    rank_->Call([&] { return model_->Train(epoch_count, dataset, {&chain}); });
  }

  nb::list Predict(const std::vector<Array>& arrays) {
    std::vector<Tensor> inputs;
    for (const Array& array : arrays) inputs.push_back(TensorOf("an input", array));
    std::vector<const Tensor*> pointers;
    for (const Tensor& input : inputs) pointers.push_back(&input);
    auto results = rank_->Call<std::vector<Tensor>>([&] { return model_->Predict(pointers); });
    nb::list list;
    for (Tensor& result : results) list.append(ArrayOf(std::move(result)));
    return list;
  }

  double Accuracy(const Dataset& dataset) {
    return rank_->Call<double>([&] { return model_->Accuracy(dataset); });
  }

  nb::tuple Load(const LoadedCheckpoint& checkpoint, bool slice_whole) {
    (void)Built();
    const auto report = rank_->Call<LoadReport>([&] {
      return LoadParamIntoNet(model_->training_view(), checkpoint, {.slice_whole = slice_whole});
    });
    return nb::make_tuple(ListOf(report.param_not_load), ListOf(report.ckpt_not_load));
  }

  // This rank's state, then `appended`.
  void Save(nb::handle path, const nb::list& appended) {
    const std::string file = PathFromPython(path);
    std::vector<CheckpointValue> values;
    for (const nb::handle value : appended) {
      values.push_back(ValueFromPython(nb::cast<nb::tuple>(value)));
    }
    std::vector<SavedValue> saved;
    for (const StateTensor& tensor : Built().state()) saved.push_back(ViewOf(tensor));
    for (const CheckpointValue& value : values) saved.push_back(ViewOf(value));
    rank_->Call([&] { return SaveCheckpoint(Files(), file, saved); });
  }

  std::shared_ptr<InferredStrategy> StrategyOf() {
    return std::make_shared<InferredStrategy>(Built().strategy());
  }

  // (name, shape, layout, (begin, end)) of each tensor of the state.
  nb::list State() {
    nb::list list;
    for (const StateTensor& tensor : Built().state()) {
      const Partition partition = ValueOrThrow(Partition::Create(tensor.layout, tensor.shape));
      const Box box = partition.BoxOf(tensor.layout.CellOf(model_->place().local_rank()));
      list.append(nb::make_tuple(TextFromMessage(tensor.name), TupleOf(tensor.shape), tensor.layout,
                                 nb::make_tuple(TupleOf(box.begin), TupleOf(box.end))));
    }
    return list;
  }

  // A copy of number `index` of the state.
  nb::object StateValue(size_t index) {
    const std::vector<StateTensor>& state = Built().state();
    if (index >= state.size()) throw nb::index_error();
    return ArrayOf(state[index].value->Clone());
  }

 private:
  static nb::list ListOf(const std::vector<std::string>& names) {
    nb::list list;
    for (const std::string& name : names) list.append(TextFromMessage(name));
    return list;
  }

  Model& Built() {
    if (!model_->is_built()) {
      ThrowIfFailed(InvalidInput(
          "the model has no parameters yet; build() it for a dataset, or build_predict() it"));
    }
    return *model_;
  }

  const std::shared_ptr<Rank> rank_;
  std::unique_ptr<PythonNetwork> network_;  // Unless it is a Graph.
  std::unique_ptr<Model> model_;
};

}  // namespace

void BindModel(nb::module_& module) {
  nb::class_<RankModel>(module, "Model", "See relayout/train/model.h.")
      .def(nb::init<std::shared_ptr<Rank>, nb::object, const nb::dict&>(), nb::arg("comm"),
           nb::arg("network"), nb::arg("options"))
      .def("build", &RankModel::Build, nb::arg("dataset"))
      .def("build_predict", &RankModel::BuildPredict, nb::arg("types"))
      .def("train", &RankModel::Train, nb::arg("epoch_count"), nb::arg("dataset"),
           nb::arg("callbacks"))
      .def("predict", &RankModel::Predict, nb::arg("inputs"))
      .def("accuracy", &RankModel::Accuracy, nb::arg("dataset"))
      .def("load", &RankModel::Load, nb::arg("checkpoint"), nb::arg("slice_whole"))
      .def("save", &RankModel::Save, nb::arg("path"), nb::arg("appended"))
      .def("strategy", &RankModel::StrategyOf)
      .def("state", &RankModel::State)
      .def("state_value", &RankModel::StateValue, nb::arg("index"));
}

}  // namespace relayout::python
