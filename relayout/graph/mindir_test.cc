// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/mindir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/format/mindspore/mindir_testing.h"
#include "relayout/format/testing.h"
#include "relayout/graph/operator_types.h"
#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using namespace testing_support;  // NOLINT(google-build-using-namespace)

Result<Graph> Read(const std::string& bytes) {
  MemoryFileSystem fs;
  fs.SetFile("net.mindir", bytes);
  return ReadMindir(fs, "net.mindir");
}

std::string ErrorOf(const std::string& bytes) {
  const Result<Graph> graph = Read(bytes);
  return graph.ok() ? "no error" : graph.status().message();
}

// The lines of the operators and of the results.
std::string Operators(const MindirFileWriter& file) {
  const Result<Graph> graph = Read(file.bytes());
  if (!graph.ok()) return graph.status().message();
  const std::string whole = ToText(*graph);  // Lines are views into it.
  std::string text;
  for (const std::string_view line : SplitLines(whole)) {
    if (line.substr(0, 1) == "#" || line.substr(0, 6) == "return") text.append(line).append("\n");
  }
  return text;
}

// --- What MindSpore wrote ------------------------------------------------------------------------

class MindirOfMindSporeTest : public ::testing::TestWithParam<const char*> {};

// The wanted text stands beside the file; export.py there made the file.
TEST_P(MindirOfMindSporeTest, BecomesTheGraph) {
  const std::string name = GetParam();
  const Result<Graph> graph = Read(ReadTestData("mindir/" + name + ".mindir"));
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  EXPECT_EQ(ToText(*graph), ReadTestData("mindir/" + name + ".txt"));
}

INSTANTIATE_TEST_SUITE_P(Networks, MindirOfMindSporeTest,
                         ::testing::Values("mlp", "block", "embedding", "llama", "encoder_layer",
                                           "convolution", "tied", "lazy_inline", "recompute",
                                           "layouts", "flash_attention", "loss", "mint", "state",
                                           "split_graph"),
                         [](const auto& info) { return std::string(info.param); });

// The floats of constant input number `input` of the operator called `name`.
std::vector<float> ConstantOf(const Graph& graph, std::string_view name, size_t input) {
  for (const Operator& op : graph.operators()) {
    if (op.name != name) continue;
    const ConstantBytes& bytes = graph.value(op.inputs[input]).bytes;
    if (bytes == nullptr) return {};
    std::vector<float> values(bytes->size() / sizeof(float));
    std::memcpy(values.data(), bytes->data(), bytes->size());
    return values;
  }
  ADD_FAILURE() << "no " << name;
  return {};
}

Result<Graph> ReadWithConstants(const std::string& bytes) {
  MemoryFileSystem fs;
  fs.SetFile("net.mindir", bytes);
  return ReadMindir(fs, "net.mindir", {.constants = true});
}

TEST(MindirTest, ConstantsKeepTheirValues) {
  const Result<Graph> block = Read(ReadTestData("mindir/block.mindir"));
  ASSERT_TRUE(block.ok());
  EXPECT_THAT(ConstantOf(*block, "Default/gelu-GELU/Div-op0", 1), ElementsAre(1.41421354F));
  EXPECT_THAT(ConstantOf(*block, "Default/gelu-GELU/Mul-op1", 1), ElementsAre(0.5F));
  const Result<Graph> loss = Read(ReadTestData("mindir/loss.mindir"));
  ASSERT_TRUE(loss.ok());
  EXPECT_THAT(ConstantOf(*loss, "Default/OneHot-op0", 1), ElementsAre(1));
  EXPECT_THAT(ConstantOf(*loss, "Default/OneHot-op0", 2), ElementsAre(0));
}

// 0 up to one's own word, -10000 behind it; 256 bytes.
TEST(MindirTest, LargeConstantsHaveValuesWhereAskedFor) {
  const std::string bytes = ReadTestData("spmd/gpt.mindir");
  const Result<Graph> without = Read(bytes);
  ASSERT_TRUE(without.ok()) << without.status().message();
  EXPECT_TRUE(ConstantOf(*without, "Default/Add-op1", 1).empty());
  const Result<Graph> with = ReadWithConstants(bytes);
  ASSERT_TRUE(with.ok()) << with.status().message();
  std::vector<float> mask;
  for (int row = 0; row < 8; ++row) {
    for (int column = 0; column < 8; ++column) mask.push_back(column > row ? -10000.0F : 0.0F);
  }
  EXPECT_EQ(ConstantOf(*with, "Default/Add-op1", 1), mask);
  EXPECT_EQ(ToText(*with), ToText(*without));
}

TEST(MindirTest, OperatorsAreCalledByTheirScope) {
  const Result<Graph> graph = Read(ReadTestData("mindir/block.mindir"));
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  EXPECT_EQ(graph->op(0).name, "Default/norm1-LayerNorm/LayerNorm-op0");
  EXPECT_EQ(graph->op(2).name, "Default/q-Dense/MatMul-op0");
}

// Each parameter and operator of the file is in the graph once.
TEST(MindirTest, ATiedParameterIsOneValue) {
  const Result<Graph> graph = Read(ReadTestData("mindir/tied.mindir"));
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  const ValueId table = graph->FindParameter("embedding.embedding_table");
  ASSERT_NE(table, kNoId);
  EXPECT_EQ(graph->Uses()[static_cast<size_t>(table)].size(), 2U);
}

TEST(MindirTest, SaysWhatItCannotRead) {
  const std::pair<const char*, const char*> kCases[] = {
      {"if_else", "'Default/Switch-op0' is control flow"},
      {"while", "'Default/Switch-op0' is control flow"},
      {"dynamic", "input 'x': the shape [-1,16] is not fixed"},
      {"encrypted_graph", "an encrypted MindIR"},
  };
  for (const auto& [name, says] : kCases) {
    const Result<Graph> graph = Read(ReadTestData(Format("mindir/{}.mindir", name)));
    ASSERT_FALSE(graph.ok()) << name;
    EXPECT_EQ(graph.status().code(), StatusCode::kUnsupported) << name;
    EXPECT_THAT(graph.status().message(), AllOf(StartsWith("net.mindir: "), HasSubstr(says)));
  }
}

// Cut anywhere, a real file is an error.
TEST(MindirTest, TruncatedFilesAreErrors) {
  const std::string bytes = ReadTestData("mindir/tied.mindir");
  // The last record, the version of the format (two bytes), is not read.
  for (size_t size = 0; size + 2 < bytes.size(); size += 7) {
    EXPECT_THAT(ErrorOf(bytes.substr(0, size)), StartsWith("net.mindir: ")) << size;
  }
}

TEST(MindirTest, FindsTheFileOfADirectory) {
  MemoryFileSystem fs;
  fs.SetFile("one/net_graph.mindir", ReadTestData("mindir/split_graph.mindir"));
  fs.SetFile("one/net_variables/data_0", "weights");
  fs.SetFile("two/a.mindir", "");
  fs.SetFile("two/b.mindir", "");
  fs.SetFile("none/a.ckpt", "");
  EXPECT_TRUE(ReadMindir(fs, "one").ok());
  EXPECT_TRUE(ReadMindir(fs, "one/net_graph.mindir").ok());
  EXPECT_THAT(ReadMindir(fs, "two").status().message(), HasSubstr("which of a.mindir, b.mindir?"));
  EXPECT_THAT(ReadMindir(fs, "none").status().message(), HasSubstr("no *.mindir"));
  EXPECT_THAT(ReadMindir(fs, "one/net.mindir").status().message(),
              HasSubstr("there is one/net_graph.mindir"));
  EXPECT_EQ(ReadMindir(fs, "no.mindir").status().code(), StatusCode::kNotFound);
}

TEST(MindirTest, ConstantsHaveAsManyBytesAsTheirType) {
  const MindirBytes seven = TensorOf(MindirTensorBytes({2}, 1, "", "7 bytes"));
  MindirGraphWriter graph("net");
  graph.Input("net:x", {2}).Constant("c", seven);
  graph.Node("net:y", "REF::Add:1", {"net:x", "c"}, {2}).Output("net:y");
  EXPECT_EQ(ErrorOf(MindirFileWriter(graph).Primitive("Add:1", "Add").bytes()),
            "net.mindir: a constant f32[2] has 7 bytes");
}

// --- Written by hand -----------------------------------------------------------------------------

// A graph with an input x f32[4,8], a parameter w f32[4,8] and the numbers zero, one, axes (0,1).
MindirGraphWriter Base() {
  MindirGraphWriter graph("net");
  graph.Input("net:x", {4, 8}).Parameter("net:w", {4, 8});
  graph.Constant("zero", Integer(0)).Constant("one", Integer(1)).Constant("none", None());
  graph.Constant("axes", Integers({0, 1})).Constant("u", OfType(MindirType::kUMonad));
  return graph;
}

TEST(MindirTest, DissolvesWhatIsNoOperator) {
  MindirGraphWriter graph = Base();
  graph.Node("net:w1", "REF::Load:1", {"net:w", "u"}, {4, 8});
  graph.Node("net:a", "REF::Add:1", {"net:x", "net:w1"}, {4, 8});
  graph.NodeOf("net:t", "REF::MakeTuple:1", {"net:a", "net:x"}, OfType(MindirType::kTuple));
  graph.NodeOf("net:s", "REF::UpdateState:1", {"u", "net:t"}, OfType(MindirType::kUMonad));
  graph.NodeOf("net:d", "REF::Depend:1", {"net:t", "net:s"}, OfType(MindirType::kTuple));
  graph.Node("net:g", "REF::TupleGetItem:1", {"net:d", "zero"}, {4, 8});
  graph.Node("net:c", "REF::Concat:1", {"net:d", "one"}, {4, 16});
  graph.NodeOf("net:r", "REF::MakeTuple:1", {"net:g", "net:d", "net:c"},
               OfType(MindirType::kTuple));
  MindirFileWriter file(graph.Output("net:r"));
  for (const char* const type :
       {"Load", "Add", "MakeTuple", "UpdateState", "Depend", "TupleGetItem", "Concat"}) {
    file.Primitive(std::string(type) + ":1", type);
  }
  EXPECT_EQ(Operators(file),
            "#0 Add (x, w) -> f32[4,8]\n"
            "#1 Concat (#0, x) -> f32[4,16] axis=1\n"
            "return #0 #0 x #1\n");
}

// mindspore.mutable: a tuple that is no constant.
TEST(MindirTest, ATupleAsInputBecomesSeveral) {
  MindirBytes port;
  AppendBytes(port, 1, "net:pair");
  AppendBytes(port, 5,
              Sequence({TensorOf(MindirTensorBytes({4})), Integer(2),
                        Sequence({TensorOf(MindirTensorBytes({8}, 6))})}));
  MindirGraphWriter graph("net");
  graph.Field(5, port).Constant("two", Integer(2)).Constant("zero", Integer(0));
  graph.NodeOf("net:t", "REF::TupleGetItem:1", {"net:pair", "two"}, None());
  graph.NodeOf("net:b", "REF::TupleGetItem:1", {"net:t", "zero"}, None());
  graph.Node("net:y", "REF::Abs:1", {"net:b"}, {8}).Output("net:y");
  MindirFileWriter file(graph);
  file.Primitive("TupleGetItem:1", "TupleGetItem").Primitive("Abs:1", "Abs");
  const Result<Graph> read = Read(file.bytes());
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(ToText(*read),
            "pair.0 input f32[4]\n"
            "pair.1 input i32[8]\n"
            "#0 Abs (pair.1) -> f32[8]\n"
            "return #0\n");
}

// MindSpore 1.x: nodes name their primitive, which has the attributes.
TEST(MindirTest, ReadsNodesWithoutReferences) {
  MindirGraphWriter graph("net");
  graph.Input("x", {4, 8}).Parameter("layer.w", {8, 2}).Input("layer.w", {8, 2});
  graph.NodeOf("y", "MatMul", {"x", "layer.w"}, TensorOf(MindirTensorBytes({4, 2})),
               {Named("transpose_b", Boolean(true)), Named("input_names", Words("x1"))});
  EXPECT_EQ(Operators(MindirFileWriter(graph.Output("y"))),
            "#0 MatMul (x, layer.w) -> f32[4,2] transpose_b=true\n"
            "return #0\n");
}

TEST(MindirTest, InlinesCallsAndPartialCalls) {
  MindirGraphWriter inner("inner");
  inner.Input("inner:a", {4, 8}).Input("inner:b", {4, 8}).Monad("inner:u");
  inner.Node("inner:s", "REF::Sub:1", {"inner:a", "inner:b"}, {4, 8}).Output("inner:s");
  MindirGraphWriter twice("twice");
  twice.Input("twice:a", {4, 8}).Monad("twice:u");
  twice.Node("twice:1", "REF::inner", {"twice:a", "twice:a", "twice:u"}, {4, 8});
  twice.Node("twice:2", "REF::inner", {"twice:1", "twice:a", "twice:u"}, {4, 8}).Output("twice:2");
  MindirGraphWriter graph = Base();
  graph.NodeOf("net:p", "REF::Partial:1", {"inner", "net:x"}, OfType(MindirType::kNone));
  graph.Node("net:c", "REF::net:p", {"net:w", "u"}, {4, 8});
  graph.Node("net:d", "REF::twice", {"net:c", "u"}, {4, 8}).Output("net:d");
  MindirFileWriter file(graph);
  file.Function(twice).Function(inner).Primitive("Sub:1", "Sub").Primitive("Partial:1", "Partial");
  EXPECT_EQ(Operators(file),
            "#0 Sub (x, w) -> f32[4,8]\n"
            "#1 Sub (#0, #0) -> f32[4,8]\n"
            "#2 Sub (#1, #0) -> f32[4,8]\n"
            "return #2\n");
}

// One node of type `type`, with the arguments `inputs`.
MindirFileWriter One(const std::string& type, const std::vector<std::string>& inputs,
                     const std::vector<MindirBytes>& attributes = {}) {
  MindirGraphWriter graph = Base();
  graph.Constant("two axes", TensorOf(MindirTensorBytes(
                                 {2}, 7, "", std::string("\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16))));
  graph.Constant("scalar", TensorOf(MindirTensorBytes({}, 6, "", std::string("\2\0\0\0", 4))));
  graph.Constant("half", TensorOf(MindirTensorBytes({}, 1, "", std::string("\0\0\0\x3F", 4))));
  graph.Constant("mode", Words("same"));
  graph.NodeOf("net:shape", "REF::Shape:1", {"net:x"}, Integer(4));
  graph.Node("net:y", "REF::" + type + ":1", inputs, {4, 8}).Output("net:y");
  MindirFileWriter file(graph);
  file.Primitive("Shape:1", "Shape").Primitive(type + ":1", type, attributes);
  return file;
}

// As One, without the other lines.
std::string OneLine(const std::string& type, const std::vector<std::string>& inputs,
                    const std::vector<MindirBytes>& attributes = {}) {
  const std::string text = Operators(One(type, inputs, attributes));
  return std::string(SplitLines(text)[0]);
}

TEST(MindirTest, ArgumentsAreInputsOrAttributes) {
  struct Case {
    const char* type;
    std::vector<std::string> inputs;
    const char* line;
  };
  const Case kCases[] = {
      {"Add", {"net:x", "net:w"}, "#0 Add (x, w) -> f32[4,8]"},
      {"Add", {"net:x", "half"}, "#0 Add (x, const f32[]) -> f32[4,8]"},
      {"Add", {"net:x", "net:x"}, "#0 Add (x, x) -> f32[4,8]"},
      {"Add", {"net:x", "one"}, "#0 Add (x) -> f32[4,8] other=1"},
      {"ReduceMean",
       {"net:x", "axes", "zero"},
       "#0 ReduceMean (x) -> f32[4,8] axis=(0,1) keep_dims=0"},
      {"ReduceMean", {"net:x", "two axes"}, "#0 ReduceMean (x) -> f32[4,8] axis=(1,0)"},
      {"ReduceMean", {"net:x", "scalar"}, "#0 ReduceMean (x) -> f32[4,8] axis=2"},
      {"SumExt", {"net:x", "none", "one", "none"}, "#0 SumExt (x) -> f32[4,8] keepdim=1"},
      {"Dense", {"net:x", "net:w", "none"}, "#0 Dense (x, w) -> f32[4,8]"},
      {"LayerNormExt",
       {"net:x", "axes", "none", "net:w"},
       "#0 LayerNormExt (x, w) -> f32[4,8] normalized_shape=(0,1) absent='weight'"},
      {"GatherD", {"net:x", "one", "net:w"}, "#0 GatherD (x, w) -> f32[4,8] dim=1"},
      {"AvgPool",
       {"net:x", "axes", "axes", "mode"},
       "#0 AvgPool (x) -> f32[4,8] kernel_size=(0,1) strides=(0,1) pad_mode='same'"},
      {"NewInLaterVersions", {"net:x", "net:w", "u"}, "#0 NewInLaterVersions (x, w) -> f32[4,8]"},
  };
  for (const Case& c : kCases) EXPECT_EQ(OneLine(c.type, c.inputs), c.line);
}

TEST(MindirTest, NamesOfTheFileServeWhereOursEnd) {
  const std::vector<MindirBytes> names = {
      Named("input_names", Sequence({Words("x"), Words("radius")}, MindirType::kList))};
  EXPECT_EQ(OneLine("Blur", {"net:x", "one"}, names), "#0 Blur (x) -> f32[4,8] radius=1");
}

TEST(MindirTest, SaysWhichArgumentItCannotPlace) {
  EXPECT_THAT(OneLine("Blur", {"net:x", "one"}),
              AllOf(HasSubstr("Blur 'Default/net:y'"), HasSubstr("argument 2 is no tensor")));
  EXPECT_THAT(OneLine("Reshape", {"net:x", "net:shape"}),
              AllOf(HasSubstr("Reshape 'Default/net:y'"), HasSubstr("'shape' is known only when")));
  EXPECT_THAT(OneLine("Reshape", {"net:x", "net:w"}), HasSubstr("'shape' is known only when"));
  EXPECT_THAT(OneLine("Add", {"net:x", "net:nobody"}), HasSubstr("'net:nobody' is used"));
}

TEST(MindirTest, AttributesOfThePrimitiveStay) {
  EXPECT_EQ(OneLine("Conv2D", {"net:x", "net:w"},
                    {Named("stride", Integers({2, 2})), Named("pad_mode", Words("valid")),
                     Named("shape", Integers({1})), Named("side_effect_mem", Boolean(true)),
                     Named("nested", Sequence({Integers({4, 0}), Integers({4, 4})})),
                     Named("empty", None())}),
            "#0 Conv2D (x, w) -> f32[4,8] stride=(2,2) pad_mode='valid' shape=(1) "
            "nested=(4,0,4,4)");
}

// --- Shard annotations ---------------------------------------------------------------------------

MindirBytes KeyOf(std::string_view key, const MindirBytes& value) {
  MindirBytes bytes;
  AppendBytes(bytes, 17, value);
  return Named(key, bytes);
}

MindirBytes LayoutOf(const MindirBytes& mesh, const MindirBytes& map, bool interleaved = false) {
  return Sequence({KeyOf("device_matrix", mesh), KeyOf("tensor_map", map),
                   KeyOf("interleaved_parallel", Boolean(interleaved))},
                  MindirType::kDict);
}

TEST(MindirTest, AnnotationsBecomeCuts) {
  struct Case {
    const char* name;
    MindirBytes value;
    const char* text;
  };
  const Case kCases[] = {
      {"in_strategy", Sequence({Integers({2, 1}), Integers({1, 4})}), " cuts ((2,1),(1,4))"},
      {"in_strategy", Sequence({Integers({2, 1}), Integers({})}), " cuts ((2,1),())"},
      // A tuple of tensors as argument.
      {"in_strategy", Sequence({Sequence({Integers({2, 1}), Integers({2, 1})})}),
       " cuts ((2,1),(2,1))"},
      {"in_strategy", None(), ""},
      {"out_strategy", Sequence({Integers({2, 1})}), " output cuts ((2,1),)"},
      {"in_layout",
       Sequence({LayoutOf(Integers({2, 4}), Integers({1, -1})),
                 LayoutOf(Integers({2, 4}), Sequence({Integers({0, 1}), Integer(-1)}))}),
       " cuts ({2,4}(0,-),{2,4}(1+0,-))"},
      {"out_layout", Sequence({LayoutOf(Integers({8}), Integers({0}))}), " output cuts ({8}(0))"},
  };
  for (const Case& c : kCases) {
    EXPECT_EQ(OneLine("Add", {"net:x", "net:w"}, {Named(c.name, c.value)}),
              std::string("#0 Add (x, w) -> f32[4,8]") + c.text);
  }
}

TEST(MindirTest, BadAnnotationsAreErrors) {
  const MindirBytes mesh = Integers({2, 4});
  struct Case {
    const char* name;
    MindirBytes value;
    const char* says;
  };
  const Case kCases[] = {
      {"in_strategy", Integer(2), "in_strategy is not a tuple"},
      {"in_strategy", Sequence({Integer(2)}), "not a tuple of tuples of numbers"},
      {"in_strategy", Sequence({Sequence({Sequence({Integers({2})})})}),
       "not a tuple of tuples of numbers"},
      {"in_layout", Sequence({Integers({2, 1})}), "not a tuple of layouts"},
      {"in_layout", Sequence({LayoutOf(mesh, Integers({2}))}), "names axis 2 of"},
      {"in_layout", Sequence({LayoutOf(mesh, Integers({-2}))}), "names axis -2 of"},
      {"in_layout", Sequence({LayoutOf(Integer(2), Integers({0}))}), "lacks its device_matrix"},
      {"in_layout", Sequence({LayoutOf(mesh, Integers({0}), true)}), "interleaved_parallel"},
  };
  for (const Case& c : kCases) {
    EXPECT_THAT(OneLine("Add", {"net:x", "net:w"}, {Named(c.name, c.value)}),
                AllOf(HasSubstr("Add 'Default/net:y': "), HasSubstr(c.says)));
  }
}

// --- Contradictions ------------------------------------------------------------------------------

TEST(MindirTest, ContradictionsAreErrors) {
  const auto with = [](auto&& change) {
    MindirGraphWriter graph = Base();
    change(graph);
    MindirFileWriter file(graph);
    for (const char* const type : {"Add", "MakeTuple", "TupleGetItem"}) {
      file.Primitive(std::string(type) + ":1", type);
    }
    MindirGraphWriter function("f");
    function.Input("f:a", {4, 8}).Output("f:a");
    return ErrorOf(file.Function(function).bytes());
  };
  using Writer = MindirGraphWriter;
  EXPECT_THAT(with([](Writer&) {}), HasSubstr("the graph 'net' returns nothing"));
  EXPECT_THAT(with([](Writer& g) { g.Output("net:y"); }), HasSubstr("'net:y' is used"));
  EXPECT_THAT(with([](Writer& g) { g.Parameter("net:w", {1}).Output("net:x"); }),
              HasSubstr("two parameters are called 'w'"));
  EXPECT_THAT(with([](Writer& g) {
                g.Parameter("net:v", {4, -1}).Output("net:x");
              }),
              HasSubstr("parameter 'v': the shape [4,-1] is not fixed"));
  EXPECT_THAT(with([](Writer& g) {
                g.Parameter("net:v", {1LL << 40, 1LL << 40});
              }),
              HasSubstr("overflows"));
  EXPECT_THAT(with([](Writer& g) { g.Parameter("", {1}); }), HasSubstr("name"));
  EXPECT_THAT(with([](Writer& g) { g.Field(3, MindirTensorBytes({1}, 8, "net:text")); }),
              HasSubstr("element type 8"));
  EXPECT_THAT(with([](Writer& g) { g.Field(10, std::string("\x0A\x05table", 7)); }),
              HasSubstr("the parameter 'table' is a hash table"));
  EXPECT_THAT(with([](Writer& g) { g.Node("net:y", "REF::Add:2", {}, {1}).Output("net:y"); }),
              HasSubstr("'Add:2' is used"));
  EXPECT_THAT(with([](Writer& g) { g.Node("net:y", "REF::net:x", {}, {1}); }),
              HasSubstr("'Default/net:y' calls what is no function"));
  EXPECT_THAT(with([](Writer& g) { g.Node("net:y", "REF::f", {}, {1}); }),
              HasSubstr("calls 'f' with 0 arguments; it takes 1"));
  EXPECT_THAT(with([](Writer& g) {
                g.NodeOf("net:t", "REF::MakeTuple:1", {"net:x"}, None());
                g.Node("net:y", "REF::TupleGetItem:1", {"net:t", "one"}, {1});
              }),
              HasSubstr("TupleGetItem 'Default/net:y': element 1 of a tuple of 1"));
  EXPECT_THAT(with([](Writer& g) {
                g.Node("net:y", "REF::TupleGetItem:1", {"net:x", "zero"}, {});
              }),
              HasSubstr("element 0 of a tuple of 0"));
}

// A graph that calls itself has no end.
TEST(MindirTest, RecursionIsAnError) {
  MindirGraphWriter loop("loop");
  loop.Input("loop:a", {1}).Node("loop:b", "REF::loop", {"loop:a"}, {1}).Output("loop:b");
  MindirGraphWriter graph = Base();
  graph.Node("net:y", "REF::loop", {"net:x"}, {1}).Output("net:y");
  EXPECT_THAT(ErrorOf(MindirFileWriter(graph).Function(loop).bytes()),
              HasSubstr("'Default/loop:b' is control flow"));
}

// Each function calls the one before it twice: 30 of them are 2^30 operators.
TEST(MindirTest, CallsThatMultiplyAreBounded) {
  MindirGraphWriter graph = Base();
  graph.Node("net:y", "REF::f30", {"net:x"}, {1}).Output("net:y");
  MindirFileWriter file(graph);
  for (int i = 0; i <= 30; ++i) {
    const std::string name = Format("f{}", i);
    const std::string type = i == 0 ? "REF::Abs:1" : Format("REF::f{}", i - 1);
    MindirGraphWriter function(name);
    function.Input(name + ":a", {1});
    function.Node(name + ":b", type, {name + ":a"}, {1});
    file.Function(function.Node(name + ":c", type, {name + ":b"}, {1}).Output(name + ":c"));
  }
  EXPECT_THAT(ErrorOf(file.Primitive("Abs:1", "Abs").bytes()),
              HasSubstr("too large when the calls in it are inlined"));
}

// The same with tuples, as an argument of an operator and as the result.
TEST(MindirTest, TuplesThatMultiplyAreBounded) {
  const auto file = [](int levels, bool as_argument) {
    MindirGraphWriter graph = Base();
    std::string last = "net:x";
    for (int i = 0; i < levels; ++i) {
      const std::string name = Format("net:t{}", i);
      graph.NodeOf(name, "REF::MakeTuple:1", {last, last}, None());
      last = name;
    }
    if (as_argument) graph.Node("net:y", "REF::AddN:1", {last}, {4, 8});
    graph.Output(as_argument ? "net:y" : last);
    MindirFileWriter writer(graph);
    return writer.Primitive("MakeTuple:1", "MakeTuple").Primitive("AddN:1", "AddN").bytes();
  };
  EXPECT_EQ(ErrorOf(file(4, true)), "no error");
  EXPECT_EQ(ErrorOf(file(4, false)), "no error");
  EXPECT_THAT(ErrorOf(file(30, true)), HasSubstr("too large"));
  EXPECT_THAT(ErrorOf(file(30, false)), HasSubstr("too large"));
  EXPECT_THAT(ErrorOf(file(40, true)), HasSubstr("tuples within tuples"));
}

TEST(MindirTest, CallsWithinCallsAreBounded) {
  MindirGraphWriter graph = Base();
  graph.Node("net:y", "REF::f99", {"net:x"}, {1}).Output("net:y");
  MindirFileWriter file(graph);
  for (int i = 0; i < 100; ++i) {
    const std::string name = Format("f{}", i);
    MindirGraphWriter function(name);
    function.Input(name + ":a", {1});
    if (i > 0) function.Node(name + ":b", Format("REF::f{}", i - 1), {name + ":a"}, {1});
    file.Function(function.Output(name + (i > 0 ? ":b" : ":a")));
  }
  EXPECT_THAT(ErrorOf(file.bytes()), HasSubstr("calls within calls, more than 64 deep"));
}

// Functions bound into one another, so deep that to forget them would run out of stack.
TEST(MindirTest, PartialCallsWithinPartialCallsAreBounded) {
  MindirGraphWriter function("f");
  function.Input("f:a", {1}).Output("f:a");
  MindirGraphWriter graph = Base();
  std::string last = "net:x";
  for (int i = 0; i < 100'000; ++i) {
    const std::string name = Format("p{}", i);
    graph.NodeOf(name, "REF::Partial:1", {"f", last}, None());
    last = name;
  }
  MindirFileWriter file(graph.Output("net:x"));
  EXPECT_THAT(ErrorOf(file.Function(function).Primitive("Partial:1", "Partial").bytes()),
              HasSubstr("tuples within tuples"));
}

}  // namespace
}  // namespace relayout
