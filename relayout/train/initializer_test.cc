// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/initializer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "relayout/layout/notation.h"

namespace relayout {
namespace {

Initializer Of(std::string_view text) {
  auto initializer = ParseInitializer(text);
  EXPECT_TRUE(initializer.ok()) << initializer.status().message();
  return initializer.ok() ? *initializer : Initializer();
}

std::vector<float> Make(const Initializer& initializer, uint64_t seed, std::string_view name,
                        const Dims& whole, const Box& box) {
  std::vector<float> values(static_cast<size_t>(box.volume()), -1e9F);
  const Status status = InitializeShard(initializer, seed, name, whole, box, values);
  EXPECT_TRUE(status.ok()) << status.message();
  return values;
}

std::vector<float> MakeWhole(std::string_view text, const Dims& shape, uint64_t seed = 1,
                             std::string_view name = "w") {
  return Make(Of(text), seed, name, shape, Box::Whole(shape));
}

struct Moments {
  double mean = 0;
  double deviation = 0;
  double fourth = 0;  // Of what is left of mean and deviation: 3 of a normal, 1.8 of a uniform one.
};

Moments MomentsOf(const std::vector<float>& values) {
  const auto count = static_cast<double>(values.size());
  Moments moments;
  for (const float x : values) moments.mean += x / count;
  double square = 0;
  double fourth = 0;
  for (const float x : values) {
    const double d = x - moments.mean;
    square += d * d / count;
    fourth += d * d * d * d / count;
  }
  moments.deviation = std::sqrt(square);
  moments.fourth = fourth / (square * square);
  return moments;
}

TEST(Initializer, TextsAreReadAndWritten) {
  const struct {
    const char* text;
    const char* want;
  } cases[] = {
      {"zeros", "zeros"},
      {"Zero", "zeros"},
      {"ones", "ones"},
      {"constant(1)", "ones"},
      {"constant(-0.25)", "constant(-0.25)"},
      {"normal", "normal(0.01, 0)"},
      {"normal()", "normal(0.01, 0)"},
      {" normal( 0.02 )", "normal(0.02, 0)"},
      {"Normal(0.02,1)", "normal(0.02, 1)"},
      {"uniform", "uniform(0.07)"},
      {"uniform(5e-2)", "uniform(0.05)"},
      {"TruncatedNormal", "truncated_normal(0.01, 0, -2, 2)"},
      {"truncated_normal(1, 0, -0.5, 1.5)", "truncated_normal(1, 0, -0.5, 1.5)"},
      {"HeUniform(2.23606797749979)", "he_uniform(2.23606797749979)"},
      {"he_normal", "he_normal(0)"},
      {"xavier_uniform", "xavier_uniform(1)"},
      {"XAVIER_NORMAL(0.5)", "xavier_normal(0.5)"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(ToText(Of(c.text)), c.want);
    EXPECT_EQ(Of(ToText(Of(c.text))), Of(c.text)) << c.text;
  }
}

TEST(Initializer, TellsWhatCannotBeRead) {
  const struct {
    const char* text;
    const char* want;
  } cases[] = {
      {"gauss",
       "initializer 'gauss': no initializer is called 'gauss'; there are zeros, zero, ones, one, "
       "constant, uniform, normal, truncated_normal, he_uniform, he_normal, xavier_uniform, "
       "xavier_normal"},
      {"normal(0.1", "initializer 'normal(0.1': no ) at the end"},
      {"normal(0.1,)", "initializer 'normal(0.1,)': '' is no number"},
      {"normal(a)", "initializer 'normal(a)': 'a' is no number"},
      {"normal(inf)", "initializer 'normal(inf)': 'inf' is no number"},
      {"uniform(1, 2)", "initializer 'uniform(1, 2)': uniform takes 1 argument at most"},
      {"zeros(1)", "initializer 'zeros(1)': zeros takes 0 arguments at most"},
      {"normal(-0.1)",
       "initializer 'normal(-0.1)': -0.1 is negative, and it is how far numbers spread; take 0.1"},
      {"truncated_normal(1,0,2,2)",
       "initializer 'truncated_normal(1,0,2,2)': nothing lies between a = 2 and b = 2; a has to be "
       "less"},
  };
  for (const auto& c : cases) {
    const auto initializer = ParseInitializer(c.text);
    ASSERT_FALSE(initializer.ok()) << c.text;
    EXPECT_EQ(initializer.status().message(), c.want);
  }
}

// Deviations as real MindSpore 2.10 measures them on the same shape, [300,400], from its own
// numbers: uniform 0.0404, normal 0.00998, he_uniform(2.236) 0.0289, he_normal 0.0705,
// xavier_uniform 0.0533, xavier_normal 0.0536, truncated_normal(0.5,1) 0.471 about 0.972.
TEST(Initializer, Distributions) {
  const struct {
    const char* text;
    double mean, deviation, fourth;
    double low, high;  // What is not left.
  } cases[] = {
      {"uniform(0.07)", 0, 0.07 / std::sqrt(3), 1.8, -0.07, 0.07},
      {"normal", 0, 0.01, 3, -0.06, 0.06},
      {"normal(0.5, 2)", 2, 0.5, 3, -1, 5},
      {"he_uniform(2.23606797749979)", 0, 0.05 / std::sqrt(3), 1.8, -0.05, 0.05},
      {"he_normal", 0, std::sqrt(2.0 / 400), 3, -0.5, 0.5},
      {"xavier_uniform", 0, std::sqrt(2.0 / 700), 1.8, -0.0926, 0.0926},
      {"xavier_normal", 0, std::sqrt(2.0 / 700), 3, -0.4, 0.4},
      {"truncated_normal(0.5, 1)", 0.97238, 0.47076, 2.761, -2, 2},
      {"truncated_normal(1, 0, -1, 1)", 0, 0.53956, 1.9409, -1, 1},
      {"truncated_normal", 0, 0.01, 3, -0.06, 0.06},
  };
  for (const auto& c : cases) {
    const std::vector<float> values = MakeWhole(c.text, {300, 400});
    const Moments moments = MomentsOf(values);
    EXPECT_NEAR(moments.mean, c.mean, 0.01 * c.deviation) << c.text;
    EXPECT_NEAR(moments.deviation, c.deviation, 0.01 * c.deviation) << c.text;
    EXPECT_NEAR(moments.fourth, c.fourth, 0.04) << c.text;
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    EXPECT_GE(*least, static_cast<float>(c.low)) << c.text;
    EXPECT_LE(*most, static_cast<float>(c.high)) << c.text;
  }
}

// Neighbours, of which a pair comes from one radius, know nothing of each other; nor do the same
// elements of two names or seeds.
TEST(Initializer, ElementsAreIndependent) {
  const Dims shape = {100'000};
  const auto correlation = [](const std::vector<float>& a, const std::vector<float>& b,
                              size_t shift) {
    double sum = 0;
    for (size_t i = 0; i + shift < a.size(); ++i) sum += double{a[i]} * double{b[i + shift]};
    return sum / static_cast<double>(a.size());
  };
  const auto a = MakeWhole("normal(1)", shape);
  for (const size_t shift : {1, 2, 3, 4, 8}) EXPECT_NEAR(correlation(a, a, shift), 0, 0.015);
  EXPECT_NEAR(correlation(a, MakeWhole("normal(1)", shape, 2), 0), 0, 0.015);
  EXPECT_NEAR(correlation(a, MakeWhole("normal(1)", shape, 1, "v"), 0), 0, 0.015);
  EXPECT_NEAR(correlation(a, a, 0), 1, 0.015);
}

TEST(Initializer, ConstantsAreConstant) {
  EXPECT_EQ(MakeWhole("zeros", {3}), std::vector<float>(3, 0));
  EXPECT_EQ(MakeWhole("ones", {2, 2}), std::vector<float>(4, 1));
  EXPECT_EQ(MakeWhole("constant(0.5)", {}), std::vector<float>(1, 0.5F));
  EXPECT_EQ(MakeWhole("uniform(0)", {5}), std::vector<float>(5, 0));
}

// Known numbers, so that a checkpoint of next year starts from those of this one. They were worked
// out from the header's text by another program.
TEST(Initializer, NumbersStay) {
  const auto normal = MakeWhole("normal(1)", {6}, 1, "layer1.weight");
  const float want[] = {-0.38226546F, -0.454860066F, -0.754012606F,
                        1.0563436F,   0.252990254F,  -0.0626957261F};
  for (size_t i = 0; i < 6; ++i) EXPECT_FLOAT_EQ(normal[i], want[i]) << i;
  const auto uniform = MakeWhole("uniform(1)", {6}, 7, "b");
  const float want_uniform[] = {-0.343025774F, -0.993265915F, 0.542160654F,
                                -0.358533794F, 0.161465938F,  -0.259271725F};
  for (size_t i = 0; i < 6; ++i) EXPECT_FLOAT_EQ(uniform[i], want_uniform[i]) << i;
}

// Every rank of several layouts makes its piece of the whole, bit by bit.
TEST(Initializer, ShardsArePiecesOfTheWhole) {
  const Dims whole = {24, 6, 8};
  for (const char* text : {"normal", "uniform", "truncated_normal(1, 0, -0.3, 0.4)", "he_normal",
                           "xavier_uniform", "ones"}) {
    const auto all = MakeWhole(text, whole, 5, "p");
    for (const char* layout_text :
         {"{a:8} (a,-,-)", "{a:2,b:2,c:2} (a,b,c)", "{a:4} (-,-,a)", "{a:8} (-,-,a)",
          "{a:2,b:2,c:2} (-,b,-) opt:4", "{a:3} (-,a,-)"}) {
      const auto layout = ParseLayout(layout_text);
      ASSERT_TRUE(layout.ok()) << layout.status().message();
      const auto partition = Partition::Create(*layout, whole);
      ASSERT_TRUE(partition.ok()) << partition.status().message();
      for (int64_t rank = 0; rank < layout->device_count(); ++rank) {
        const Box box = partition->BoxOf(layout->CellOf(rank));
        std::vector<float> want;
        Dims index = box.begin;
        do {
          want.push_back(all[static_cast<size_t>(OffsetIn(Box::Whole(whole), index))]);
        } while (NextIndex(box.begin, box.end, index));
        EXPECT_TRUE(Make(Of(text), 5, "p", whole, box) == want) << text << " " << layout_text;
      }
    }
  }
}

TEST(Initializer, EmptyShardsAreFine) {
  EXPECT_TRUE(Make(Of("normal"), 1, "w", {4, 4}, {{2, 0}, {2, 4}}).empty());
  EXPECT_TRUE(MakeWhole("normal", {0}).empty());
}

TEST(Initializer, TellsWhatDoesNotFit) {
  std::vector<float> values(4);
  const Box box = Box::Whole({4});
  EXPECT_EQ(
      InitializeShard(Of("he_uniform"), 1, "bias", {4}, box, values).message(),
      "bias: an initializer that counts inputs and outputs (he_, xavier_) needs two dims, and "
      "the shape is [4]; take uniform or normal");
  const Status far =
      InitializeShard(Of("truncated_normal(1, 0, 4, 5)"), 1, "bias", {4}, box, values);
  EXPECT_EQ(far.code(), StatusCode::kUnsupported);
  EXPECT_EQ(far.message(),
            "bias: truncated_normal(1, 0, 4, 5): 3.1e-05 of these numbers lie between 4 and 5; "
            "below a hundredth they are not drawn");
}

}  // namespace
}  // namespace relayout
