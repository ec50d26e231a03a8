// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/optimizers/optimizer.h"

#include <cmath>

#include "relayout/base/check.h"
#include "relayout/spmd/kernels/threads.h"

namespace relayout {
namespace {

using kernels::ForRange;
using kernels::kElementGrain;

int64_t Length(std::span<const float> values) { return static_cast<int64_t>(values.size()); }

}  // namespace

void PrepareGradient(float decay, float scale, std::span<const float> parameter,
                     std::span<float> gradient) {
  RELAYOUT_CHECK(parameter.size() == gradient.size());
  const float* const w = parameter.data();
  float* const g = gradient.data();
  if (decay == 0 && scale == 1) return;
  ForRange(Length(gradient), kElementGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) g[i] = (g[i] + decay * w[i]) * scale;
  });
}

bool TakesWeightDecay(std::string_view parameter_name) {
  return parameter_name.find("beta") == std::string_view::npos &&
         parameter_name.find("gamma") == std::string_view::npos;
}

void SgdStep(const SgdOptions& options, float learning_rate, std::span<const float> gradient,
             std::span<float> parameter, std::span<float> accum, std::span<float> stat) {
  RELAYOUT_CHECK(gradient.size() == parameter.size() && accum.size() == parameter.size() &&
                 stat.size() == parameter.size());
  const float* const g = gradient.data();
  float* const w = parameter.data();
  float* const a = accum.data();
  float* const s = stat.data();
  const float momentum = options.momentum;
  const float fresh = 1 - options.dampening;
  const bool nesterov = options.nesterov;
  ForRange(Length(gradient), kElementGrain, [=](int64_t begin, int64_t end) {
    if (momentum <= 0) {
      for (int64_t i = begin; i < end; ++i) w[i] -= learning_rate * g[i];
      return;
    }
    for (int64_t i = begin; i < end; ++i) {
      const float moved = a[i] * momentum + fresh * g[i];
      a[i] = s[i] > 0 ? g[i] : moved;
      s[i] = s[i] > 0 ? 0 : s[i];
      w[i] -= learning_rate * (nesterov ? g[i] + a[i] * momentum : a[i]);
    }
  });
}

void MomentumStep(const MomentumOptions& options, float learning_rate,
                  std::span<const float> gradient, std::span<float> parameter,
                  std::span<float> moments) {
  RELAYOUT_CHECK(gradient.size() == parameter.size() && moments.size() == parameter.size());
  const float* const g = gradient.data();
  float* const w = parameter.data();
  float* const m = moments.data();
  const float momentum = options.momentum;
  const bool nesterov = options.nesterov;
  ForRange(Length(gradient), kElementGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      m[i] = m[i] * momentum + g[i];
      w[i] -= (nesterov ? g[i] + m[i] * momentum : m[i]) * learning_rate;
    }
  });
}

void AdvanceAdam(const AdamOptions& options, AdamPowers& powers) {
  powers.beta1_power *= options.beta1;
  powers.beta2_power *= options.beta2;
}

void AdamStep(const AdamOptions& options, const AdamPowers& powers, float learning_rate,
              std::span<const float> gradient, std::span<float> parameter, std::span<float> moment1,
              std::span<float> moment2) {
  RELAYOUT_CHECK(gradient.size() == parameter.size() && moment1.size() == parameter.size() &&
                 moment2.size() == parameter.size());
  const float* const g = gradient.data();
  float* const w = parameter.data();
  float* const m = moment1.data();
  float* const v = moment2.data();
  const float rate = learning_rate * std::sqrt(1 - powers.beta2_power) / (1 - powers.beta1_power);
  const float beta1 = options.beta1;
  const float fresh1 = 1 - options.beta1;
  const float fresh2 = 1 - options.beta2;
  const float epsilon = options.epsilon;
  const bool nesterov = options.nesterov;
  ForRange(Length(gradient), kElementGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      m[i] += (g[i] - m[i]) * fresh1;
      v[i] += (g[i] * g[i] - v[i]) * fresh2;
      const float direction = nesterov ? m[i] * beta1 + fresh1 * g[i] : m[i];
      w[i] -= rate * direction / (std::sqrt(v[i]) + epsilon);
    }
  });
}

}  // namespace relayout
