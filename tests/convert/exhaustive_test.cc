// SPDX-License-Identifier: Apache-2.0
//
// Every layout of every small world into every other: meshes of up to 8 devices in all shapes, all
// nestings of axes, all optimizer groups, 0 to 3 dims; and samples of larger worlds. Each pair is a
// tensor of its own, a few hundred of them to a conversion.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/layout/notation.h"
#include "tests/oracle/layouts.h"
#include "tests/oracle/world.h"

namespace relayout::oracle {
namespace {

constexpr size_t kTensorsPerWorld = 400;

// Runs pairs of layouts between two device counts, gathering them into worlds.
class PairRunner {
 public:
  PairRunner(int64_t source_devices, int64_t target_devices) {
    world_.source = WorldSide(1, WorldStage{.device_count = source_devices});
    world_.target = WorldSide(1, WorldStage{.device_count = target_devices});
  }

  void Add(const LayoutSpec& from, const LayoutSpec& to) {
    const size_t dim_count = from.dim_axes.size();
    WorldTensor tensor{.name = Format("w{}", world_.tensors.size()),
                       .dtype = pair_count_ % 2 == 0 ? DType::kBFloat16 : DType::kFloat32,
                       .shape = CommonShape({from, to}, dim_count),
                       .content = static_cast<uint64_t>(++pair_count_)};
    // Not always the smallest shape: pieces of one element hide mistakes.
    if (dim_count > 0) tensor.shape[static_cast<size_t>(pair_count_) % dim_count] *= 2;
    (*world_.source)[0].layouts.emplace_back(tensor.name, from);
    (*world_.target)[0].layouts.emplace_back(tensor.name, to);
    world_.tensors.push_back(std::move(tensor));
    if (world_.tensors.size() == kTensorsPerWorld) Flush();
  }

  void Flush() {
    if (world_.tensors.empty()) return;
    const std::string wrong = RunWorld(world_, 2);
    EXPECT_EQ(wrong, "") << Describe(world_);
    world_.tensors.clear();
    (*world_.source)[0].layouts.clear();
    (*world_.target)[0].layouts.clear();
  }

  int64_t pair_count() const { return pair_count_; }

 private:
  World world_;
  int64_t pair_count_ = 0;
};

struct Counts {
  int64_t source;
  int64_t target;
};

class ExhaustiveTest : public testing::TestWithParam<Counts> {};

TEST_P(ExhaustiveTest, EveryLayoutIntoEveryOther) {
  const auto [source, target] = GetParam();
  PairRunner runner(source, target);
  for (size_t dim_count = 0; dim_count <= 3; ++dim_count) {
    for (const LayoutSpec& from : AllLayouts(source, dim_count)) {
      for (const LayoutSpec& to : AllLayouts(target, dim_count)) {
        runner.Add(from, to);
        if (testing::Test::HasFailure()) return;
      }
    }
  }
  runner.Flush();
  RecordProperty("pairs", std::to_string(runner.pair_count()));
}

std::vector<Counts> AllCounts() {
  std::vector<Counts> counts;
  for (int64_t source = 1; source <= 8; ++source) {
    for (int64_t target = 1; target <= 8; ++target) counts.push_back({source, target});
  }
  return counts;
}

std::string NameOf(const testing::TestParamInfo<Counts>& info) {
  return Format("{}To{}", info.param.source, info.param.target);
}

INSTANTIATE_TEST_SUITE_P(UpTo8, ExhaustiveTest, testing::ValuesIn(AllCounts()), NameOf);

class SampledTest : public testing::TestWithParam<Counts> {};

TEST_P(SampledTest, LayoutsOfLargerWorlds) {
  const auto [source, target] = GetParam();
  PairRunner runner(source, target);
  Random random(static_cast<uint64_t>(source * 1000 + target));
  for (const size_t dim_count : {2, 3, 4}) {
    const std::vector<LayoutSpec> from = AllLayouts(source, dim_count);
    const std::vector<LayoutSpec> to = AllLayouts(target, dim_count);
    for (int i = 0; i < 800; ++i) {
      runner.Add(random.Pick(from), random.Pick(to));
      if (testing::Test::HasFailure()) return;
    }
  }
  runner.Flush();
}

INSTANTIATE_TEST_SUITE_P(UpTo16, SampledTest,
                         testing::Values(Counts{12, 8}, Counts{8, 12}, Counts{12, 12}, Counts{9, 6},
                                         Counts{10, 4}, Counts{16, 8}, Counts{8, 16},
                                         Counts{16, 12}),
                         NameOf);

// The list itself: known counts, and each layout once.
TEST(AllLayoutsTest, CountsThemAll) {
  EXPECT_EQ(AllLayouts(1, 3).size(), 1U);
  EXPECT_EQ(AllLayouts(2, 1).size(), 3U);  // {a:2} (-), (-) opt:2, (a)
  EXPECT_EQ(AllLayouts(8, 3).size(), 232U);
  std::set<std::string> texts;
  for (const LayoutSpec& spec : AllLayouts(8, 3)) texts.insert(ToText(*Layout::Create(spec)));
  EXPECT_EQ(texts.size(), 232U);
}

}  // namespace
}  // namespace relayout::oracle
