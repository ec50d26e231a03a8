// SPDX-License-Identifier: Apache-2.0
//
// What tests of kernels share: arrays in double, in which operators are written once more as plain
// loops; gradients of those by differences; and the cases that MindSpore calculated.
//
//   const Array want = Naive(x);
//   ExpectNear(y, want, 1e-5);
//   ExpectNear(dx, DifferenceGradient(Naive, {x}, dy, 0), 1e-4);
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "relayout/spmd/tensor.h"
#include "tests/oracle/random.h"

namespace relayout {

struct Array {
  Dims shape;
  std::vector<double> values;

  static Array Zeros(const Dims& shape) {
    return {shape, std::vector<double>(static_cast<size_t>(SizeOf(shape)))};
  }
  // A dim beyond the shape's is none; an index where the length is 1 is 0: as broadcasting has it.
  size_t Offset(const Dims& index) const {
    const size_t missing = index.size() - shape.size();
    int64_t offset = 0;
    for (size_t d = 0; d < shape.size(); ++d) {
      offset = offset * shape[d] + (shape[d] == 1 ? 0 : index[missing + d]);
    }
    return static_cast<size_t>(offset);
  }
  double at(const Dims& index) const { return values[Offset(index)]; }
  double& at(const Dims& index) { return values[Offset(index)]; }

  // Calls body(index) for each element.
  template <typename Body>
  void ForEach(const Body& body) const {
    if (values.empty()) return;
    const Dims begin = Dims::Filled(shape.size(), 0);
    Dims index = begin;
    do body(index);
    while (NextIndex(begin, shape, index));
  }
};

// Values in [shift - scale, shift + scale] that float32 holds exactly, with all of its digits.
inline Array RandomArray(oracle::Random& random, const Dims& shape, double scale = 2,
                         double shift = 0) {
  Array array = Array::Zeros(shape);
  for (double& value : array.values) {
    value = static_cast<double>(static_cast<float>(
        shift + scale * (static_cast<double>(random.Below(2'000'001)) / 1e6 - 1)));
  }
  return array;
}

inline Dims RandomShape(oracle::Random& random, size_t dim_count, int64_t longest) {
  Dims shape;
  for (size_t d = 0; d < dim_count; ++d) shape.push_back(random.Between(1, longest));
  return shape;
}

inline Tensor ToTensor(const Array& array) {
  Tensor tensor(DType::kFloat32, array.shape);
  for (size_t i = 0; i < array.values.size(); ++i) {
    tensor.f32().data[i] = static_cast<float>(array.values[i]);
  }
  return tensor;
}

// A tensor that no kernel has written: what it leaves out is seen.
inline Tensor Unwritten(const Dims& shape) {
  Tensor tensor(DType::kFloat32, shape);
  std::fill_n(tensor.f32().data, tensor.size(), std::nanf(""));
  return tensor;
}

// Each element within `tolerance`, relative to the largest of the wanted values and 1.
inline void ExpectNear(const View<const float>& got, const Array& want, double tolerance) {
  ASSERT_EQ(ToText(got.shape), ToText(want.shape));
  double largest = 1;
  for (const double value : want.values) largest = std::max(largest, std::fabs(value));
  for (size_t i = 0; i < want.values.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(got.data[i]) - want.values[i]);
    // Not "greater", which NaN is not either.
    ASSERT_TRUE(difference <= tolerance * largest)
        << "element " << i << " of " << ToText(got.shape) << ": " << got.data[i] << ", wanted "
        << want.values[i];
  }
}
inline void ExpectNear(const Tensor& got, const Array& want, double tolerance) {
  ExpectNear(got.f32(), want, tolerance);
}

using Operator64 = std::function<Array(const std::vector<Array>&)>;

// The gradient of the sum of dy * op(inputs) by input number `which`, from differences.
inline Array DifferenceGradient(const Operator64& op, std::vector<Array> inputs, const Array& dy,
                                size_t which) {
  constexpr double kStep = 1e-5;
  const auto weighted = [&] {
    const Array y = op(inputs);
    double sum = 0;
    for (size_t i = 0; i < y.values.size(); ++i) sum += y.values[i] * dy.values[i];
    return sum;
  };
  Array gradient = Array::Zeros(inputs[which].shape);
  for (size_t i = 0; i < gradient.values.size(); ++i) {
    double& value = inputs[which].values[i];
    const double original = value;
    value = original + kStep;
    const double above = weighted();
    value = original - kStep;
    gradient.values[i] = (above - weighted()) / (2 * kStep);
    value = original;
  }
  return gradient;
}

// Tensors by name, in the order of the file.
class MindSporeCase {
 public:
  const Tensor& operator[](const std::string& name) const {
    const auto found = tensors_.find(name);
    EXPECT_NE(found, tensors_.end()) << name;
    return found == tensors_.end() ? tensors_.begin()->second : found->second;
  }
  View<const float> f32(const std::string& name) const { return (*this)[name].f32(); }
  bool Has(const std::string& name) const { return tensors_.count(name) > 0; }

 private:
  friend std::map<std::string, MindSporeCase> ReadMindSporeCases(const std::string& file_name);
  std::map<std::string, Tensor> tensors_;
};

#ifdef RELAYOUT_TEST_DATA
// The cases of tests/data/spmd/<file_name>; make_cases.py there says what a line is.
inline std::map<std::string, MindSporeCase> ReadMindSporeCases(const std::string& file_name) {
  std::map<std::string, MindSporeCase> cases;
  std::ifstream file(std::string(RELAYOUT_TEST_DATA) + "/spmd/" + file_name);
  EXPECT_TRUE(file.good()) << file_name;
  MindSporeCase* current = nullptr;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name, dtype, lengths;
    words >> name >> dtype;
    if (name == "#") continue;
    if (name == "case") {
      current = &cases[dtype];
      continue;
    }
    words >> lengths;
    Dims shape;
    std::istringstream list(lengths);
    for (std::string length; lengths != "-" && std::getline(list, length, ',');) {
      shape.push_back(std::stoll(length));
    }
    Tensor tensor(dtype == "i32" ? DType::kInt32 : DType::kFloat32, shape);
    for (int64_t i = 0; i < tensor.size(); ++i) {
      if (dtype == "i32") {
        words >> tensor.i32().data[i];
      } else {
        words >> tensor.f32().data[i];
      }
    }
    EXPECT_TRUE(words) << line;
    current->tensors_.insert_or_assign(name, std::move(tensor));
  }
  return cases;
}
#endif

}  // namespace relayout
