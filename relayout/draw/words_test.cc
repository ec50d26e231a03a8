// SPDX-License-Identifier: Apache-2.0
#include "relayout/draw/words.h"

#include <gtest/gtest.h>

#include "relayout/layout/notation.h"

namespace relayout {
namespace {

struct Case {
  const char* layout;
  const char* words;
};

std::string WordsOf(const char* layout) {
  std::string text;
  for (const std::string& sentence : LayoutWords(ParseLayout(layout).value())) {
    if (!text.empty()) text += '\n';
    text += sentence;
  }
  return text;
}

TEST(LayoutWords, SayWhatTheNotationSays) {
  const Case cases[] = {
      {"{a:2,b:4} (b,-) opt:2",
       "8 devices, a grid of 2 x 4 (axes a, b).\n"
       "Rows (dim 0) are cut in 4 along axis b. Columns (dim 1) are not cut.\n"
       "2 devices would hold the same piece (those that differ only on axis a); the optimizer "
       "split "
       "cuts it further in 2 by rows, and each keeps one part.\n"
       "So there are 8 different shards; each device holds 1/8 of the tensor."},
      {"{a:2,b:2,c:2} (b*a,-)",
       "8 devices, a grid of 2 x 2 x 2 (axes a, b, c).\n"
       "Rows (dim 0) are cut in 4 along axes b, a, b first. Columns (dim 1) are not cut.\n"
       "Each piece is on 2 devices (those that differ only on axis c): 2 copies of the same.\n"
       "So there are 4 different shards; each device holds 1/4 of the tensor."},
      {"{a:2,b:4} (a,b)",
       "8 devices, a grid of 2 x 4 (axes a, b).\n"
       "Rows (dim 0) are cut in 2 along axis a. Columns (dim 1) are cut in 4 along axis b.\n"
       "No piece is on two devices.\n"
       "So there are 8 different shards; each device holds 1/8 of the tensor."},
      {"{a:8} (-) opt:4",
       "8 devices in a row (axis a).\n"
       "No dimension is cut by the mesh.\n"
       "8 devices would hold the same piece (all of them); the optimizer split cuts it further in "
       "4 "
       "along dim 0, and each keeps one part. 2 copies of each part remain.\n"
       "So there are 4 different shards; each device holds 1/4 of the tensor."},
      {"{a:64} (-,-) opt:all",
       "64 devices in a row (axis a).\n"
       "No dimension is cut by the mesh.\n"
       "All 64 devices would hold the same; the optimizer split cuts it in 64 by rows, and each "
       "keeps one part.\n"
       "So there are 64 different shards; each device holds 1/64 of the tensor."},
      {"{a:3} (a) rows:5+3+2",
       "3 devices in a row (axis a).\n"
       "The vector (dim 0) is cut in 3 unequal pieces (of 5, 3, 2) along axis a.\n"
       "No piece is on two devices.\n"
       "So there are 3 different shards."},
      {"{a:2} (-,a,-,-)",
       "2 devices in a row (axis a).\n"
       "Dim 1 is cut in 2 along axis a. Dims 0, 2, 3 are not cut.\n"
       "No piece is on two devices.\n"
       "So there are 2 different shards; each device holds 1/2 of the tensor."},
      {"{a:8} ()",
       "8 devices in a row (axis a).\n"
       "The tensor is a single value.\n"
       "Each piece is on 8 devices (all of them): 8 copies of the same.\n"
       "Every device holds the whole tensor."},
      {"{a:1} (-)",
       "1 device.\n"
       "No dimension is cut by the mesh.\n"
       "It holds the whole tensor."},
  };
  for (const Case& c : cases) EXPECT_EQ(WordsOf(c.layout), c.words) << c.layout;
}

}  // namespace
}  // namespace relayout
