// SPDX-License-Identifier: Apache-2.0
//
// SGD, Momentum and Adam as MindSpore's optimizers calculate, one parameter (or a shard of one) at
// a time. What an optimizer keeps beside a parameter lies as the parameter does:
//
//              state of w            begins as   also in a checkpoint
//   SGD        accum.w, stat.w       0, 1        momentum
//   Momentum   moments.w             0           momentum
//   Adam       moment1.w, moment2.w  0, 0        beta1_power, beta2_power
//   all                                          global_step i32[1], learning_rate
//
// A step, for each parameter:
//
//   PrepareGradient(decay, scale, w, g)          weight decay and loss scale, when there are any
//   SgdStep(options, lr, g, w, accum, stat)
//
// (Adam: once a step AdvanceAdam(options, powers) before the first parameter.)
//
// Every element is calculated alone, so that shards follow the whole bit by bit.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace relayout {

// g = (g + decay w) scale: what MindSpore does to gradients first. `decay` is the weight decay
// times the loss scale, `scale` one over the loss scale; TakesWeightDecay tells for which
// parameters.
void PrepareGradient(float decay, float scale, std::span<const float> parameter,
                     std::span<float> gradient);

// Without parameter groups, MindSpore spares those with "beta" or "gamma" in their names.
bool TakesWeightDecay(std::string_view parameter_name);

struct SgdOptions {
  float momentum = 0;
  float dampening = 0;
  bool nesterov = false;  // Wants momentum > 0 and dampening = 0.
};

// Without momentum w -= lr g, and the states stay. With it
//   accum = momentum accum + (1 - dampening) g, but g as it is where stat > 0, which becomes 0;
//   w -= lr accum, with nesterov lr (g + momentum accum).
void SgdStep(const SgdOptions& options, float learning_rate, std::span<const float> gradient,
             std::span<float> parameter, std::span<float> accum, std::span<float> stat);

struct MomentumOptions {
  float momentum = 0.9F;
  bool nesterov = false;  // As documented; MindSpore's kernel for the CPU ignores it.
};

// moments = momentum moments + g; w -= lr moments, with nesterov lr (g + momentum moments).
void MomentumStep(const MomentumOptions& options, float learning_rate,
                  std::span<const float> gradient, std::span<float> parameter,
                  std::span<float> moments);

struct AdamOptions {
  float beta1 = 0.9F;
  float beta2 = 0.999F;
  float epsilon = 1e-8F;
  bool nesterov = false;
};

struct AdamPowers {
  float beta1_power = 1;
  float beta2_power = 1;
};

// Both powers times their beta.
void AdvanceAdam(const AdamOptions& options, AdamPowers& powers);

// With rate = lr sqrt(1 - beta2_power) / (1 - beta1_power):
//   moment1 += (1 - beta1) (g - moment1); moment2 += (1 - beta2) (g² - moment2);
//   w -= rate moment1 / (sqrt(moment2) + epsilon),
//   with nesterov beta1 moment1 + (1 - beta1) g in the place of moment1.
void AdamStep(const AdamOptions& options, const AdamPowers& powers, float learning_rate,
              std::span<const float> gradient, std::span<float> parameter, std::span<float> moment1,
              std::span<float> moment2);

}  // namespace relayout
