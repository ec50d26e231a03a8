// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/constant.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "relayout/base/text.h"

namespace relayout {
namespace {

// "00 3C", or "none".
std::string Hex(const ConstantBytes& bytes) {
  if (bytes == nullptr) return "none";
  std::string text;
  for (const char byte : *bytes) {
    text.append(text.empty() ? "" : " ")
        .append(Format("{:02X}", static_cast<int>(static_cast<unsigned char>(byte))));
  }
  return text;
}

TEST(Constant, NumbersAsBytes) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const struct {
    double number;
    DType dtype;
    std::string want;
  } kCases[] = {
      {0.5, DType::kFloat32, "00 00 00 3F"},
      {0.1, DType::kFloat32, "CD CC CC 3D"},
      {-2, DType::kFloat64, "00 00 00 00 00 00 00 C0"},
      {1, DType::kFloat16, "00 3C"},
      {-1.5, DType::kFloat16, "00 BE"},
      {0, DType::kFloat16, "00 00"},
      {-0.0, DType::kFloat16, "00 80"},
      {65504, DType::kFloat16, "FF 7B"},  // The greatest.
      {65520, DType::kFloat16, "00 7C"},  // Half way to what is too great: infinity.
      {65519, DType::kFloat16, "FF 7B"},  // Below half way.
      {-kInfinity, DType::kFloat16, "00 FC"},
      {0x1p-14, DType::kFloat16, "00 04"},  // The least normal number.
      {0x1p-24, DType::kFloat16, "01 00"},  // The least of all.
      {0x1p-25, DType::kFloat16, "00 00"},  // Half way to 0, which is even.
      {0x1.8p-25, DType::kFloat16, "01 00"},
      {0x1.ffep-15, DType::kFloat16, "00 04"},  // Rounded up to a normal number.
      {2049, DType::kFloat16, "00 68"},         // Between 2048 and 2050: to the even one.
      {2051, DType::kFloat16, "02 68"},
      {1, DType::kBFloat16, "80 3F"},
      {-10000, DType::kBFloat16, "1C C6"},
      {1e39, DType::kBFloat16, "80 7F"},
      {std::nan(""), DType::kBFloat16, "C0 7F"},
      {std::nan(""), DType::kFloat16, "00 7E"},
      {-100, DType::kInt32, "9C FF FF FF"},
      {-100, DType::kInt64, "9C FF FF FF FF FF FF FF"},
      {127, DType::kInt8, "7F"},
      {128, DType::kInt8, "none"},
      {-128, DType::kInt8, "80"},
      {-129, DType::kInt8, "none"},
      {128, DType::kUInt8, "80"},
      {-1, DType::kUInt8, "none"},
      {0.5, DType::kInt32, "none"},
      {0x1p63, DType::kInt64, "none"},
      {0x1p63, DType::kUInt64, "00 00 00 00 00 00 00 80"},
      {std::nan(""), DType::kInt32, "none"},
      {1, DType::kBool, "01"},
      {2, DType::kBool, "none"},
      {1, DType::kComplex64, "none"},
      {1, DType::kFloat8E4M3, "none"},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(Hex(BytesOf(c.number, c.dtype)), c.want) << c.number << " " << ShortName(c.dtype);
  }
}

// Bytes, as one letter each.
TEST(Constant, FollowShapes) {
  const struct {
    Dims before;
    std::string values;
    Dims after;
    std::string want;
  } kCases[] = {
      {{}, "a", {}, "a"},
      {{2}, "ab", {2}, "ab"},
      {{2}, "aa", {4}, "aaaa"},
      {{4}, "aaaa", {2}, "aa"},
      {{2}, "ab", {4}, "unknown"},
      {{1, 2}, "ab", {3, 2}, "ababab"},
      {{2, 2}, "abab", {4, 2}, "abababab"},
      {{2, 2}, "abac", {4, 2}, "unknown"},
      {{2, 2}, "abab", {2, 4}, "unknown"},
      {{2, 2}, "aabb", {2, 4}, "aaaabbbb"},
      {{2, 2}, "aabb", {2, 1}, "ab"},
      {{2, 1, 2}, "abab", {1, 3, 2}, "ababab"},
      {{2, 2}, "aaaa", {4, 1}, "aaaa"},
      {{2, 2}, "aaaa", {0, 2}, ""},
      {{0, 2}, "", {4, 2}, "unknown"},
      {{1}, "a", {int64_t{1} << 31}, "unknown"},
      {{1, 1}, "a", {int64_t{1} << 62, 1 << 30}, "unknown"},
  };
  for (const auto& c : kCases) {
    const auto bytes = std::make_shared<const std::string>(c.values);
    const ConstantBytes got = WithShape(bytes, DType::kInt8, c.before, c.after);
    EXPECT_EQ(got == nullptr ? "unknown" : *got, c.want)
        << ToText(c.before) << " " << c.values << " " << ToText(c.after);
    // Where nothing changes, nothing is copied.
    if (c.before == c.after) {
      EXPECT_EQ(got, bytes);
    }
  }
  EXPECT_EQ(WithShape(nullptr, DType::kInt8, {2}, {4}), nullptr);
}

TEST(Constant, ElementsStayWhole) {
  const std::vector<float> row = {1, 2};
  const ConstantBytes grown =
      WithShape(BytesOf<float>(row), DType::kFloat32, Dims{1, 2}, Dims{2, 2});
  EXPECT_EQ(*grown, *BytesOf<float>(std::vector<float>{1, 2, 1, 2}));
  // Its bytes would repeat themselves, its elements do not.
  EXPECT_EQ(WithShape(BytesOf<float>(row), DType::kFloat32, Dims{2}, Dims{4}), nullptr);
}

}  // namespace
}  // namespace relayout
