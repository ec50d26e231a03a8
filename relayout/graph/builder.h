// SPDX-License-Identifier: Apache-2.0
//
// NetworkBuilder: a network (Graph) written down in C++. The tutorial's, cut for 8 devices:
//
//   NetworkTensor Dense(NetworkBuilder& net, std::string_view name, const NetworkTensor& x,
//                       int64_t width, const Cuts& cuts) {
//     const Scope scope(net, name);
//     const NetworkTensor w = net.Parameter("weight", {x.dim(-1), width});
//     return net.MatMul(x, w).Cut(cuts) + net.Parameter("bias", {width});
//   }
//
//   NetworkBuilder net;
//   NetworkTensor x = net.Flatten(net.Input("x", {32, 1, 28, 28}));
//   x = net.ReLU(Dense(net, "layer1", x, 512, {{2, 1}, {1, 2}}));
//   x = net.ReLU(Dense(net, "layer2", x, 512, {{1, 4}, {4, 1}}));
//   x = Dense(net, "layer3", x, 10, {{2, 2}, {2, 1}});
//   RELAYOUT_ASSIGN_OR_RETURN(const Graph graph, net.Build({x}));
//
//   // x input f32[32,1,28,28]
//   // layer1.weight parameter f32[784,512]
//   // ...
//   // #0 Flatten (x) -> f32[32,784]
//   // #1 MatMul (#0, layer1.weight) -> f32[32,512] cuts ((2,1),(1,2))
//
// * A NetworkTensor is a handle: copied freely, valid as long as its builder. Operators are in the
//   network in the order in which they are called for, which C++ leaves open within `a + b`.
// * Types and attributes of operators are those of MindSpore's primitives, and shapes of results
//   follow from them (operator_shapes.h). Apply() makes any operator; the other methods are short
//   for the usual ones.
// * A Scope is a cell: its name goes before those of parameters ("layer1.weight") and into those of
//   operators ("Default/layer1/MatMul-op0"), from which stages are told (`--stage layer1=0`).
// * What does not fit is not reported where it happens, so that expressions stay expressions, but
//   by Build(): the first mistake, and how many there are.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/base/dtype.h"
#include "relayout/base/status.h"
#include "relayout/graph/graph.h"

namespace relayout {

class NetworkBuilder;

// A tensor of a network that is being built.
class NetworkTensor {
 public:
  // Of a tensor that came of a mistake: float32, [].
  DType dtype() const;
  const Dims& shape() const;
  // The length of dim `index`, negative ones counted from the right; 0 where there is none.
  int64_t dim(int index) const;

  // Annotates the operator that this is a result of: the pieces of each dim of each of its tensor
  // inputs. Gives the tensor back.
  NetworkTensor Cut(Cuts cuts) const;
  // The same of its results.
  NetworkTensor CutOutputs(Cuts cuts) const;

  // Another result of the same operator.
  NetworkTensor Output(size_t index) const;

  // With broadcasting. A number becomes what MindSpore makes of it: an attribute of Muls and Divs,
  // else a constant without dims that holds it.
  NetworkTensor operator+(const NetworkTensor& other) const { return Combine("Add", other); }
  NetworkTensor operator-(const NetworkTensor& other) const { return Combine("Sub", other); }
  NetworkTensor operator*(const NetworkTensor& other) const { return Combine("Mul", other); }
  NetworkTensor operator/(const NetworkTensor& other) const { return Combine("RealDiv", other); }
  NetworkTensor operator+(double other) const { return Combine("Add", other); }
  NetworkTensor operator-(double other) const { return Combine("Sub", other); }
  NetworkTensor operator*(double other) const;
  NetworkTensor operator/(double other) const;

  // Its number in the network; kNoId after a mistake.
  ValueId id() const { return id_; }

 private:
  friend class NetworkBuilder;
  NetworkTensor(NetworkBuilder* builder, ValueId id) : builder_(builder), id_(id) {}
  NetworkTensor Combine(std::string_view type, const NetworkTensor& other) const;
  NetworkTensor Combine(std::string_view type, double other) const;

  NetworkBuilder* builder_ = nullptr;
  ValueId id_ = kNoId;
};

struct ParameterOptions {
  DType dtype = DType::kFloat32;
  bool trained = true;
  // What it is before it is trained: "normal(0.02)", "zeros" (train/initializer.h).
  std::string initializer = {};
};

struct MatMulOptions {
  bool transpose_a = false;
  bool transpose_b = false;
};

class NetworkBuilder {
 public:
  NetworkBuilder() = default;
  NetworkBuilder(const NetworkBuilder&) = delete;
  NetworkBuilder& operator=(const NetworkBuilder&) = delete;

  NetworkTensor Input(std::string_view name, const Dims& shape, DType dtype = DType::kFloat32);
  // Called `name` in checkpoints, after the names of the scopes. Used twice, it is one parameter:
  // keep the tensor. Two of one name are a mistake.
  NetworkTensor Parameter(std::string_view name, const Dims& shape,
                          const ParameterOptions& options = {});
  // A tensor that is neither fed nor trained, such as a mask. Without values it can be laid out,
  // and not be run.
  NetworkTensor Constant(const Dims& shape, DType dtype = DType::kFloat32);
  // With values, in C order; as many as the shape has.
  NetworkTensor Constant(const Dims& shape, std::span<const float> values);
  NetworkTensor Constant(const Dims& shape, std::span<const int32_t> values);
  // The same of any type, as bytes in C order, little-endian.
  NetworkTensor Constant(const Dims& shape, DType dtype, std::string_view bytes);
  // A number: a constant without dims. One that the type has not is a mistake.
  NetworkTensor Number(double number, DType dtype = DType::kFloat32);

  // An operator of any type that operator_shapes.h knows; its first result. Others: Output(i).
  NetworkTensor Apply(std::string_view type, const std::vector<NetworkTensor>& inputs,
                      Attributes attributes = {});

  NetworkTensor MatMul(const NetworkTensor& x, const NetworkTensor& w,
                       const MatMulOptions& options = {});
  NetworkTensor BatchMatMul(const NetworkTensor& x, const NetworkTensor& y,
                            const MatMulOptions& options = {});
  // The bias along dim 1.
  NetworkTensor BiasAdd(const NetworkTensor& x, const NetworkTensor& bias);
  NetworkTensor ReLU(const NetworkTensor& x) { return Apply("ReLU", {x}); }
  NetworkTensor GeLU(const NetworkTensor& x) { return Apply("GeLU", {x}); }
  NetworkTensor SiLU(const NetworkTensor& x) { return Apply("SiLU", {x}); }
  NetworkTensor Tanh(const NetworkTensor& x) { return Apply("Tanh", {x}); }
  NetworkTensor Sigmoid(const NetworkTensor& x) { return Apply("Sigmoid", {x}); }
  NetworkTensor Exp(const NetworkTensor& x) { return Apply("Exp", {x}); }
  NetworkTensor Square(const NetworkTensor& x) { return Apply("Square", {x}); }
  NetworkTensor Sqrt(const NetworkTensor& x) { return Apply("Sqrt", {x}); }
  NetworkTensor Rsqrt(const NetworkTensor& x) { return Apply("Rsqrt", {x}); }
  NetworkTensor Cast(const NetworkTensor& x, DType dtype);

  NetworkTensor Softmax(const NetworkTensor& x, int64_t axis = -1);
  NetworkTensor LogSoftmax(const NetworkTensor& x, int64_t axis = -1);
  // Over the last dims, as many as gamma has.
  NetworkTensor LayerNorm(const NetworkTensor& x, const NetworkTensor& gamma,
                          const NetworkTensor& beta);
  NetworkTensor RmsNorm(const NetworkTensor& x, const NetworkTensor& gamma);
  NetworkTensor Dropout(const NetworkTensor& x, double keep_prob);

  NetworkTensor Gather(const NetworkTensor& params, const NetworkTensor& indices, int64_t axis = 0);
  NetworkTensor OneHot(const NetworkTensor& indices, int64_t depth);

  // At most one dim of -1: what the others leave.
  NetworkTensor Reshape(const NetworkTensor& x, std::vector<int64_t> shape);
  // All dims but the first as one.
  NetworkTensor Flatten(const NetworkTensor& x) { return Apply("Flatten", {x}); }
  NetworkTensor Transpose(const NetworkTensor& x, std::vector<int64_t> dims);
  NetworkTensor ExpandDims(const NetworkTensor& x, int64_t axis);
  NetworkTensor Squeeze(const NetworkTensor& x, std::vector<int64_t> axes);
  NetworkTensor BroadcastTo(const NetworkTensor& x, std::vector<int64_t> shape);

  // No axes: all of them.
  NetworkTensor ReduceSum(const NetworkTensor& x, std::vector<int64_t> axes,
                          bool keep_dims = false);
  NetworkTensor ReduceMean(const NetworkTensor& x, std::vector<int64_t> axes,
                           bool keep_dims = false);

  // Equal pieces of a dim; all of them, as tensors.
  std::vector<NetworkTensor> Split(const NetworkTensor& x, int64_t axis, int64_t count);
  NetworkTensor Concat(const std::vector<NetworkTensor>& tensors, int64_t axis);

  // Losses of logits[n,classes]. Against labels[n], numbers of classes: the mean, a number, as
  // nn.CrossEntropyLoss gives it, in which rows whose label is `ignored` do not count. Against the
  // probabilities of classes [n,classes]: one loss a row, [n].
  NetworkTensor CrossEntropyLoss(const NetworkTensor& logits, const NetworkTensor& labels,
                                 int64_t ignored = -100);
  NetworkTensor SoftmaxCrossEntropyWithLogits(const NetworkTensor& logits,
                                              const NetworkTensor& labels);
  // As CrossEntropyLoss, of what LogSoftmax gave.
  NetworkTensor NLLLoss(const NetworkTensor& log_probabilities, const NetworkTensor& labels,
                        int64_t ignored = -100);

  // The network that returns these, so far. Fails with the first mistake that was made.
  Result<Graph> Build(const std::vector<NetworkTensor>& results);

  // Counts among the mistakes: what a network's own function finds wrong.
  void AddMistake(const Status& status) { (void)Mistake(status); }

  // Forgets the mistakes that were made and gives the first one, for callers who want to know where
  // it happened; OK when there was none.
  Status TakeMistake();

 private:
  friend class NetworkTensor;
  friend class Scope;

  // The type of a tensor that came of a mistake.
  static const TensorType& NoType();

  void EnterScope(std::string_view name);
  void LeaveScope();
  std::string OperatorName(std::string_view type);
  // Remembers a mistake; the tensor that stands for what it did not make.
  NetworkTensor Mistake(const Status& status);
  // False when one of them came of a mistake, or belongs to another network.
  bool AreSound(std::string_view type, const std::vector<NetworkTensor>& tensors);
  Operator* ProducerOf(const NetworkTensor& tensor, std::string_view wanted);

  Graph graph_;
  std::vector<std::string> scopes_;
  std::map<std::string, int64_t> name_counts_;  // Operators of each type in each scope.
  std::vector<Status> mistakes_;
};

// While it lives, what is built stands in the cell `name`; scopes nest. MindSpore also has the
// cell's class in operators' names: "layer1-Dense" stands for it, and is "layer1" in parameters'.
class Scope {
 public:
  Scope(NetworkBuilder& builder, std::string_view name) : builder_(builder) {
    builder_.EnterScope(name);
  }
  ~Scope() { builder_.LeaveScope(); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  NetworkBuilder& builder_;
};

}  // namespace relayout
