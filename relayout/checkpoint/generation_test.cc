// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/generation.h"

#include <gtest/gtest.h>

#include <string>

#include "relayout/io/memory_file.h"

namespace relayout {
namespace {

const Generation kGeneration{.request = "7d2f", .source_of_rank = {{0, "93ab"}, {12, "11"}}};

TEST(GenerationTest, IsReadAsItWasWritten) {
  const std::string text = SerializeGeneration(kGeneration, "rank_3/a b.ckpt", 356509);
  EXPECT_EQ(text,
            "relayout generation 1\nrequest 7d2f\nsource 0 93ab\nsource 12 11\n"
            "file rank_3/a b.ckpt 356509\n");
  const auto parsed = ParseGeneration(text);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->request, kGeneration.request);
  EXPECT_EQ(parsed->source_of_rank, kGeneration.source_of_rank);
}

TEST(GenerationTest, RefusesOtherTexts) {
  for (const char* text :
       {"", "\n", "relayout generation 2\nrequest a\n", "relayout generation 1\n",
        "relayout generation 1\nrequest a\nsource x y\n", "request a\n"}) {
    EXPECT_FALSE(ParseGeneration(text).ok()) << text;
  }
  // Cut anywhere, it never claims more than it says.
  const std::string whole = SerializeGeneration(kGeneration, "f", 1);
  for (size_t size = 0; size < whole.size(); ++size) {
    static_cast<void>(ParseGeneration(std::string_view(whole).substr(0, size)));
  }
}

TEST(GenerationTest, SameRequestAndNoSourceThatDiffers) {
  Generation other = kGeneration;
  EXPECT_TRUE(IsSameGeneration(kGeneration, other));
  other.source_of_rank.erase(0);
  other.source_of_rank[5] = "55";
  EXPECT_TRUE(IsSameGeneration(kGeneration, other));
  EXPECT_TRUE(IsSameGeneration(other, kGeneration));
  other.source_of_rank[12] = "12";
  EXPECT_FALSE(IsSameGeneration(kGeneration, other));
  other = kGeneration;
  other.request = "7d2e";
  EXPECT_FALSE(IsSameGeneration(kGeneration, other));
}

TEST(FingerprintTest, TellsContentsAndSizesApart) {
  const auto of = [](const std::string& bytes) {
    return FingerprintFile(MemoryFile("f", bytes)).value();
  };
  EXPECT_EQ(of("abc"), of("abc"));
  EXPECT_NE(of("abc"), of("abd"));
  EXPECT_NE(of(""), of(std::string(1, '\0')));
  EXPECT_NE(of(std::string(100'000, 'x')), of(std::string(100'001, 'x')));
  // The first and the last bytes of a large file count.
  std::string large(1'000'000, 'x');
  const std::string before = of(large);
  large.back() = 'y';
  EXPECT_NE(of(large), before);
  large.back() = 'x';
  large.front() = 'y';
  EXPECT_NE(of(large), before);
}

}  // namespace
}  // namespace relayout
