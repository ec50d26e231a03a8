// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/mindir_parameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/format/mindspore/mindir_testing.h"
#include "relayout/format/testing.h"
#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

using ::testing::HasSubstr;
using namespace testing_support;  // NOLINT(google-build-using-namespace)

std::string TextOf(const MindirParameters& weights, const std::string& name) {
  const MindirParameter* const parameter = weights.Find(name);
  if (parameter == nullptr) return "none";
  std::string bytes(static_cast<size_t>(parameter->size_bytes()), '?');
  const Status status = weights.Read(*parameter, std::as_writable_bytes(std::span(bytes)));
  return status.ok() ? bytes : std::string(status.message());
}

// A parameter's tensor whose bytes lie in `file`.
MindirBytes Elsewhere(std::string_view file, int64_t begin_bytes, int64_t size_bytes) {
  MindirBytes place;
  AppendBytes(place, 1, file);
  AppendNumber(place, 2, begin_bytes);
  AppendNumber(place, 3, size_bytes);
  MindirBytes tensor = MindirTensorBytes({2}, 1, "net:w");
  AppendBytes(tensor, 12, place);
  return tensor;
}

MindirGraphWriter WithParameter(const MindirBytes& tensor) {
  return MindirGraphWriter("net").Field(3, tensor);
}

std::string ErrorOf(const MindirGraphWriter& graph) {
  MemoryFileSystem fs;
  fs.SetFile("net.mindir", MindirFileWriter(graph).bytes());
  const auto weights = MindirParameters::Open(fs, "net.mindir");
  return weights.ok() ? "no error" : weights.status().message();
}

TEST(MindirParametersTest, LieInTheFile) {
  MindirGraphWriter graph("net");
  graph.Parameter("net:a.weight", {2}, "8 bytes.").Parameter("net:x", {1}, "four", "b.key");
  graph.Parameter("net:none", {0, 4});
  MemoryFileSystem fs;
  fs.SetFile("net.mindir", MindirFileWriter(graph).bytes());
  const auto weights = MindirParameters::Open(fs, "net.mindir");
  ASSERT_TRUE(weights.ok()) << weights.status().message();
  ASSERT_EQ(weights->parameters().size(), 3U);
  EXPECT_EQ(weights->parameters()[0].name, "a.weight");
  EXPECT_EQ(weights->parameters()[0].type, (TensorType{DType::kFloat32, {2}}));
  EXPECT_EQ(TextOf(*weights, "a.weight"), "8 bytes.");
  EXPECT_EQ(TextOf(*weights, "b.key"), "four");
  EXPECT_EQ(TextOf(*weights, "none"), "");
  EXPECT_EQ(TextOf(*weights, "c"), "none");
}

// As MindSpore writes more than 1 GB.
TEST(MindirParametersTest, LieBesideTheFile) {
  const auto bytes =
      MindirFileWriter(WithParameter(Elsewhere("net_variables/data_0", 4, 8))).bytes();
  MemoryFileSystem fs;
  fs.SetFile("folder/net_graph.mindir", bytes);
  const auto weights = MindirParameters::Open(fs, "folder");
  ASSERT_TRUE(weights.ok()) << weights.status().message();
  EXPECT_THAT(TextOf(*weights, "w"), HasSubstr("folder/net_variables/data_0"));
  EXPECT_THAT(TextOf(*weights, "w"), HasSubstr("parameter 'w'"));
  fs.SetFile("folder/net_variables/data_0", "....8 bytes");
  EXPECT_EQ(
      TextOf(*weights, "w"),
      "folder/net_variables/data_0: parameter 'w' would be the 8 bytes from byte 4 on; the file "
      "has 11");
  fs.SetFile("folder/net_variables/data_0", "....8 bytes.");
  EXPECT_EQ(TextOf(*weights, "w"), "8 bytes.");
}

TEST(MindirParametersTest, Errors) {
  EXPECT_EQ(ErrorOf(MindirGraphWriter("net").Parameter("net:w", {2})),
            "net.mindir: parameter 'w' has no values in the file; export the network with them");
  EXPECT_EQ(ErrorOf(MindirGraphWriter("net").Parameter("net:w", {3}, "8 bytes.")),
            "net.mindir: parameter 'w' f32[3] has 8 bytes");
  EXPECT_THAT(ErrorOf(MindirGraphWriter("net").Parameter("net:w", {-1}, "8 bytes.")),
              HasSubstr("parameter 'w': the shape [-1] is not fixed"));
  for (const char* const file : {"/etc/data", "../data", "a/../../data", ".."}) {
    EXPECT_THAT(ErrorOf(WithParameter(Elsewhere(file, 0, 8))),
                HasSubstr("outside of the network's folder"))
        << file;
  }
  EXPECT_THAT(ErrorOf(WithParameter(Elsewhere("data", -1, 8))), HasSubstr("lies at byte -1"));
  EXPECT_EQ(ErrorOf(WithParameter(Elsewhere("a..b/data", 0, 8))), "no error");
  EXPECT_THAT(ErrorOf(WithParameter(Elsewhere("data", 0, 7))), HasSubstr("w' f32[2] has 7 bytes"));
}

// Its weights were written beside it, and are not kept here.
TEST(MindirParametersTest, ASplitFileOfMindSpore) {
  MemoryFileSystem fs;
  fs.SetFile("split_graph.mindir", ReadTestData("mindir/split_graph.mindir"));
  const auto weights = MindirParameters::Open(fs, "split_graph.mindir");
  ASSERT_TRUE(weights.ok()) << weights.status().message();
  const MindirParameter* const first = weights->Find("first.weight");
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->place.file, "split_variables/data_0");
  EXPECT_EQ(first->place.begin_bytes % 64, 0);
  EXPECT_EQ(first->size_bytes(), 32 * 16 * 4);
}

// The same numbers are in training_runs.txt.
TEST(MindirParametersTest, AFileOfMindSpore) {
  MemoryFileSystem fs;
  fs.SetFile("gpt.mindir", ReadTestData("spmd/gpt.mindir"));
  const auto weights = MindirParameters::Open(fs, "gpt.mindir");
  ASSERT_TRUE(weights.ok()) << weights.status().message();
  const std::string text = ReadTestData("spmd/training_runs.txt");
  ASSERT_EQ(weights->parameters().size(), 21U);
  for (const MindirParameter& parameter : weights->parameters()) {
    const size_t line = text.find(Format("\n{} f32 ", parameter.name), text.find("\ncase gpt\n"));
    ASSERT_NE(line, std::string::npos) << parameter.name;
    std::istringstream words(text.substr(line, text.find('\n', line + 1) - line));
    std::string skipped;
    words >> skipped >> skipped >> skipped;
    const std::string bytes = TextOf(*weights, parameter.name);
    for (size_t at = 0; at < bytes.size(); at += sizeof(float)) {
      float got = 0;
      float want = 1;
      std::memcpy(&got, bytes.data() + at, sizeof(got));
      words >> want;
      ASSERT_EQ(got, want) << parameter.name << " at byte " << at;
    }
  }
}

}  // namespace
}  // namespace relayout
