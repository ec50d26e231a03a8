// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/strategy_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/format/mindspore/strategy_protobuf.h"
#include "relayout/format/mindspore/strategy_record.h"
#include "relayout/format/mindspore/wire.h"
#include "relayout/format/testing.h"
#include "relayout/io/memory_file_system.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

Result<StrategyFile> Read(const std::string& name, const std::string& bytes) {
  MemoryFileSystem fs;
  EXPECT_TRUE(WriteWholeFile(fs, name, bytes, false).ok());
  return ReadStrategyFile(fs, name);
}

// "0: w {a:2} (a); v {a:2} (-) | 1: ..."
std::string Summary(const Result<StrategyFile>& file) {
  if (!file.ok()) return "error: " + file.status().message();
  std::string text;
  for (const auto& stage : file->stages) {
    text += Format("{}{}:", text.empty() ? "" : " | ", stage.stage);
    for (const auto& parameter : stage.layouts.parameters) {
      text += Format(" {} {}", parameter.name, ToText(parameter.layout));
      if (parameter.whole_shape) text += ToText(*parameter.whole_shape);
      text += ";";
    }
  }
  return text;
}

// --- Hand-made protobuf --------------------------------------------------------------------------

std::string Field(int number, std::string_view payload) {
  std::string bytes;
  AppendBytes(bytes, number, payload);
  return bytes;
}

std::string Number(int number, int64_t value) {
  std::string bytes;
  AppendNumber(bytes, number, value);
  return bytes;
}

std::string List(const std::vector<int64_t>& values) {
  std::string bytes;
  for (const int64_t value : values) AppendNumber(bytes, 1, value);
  return bytes;
}

// The body of a layout: mesh, one or several tensor maps, optimizer (step, size).
std::string Body(const std::vector<int64_t>& mesh, const std::vector<std::vector<int64_t>>& maps,
                 int64_t step = 0, int64_t size = 0) {
  std::string body = Field(1, List(mesh));
  for (const auto& map : maps) body += Field(2, List(map));
  return body + Number(6, step) + Number(7, size);
}

std::string Layout(std::string_view name, const std::string& body) {
  return Field(3, Field(1, name) + Field(2, body));
}

std::string Operator(std::string_view name, int64_t stage) {
  return Field(2, Field(1, name) + Field(2, Number(1, stage) + Field(2, List({2, 1}))));
}

// --- Meaning -------------------------------------------------------------------------------------

struct LayoutCase {
  std::string body;
  std::string want;
};

TEST(StrategyFileTest, LayoutsMeanWhatMindSporeMeans) {
  const std::string uneven = Body({2}, {{0, -1}}) + Field(3, List({5, 3})) + Field(4, List({0, 5}));
  std::string packed_mesh;
  AppendVarint(packed_mesh, 2);
  AppendVarint(packed_mesh, 4);
  const LayoutCase cases[] = {
      {Body({4}, {{-1, -1}}), "{a:4} (-,-)"},
      {Body({2, 4}, {{0, -1}}), "{a:2,b:4} (b,-)"},
      {Body({2, 4}, {{1, 0}}), "{a:2,b:4} (a,b)"},
      {Body({2, 4}, {{}}), "{a:2,b:4} ()"},
      {Body({}, {{-1}}), "{} (-)"},
      {Body({2, 4}, {{1, 0}, {-1}}), "{a:2,b:4} (a*b,-)"},
      {Body({2, 4}, {{0, 1}, {}}), "{a:2,b:4} (b*a)"},
      {Body({2, 4}, {{0}, {}}), "{a:2,b:4} (b)"},
      {Body({2, 4}, {{-1}, {0}}), "{a:2,b:4} (-,b)"},
      {Body({2, 4}, {{0, -1}}, 4, -1), "{a:2,b:4} (b,-) opt:all"},
      {Body({2, 4}, {{1, -1}}, 1, 2), "{a:2,b:4} (a,-) opt:2"},
      {Body({2, 4}, {{1, -1}}, 0, 2), "{a:2,b:4} (a,-)"},
      {Body({2, 4}, {{1, -1}}, 0, -1), "{a:2,b:4} (a,-)"},
      {Body({2, 4}, {{1, -1}}, 3, 0), "{a:2,b:4} (a,-)"},
      {Body({2, 4}, {{1, -1}}, 7, 1), "{a:2,b:4} (a,-)"},
      {Body({4}, {{0}}, 1, -1), "{a:4} (a)"},  // All replicas, of which there is one.
      {Body({2, 2, 2}, {{-1, 1}}, 1, -1), "{a:2,b:2,c:2} (-,b) opt:all"},
      {uneven, "{a:2} (a,-) rows:5+3"},
      {Field(1, Field(1, packed_mesh)) + Field(2, List({-1})), "{a:2,b:4} (-)"},
      // Minus one as 32 bits.
      {Field(1, List({2})) + Field(2, List({4294967295})), "{a:2} (-)"},
      {Body({2, 1}, {{-1}}, 1, 2), "{a:2,b:1} (-) opt:2"},
  };
  for (const LayoutCase& c : cases) {
    const auto file = Read("s.ckpt", Layout("w", c.body));
    EXPECT_EQ(Summary(file), "0: w " + c.want + ";");
    if (!file.ok()) continue;
    EXPECT_EQ(Summary(Read("s.ckpt", SerializeStrategyProtobuf(*file))), Summary(file));
    EXPECT_EQ(Summary(Read("s.json", SerializeStrategyJson(*file))), Summary(file));
  }
}

struct BadCase {
  std::string bytes;
  std::string error;
};

TEST(StrategyFileTest, RefusesBadProtobuf) {
  const std::string good = Body({2}, {{-1}});
  const std::string name(5000, 'n');
  const BadCase cases[] = {
      {"", "the strategy file is empty"},
      {"{\"parallel_layout_item\":{}}", "looks like JSON text: rename it to end in .json"},
      {std::string("\x0A\x03\x0A\x01w", 5), "this looks like a checkpoint"},
      {Layout("w", good).substr(0, 9), "truncated: the record at byte 0 needs"},
      {Layout("w", good + Number(5, 3)), "w: field is 3: a table whose rows are interleaved"},
      {Layout("w", good + Number(5, -1)), "w: field is -1"},
      {Layout("w", Body({2}, {{0, 0}})), "w: mesh axis 0 cuts the tensor twice"},
      {Layout("w", Body({2}, {{1}})), "w: tensor_map names axis 1, but dev_matrix has 1"},
      {Layout("w", Body({2}, {{-2}})), "w: tensor_map names axis -2"},
      {Layout("w", Body({2}, {{-1, 0}, {-1}})), "w: tensor_map names axis -1"},
      {Layout("w", Body({0}, {{-1}})), "w: the device mesh has an axis of size 0"},
      {Layout("w", Body({1 << 20, 1 << 20}, {{-1}})), "w: the device mesh has more than 2^31"},
      {Layout("w", Body({8}, {{-1}}, 1, 3)), "w: an optimizer split in groups of 3 does not fit 8"},
      {Layout("w", Body({8}, {{-1}}, 2, 4)),
       "w: opt_weight_shard_step is 2, but its replicas are 1"},
      {Layout("w", Body({2, 4}, {{0}}, 1, -1)), "step is 1, but its replicas are 4 ranks apart"},
      {Layout("w", Body({8}, {{-1}}, 1, -2)), "w: opt_weight_shard_size is -2"},
      {Layout("w", Body({8}, {{-1}}, -1, 2)), "w: opt_weight_shard_step is -1"},
      {Layout("w", Body({8}, {{}}, 1, 2)), "w: a 0-d tensor cannot have an optimizer split"},
      {Layout("w", good + Field(3, List({1, 2, 3}))), "w: param_split_shape lists 3 pieces, but"},
      {Layout("w", Field(1, List({2}))), "w: its layout has no tensor_map"},
      {Layout("w", Field(2, List({-1}))), "w: its layout has no dev_matrix"},
      {Layout("w", ""), "w: its layout has no dev_matrix"},
      {Layout("w", good + Field(1, List({2}))), "w: a second dev_matrix at byte"},
      {Layout("w", good + Number(6, 1)), "w: a second opt_weight_shard_step at byte"},
      {Layout("w", good + Number(5, int64_t{1} << 40)), "w: the field at byte"},
      {Layout("w", Body({2}, {{int64_t{1} << 40}})), "w: the tensor_map at byte"},
      {Layout("w", Body(std::vector<int64_t>(17, 1), {{-1}})), "has more than 16 entries"},
      {Layout("w", Body({2}, std::vector<std::vector<int64_t>>(17, {-1}))),
       "more than 16 tensor_map"},
      {Layout("w", Number(1, 2)), "w: expected a length and bytes for the dev_matrix"},
      {Field(3, Field(2, good)), "the layout at byte 0 has no name"},
      {Layout("", good), "a parameter has an empty name"},
      {Layout("\xC0", good), "the name is not well-formed UTF-8"},
      {Layout(name, good), "the name at byte 3 is 5000 bytes long"},
      {Layout("w", good) + Layout("w", good), "w: listed twice"},
      {Layout("0-w", good) + Layout("00-w", good), "w: listed twice in stage 0"},
      {Layout("99999999999999999999-w", good), "99999999999999999999-w: impossible stage"},
      {Layout("0-w", good) + Layout("2-w", good), "stages 0, 2 are there but not 1"},
      {Layout("1-w", good), "stages 1 are there but not 0"},
      {Number(1, int64_t{1} << 33), "the current_stage at byte 0 is 8589934592, beyond 32 bits"},
      {Number(1, 1) + Number(1, 1), "a second current_stage at byte 2"},
      {Field(2, Field(1, "op") + Field(2, Number(1, -1))), "op: the stage at byte"},
      {Field(2, Field(1, "\xFF")), "\\xff: the operator's name is not UTF-8"},
  };
  for (const BadCase& c : cases) {
    const auto file = Read("s.ckpt", c.bytes);
    ASSERT_FALSE(file.ok()) << "expected: " << c.error;
    EXPECT_THAT(file.status().message(), StartsWith("s.ckpt: "));
    EXPECT_THAT(file.status().message(), HasSubstr(c.error));
  }
  EXPECT_EQ(Read("s.ckpt", Layout("w", good + Number(5, 3))).status().code(),
            StatusCode::kUnsupported);
}

TEST(StrategyFileTest, Stages) {
  const std::string body = Body({2}, {{-1}});
  const std::string at = " {a:2} (-);";
  struct {
    std::string bytes;
    std::string want;
    bool merged;
  } const cases[] = {
      {Layout("w", body), "0: w" + at, false},
      {Operator("op", 3) + Layout("w", body), "3: w" + at, false},
      {Operator("op", 1), "1:", false},
      {Layout("my-w", body) + Layout("0-v", body), "0: my-w" + at + " 0-v" + at, false},
      {Layout("0-", body), "0: 0-" + at, false},
      {Layout("-w", body), "0: -w" + at, false},
      {Layout("0-w", body), "0: w" + at, true},
      {Layout("0-a-b", body), "0: a-b" + at, true},
      {Layout("1-w", body) + Layout("0-w", body), "0: w" + at + " | 1: w" + at, true},
      {Operator("op", 1) + Layout("0-w", body) + Layout("2-w", body),
       "0: w" + at + " | 1: | 2: w" + at, true},
      {Operator("op", 1) + Layout("0-w", body), "0: w" + at + " | 1:", true},
  };
  for (const auto& c : cases) {
    const auto file = Read("s.ckpt", c.bytes);
    EXPECT_EQ(Summary(file), c.want);
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(file->merged, c.merged) << c.want;
  }
}

// --- MindSpore's own files -----------------------------------------------------------------------

TEST(StrategyFileTest, WritesTheBytesThatMindSporeWrote) {
  for (const char* name : {"save_8", "save_16", "infer_4", "opt_group_2", "layer2_8", "merged"}) {
    const std::string bytes =
        testing_support::ReadTestData(Format("mindspore/strategy_{}.ckpt", name));
    const auto file = Read("s.ckpt", bytes);
    ASSERT_TRUE(file.ok()) << file.status().message();
    EXPECT_EQ(SerializeStrategyProtobuf(*file), bytes) << name;
    const auto json = Read("s.json", SerializeStrategyJson(*file));
    ASSERT_TRUE(json.ok()) << json.status().message();
    EXPECT_EQ(SerializeStrategyProtobuf(*json), bytes) << name << " through JSON";
  }
}

TEST(StrategyFileTest, ReadsOperators) {
  const auto file =
      Read("s.ckpt", testing_support::ReadTestData("mindspore/strategy_infer_4.ckpt"));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->current_stage, 2);
  ASSERT_EQ(file->operators.size(), 6u);
  EXPECT_EQ(file->operators[0].name, "MatMul_layer3.weight");
  EXPECT_EQ(file->operators[0].strategy, (std::vector<std::vector<int64_t>>{{2, 2}, {2, 1}}));
}

// --- JSON ----------------------------------------------------------------------------------------

// A JSON file with one parameter "w", whose layout has these texts.
std::string Json(std::string_view mesh, std::string_view map, std::string_view more = "") {
  return Format(
      R"({{"current_stage":1,"parallel_layout_item":{{"w":{{"dev_matrix":{},"tensor_map":{},)"
      R"("field":0,"opt_weight_shard_step":0,"opt_weight_shard_size":0{}}}}}}})",
      mesh, map, more);
}

TEST(StrategyFileTest, ReadsJson) {
  const LayoutCase cases[] = {
      {Json("[2,4]", "[0,-1]"), "{a:2,b:4} (b,-)"},
      {"\n  " + Json("[2,4]", "[[1,0],-1]"), "{a:2,b:4} (a*b,-)"},
      {Json("[2,4]", "[[0],[],[-1]]"), "{a:2,b:4} (b,-,-)"},
      {Json("[2]", "[0,-1]", R"(,"tensor_shape":[8,4])"), "{a:2} (a,-)[8,4]"},
      {Json("[2]", "[0,-1]", R"(,"tensor_shape":[])"), "{a:2} (a,-)"},
      {Json("[2]", "[0]", R"(,"tensor_shape":[2,2])"), "{a:2} (a)"},
      {Json("[2]", "[0]", R"(,"param_split_shape":[5,3],"indices_offset":[0,5])"),
       "{a:2} (a) rows:5+3"},
      {Json("[2]", "[]", R"(,"unknown":{"a":1})"), "{a:2} ()"},
  };
  for (const LayoutCase& c : cases) {
    EXPECT_EQ(Summary(Read("s.json", c.body)), "0: w " + c.want + ";");
  }
}

TEST(StrategyFileTest, RefusesBadJson) {
  const std::string deep = R"({"a":)" + std::string(40, '[') + std::string(40, ']') + "}";
  const BadCase cases[] = {
      {"", "the strategy file is empty"},
      {Layout("w", Body({2}, {{-1}})), "if this is a protobuf strategy, rename it to end in .ckpt"},
      {"{", "not valid JSON"},
      {"{} {}", "not valid JSON"},
      {std::string("{\"a\":\"\xFF\"}"), "not valid JSON"},
      {deep, "nested more than 16 deep"},
      {"{}", "the key parallel_layout_item is missing"},
      {R"({"parallel_layout_item":[]})", "parallel_layout_item: expected an object"},
      {R"({"parallel_layout_item":{"w":3}})", "w: the layout: expected an object"},
      {R"({"parallel_layout_item":{"w":{}}})", "w: the key dev_matrix is missing"},
      {R"({"parallel_layout_item":{"w":{"dev_matrix":[2]}}})", "w: the key tensor_map is missing"},
      {R"({"parallel_layout_item":{"w":{"dev_matrix":[2],"tensor_map":[0]}}})",
       "w: the key field is missing"},
      {R"({"parallel_layout_item":{},"parallel_layout_item":{}})",
       "the file: the key parallel_layout_item occurs twice"},
      {Json("[2]", "[0]", R"(,"field":0)"), "w: the layout: the key field occurs twice"},
      {Json("[2.0]", "[0]"), "w: dev_matrix: expected an integer"},
      {Json("[-2]", "[0]"), "w: dev_matrix: expected an integer from 0"},
      {Json("[true]", "[0]"), "w: dev_matrix: expected an integer"},
      {Json("2", "[0]"), "w: dev_matrix: expected a list"},
      {Json("[2]", "[\"0\"]"), "w: tensor_map: expected an integer"},
      {Json("[2]", "[4294967296]"), "w: tensor_map: expected an integer from"},
      {Json("[2]", "[99999999999999999999]"), "not valid JSON"},
      {Json("[2]", "[[[0]]]"), "w: tensor_map: expected an integer"},
      {Json("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0]"), "dev_matrix: expected at most 16"},
      {Json("[2]", "[0]", R"(,"tensor_shape":[-1])"), "w: tensor_shape: expected an integer"},
      {Json("[4]", "[-1,-1]", R"(,"tensor_shape":[4611686018427387904,4])"), "more than 2^63"},
      {R"({"parallel_strategy_item":{"op":{}},"parallel_layout_item":{}})",
       "op: the key stage is missing"},
      {R"({"parallel_strategy_item":{"op":{"stage":-1}},"parallel_layout_item":{}})",
       "op: stage: expected an integer"},
      {R"({"parallel_strategy_item":{"op":{"stage":0,"parallel_strategy":[1]}},)"
       R"("parallel_layout_item":{}})",
       "op: parallel_strategy: expected a list"},
  };
  for (const BadCase& c : cases) {
    const auto file = Read("s.json", c.bytes);
    ASSERT_FALSE(file.ok()) << "expected: " << c.error;
    EXPECT_THAT(file.status().message(), StartsWith("s.json: "));
    EXPECT_THAT(file.status().message(), HasSubstr(c.error));
  }
}

TEST(StrategyFileTest, JsonKeepsOperatorsOfOneName) {
  StrategyFile file;
  file.stages.push_back({});
  file.operators = {{"op", 0, {}}, {"op", 0, {{2}}}, {"op_1", 0, {}}};
  const auto back = Read("s.json", SerializeStrategyJson(file));
  ASSERT_TRUE(back.ok()) << back.status().message();
  EXPECT_EQ(back->operators.size(), 3u);
}

TEST(StrategyFileTest, RecordsAreWhatTheFileSays) {
  MemoryFileSystem fs;
  fs.SetFile("s.json", Json("[2]", "[0]", R"(,"param_split_shape":[5,3],"indices_offset":[0,5])"));
  const auto json = ReadStrategyRecords(fs, "s.json");
  ASSERT_TRUE(json.ok()) << json.status().message();
  fs.SetFile("s.ckpt", WriteStrategyProtobuf(*json));
  const auto protobuf = ReadStrategyRecords(fs, "s.ckpt");
  ASSERT_TRUE(protobuf.ok()) << protobuf.status().message();
  for (const StrategyRecords* records : {&*json, &*protobuf}) {
    ASSERT_EQ(records->layouts.size(), 1u);
    EXPECT_EQ(records->layouts[0].name, "w");
    const LayoutRecord& record = records->RecordOf(records->layouts[0]);
    EXPECT_EQ(record.dev_matrix, (std::vector<int64_t>{2}));
    EXPECT_EQ(record.tensor_map, (std::vector<std::vector<int64_t>>{{0}}));
    EXPECT_EQ(record.param_split_shape, (std::vector<int64_t>{5, 3}));
    EXPECT_EQ(record.indices_offset, (std::vector<int64_t>{0, 5}));
  }
}

}  // namespace
}  // namespace relayout
