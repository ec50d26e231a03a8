// SPDX-License-Identifier: Apache-2.0
//
// Kernels against what MindSpore calculated on a CPU: tests/data/spmd/kernels.txt.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "relayout/spmd/kernels/activation.h"
#include "relayout/spmd/kernels/arrange.h"
#include "relayout/spmd/kernels/elementwise.h"
#include "relayout/spmd/kernels/gather.h"
#include "relayout/spmd/kernels/loss.h"
#include "relayout/spmd/kernels/matrix.h"
#include "relayout/spmd/kernels/normalize.h"
#include "relayout/spmd/kernels/reduce.h"
#include "relayout/spmd/kernels/softmax.h"
#include "tests/spmd/testing.h"

namespace relayout::kernels {
namespace {

// One case: runs a kernel and holds what it wrote against a tensor of MindSpore's.
class Comparison {
 public:
  Comparison(const MindSporeCase& tensors, float tolerance)
      : tensors_(tensors), tolerance_(tolerance) {}

  View<const float> in(const std::string& name) const { return tensors_.f32(name); }
  View<const int32_t> ids(const std::string& name) const { return tensors_[name].i32(); }
  const Dims& shape(const std::string& name) const { return tensors_[name].shape(); }

  // Calls kernel(out) with memory for the tensor `name`, then compares.
  void Check(const std::string& name, const std::function<void(View<float>)>& kernel) const {
    Tensor got = Unwritten(shape(name));
    kernel(got.f32());
    const View<const float> want = in(name);
    for (int64_t i = 0; i < want.size(); ++i) {
      const float tolerance = tolerance_ * std::max(1.0F, std::fabs(want.data[i]));
      ASSERT_NEAR(got.f32().data[i], want.data[i], tolerance) << name << ", element " << i;
    }
  }

 private:
  const MindSporeCase& tensors_;
  float tolerance_;
};

using Check = std::function<void(const Comparison&)>;

void CheckMatrix(const Comparison& c, Transposes transposes) {
  c.Check("y", [&](auto y) { BatchMatMul(c.in("a"), c.in("b"), transposes, y); });
  c.Check("da", [&](auto da) { BatchMatMulGradientA(c.in("dy"), c.in("b"), transposes, da); });
  c.Check("db", [&](auto db) { BatchMatMulGradientB(c.in("dy"), c.in("a"), transposes, db); });
}

void CheckBias(const Comparison& c) {
  c.Check("y", [&](auto y) { BiasAdd(c.in("x"), c.in("bias"), false, y); });
  c.Check("dbias", [&](auto dbias) { BiasAddGradient(c.in("dy"), false, dbias); });
}

using Forward = void (*)(const View<const float>&, const View<float>&);
using Backward = void (*)(const View<const float>&, const View<const float>&, const View<float>&);

Check ActivationCheck(Forward forward, Backward backward, const std::string& kept) {
  return [=](const Comparison& c) {
    c.Check("y", [&](auto y) { forward(c.in("x"), y); });
    c.Check("dx", [&](auto dx) { backward(c.in(kept), c.in("dy"), dx); });
  };
}

template <typename Kernel, typename Gradient>
Check SoftmaxCheck(Kernel kernel, Gradient gradient, size_t axis) {
  return [=](const Comparison& c) {
    c.Check("y", [&](auto y) { kernel(c.in("x"), axis, y); });
    c.Check("dx", [&](auto dx) { gradient(c.in("y"), c.in("dy"), axis, dx); });
  };
}

void CheckLayerNorm(const Comparison& c) {
  const Dims rows = {c.shape("x")[0]};
  Tensor mean = Unwritten(rows);
  Tensor inverse = Unwritten(rows);
  c.Check("y", [&](auto y) {
    LayerNorm(c.in("x"), c.in("gamma"), c.in("beta"), 1e-5F, y, mean.f32(), inverse.f32());
  });
  Tensor dgamma = Unwritten(c.shape("gamma"));
  Tensor dbeta = Unwritten(c.shape("beta"));
  Tensor dx = Unwritten(c.shape("x"));
  LayerNormGradient(c.in("x"), c.in("gamma"), mean.f32(), inverse.f32(), c.in("dy"), dx.f32(),
                    dgamma.f32(), dbeta.f32());
  c.Check("dx", [&](auto out) { Affine(dx.f32(), 1, 0, out); });
  c.Check("dgamma", [&](auto out) { Affine(dgamma.f32(), 1, 0, out); });
  c.Check("dbeta", [&](auto out) { Affine(dbeta.f32(), 1, 0, out); });
}

void CheckRmsNorm(const Comparison& c) {
  Tensor inverse = Unwritten({c.shape("x")[0]});
  c.Check("y", [&](auto y) { RmsNorm(c.in("x"), c.in("gamma"), 1e-6F, y, inverse.f32()); });
  Tensor dgamma = Unwritten(c.shape("gamma"));
  c.Check("dx", [&](auto dx) {
    RmsNormGradient(c.in("x"), c.in("gamma"), inverse.f32(), c.in("dy"), dx, dgamma.f32());
  });
  c.Check("dgamma", [&](auto out) { Affine(dgamma.f32(), 1, 0, out); });
}

Check GatherCheck(size_t axis) {
  return [=](const Comparison& c) {
    c.Check("y", [&](auto y) { Gather(c.in("table"), c.ids("ids"), axis, 0, y); });
    c.Check("dtable", [&](auto d) { GatherGradient(c.in("dy"), c.ids("ids"), axis, 0, d); });
  };
}

Check SliceCheck(const Dims& begin, const Dims& step) {
  return [=](const Comparison& c) {
    c.Check("y", [&](auto y) { Slice(c.in("x"), begin, step, y); });
    c.Check("dx", [&](auto dx) { SliceGradient(c.in("dy"), begin, step, dx); });
  };
}

void CheckConcat(const Comparison& c) {
  const Dims second = {0, c.shape("x")[1]};
  c.Check("y", [&](auto y) {
    Paste(c.in("x"), {0, 0}, {1, 1}, y);
    Paste(c.in("z"), second, {1, 1}, y);
  });
  c.Check("dx", [&](auto dx) { Slice(c.in("dy"), {0, 0}, {1, 1}, dx); });
  c.Check("dz", [&](auto dz) { Slice(c.in("dy"), second, {1, 1}, dz); });
}

Check ReduceCheck(const std::vector<int64_t>& axes, bool mean) {
  return [=](const Comparison& c) {
    const DimSet reduced = ToDimSet(axes, 3);
    const Dims kept = KeptAsOnes(c.shape("x"), reduced);
    const float scale = mean ? 1 / static_cast<float>(ReducedCount(c.shape("x"), reduced)) : 1.0F;
    c.Check("y", [&](auto y) { SumOver(c.in("x"), reduced, scale, y.data); });
    c.Check("dx", [&](auto dx) { Broadcast(c.in("dy").Reshaped(kept), scale, dx); });
  };
}

void CheckCrossEntropy(const Comparison& c) {
  Tensor log_probabilities = Unwritten(c.shape("x"));
  c.Check("y", [&](auto y) {
    *y.data = SoftmaxCrossEntropy(c.in("x"), c.ids("labels"), log_probabilities.f32());
  });
  const float scale = *c.in("dy").data / static_cast<float>(CountedRows(c.ids("labels")));
  c.Check("dx", [&](auto dx) {
    SoftmaxCrossEntropyGradient(log_probabilities.f32(), c.ids("labels"), scale, dx);
  });
}

void CheckCast(const Comparison& c) {
  Tensor y(DType::kInt32, c.shape("y"));
  Cast(c.in("x"), y.i32());
  for (int64_t i = 0; i < y.size(); ++i) EXPECT_EQ(y.i32().data[i], c.ids("y").data[i]);
}

void CheckQuotient(const Comparison& c) {
  c.Check("y", [&](auto y) { RealDiv(c.in("a"), c.in("b"), y); });
  c.Check("da", [&](auto da) { DividendGradient(c.in("dy"), c.in("b"), da); });
  c.Check("db", [&](auto db) { DivisorGradient(c.in("dy"), c.in("a"), c.in("b"), db); });
}

void CheckProduct(const Comparison& c) {
  c.Check("y", [&](auto y) { Mul(c.in("a"), c.in("b"), y); });
  c.Check("da", [&](auto da) { MulGradient(c.in("dy"), c.in("b"), da); });
  c.Check("db", [&](auto db) { MulGradient(c.in("dy"), c.in("a"), db); });
}

Check SumCheck(Backward kernel, float sign) {
  return [=](const Comparison& c) {
    c.Check("y", [&](auto y) { kernel(c.in("a"), c.in("b"), y); });
    c.Check("da", [&](auto da) { SumTo(c.in("dy"), da); });
    c.Check("db", [&](auto db) { SumTo(c.in("dy"), db, sign); });
  };
}

struct Row {
  std::string name;
  Check check;
  float tolerance = 1e-6F;
};

// MindSpore's tanh (1 from |x| = 5 on) and its LogSoftmax have errors of these sizes; ours are
// within 1e-6 of the truth: activation_test and softmax_test.
constexpr float kErrorOfTanh = 1e-4F;
constexpr float kErrorOfExp = 4e-6F;

std::vector<Row> Rows() {
  std::vector<Row> rows = {
      {"BatchMatMul/broadcast", [](const Comparison& c) { CheckMatrix(c, {}); }},
      {"Add", SumCheck(Add, 1)},
      {"Sub", SumCheck(Sub, -1)},
      {"Mul", CheckProduct},
      {"RealDiv", CheckQuotient},
      {"BiasAdd/2d", CheckBias},
      {"BiasAdd/4d", CheckBias},
      {"ReLU", ActivationCheck(ReLU, ReLUGradient, "y")},
      {"GeLU", ActivationCheck(GeLU, GeLUGradient, "x")},
      {"SiLU", ActivationCheck(SiLU, SiLUGradient, "x")},
      {"Tanh", ActivationCheck(Tanh, TanhGradient, "y"), kErrorOfTanh},
      {"Sigmoid", ActivationCheck(Sigmoid, SigmoidGradient, "y")},
      {"Square", ActivationCheck(Square, SquareGradient, "x")},
      {"Sqrt", ActivationCheck(Sqrt, SqrtGradient, "y")},
      {"Rsqrt", ActivationCheck(Rsqrt, RsqrtGradient, "y")},
      {"Exp", ActivationCheck(Exp, ExpGradient, "y"), kErrorOfExp},
      {"Softmax/-1", SoftmaxCheck(Softmax, SoftmaxGradient, 2)},
      {"Softmax/0", SoftmaxCheck(Softmax, SoftmaxGradient, 0)},
      {"Softmax/1", SoftmaxCheck(Softmax, SoftmaxGradient, 1)},
      {"LogSoftmax/-1", SoftmaxCheck(LogSoftmax, LogSoftmaxGradient, 2), kErrorOfExp},
      {"LogSoftmax/0", SoftmaxCheck(LogSoftmax, LogSoftmaxGradient, 0), kErrorOfExp},
      {"LogSoftmax/1", SoftmaxCheck(LogSoftmax, LogSoftmaxGradient, 1), kErrorOfExp},
      {"LayerNorm", CheckLayerNorm},
      {"RmsNorm", CheckRmsNorm},
      {"Gather/0", GatherCheck(0)},
      {"Gather/1", GatherCheck(1)},
      {"Transpose",
       [](const Comparison& c) {
         const Dims order = {0, 2, 1, 3};
         c.Check("y", [&](auto y) { Transpose(c.in("x"), order, y); });
         c.Check("dx", [&](auto dx) { Transpose(c.in("dy"), InverseOrder(order), dx); });
       }},
      {"StridedSlice", SliceCheck({0, 1, 1}, {1, 2, 2})},
      {"Split", SliceCheck({0, 2, 0}, {1, 1, 1})},
      {"Concat", CheckConcat},
      {"ReduceSum/02", ReduceCheck({0, 2}, false)},
      {"ReduceSum/all", ReduceCheck({}, false)},
      {"ReduceMean/02", ReduceCheck({0, 2}, true)},
      {"ReduceMean/all", ReduceCheck({}, true)},
      {"CrossEntropyLoss", CheckCrossEntropy},
      {"Cast", CheckCast},
  };
  for (const char* type : {"MatMul/", "BatchMatMul/"}) {
    for (const char* transposed : {"00", "01", "10", "11"}) {
      if (type == std::string("BatchMatMul/") && transposed == std::string("11")) continue;
      const Transposes transposes{transposed[0] == '1', transposed[1] == '1'};
      rows.push_back({std::string(type) + transposed,
                      [=](const Comparison& c) { CheckMatrix(c, transposes); }});
    }
  }
  return rows;
}

TEST(Kernels, AreMindSpores) {
  const auto cases = ReadMindSporeCases("kernels.txt");
  std::set<std::string> checked;
  for (const Row& row : Rows()) {
    SCOPED_TRACE(row.name);
    ASSERT_EQ(cases.count(row.name), 1U);
    row.check(Comparison(cases.at(row.name), row.tolerance));
    checked.insert(row.name);
  }
  for (const auto& [name, tensors] : cases) {
    EXPECT_EQ(checked.count(name), 1U) << name << " is checked by no row";
  }
}

}  // namespace
}  // namespace relayout::kernels
