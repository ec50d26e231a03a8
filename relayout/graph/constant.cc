// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/constant.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/base/checked_math.h"

namespace relayout {
namespace {

constexpr int64_t kMaxBytes = int64_t{1} << 30;

template <typename T>
ConstantBytes OneElement(T value) {
  return BytesOf(std::span<const T>(&value, 1));
}

template <typename T>
ConstantBytes WholeNumber(double number) {
  // The greatest integers are no doubles; the power of two above them is.
  const double end = std::ldexp(1.0, std::numeric_limits<T>::digits);
  const bool fits = number == std::floor(number) && number < end &&
                    number >= static_cast<double>(std::numeric_limits<T>::min());
  return fits ? OneElement(static_cast<T>(number)) : nullptr;
}

// A floating type of 16 bits: the nearest number, of two the even one.
struct SmallFloat {
  int mantissa_bits = 0;
  int least_exponent = 0;  // Of normal numbers.
};
constexpr SmallFloat kHalf = {10, -14};
constexpr SmallFloat kBrain = {7, -126};

uint16_t BitsOf(double number, SmallFloat type) {
  const auto infinity = static_cast<uint16_t>((0x8000 >> type.mantissa_bits) - 1)
                        << type.mantissa_bits;
  const int sign = std::signbit(number) ? 0x8000 : 0;
  if (std::isnan(number)) return static_cast<uint16_t>(infinity | (1 << (type.mantissa_bits - 1)));
  const double size = std::fabs(number);
  if (std::isinf(size)) return static_cast<uint16_t>(sign | infinity);
  const int exponent =
      std::max(size == 0 ? type.least_exponent : std::ilogb(size), type.least_exponent);
  // In units of the last place. The leading bit of a normal number adds 1 to the exponent's field,
  // as does a mantissa that is rounded up beyond its bits.
  const double units = std::nearbyint(std::ldexp(size, type.mantissa_bits - exponent));
  const double bits = std::ldexp(exponent - type.least_exponent, type.mantissa_bits) + units;
  return static_cast<uint16_t>(sign | (bits < infinity ? static_cast<int>(bits) : infinity));
}

// Whether the pieces of `width` bytes within each stretch of `count` of them are equal.
bool RepeatItself(const std::string& bytes, size_t count, size_t width) {
  if (width == 0) return true;
  for (size_t at = 0; at < bytes.size(); at += width) {
    const size_t first = at - at % (count * width);
    if (std::memcmp(bytes.data() + at, bytes.data() + first, width) != 0) return false;
  }
  return true;
}

// The first piece of each stretch of `count`, `wanted` times.
std::string Repeated(const std::string& bytes, size_t count, size_t width, size_t wanted) {
  std::string repeated;
  if (count * width == 0) return repeated;
  repeated.reserve(bytes.size() / count * wanted);
  for (size_t first = 0; first < bytes.size(); first += count * width) {
    for (size_t i = 0; i < wanted; ++i) repeated.append(bytes, first, width);
  }
  return repeated;
}

std::optional<int64_t> SizeBytes(DType dtype, const Dims& shape) {
  const std::optional<int64_t> elements = ElementCount(shape);
  return elements ? CheckedMul(*elements, ElementSize(dtype)) : std::nullopt;
}

}  // namespace

ConstantBytes BytesOf(double number, DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return number == 0 || number == 1 ? OneElement(static_cast<uint8_t>(number)) : nullptr;
    case DType::kInt8:
      return WholeNumber<int8_t>(number);
    case DType::kUInt8:
      return WholeNumber<uint8_t>(number);
    case DType::kInt16:
      return WholeNumber<int16_t>(number);
    case DType::kUInt16:
      return WholeNumber<uint16_t>(number);
    case DType::kInt32:
      return WholeNumber<int32_t>(number);
    case DType::kUInt32:
      return WholeNumber<uint32_t>(number);
    case DType::kInt64:
      return WholeNumber<int64_t>(number);
    case DType::kUInt64:
      return WholeNumber<uint64_t>(number);
    case DType::kFloat16:
      return OneElement(BitsOf(number, kHalf));
    case DType::kBFloat16:
      return OneElement(BitsOf(number, kBrain));
    case DType::kFloat32:
      return OneElement(static_cast<float>(number));
    case DType::kFloat64:
      return OneElement(number);
    default:
      return nullptr;
  }
}

ConstantBytes WithShape(const ConstantBytes& bytes, DType dtype, const Dims& before,
                        const Dims& after) {
  RELAYOUT_CHECK(before.size() == after.size());
  if (bytes == nullptr || before == after) return bytes;
  if (SizeBytes(dtype, after).value_or(kMaxBytes + 1) > kMaxBytes) return nullptr;
  std::string values = *bytes;
  Dims shape = before;
  auto width = static_cast<size_t>(ElementSize(dtype));  // Of a slice of the dim.
  for (size_t d = shape.size(); d-- > 0;) {
    const auto count = static_cast<size_t>(before[d]);
    if (after[d] != before[d]) {
      shape[d] = after[d];
      const std::optional<int64_t> size = SizeBytes(dtype, shape);
      if (!size || *size > kMaxBytes || !RepeatItself(values, count, width)) return nullptr;
      values = Repeated(values, count, width, static_cast<size_t>(after[d]));
      if (std::ssize(values) != *size) return nullptr;  // More of none.
    }
    width *= static_cast<size_t>(after[d]);
  }
  return std::make_shared<const std::string>(std::move(values));
}

}  // namespace relayout
