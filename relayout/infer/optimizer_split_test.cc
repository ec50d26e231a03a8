// SPDX-License-Identifier: Apache-2.0
//
// Every line was written so by MindSpore 2.10's compiler.
#include "relayout/infer/optimizer_split.h"

#include <gtest/gtest.h>

#include "relayout/base/text.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

constexpr int64_t kAll = OptimizerParallel::kAllReplicas;

TEST(OptimizerSplit, AsMindSporeHasIt) {
  struct Case {
    const char* layout;
    DType dtype;
    Dims shape;
    int64_t threshold_kib;
    int64_t group;
    const char* want;
  };
  constexpr DType kF32 = DType::kFloat32;
  constexpr DType kF16 = DType::kFloat16;
  for (const Case& c : std::vector<Case>{
           // The threshold is for the whole parameter, in its own type, and counts itself in.
           {"{a:8} (-,-)", kF32, {32, 7}, 1, kAll, "{a:8} (-,-)"},
           {"{a:8} (-,-)", kF32, {32, 8}, 1, kAll, "{a:8} (-,-) opt:all"},
           {"{a:8} (-,-)", kF16, {32, 15}, 1, kAll, "{a:8} (-,-)"},
           {"{a:8} (-,-)", kF16, {32, 16}, 1, kAll, "{a:8} (-,-) opt:all"},
           {"{a:2,b:4} (-,b)", kF32, {32, 8}, 1, kAll, "{a:2,b:4} (-,b) opt:all"},
           {"{a:8} (-,-)", kF32, {32, 511}, 64, kAll, "{a:8} (-,-)"},
           {"{a:8} (-,-)", kF32, {32, 512}, 64, kAll, "{a:8} (-,-) opt:all"},
           // Rows must divide.
           {"{a:4} (-)", kF32, {10}, 0, kAll, "{a:4} (-)"},
           {"{a:2,b:2} (b,-)", kF32, {6, 8}, 0, kAll, "{a:2,b:2} (b,-)"},
           {"{a:4} ()", kF32, {}, 0, kAll, "{a:4} ()"},
           // Nothing to split without replicas.
           {"{a:8} (a,-)", kF32, {64, 8}, 0, kAll, "{a:8} (a,-)"},
           // Groups: 1 asks for all, larger than the replicas is all of them, it must divide them.
           {"{a:8} (-,-)", kF32, {96, 8}, 0, 1, "{a:8} (-,-) opt:all"},
           {"{a:8} (-,-)", kF32, {96, 8}, 0, 2, "{a:8} (-,-) opt:2"},
           {"{a:8} (-,-)", kF32, {96, 8}, 0, 3, "{a:8} (-,-)"},
           {"{a:8} (-,-)", kF32, {96, 8}, 0, 8, "{a:8} (-,-) opt:8"},
           {"{a:2,b:2,c:2} (-,b)", kF32, {96, 8}, 0, 6, "{a:2,b:2,c:2} (-,b) opt:4"},
           {"{a:2,b:2,c:2} (a,b)", kF32, {96, 8}, 0, 3, "{a:2,b:2,c:2} (a,b) opt:2"},
           // Numbers of devices that are no powers of two.
           {"{a:24} (-,-)", kF32, {96, 8}, 0, kAll, "{a:24} (-,-) opt:all"},
           {"{a:24} (-,-)", kF32, {96, 8}, 0, 2, "{a:24} (-,-) opt:2"},
           {"{a:24} (-,-)", kF32, {96, 8}, 0, 3, "{a:24} (-,-)"},
           {"{a:24} (-,-)", kF32, {96, 8}, 0, 6, "{a:24} (-,-)"},
           {"{a:24} (-,-)", kF32, {96, 8}, 0, 8, "{a:24} (-,-) opt:8"},
           {"{a:24} (-,-)", kF32, {96, 8}, 0, 12, "{a:24} (-,-)"},
           {"{a:3,b:8} (b,-)", kF32, {96, 8}, 0, 3, "{a:3,b:8} (b,-) opt:3"},
           {"{a:3,b:8} (a,-)", kF32, {240, 8}, 0, 2, "{a:3,b:8} (a,-)"},
           {"{a:3,b:8} (a,-)", kF32, {240, 8}, 0, 8, "{a:3,b:8} (a,-) opt:8"},
           {"{a:40} (-,-)", kF32, {160, 8}, 0, 5, "{a:40} (-,-)"},
           {"{a:40} (-,-)", kF32, {160, 8}, 0, 20, "{a:40} (-,-)"},
           {"{a:40} (-,-)", kF32, {160, 8}, 0, 4, "{a:40} (-,-) opt:4"},
       }) {
    const auto layout = ParseLayout(c.layout);
    ASSERT_TRUE(layout.ok());
    OptimizerParallel parallel;
    parallel.enabled = true;
    parallel.threshold_kib = c.threshold_kib;
    parallel.group = c.group;
    EXPECT_EQ(ToText(SplitForOptimizer(*layout, c.dtype, c.shape, parallel)), c.want)
        << c.layout << " " << ToText(c.shape) << " in groups of " << c.group;
    parallel.enabled = false;
    EXPECT_EQ(ToText(SplitForOptimizer(*layout, c.dtype, c.shape, parallel)), c.layout);
  }
}

}  // namespace
}  // namespace relayout
