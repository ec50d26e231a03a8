// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/infer/optimizer_states.h"

namespace relayout {
namespace {

struct Range {
  std::string_view name;
  float value;
  bool within;
  std::string_view wanted;
};

}  // namespace

Status CheckOptimizer(const OptimizerOptions& options) {
  if (options.type != "sgd" && options.type != "momentum" && options.type != "adam") {
    return InvalidInput(
        Format("optimizer '{}'; sgd, momentum and adam can train", Printable(options.type)));
  }
  const auto fraction = [](float x) { return x >= 0 && x < 1; };
  const Range ranges[] = {
      {"learning_rate", options.learning_rate, options.learning_rate >= 0, "0 or more"},
      {"weight_decay", options.weight_decay, options.weight_decay >= 0, "0 or more"},
      {"loss_scale", options.loss_scale, options.loss_scale > 0, "above 0"},
      {"momentum of sgd", options.sgd.momentum, options.sgd.momentum >= 0, "0 or more"},
      {"momentum", options.momentum.momentum, options.momentum.momentum >= 0, "0 or more"},
      {"beta1", options.adam.beta1, fraction(options.adam.beta1), "in [0, 1)"},
      {"beta2", options.adam.beta2, fraction(options.adam.beta2), "in [0, 1)"},
      {"epsilon", options.adam.epsilon, options.adam.epsilon > 0, "above 0"},
  };
  for (const Range& range : ranges) {
    if (range.within && std::isfinite(range.value)) continue;
    return InvalidInput(Format("optimizer {}: {} is {}, but must be {}", options.type, range.name,
                               range.value, range.wanted));
  }
  if (options.sgd.nesterov && (options.sgd.momentum <= 0 || options.sgd.dampening != 0)) {
    return InvalidInput(
        Format("optimizer sgd: nesterov wants a momentum above 0 and no dampening, not {} and {}",
               options.sgd.momentum, options.sgd.dampening));
  }
  return OkStatus();
}

Result<Optimizer> Optimizer::Create(const OptimizerOptions& options,
                                    const ParameterStore& parameters) {
  RELAYOUT_RETURN_IF_ERROR(CheckOptimizer(options));
  RELAYOUT_ASSIGN_OR_RETURN(const auto prefixes, OptimizerStatePrefixes(options.type));
  Optimizer optimizer(options);
  for (size_t i = 0; i < parameters.shards().size(); ++i) {
    if (parameters.shards()[i].trained) optimizer.trained_.push_back(i);
  }
  optimizer.AddNumbers();
  for (const std::string_view prefix : prefixes) {
    // Where stat is above 0, SGD has not stepped yet.
    optimizer.AddCompanions(prefix, prefix == "stat." ? 1.0F : 0.0F, parameters);
  }
  return optimizer;
}

void Optimizer::AddNumbers() {
  numbers_.push_back({"global_step", Tensor(DType::kInt32, {1})});
  const auto add = [this](std::string_view name, float value) {
    numbers_.push_back({std::string(name), Tensor(DType::kFloat32, {})});
    numbers_.back().value.f32().data[0] = value;
  };
  add("learning_rate", options_.learning_rate);
  if (options_.type == "sgd") add("momentum", options_.sgd.momentum);
  if (options_.type == "momentum") add("momentum", options_.momentum.momentum);
  if (options_.type != "adam") return;
  add("beta1_power", 1);
  add("beta2_power", 1);
}

void Optimizer::AddCompanions(std::string_view prefix, float begin,
                              const ParameterStore& parameters) {
  for (const size_t index : trained_) {
    const ParameterShard& parameter = parameters.shards()[index];
    Companion& made = companions_.emplace_back(
        Companion{.name = Format("{}{}", prefix, parameter.name),
                  .parameter = index,
                  .shape = parameter.shape,
                  .layout = parameter.layout,
                  .value = Tensor(DType::kFloat32, parameter.value.shape())});
    std::ranges::fill(made.value.f32().elements(), begin);
  }
}

float& Optimizer::NumberOf(std::string_view name) {
  const auto found = std::ranges::find(numbers_, name, &Number::name);
  RELAYOUT_CHECK(found != numbers_.end());
  return found->value.f32().data[0];
}

void Optimizer::Step(ParameterStore& parameters) {
  ++numbers_.front().value.i32().data[0];
  if (options_.type == "adam") {
    AdamPowers powers{NumberOf("beta1_power"), NumberOf("beta2_power")};
    AdvanceAdam(options_.adam, powers);
    NumberOf("beta1_power") = powers.beta1_power;
    NumberOf("beta2_power") = powers.beta2_power;
  }
  const float learning_rate = NumberOf("learning_rate");
  for (size_t i = 0; i < trained_.size(); ++i) {
    StepOf(parameters.shards()[trained_[i]], i, learning_rate);
  }
}

void Optimizer::StepOf(ParameterShard& parameter, size_t index, float learning_rate) {
  const auto w = parameter.value.f32().elements();
  const auto g = parameter.gradient.f32().elements();
  const float decay =
      TakesWeightDecay(parameter.name) ? options_.weight_decay * options_.loss_scale : 0;
  PrepareGradient(decay, 1 / options_.loss_scale, w, g);
  const auto first = companions_[index].value.f32().elements();
  if (options_.type == "momentum") {
    MomentumOptions momentum = options_.momentum;
    momentum.momentum = NumberOf("momentum");
    MomentumStep(momentum, learning_rate, g, w, first);
    return;
  }
  const auto second = companions_[trained_.size() + index].value.f32().elements();
  if (options_.type == "sgd") {
    SgdOptions sgd = options_.sgd;
    sgd.momentum = NumberOf("momentum");
    SgdStep(sgd, learning_rate, g, w, first, second);
  } else {
    AdamStep(options_.adam, {NumberOf("beta1_power"), NumberOf("beta2_power")}, learning_rate, g, w,
             first, second);
  }
}

std::vector<StateTensor> Optimizer::State(int64_t device_count) {
  std::vector<StateTensor> state;
  for (Number& number : numbers_) {
    const Dims& shape = number.value.shape();
    state.push_back({.name = number.name,
                     .shape = shape,
                     .layout = Layout::Replicated(device_count, shape.size()),
                     .value = &number.value});
  }
  for (Companion& companion : companions_) {
    state.push_back({.name = companion.name,
                     .shape = companion.shape,
                     .layout = companion.layout,
                     .value = &companion.value});
  }
  return state;
}

}  // namespace relayout
