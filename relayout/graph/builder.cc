// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/builder.h"

#include <cmath>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/graph/constant.h"
#include "relayout/graph/operator_shapes.h"
#include "relayout/graph/shapes/call.h"

namespace relayout {
namespace {

// A number beside a tensor has its type, unless it has a fraction and the tensor cannot.
DType NumberType(double number, DType beside) {
  const bool fits = number == std::floor(number) || CommonType(beside, DType::kFloat16) == beside;
  return fits ? beside : DType::kFloat32;
}

// Only what is not the default, as people would write it.
Attributes AttributesOf(const MatMulOptions& options) {
  Attributes attributes;
  if (options.transpose_a) attributes.Set("transpose_a", true);
  if (options.transpose_b) attributes.Set("transpose_b", true);
  return attributes;
}

template <typename T>
std::string_view TextOf(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

Attributes ReduceAttributes(std::vector<int64_t> axes, bool keep_dims) {
  Attributes attributes = {{"axis", std::move(axes)}};
  if (keep_dims) attributes.Set("keep_dims", true);
  return attributes;
}

}  // namespace

// --- NetworkTensor ------------------------------------------------------------------------------

DType NetworkTensor::dtype() const {
  return id_ == kNoId ? NetworkBuilder::NoType().dtype : builder_->graph_.value(id_).dtype;
}

const Dims& NetworkTensor::shape() const {
  return id_ == kNoId ? NetworkBuilder::NoType().shape : builder_->graph_.value(id_).shape;
}

int64_t NetworkTensor::dim(int index) const {
  const Dims& dims = shape();
  const auto count = static_cast<int>(dims.size());
  const int from_left = index < 0 ? index + count : index;
  return from_left < 0 || from_left >= count ? 0 : dims[static_cast<size_t>(from_left)];
}

NetworkTensor NetworkTensor::Cut(Cuts cuts) const {
  if (Operator* const op = builder_->ProducerOf(*this, "cut")) op->cuts = std::move(cuts);
  return *this;
}

NetworkTensor NetworkTensor::CutOutputs(Cuts cuts) const {
  if (Operator* const op = builder_->ProducerOf(*this, "cut")) op->output_cuts = std::move(cuts);
  return *this;
}

NetworkTensor NetworkTensor::Output(size_t index) const {
  Operator* const op = builder_->ProducerOf(*this, "asked for other results");
  if (op == nullptr) return {builder_, kNoId};
  if (index < op->outputs.size()) return {builder_, op->outputs[index]};
  return builder_->Mistake(
      InvalidInput(Format("{}: has {}, there is no result {}", Describe(*op),
                          Count(static_cast<int64_t>(op->outputs.size()), "result"), index)));
}

// --- Scopes and mistakes ------------------------------------------------------------------------

const TensorType& NetworkBuilder::NoType() {
  static const TensorType type;
  return type;
}

void NetworkBuilder::EnterScope(std::string_view name) { scopes_.emplace_back(name); }
void NetworkBuilder::LeaveScope() { scopes_.pop_back(); }

std::string NetworkBuilder::OperatorName(std::string_view type) {
  std::string name = "Default/";
  for (const std::string& scope : scopes_) name.append(scope).append("/");
  name.append(type);
  const int64_t number = name_counts_[name]++;
  return Format("{}-op{}", name, number);
}

NetworkTensor NetworkBuilder::Mistake(const Status& status) {
  mistakes_.push_back(status);
  return {this, kNoId};
}

bool NetworkBuilder::AreSound(std::string_view type, const std::vector<NetworkTensor>& tensors) {
  for (const NetworkTensor& tensor : tensors) {
    if (tensor.builder_ != this) {
      (void)Mistake(InvalidInput(Format("{}: a tensor of another network", type)));
      return false;
    }
    if (tensor.id_ == kNoId) return false;
  }
  return true;
}

Operator* NetworkBuilder::ProducerOf(const NetworkTensor& tensor, std::string_view wanted) {
  if (tensor.id_ == kNoId) return nullptr;
  const Value& value = graph_.value(tensor.id_);
  if (value.role == ValueRole::kResult) return &graph_.mutable_op(value.producer);
  (void)Mistake(InvalidInput(
      Format("{} is no operator's result: it cannot be {}", Describe(graph_, tensor.id_), wanted)));
  return nullptr;
}

// --- Values and operators -----------------------------------------------------------------------

NetworkTensor NetworkBuilder::Input(std::string_view name, const Dims& shape, DType dtype) {
  return {this, graph_.AddInput(std::string(name), {dtype, shape})};
}

NetworkTensor NetworkBuilder::Parameter(std::string_view name, const Dims& shape,
                                        const ParameterOptions& options) {
  std::string whole_name;
  for (const std::string& scope : scopes_) {
    whole_name.append(scope.substr(0, scope.find('-'))).append(".");
  }
  whole_name.append(name);
  const Result<ValueId> id =
      graph_.AddParameter(whole_name, {options.dtype, shape}, options.trained, options.initializer);
  if (!id.ok()) return Mistake(id.status());
  return {this, *id};
}

NetworkTensor NetworkBuilder::Constant(const Dims& shape, DType dtype) {
  return {this, graph_.AddConstant({dtype, shape})};
}

NetworkTensor NetworkBuilder::Constant(const Dims& shape, std::span<const float> values) {
  return Constant(shape, DType::kFloat32, TextOf(values));
}

NetworkTensor NetworkBuilder::Constant(const Dims& shape, std::span<const int32_t> values) {
  return Constant(shape, DType::kInt32, TextOf(values));
}

NetworkTensor NetworkBuilder::Constant(const Dims& shape, DType dtype, std::string_view bytes) {
  const int64_t size_bytes = std::ssize(bytes);
  const int64_t element_bytes = ElementSize(dtype);
  if (size_bytes % element_bytes != 0 || size_bytes / element_bytes != ElementCount(shape)) {
    return Mistake(
        InvalidInput(Format("a constant {}{} of {} bytes: an element has {}", ShortName(dtype),
                            ToText(shape), size_bytes, element_bytes)));
  }
  return {this, graph_.AddConstant({dtype, shape}, std::make_shared<const std::string>(bytes))};
}

NetworkTensor NetworkBuilder::Number(double number, DType dtype) {
  ConstantBytes bytes = BytesOf(number, dtype);
  if (bytes == nullptr) {
    return Mistake(InvalidInput(Format("{} has no number {}", ShortName(dtype), number)));
  }
  return {this, graph_.AddConstant({dtype, {}}, std::move(bytes))};
}

NetworkTensor NetworkBuilder::Apply(std::string_view type, const std::vector<NetworkTensor>& inputs,
                                    Attributes attributes) {
  Operator op;
  op.type = std::string(type);
  op.name = OperatorName(type);
  op.attributes = std::move(attributes);
  if (!AreSound(type, inputs)) return {this, kNoId};
  std::vector<TensorType> types;
  for (const NetworkTensor& input : inputs) {
    op.inputs.push_back(input.id_);
    types.push_back({input.dtype(), input.shape()});
  }
  const Result<std::vector<TensorType>> results = ResultTypes(op, types);
  if (!results.ok()) return Mistake(results.status());
  if (results->empty()) return Mistake(InvalidInput(Format("{}: makes nothing", Describe(op))));
  return {this, graph_.op(graph_.AddOperator(std::move(op), *results)).outputs[0]};
}

NetworkTensor NetworkBuilder::MatMul(const NetworkTensor& x, const NetworkTensor& w,
                                     const MatMulOptions& options) {
  return Apply("MatMul", {x, w}, AttributesOf(options));
}

NetworkTensor NetworkBuilder::BatchMatMul(const NetworkTensor& x, const NetworkTensor& y,
                                          const MatMulOptions& options) {
  return Apply("BatchMatMul", {x, y}, AttributesOf(options));
}

NetworkTensor NetworkBuilder::BiasAdd(const NetworkTensor& x, const NetworkTensor& bias) {
  return Apply("BiasAdd", {x, bias});
}

NetworkTensor NetworkBuilder::Cast(const NetworkTensor& x, DType dtype) {
  return Apply("Cast", {x}, {{"dtype", std::string(ShortName(dtype))}});
}

NetworkTensor NetworkBuilder::Softmax(const NetworkTensor& x, int64_t axis) {
  return Apply("Softmax", {x}, {{"axis", axis}});
}

NetworkTensor NetworkBuilder::LogSoftmax(const NetworkTensor& x, int64_t axis) {
  return Apply("LogSoftmax", {x}, {{"axis", axis}});
}

NetworkTensor NetworkBuilder::LayerNorm(const NetworkTensor& x, const NetworkTensor& gamma,
                                        const NetworkTensor& beta) {
  const int64_t begin = -static_cast<int64_t>(gamma.shape().size());
  return Apply("LayerNorm", {x, gamma, beta},
               {{"begin_norm_axis", begin}, {"begin_params_axis", begin}});
}

NetworkTensor NetworkBuilder::RmsNorm(const NetworkTensor& x, const NetworkTensor& gamma) {
  return Apply("RmsNorm", {x, gamma});
}

NetworkTensor NetworkBuilder::Dropout(const NetworkTensor& x, double keep_prob) {
  return Apply("Dropout", {x}, {{"keep_prob", keep_prob}});
}

NetworkTensor NetworkBuilder::Gather(const NetworkTensor& params, const NetworkTensor& indices,
                                     int64_t axis) {
  return Apply("Gather", {params, indices}, {{"axis", axis}, {"batch_dims", int64_t{0}}});
}

NetworkTensor NetworkBuilder::OneHot(const NetworkTensor& indices, int64_t depth) {
  return Apply("OneHot", {indices, Number(1), Number(0)},
               {{"depth", depth}, {"axis", int64_t{-1}}});
}

NetworkTensor NetworkBuilder::Reshape(const NetworkTensor& x, std::vector<int64_t> shape) {
  return Apply("Reshape", {x}, {{"shape", std::move(shape)}});
}

NetworkTensor NetworkBuilder::Transpose(const NetworkTensor& x, std::vector<int64_t> dims) {
  return Apply("Transpose", {x}, {{"dims", std::move(dims)}});
}

NetworkTensor NetworkBuilder::ExpandDims(const NetworkTensor& x, int64_t axis) {
  return Apply("ExpandDims", {x}, {{"axis", axis}});
}

NetworkTensor NetworkBuilder::Squeeze(const NetworkTensor& x, std::vector<int64_t> axes) {
  return Apply("Squeeze", {x}, {{"axis", std::move(axes)}});
}

NetworkTensor NetworkBuilder::BroadcastTo(const NetworkTensor& x, std::vector<int64_t> shape) {
  return Apply("BroadcastTo", {x}, {{"shape", std::move(shape)}});
}

NetworkTensor NetworkBuilder::ReduceSum(const NetworkTensor& x, std::vector<int64_t> axes,
                                        bool keep_dims) {
  return Apply("ReduceSum", {x}, ReduceAttributes(std::move(axes), keep_dims));
}

NetworkTensor NetworkBuilder::ReduceMean(const NetworkTensor& x, std::vector<int64_t> axes,
                                         bool keep_dims) {
  return Apply("ReduceMean", {x}, ReduceAttributes(std::move(axes), keep_dims));
}

std::vector<NetworkTensor> NetworkBuilder::Split(const NetworkTensor& x, int64_t axis,
                                                 int64_t count) {
  const NetworkTensor first = Apply("Split", {x}, {{"axis", axis}, {"output_num", count}});
  std::vector<NetworkTensor> pieces;
  // After a mistake as many as the caller expects, so that it may go on.
  for (int64_t i = 0; i < count; ++i) {
    pieces.push_back(first.id_ == kNoId ? first : first.Output(static_cast<size_t>(i)));
  }
  return pieces;
}

NetworkTensor NetworkBuilder::Concat(const std::vector<NetworkTensor>& tensors, int64_t axis) {
  return Apply("Concat", tensors, {{"axis", axis}});
}

NetworkTensor NetworkBuilder::SoftmaxCrossEntropyWithLogits(const NetworkTensor& logits,
                                                            const NetworkTensor& labels) {
  return Apply("SoftmaxCrossEntropyWithLogits", {logits, labels});
}

NetworkTensor NetworkBuilder::CrossEntropyLoss(const NetworkTensor& logits,
                                               const NetworkTensor& labels, int64_t ignored) {
  return Apply("CrossEntropyLoss", {logits, labels},
               {{"reduction", std::string("mean")}, {"ignore_index", ignored}});
}

NetworkTensor NetworkBuilder::NLLLoss(const NetworkTensor& log_probabilities,
                                      const NetworkTensor& labels, int64_t ignored) {
  return Apply("NLLLoss", {log_probabilities, labels},
               {{"reduction", std::string("mean")}, {"ignore_index", ignored}});
}

Result<Graph> NetworkBuilder::Build(const std::vector<NetworkTensor>& results) {
  const bool sound = AreSound("the result", results);
  if (!mistakes_.empty()) {
    const Status& first = mistakes_.front();
    if (mistakes_.size() == 1) return first;
    return Status(first.code(), Format("{} (the first of {})", first.message(),
                                       Count(std::ssize(mistakes_), "mistake")));
  }
  if (!sound) return InvalidInput("a result comes of a mistake that was taken");
  std::vector<ValueId> ids;
  for (const NetworkTensor& tensor : results) ids.push_back(tensor.id_);
  Graph graph = graph_;
  graph.SetResults(std::move(ids));
  return graph;
}

Status NetworkBuilder::TakeMistake() {
  const Status first = mistakes_.empty() ? OkStatus() : mistakes_.front();
  mistakes_.clear();
  return first;
}

// --- Arithmetic ---------------------------------------------------------------------------------

NetworkTensor NetworkTensor::Combine(std::string_view type, const NetworkTensor& other) const {
  return builder_->Apply(type, {*this, other});
}

NetworkTensor NetworkTensor::Combine(std::string_view type, double other) const {
  return Combine(type, builder_->Number(other, NumberType(other, dtype())));
}

NetworkTensor NetworkTensor::operator*(double other) const {
  return builder_->Apply("Muls", {*this}, {{"other", other}});
}

NetworkTensor NetworkTensor::operator/(double other) const {
  return builder_->Apply("Divs", {*this}, {{"other", other}});
}

}  // namespace relayout
