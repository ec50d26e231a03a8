// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/mindspore/mindir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>
#include <string>

#include "relayout/base/text.h"
#include "relayout/format/mindspore/mindir_testing.h"
#include "relayout/format/testing.h"
#include "relayout/io/memory_file.h"

namespace relayout {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace testing_support;  // NOLINT(google-build-using-namespace)

Result<MindirModel> Read(const std::string& bytes) {
  return ReadMindirModel(MemoryFile("net.mindir", bytes));
}

std::string ErrorOf(const std::string& bytes) {
  const Result<MindirModel> model = Read(bytes);
  return model.ok() ? "no error" : model.status().message();
}

MindirGraphWriter SmallGraph() {
  MindirGraphWriter graph("net");
  graph.Input("net:x", {8, 16}).Parameter("net:w", {16, 4}, std::string(256, 'w'), "layer.w");
  graph.Constant("no", Boolean(false));
  graph.Node("net:y", "REF::MatMul:1", {"net:x", "net:w", "no", "no"}, {8, 4}).Output("net:y");
  return graph;
}

TEST(MindirModelTest, HasTheRecordsOfTheFile) {
  MindirFileWriter file(SmallGraph());
  file.Primitive("MatMul:1", "MatMul", {Named("in_strategy", Sequence({Integers({2, 1})}))});
  const Result<MindirModel> model = Read(file.bytes());
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->producer_version, "2.10.0");
  EXPECT_EQ(model->graph.name, "net");
  ASSERT_EQ(model->graph.parameters.size(), 1U);
  EXPECT_EQ(model->graph.parameters[0].name, "net:w");
  EXPECT_EQ(model->graph.parameters[0].key, "layer.w");
  EXPECT_THAT(model->graph.parameters[0].dims, ElementsAre(16, 4));
  ASSERT_EQ(model->graph.nodes.size(), 2U);
  EXPECT_EQ(FindMindirValue(model->graph.nodes[0].attributes, "value")->type, MindirType::kBool);
  EXPECT_THAT(model->graph.nodes[1].inputs, ElementsAre("net:x", "net:w", "no", "no"));
  EXPECT_EQ(model->graph.nodes[1].scope, "Default/net:y");
  EXPECT_EQ(FindMindirValue(model->graph.nodes[1].attributes, "absent"), nullptr);
  ASSERT_EQ(model->primitives.size(), 1U);
  EXPECT_EQ(model->primitives[0].type, "MatMul");
  const MindirValue& cuts = model->primitives[0].attributes[0];
  EXPECT_EQ(cuts.type, MindirType::kTuple);
  EXPECT_THAT(cuts.elements[0].elements[1].integers, ElementsAre(1));
}

TEST(MindirModelTest, ReadsSmallTensorsAndSkipsLargeOnes) {
  MindirGraphWriter graph("net");
  graph.Parameter("net:scalar", {}, "four")
      .Parameter("net:big", {1 << 20}, std::string(1 << 22, 'b'));
  const CountingFile file("net.mindir", MindirFileWriter(graph).bytes());
  const Result<MindirModel> model = ReadMindirModel(file);
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->graph.parameters[0].bytes, "four");
  EXPECT_EQ(model->graph.parameters[1].bytes, "");
  EXPECT_LT(file.bytes_read(), 1 << 18);
}

TEST(MindirModelTest, ReadsConstantsOfAnySizeWhereAskedFor) {
  const std::string large(1000, 'c');
  MindirGraphWriter graph("net");
  graph.Parameter("net:w", {250}, std::string(1000, 'w'));
  graph.Constant("c", Sequence({TensorOf(MindirTensorBytes({250}, 1, "", large))}));
  const MemoryFile file("net.mindir", MindirFileWriter(graph).bytes());
  for (const bool wanted : {false, true}) {
    const Result<MindirModel> model = ReadMindirModel(file, {.constants = wanted});
    ASSERT_TRUE(model.ok()) << model.status().message();
    const MindirValue& value = model->graph.nodes[0].attributes[0];
    EXPECT_EQ(value.elements[0].tensors[0].bytes, wanted ? large : "");
    const MindirTensor& parameter = model->graph.parameters[0];
    EXPECT_EQ(parameter.bytes, "");
    std::string there(1000, '?');
    ASSERT_EQ(parameter.place->size_bytes, 1000);
    ASSERT_TRUE(
        file.ReadAt(parameter.place->begin_bytes, std::as_writable_bytes(std::span(there))).ok());
    EXPECT_EQ(there, std::string(1000, 'w'));
  }
}

// Newer and older writers: floats, packed lists, fields that nobody knows.
TEST(MindirModelTest, TakesNumbersInEveryForm) {
  std::string packed;
  for (const uint64_t value : {3, 200}) AppendVarint(packed, value);
  std::string value;
  AppendBytes(value, 10, packed);
  AppendNumber(value, 10, 5);
  AppendBytes(value, 99, "later");
  const auto one = static_cast<char>(0x3F);
  value.append("\x15\x00\x00\x80", 4).push_back(one);  // Field 2, the float 1.
  const MindirGraphWriter graph = MindirGraphWriter("net").Constant("c", value);
  const Result<MindirModel> model = Read(MindirFileWriter(graph).bytes());
  ASSERT_TRUE(model.ok()) << model.status().message();
  const MindirValue& read = model->graph.nodes[0].attributes[0];
  EXPECT_EQ(read.name, "value");
  EXPECT_THAT(read.integers, ElementsAre(3, 200, 5));
  EXPECT_THAT(read.reals, ElementsAre(1.0));
}

TEST(MindirModelTest, FloatsReadAsTheyWereWritten) {
  std::string value;
  value.append("\x15\xAC\xC5\x27\x37", 5);  // The float nearest to 1e-5.
  const MindirGraphWriter graph = MindirGraphWriter("net").Constant("c", value);
  const Result<MindirModel> model = Read(MindirFileWriter(graph).bytes());
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->graph.nodes[0].attributes[0].reals[0], 1e-5);
}

TEST(MindirModelTest, SaysWhatOtherFilesAre) {
  std::string onnx;
  AppendNumber(onnx, 1, 8);
  std::string air;
  AppendBytes(air, 1, "graph");
  AppendNumber(air, 2, 1);
  std::string checkpoint;
  AppendBytes(checkpoint, 1, std::string(400, 'v'));
  std::string small_checkpoint;
  AppendBytes(small_checkpoint, 1, "\x0A\x01w");
  AppendBytes(small_checkpoint, 1, "\x0A\x01v");
  std::string one_record;
  AppendBytes(one_record, 1, "\x0A\x01w");
  struct Case {
    std::string bytes;
    const char* says;
  };
  const Case kCases[] = {
      {"", "it is empty"},
      {onnx, "ONNX"},
      {air, "AIR"},
      {checkpoint, "looks like a checkpoint"},
      {small_checkpoint, "looks like a checkpoint"},
      {one_record, "it has no graph"},
      {"{\"a\": 1}", "JSON"},
      {"PK\x03\x04 and so on", "zip"},
      {std::string("\x40\0\0\0\0\0\0\0{}", 10), "safetensors"},
      {std::string("\x20\0\0\0MSL2....", 12), "MindSpore Lite"},
      {"# a script", "not a MindIR file"},
      {std::string(64, '\0'), "not a MindIR file"},
  };
  for (const Case& c : kCases) {
    const std::string error = ErrorOf(c.bytes);
    EXPECT_THAT(error, HasSubstr(c.says));
    EXPECT_THAT(error, HasSubstr("file_format='MINDIR'")) << c.says;
  }
  for (const char* const start : {"\xD8\x5E\x3A\x7F", "\xD9\x5E\x3A\x7F", "\xDA\x5E\x3A\x7F"}) {
    EXPECT_THAT(ErrorOf(std::string(start) + "sealed"), HasSubstr("encrypted"));
  }
}

// The graph is the last record of this file: cut anywhere, it is not whole.
TEST(MindirModelTest, TruncatedFilesAreErrors) {
  const std::string bytes = MindirFileWriter(SmallGraph()).bytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_NE(ErrorOf(bytes.substr(0, size)), "no error") << size;
  }
  EXPECT_EQ(ErrorOf(bytes), "no error");
}

TEST(MindirModelTest, BoundsWhatAFileCanClaim) {
  MindirBytes nested = Integer(1);
  for (int i = 0; i < 40; ++i) nested = Sequence({nested});
  EXPECT_THAT(ErrorOf(MindirFileWriter(MindirGraphWriter("net").Constant("c", nested)).bytes()),
              HasSubstr("nested more than 16 deep"));

  const std::vector<int64_t> many_dims(17, 1);
  EXPECT_THAT(ErrorOf(MindirFileWriter(MindirGraphWriter("net").Parameter("w", many_dims)).bytes()),
              HasSubstr("more than 16 entries"));

  const std::string long_name(5000, 'n');
  EXPECT_THAT(ErrorOf(MindirFileWriter(MindirGraphWriter("net").Parameter(long_name, {})).bytes()),
              HasSubstr("at most 4096"));

  std::string two_graphs = MindirFileWriter(SmallGraph()).bytes();
  AppendBytes(two_graphs, 7, SmallGraph().bytes());
  EXPECT_THAT(ErrorOf(two_graphs), HasSubstr("a second main graph"));
}

// Two bytes of the file are an empty element: without a bound they would be 80 times as much
// memory.
TEST(MindirModelTest, BoundsTheNumberOfValues) {
  std::string elements;
  for (int i = 0; i < (1 << 21) + 10; ++i) AppendBytes(elements, 17, "");
  EXPECT_THAT(ErrorOf(MindirFileWriter(MindirGraphWriter("net").Constant("c", elements)).bytes()),
              HasSubstr("more than 2097152 values"));
}

TEST(MindirModelTest, KnowsTheElementTypes) {
  const std::pair<int64_t, const char*> kTypes[] = {
      {1, "f32"},  {2, "u8"},    {3, "i8"},    {4, "u16"},  {5, "i16"},  {6, "i32"},
      {7, "i64"},  {9, "bool"},  {10, "f16"},  {11, "f64"}, {12, "u32"}, {13, "u64"},
      {14, "c64"}, {15, "c128"}, {16, "bf16"}, {17, "f64"}, {18, "i4"}};
  for (const auto& [number, name] : kTypes) {
    const std::optional<DType> dtype = DTypeOfMindir(number);
    ASSERT_TRUE(dtype.has_value()) << number;
    EXPECT_EQ(ShortName(*dtype), name);
  }
  for (const int64_t number : {-1, 0, 8, 19}) EXPECT_FALSE(DTypeOfMindir(number).has_value());
}

}  // namespace
}  // namespace relayout
