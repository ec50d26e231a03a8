// SPDX-License-Identifier: Apache-2.0
#include "python/src/train/arrays.h"

#include <cstring>
#include <memory>

#include "python/src/errors.h"
#include "python/src/text.h"
#include "relayout/base/text.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

// What tensors in memory may hold.
void CheckDType(const std::string& name, bool is_known) {
  if (is_known) return;
  ThrowIfFailed(InvalidInput(Format(
      "{}: networks run on float32 and int32; convert it, e.g. with astype(\"float32\")", name)));
}

}  // namespace

Dims DimsOf(const std::vector<int64_t>& shape) {
  if (shape.size() > kMaxDims) {
    ThrowIfFailed(InvalidInput(Format("{} dimensions: at most {} can be", shape.size(), kMaxDims)));
  }
  Dims dims;
  for (const int64_t length : shape) {
    if (length < 0) ThrowIfFailed(InvalidInput(Format("a dimension of {}", length)));
    dims.push_back(length);
  }
  return dims;
}

Tensor TensorOf(const std::string& name, const Array& array) {
  const bool is_f32 = array.dtype() == nb::dtype<float>();
  CheckDType(name, is_f32 || array.dtype() == nb::dtype<int32_t>());
  std::vector<int64_t> shape;
  for (size_t i = 0; i < array.ndim(); ++i) shape.push_back(static_cast<int64_t>(array.shape(i)));
  Tensor tensor(is_f32 ? DType::kFloat32 : DType::kInt32, DimsOf(shape));
  if (!tensor.bytes().empty()) {
    std::memcpy(tensor.bytes().data(), array.data(), tensor.bytes().size());
  }
  return tensor;
}

nb::object ArrayOf(Tensor tensor) {
  auto* const kept = new Tensor(std::move(tensor));
  const nb::capsule owner(kept, [](void* pointer) noexcept {
    delete static_cast<Tensor*>(pointer);  // NOLINT: the capsule is its owner.
  });
  std::vector<size_t> shape;
  for (const int64_t length : kept->shape()) shape.push_back(static_cast<size_t>(length));
  const bool is_f32 = kept->dtype() == DType::kFloat32;
  const nb::dlpack::dtype dtype = is_f32 ? nb::dtype<float>() : nb::dtype<int32_t>();
  return nb::cast(nb::ndarray<nb::numpy>(kept->bytes().data(), shape.size(), shape.data(), owner,
                                         nullptr, dtype));
}

TensorType TypeOf(const TypeTuple& type) {
  CheckDType(type.first, type.first == "f32" || type.first == "i32");
  return {type.first == "f32" ? DType::kFloat32 : DType::kInt32, DimsOf(type.second)};
}

nb::tuple TupleOfType(const TensorType& type) {
  return nb::make_tuple(std::string(ShortName(type.dtype)), TupleOf(type.shape));
}

}  // namespace relayout::python
