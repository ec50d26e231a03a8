// SPDX-License-Identifier: Apache-2.0
//
// Random conversions against the oracle. The seed is fresh in every run and printed; RELAYOUT_SEED
// repeats a run.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>

#include "relayout/base/text.h"
#include "tests/oracle/world.h"

namespace relayout::oracle {
namespace {

constexpr uint64_t kCases = 2000;

uint64_t Seed() {
  if (const char* seed = std::getenv("RELAYOUT_SEED")) {
    return static_cast<uint64_t>(ParseDecimal(seed).value_or(0));
  }
  return static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()) / 1000 %
         1'000'000'000'000;
}

TEST(RandomTest, EveryConversionEqualsTheOracle) {
  const uint64_t seed = Seed();
  std::printf("RELAYOUT_SEED=%llu\n", static_cast<unsigned long long>(seed));
  for (uint64_t i = 0; i < kCases; ++i) {
    const std::string wrong = RunSeed(seed + i);
    ASSERT_EQ(wrong, "") << "case " << i << "; RELAYOUT_SEED=" << seed + i << " begins with it";
  }
}

// The worlds are as varied as they claim to be.
TEST(RandomTest, MeetsEveryKind) {
  int64_t null_source = 0, null_target = 0, stages = 0, tied = 0, uneven = 0, empty = 0, split = 0,
          strings = 0, partial = 0, mixed = 0, unequal = 0, scalars = 0;
  std::set<DType> dtypes;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const World world = RandomWorld(seed);
    null_source += !world.source;
    null_target += !world.target;
    partial += !world.ranks.empty();
    mixed += world.source_format != world.target_format;
    for (const auto& side : {world.source, world.target}) {
      if (!side) continue;
      stages += side->size() > 1;
      unequal += side->size() > 1 && (*side)[0].device_count != (*side)[1].device_count;
      std::map<std::string, int> stages_of;
      for (const WorldStage& stage : *side) {
        for (const auto& [name, spec] : stage.layouts) {
          tied += ++stages_of[name] == 2;
          uneven += !spec.uneven_rows.empty();
          split += spec.optimizer_group != 1;
        }
      }
    }
    for (const WorldTensor& tensor : world.tensors) {
      dtypes.insert(tensor.dtype);
      empty += Product(tensor.shape) == 0;
      strings += tensor.kind == ValueKind::kString;
      scalars += tensor.shape.empty();
    }
  }
  EXPECT_EQ(std::ssize(dtypes), kDTypeCount);
  for (const int64_t count : {null_source, null_target, stages, tied, uneven, empty, split, strings,
                              partial, mixed, unequal, scalars}) {
    EXPECT_GE(count, 20);
  }
}

}  // namespace
}  // namespace relayout::oracle
