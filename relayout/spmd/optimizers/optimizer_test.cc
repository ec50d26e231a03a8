// SPDX-License-Identifier: Apache-2.0
//
// Optimizers against what MindSpore calculated on a CPU, five steps of each: every parameter, state
// and power (tests/data/spmd/optimizers.txt).
#include "relayout/spmd/optimizers/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/spmd/kernels/threads.h"
#include "tests/spmd/testing.h"

namespace relayout {
namespace {

using Values = std::vector<float>;

// A parameter and its states, as a rank has them.
struct Trained {
  Values w;
  std::map<std::string, Values> states;
};

using Step = std::function<void(float rate, const Values& gradient, Trained& trained)>;

struct Row {
  std::string name;
  std::map<std::string, float> beginnings;  // Of the states.
  float decay = 0;
  float scale = 1;
  Step step;
  AdamOptions adam;  // Of its powers.
};

Row Sgd(const std::string& name, SgdOptions options, float decay = 0, float scale = 1) {
  return {name,
          {{"accum.", 0.0F}, {"stat.", 1.0F}},
          decay,
          scale,
          [=](float rate, const Values& gradient, Trained& t) {
            SgdStep(options, rate, gradient, t.w, t.states["accum."], t.states["stat."]);
          },
          {}};
}

Row Momentum(const std::string& name, MomentumOptions options, float decay = 0, float scale = 1) {
  return {name,
          {{"moments.", 0.0F}},
          decay,
          scale,
          [=](float rate, const Values& gradient, Trained& t) {
            MomentumStep(options, rate, gradient, t.w, t.states["moments."]);
          },
          {}};
}

Row Adam(const std::string& name, AdamOptions options, float decay = 0, float scale = 1) {
  return {name, {{"moment1.", 0.0F}, {"moment2.", 0.0F}}, decay, scale, nullptr, options};
}

const std::vector<Row>& Rows() {
  static const std::vector<Row> rows = {
      Sgd("sgd", {}),
      Sgd("sgd/decay", {}, 0.02F),
      Sgd("sgd/momentum", {0.9F, 0, false}),
      Sgd("sgd/dampening", {0.9F, 0.3F, false}, 0.02F),
      Sgd("sgd/nesterov", {0.9F, 0, true}, 0.02F * 4, 0.25F),
      Momentum("momentum", {0.9F, false}),
      // MindSpore's kernel for the CPU does not look at use_nesterov.
      Momentum("momentum/nesterov", {0.9F, false}, 0.02F * 4, 0.25F),
      Adam("adam", {}),
      Adam("adam/decay", {0.8F, 0.99F, 1e-5F, false}, 0.02F),
      Adam("adam/nesterov", {0.9F, 0.999F, 1e-8F, true}, 0, 0.25F),
  };
  return rows;
}

Values ValuesOf(const Tensor& tensor) {
  const auto elements = tensor.f32().elements();
  return {elements.begin(), elements.end()};
}

void ExpectClose(const Values& got, const Tensor& want) {
  ASSERT_EQ(got.size(), static_cast<size_t>(want.size()));
  for (size_t i = 0; i < got.size(); ++i) {
    const float wanted = want.f32().data[i];
    ASSERT_NEAR(got[i], wanted, 1e-6F * std::max(1.0F, std::fabs(wanted))) << "element " << i;
  }
}

void Follow(const Row& row, const MindSporeCase& recorded) {
  std::map<std::string, Trained> parameters;
  for (const char* name : {"w", "gamma"}) {
    Trained& trained = parameters[name];
    trained.w = ValuesOf(recorded[name]);
    for (const auto& [prefix, value] : row.beginnings) {
      trained.states[prefix] = Values(trained.w.size(), value);
    }
  }
  AdamPowers powers;
  for (int number = 1; number <= 5; ++number) {
    const std::string suffix = Format(".{}", number);
    SCOPED_TRACE(suffix);
    const float rate = *recorded.f32("learning_rate" + suffix).data;
    AdvanceAdam(row.adam, powers);
    for (auto& [name, trained] : parameters) {
      SCOPED_TRACE(name);
      Values gradient = ValuesOf(recorded[Format("d{}{}", name, suffix)]);
      PrepareGradient(TakesWeightDecay(name) ? row.decay : 0, row.scale, trained.w, gradient);
      if (row.step) {
        row.step(rate, gradient, trained);
      } else {
        AdamStep(row.adam, powers, rate, gradient, trained.w, trained.states["moment1."],
                 trained.states["moment2."]);
      }
      ExpectClose(trained.w, recorded[name + suffix]);
      for (const auto& [prefix, values] : trained.states) {
        SCOPED_TRACE(prefix);
        ExpectClose(values, recorded[prefix + name + suffix]);
      }
    }
    if (row.step) continue;
    EXPECT_FLOAT_EQ(powers.beta1_power, *recorded.f32("beta1_power" + suffix).data);
    EXPECT_FLOAT_EQ(powers.beta2_power, *recorded.f32("beta2_power" + suffix).data);
  }
}

TEST(Optimizers, AreMindSpores) {
  const auto cases = ReadMindSporeCases("optimizers.txt");
  std::set<std::string> checked;
  for (const Row& row : Rows()) {
    SCOPED_TRACE(row.name);
    ASSERT_EQ(cases.count(row.name), 1U);
    Follow(row, cases.at(row.name));
    checked.insert(row.name);
  }
  EXPECT_EQ(checked.size(), cases.size());
}

TEST(MomentumStep, LooksAheadByNesterov) {
  Values w = {1, -2};
  Values moments = {0.5F, 4};
  MomentumStep({0.5F, true}, 0.25F, Values{2, -1}, w, moments);
  EXPECT_EQ(moments, (Values{2.25F, 1}));
  EXPECT_EQ(w, (Values{1 - 0.25F * (2 + 0.5F * 2.25F), -2 - 0.25F * (-1 + 0.5F)}));
}

// A shard of a parameter goes where the whole goes, and threads change nothing.
TEST(Optimizers, DoWithAPartWhatTheyDoWithTheWhole) {
  oracle::Random random(1);
  constexpr int64_t kSize = 200'003;
  const auto noise = [&] { return ValuesOf(ToTensor(RandomArray(random, {kSize}))); };
  const Values gradient = noise();
  const Values w = noise();
  const AdamOptions options;
  AdamPowers powers;
  AdvanceAdam(options, powers);
  kernels::UseKernelThreads(3);
  Values whole = w;
  Values m(w.size());
  Values v(w.size());
  AdamStep(options, powers, 0.01F, gradient, whole, m, v);
  kernels::UseKernelThreads(1);
  Values parts = w;
  Values m_of_parts(w.size());
  Values v_of_parts(w.size());
  size_t begin = 0;
  for (const size_t end : {size_t{1}, size_t{77'777}, w.size()}) {
    const auto part = [&](auto& values) { return std::span(values).subspan(begin, end - begin); };
    AdamStep(options, powers, 0.01F, part(gradient), part(parts), part(m_of_parts),
             part(v_of_parts));
    begin = end;
  }
  EXPECT_EQ(whole, parts);
  EXPECT_EQ(m, m_of_parts);
  EXPECT_EQ(v, v_of_parts);
}

TEST(TakesWeightDecay, SparesBetaAndGamma) {
  EXPECT_TRUE(TakesWeightDecay("layer1.weight"));
  EXPECT_TRUE(TakesWeightDecay("layer1.bias"));
  EXPECT_FALSE(TakesWeightDecay("norm.gamma"));
  EXPECT_FALSE(TakesWeightDecay("norm.beta"));
}

}  // namespace
}  // namespace relayout
