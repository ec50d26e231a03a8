// SPDX-License-Identifier: Apache-2.0
//
// What a rule for the shapes of a type of operator sees of one operator, and helpers to read it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/base/dtype.h"
#include "relayout/base/status.h"
#include "relayout/graph/graph.h"

namespace relayout {

class ShapeCall {
 public:
  // All outlive the call. The operator's own attributes are not looked at.
  ShapeCall(const Operator& op, const Attributes& attributes, const std::vector<TensorType>& inputs)
      : op_(op), attributes_(attributes), inputs_(inputs) {}

  size_t count() const { return inputs_.size(); }
  const TensorType& input(size_t i) const { return inputs_[i]; }
  const Dims& shape(size_t i) const { return inputs_[i].shape; }
  size_t dim_count(size_t i) const { return inputs_[i].shape.size(); }
  DType dtype(size_t i) const { return inputs_[i].dtype; }
  const std::vector<TensorType>& inputs() const { return inputs_; }
  const Attributes& attributes() const { return attributes_; }

  // The same operator on other inputs.
  ShapeCall On(const std::vector<TensorType>& inputs) const { return {op_, attributes_, inputs}; }

  // An error that begins with the operator's name.
  Status Fail(std::string_view message) const;
  // Fails unless the operator has so many tensor inputs.
  Status ExpectInputs(size_t fewest, size_t most) const;
  Status ExpectInputs(size_t exactly) const { return ExpectInputs(exactly, exactly); }
  // Fails unless input `i` has at least so many dims.
  Status ExpectDims(size_t i, size_t fewest) const;

  // `axis` counted from the left of `shape`; fails when there is no such dim.
  Result<size_t> Axis(int64_t axis, const Dims& shape) const;
  // The same for several, of input 0: by the attribute `name`, `otherwise` when it is not given.
  // Fails when two are the same.
  Result<std::vector<size_t>> Axes(std::string_view name,
                                   const std::vector<int64_t>& otherwise) const;
  // The attribute, which has to be there.
  Result<std::vector<int64_t>> Ints(std::string_view name) const;
  Result<int64_t> Int(std::string_view name) const;
  // The element type that the attribute names; `otherwise` when it is not given.
  Result<DType> ElementType(std::string_view name, std::optional<DType> otherwise) const;
  // True when the attribute says `word`, in any case, or `number`, by which MindSpore writes one of
  // an enumeration.
  bool Says(std::string_view name, std::string_view word, int64_t number) const;

 private:
  const Operator& op_;
  const Attributes& attributes_;
  const std::vector<TensorType>& inputs_;
};

using ResultTypeList = std::vector<TensorType>;

// One type of operator.
struct ShapeRule {
  std::string_view type;
  Result<ResultTypeList> (*results)(const ShapeCall& call);
};

// The shape to which all inputs in [begin, end) broadcast, the last dims aligned. Fails, with both
// shapes, when two do not fit.
Result<Dims> BroadcastShape(const ShapeCall& call, size_t begin, size_t end);

// The element type that both convert to, as MindSpore's implicit conversion has it: a floating
// type before an integer one, then the larger.
DType CommonType(DType a, DType b);

// "(2,-1)", as attributes are written.
std::string TextOf(const std::vector<int64_t>& values);
// @pre not more than kMaxDims
Dims ToDims(const std::vector<int64_t>& values);

}  // namespace relayout
