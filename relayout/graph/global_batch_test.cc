// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/global_batch.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "relayout/format/testing.h"
#include "relayout/graph/mindir.h"
#include "relayout/graph/operator_shapes.h"
#include "relayout/graph/testing.h"
#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

using Ints = std::vector<int64_t>;

// A network in the making; what does not fit is a mistake of the test.
struct Net {
  Graph graph;

  ValueId In(std::string_view type) { return graph.AddInput("x", testing::TypeOf(type)); }
  ValueId Const(std::string_view type) { return graph.AddConstant(testing::TypeOf(type)); }
  ValueId Par(std::string_view type) {
    return *graph.AddParameter(Format("p{}", graph.values().size()), testing::TypeOf(type));
  }
  ValueId Op(std::string type, std::vector<ValueId> inputs, Attributes attributes = {}) {
    Operator op;
    op.name = Format("op{}", graph.operators().size());
    op.type = std::move(type);
    op.attributes = std::move(attributes);
    std::vector<TensorType> types;
    for (const ValueId id : inputs) types.push_back({graph.value(id).dtype, graph.value(id).shape});
    op.inputs = std::move(inputs);
    const auto results = ResultTypes(op, types);
    EXPECT_TRUE(results.ok()) << results.status().message();
    return graph.op(graph.AddOperator(std::move(op), *results)).outputs[0];
  }
};

// The network as it is written for a batch.
using Author = std::function<void(Net& net, int64_t batch)>;

const std::vector<int64_t> kAny = {1, 2, 3, 16};
// A batch of 1 cannot be told from a dim of 1 that broadcasts, or that is not the outermost.
const std::vector<int64_t> kTold = {2, 3, 16};

std::string ShapesOf(const Graph& graph) {
  std::string text;
  for (size_t id = 0; id < graph.values().size(); ++id) {
    text += Format("%{} {}{}\n", id, ShortName(graph.values()[id].dtype),
                   ToText(graph.values()[id].shape));
  }
  return text;
}

// Exported for `batch` and grown, it has the shapes of itself exported for factor * batch.
void ExpectGrows(const char* what, const std::vector<int64_t>& batches, const Author& author) {
  for (const int64_t batch : batches) {
    for (const int64_t factor : {1, 2, 8, 6}) {
      Net small;
      author(small, batch);
      Net large;
      author(large, batch * factor);
      const Result<Graph> grown = WithGlobalBatch(small.graph, factor);
      ASSERT_TRUE(grown.ok()) << what << " " << batch << " " << grown.status().message();
      EXPECT_EQ(ShapesOf(*grown), ShapesOf(large.graph)) << what << " " << batch << "*" << factor;
      EXPECT_EQ(grown->operators().size(), small.graph.operators().size());
      const Result<Graph> dealt = WithMicroBatches(large.graph, factor);
      ASSERT_TRUE(dealt.ok()) << what << " " << batch << " " << dealt.status().message();
      EXPECT_EQ(ShapesOf(*dealt), ShapesOf(small.graph)) << what << " " << batch << "/" << factor;
    }
  }
}

std::string Text(const char* type, std::initializer_list<int64_t> dims) {
  return Format("{}{}", type, ToText(Dims(dims)));
}

TEST(GlobalBatch, ShapesFollow) {
  ExpectGrows("dense", kAny, [](Net& net, int64_t b) {
    const ValueId x = net.Op("Flatten", {net.In(Text("f32", {b, 1, 28, 28}))});
    const ValueId y = net.Op("MatMul", {x, net.Par("f32[784,512]")});
    net.Op("ReLU", {net.Op("Add", {y, net.Par("f32[512]")})});
  });
  ExpectGrows("open dim", kAny, [](Net& net, int64_t b) {
    const ValueId x = net.In(Text("f32", {b, 6, 64}));
    const ValueId rows = net.Op("Reshape", {x}, {{"shape", Ints{-1, 64}}});
    net.Op("Reshape", {rows}, {{"shape", Ints{b, 6, -1}}});
    net.Op("Reshape", {x}, {{"shape", Ints{b, -1}}});
  });
  ExpectGrows("heads", kAny, [](Net& net, int64_t b) {
    const ValueId x = net.In(Text("f32", {b, 6, 64}));
    const ValueId rows = net.Op("Reshape", {x}, {{"shape", Ints{b * 6, 64}}});
    const ValueId heads = net.Op("Reshape", {rows}, {{"shape", Ints{b, 6, 4, 16}}});
    const ValueId turned = net.Op("Transpose", {heads}, {{"dims", Ints{0, 2, 1, 3}}});
    const ValueId scores = net.Op("BatchMatMul", {turned, turned}, {{"transpose_b", true}});
    net.Op("Reshape", {scores}, {{"shape", Ints{b * 4, 6, 6}}});
  });
  ExpectGrows("batch inside", kTold, [](Net& net, int64_t b) {
    const ValueId x = net.In(Text("f32", {b, 6, 64}));
    const ValueId turned = net.Op("Transpose", {x}, {{"dims", Ints{1, 0, 2}}});
    const ValueId rows = net.Op("Reshape", {turned}, {{"shape", Ints{6 * b, 64}}});
    const ValueId moved = net.Op("ReLU", {rows});
    net.Op("Reshape", {moved}, {{"shape", Ints{6, b, 64}}});
  });
  ExpectGrows("slices", kAny, [](Net& net, int64_t b) {
    const ValueId x = net.In(Text("i32", {b, 6}));
    net.Op("StridedSlice", {x},
           {{"begin", Ints{0, 0}}, {"end", Ints{b, 5}}, {"strides", Ints{1, 1}}});
    net.Op("StridedSlice", {x},
           {{"begin", Ints{0, 0}},
            {"end", Ints{b, 1}},
            {"strides", Ints{1, 1}},
            {"shrink_axis_mask", int64_t{2}}});
    net.Op("Slice", {x}, {{"begin", Ints{0, 1}}, {"size", Ints{b, 3}}});
    net.Op("SliceExt", {x},
           {{"dim", int64_t{0}}, {"start", int64_t{0}}, {"end", b}, {"step", int64_t{1}}});
    net.Op("Split", {x}, {{"axis", int64_t{1}}, {"output_num", int64_t{2}}});
  });
  ExpectGrows("statistics", kAny, [](Net& net, int64_t b) {
    const ValueId x = net.In(Text("f32", {b, 6, 64}));
    net.Op("LayerNorm", {x, net.Par("f32[64]"), net.Par("f32[64]")},
           {{"begin_norm_axis", int64_t{-1}}});
    net.Op("RmsNorm", {x, net.Par("f32[64]")});
    net.Op("ReduceSum", {x}, {{"axis", Ints{0}}});
    net.Op("Dropout", {x});
  });
}

TEST(GlobalBatch, InputsWithoutDimsStay) {
  ExpectGrows("rate", kAny, [](Net& net, int64_t b) {
    net.Op("Mul", {net.In(Text("f32", {b, 6})), net.In("f32[]")});
  });
}

// What one constant makes for every layer is found in one step a layer.
TEST(GlobalBatch, ManySources) {
  ExpectGrows("layers", {4}, [](Net& net, int64_t b) {
    ValueId x = net.In(Text("f32", {b, 6}));
    for (int layer = 0; layer < 50; ++layer) {
      const ValueId ones = net.Op("Ones", {}, {{"shape", Ints{b, 6}}});
      x = net.Op("Mul", {net.Op("ReLU", {x}), net.Op("Neg", {ones})});
    }
  });
}

TEST(GlobalBatch, SourcesWithoutInputsFollow) {
  ExpectGrows("constant", kTold, [](Net& net, int64_t b) {
    const ValueId x = net.In(Text("f32", {b, 6}));
    net.Op("Mul", {x, net.Const(Text("f32", {b, 6}))});
  });
  ExpectGrows("positions", kAny, [](Net& net, int64_t b) {
    const ValueId ids = net.In(Text("i32", {b, 6}));
    const ValueId words = net.Op("Gather", {net.Par("f32[50,8]"), ids}, {{"axis", int64_t{0}}});
    const ValueId range = net.Op("ExpandDims", {net.Const("i32[6]")}, {{"axis", int64_t{0}}});
    const ValueId places = net.Op("BroadcastTo", {range}, {{"shape", Ints{b, 6}}});
    const ValueId place_words =
        net.Op("Gather", {net.Par("f32[9,8]"), places}, {{"axis", int64_t{0}}});
    net.Op("Add", {words, place_words});
  });
  ExpectGrows("tile and zeros", kTold, [](Net& net, int64_t b) {
    const ValueId x = net.In(Text("f32", {b, 6}));
    const ValueId zeros = net.Op("Zeros", {}, {{"size", Ints{b, 2}}});
    const ValueId tiled = net.Op("Tile", {net.Const("f32[1,3]")}, {{"dims", Ints{b, 1}}});
    net.Op("Concat", {x, net.Op("Neg", {zeros}), tiled}, {{"axis", int64_t{1}}});
  });
  ExpectGrows("two from one", kTold, [](Net& net, int64_t b) {
    const ValueId x = net.In(Text("f32", {b, 6}));
    const ValueId ones = net.Op("FillV2", {net.Const("f32[]")}, {{"shape", Ints{b, 6}}});
    const ValueId both = net.Op("Add", {ones, net.Op("Exp", {net.Const(Text("f32", {b, 6}))})});
    net.Op("Maximum", {net.Op("Sqrt", {both}), x});
  });
}

// What MindSpore exported for a batch of 4, grown, has the types of what it exported for 32.
TEST(GlobalBatch, ExportsFollow) {
  for (const std::string name : {"gpt", "sequence_first", "mask", "mint"}) {
    MemoryFileSystem fs;
    fs.SetFile("net.mindir", testing_support::ReadTestData("global_batch/" + name + ".mindir"));
    const Result<Graph> graph = ReadMindir(fs, "net.mindir");
    ASSERT_TRUE(graph.ok()) << graph.status().message();
    const Result<Graph> grown = WithGlobalBatch(*graph, 8);
    ASSERT_TRUE(grown.ok()) << name << ": " << grown.status().message();
    std::string text;
    for (const Operator& op : grown->operators()) {
      std::vector<TensorType> types;
      for (const ValueId id : op.outputs) {
        types.push_back({grown->value(id).dtype, grown->value(id).shape});
      }
      text += Format("{} {}\n", op.type, testing::TextOf(types));
    }
    EXPECT_EQ(text, testing_support::ReadTestData("global_batch/" + name + "_32.txt")) << name;
  }
}

TEST(GlobalBatch, KeepsWhatIsNoShape) {
  Net net;
  const ValueId x = net.In("f16[4,8]");
  const ValueId w = *net.graph.AddParameter("w", testing::TypeOf("f16[8,2]"), false);
  const ValueId y = net.Op("MatMul", {x, w}, {{"transpose_b", false}});
  net.graph.mutable_op(0).cuts = Cuts{{2, 1}, {1, 2}};
  net.graph.SetResults({y});
  EXPECT_EQ(ToText(*WithGlobalBatch(net.graph, 2)),
            "x input f16[8,8]\n"
            "w parameter f16[8,2] not trained\n"
            "#0 MatMul (x, w) -> f16[8,2] cuts ((2,1),(1,2)) transpose_b=false\n"
            "return #0\n");
}

std::string ErrorOf(const Author& author) {
  Net net;
  author(net, 4);
  const Result<Graph> grown = WithGlobalBatch(net.graph, 2);
  return grown.ok() ? "none" : grown.status().message();
}

TEST(GlobalBatch, Errors) {
  EXPECT_EQ(ErrorOf([](Net& net, int64_t) { net.In("f32[9223372036854775807]"); }),
            "input 'x' [9223372036854775807] cannot be 2 times as long");
  EXPECT_EQ(ErrorOf([](Net& net, int64_t b) {
              net.Op("Add", {net.In(Text("f32", {b, 6})), net.Par(Text("f32", {b, 6}))});
            }),
            "for 2 times the batch: Add 'op0': [8,6] and [4,6] do not broadcast: 8 against 4");
  EXPECT_EQ(ErrorOf([](Net& net, int64_t b) {
              const ValueId p = net.Op("Neg", {net.Par(Text("f32", {b, 6}))});
              net.Op("Add", {net.In(Text("f32", {b, 6})), p});
            }),
            "for 2 times the batch: Add 'op1': Neg 'op0' would have to make [8,6] instead of "
            "[4,6]; nothing that it is made of tells how");
  EXPECT_EQ(ErrorOf([](Net& net, int64_t b) {
              Operator op;
              op.type = "Mystery";
              op.name = std::string("the op");
              op.inputs = {net.In(Text("f32", {b, 6}))};
              net.graph.AddOperator(op, {testing::TypeOf("f32[1]")});
            }),
            "for 2 times the batch: Mystery 'the op': the shapes of results are not known for this "
            "type of operator");
}

// A constant that is as long as the batch of 4, "aaaa" or "abcd", in a network for another batch.
std::string BytesFor(const std::string& bytes, int64_t factor, int64_t micro_batches) {
  Net net;
  const ValueId mask =
      net.graph.AddConstant({DType::kInt8, {4, 1}}, std::make_shared<const std::string>(bytes));
  net.Op("Add", {net.In("i8[4,3]"), mask});
  const auto made =
      factor > 1 ? WithGlobalBatch(net.graph, factor) : WithMicroBatches(net.graph, micro_batches);
  if (!made.ok()) return std::string(made.status().message());
  const Value& value = made->value(mask);
  return ToText(value.shape) + (value.bytes == nullptr ? " unknown" : " " + *value.bytes);
}

TEST(GlobalBatch, ConstantsRepeatTheirValues) {
  EXPECT_EQ(BytesFor("aaaa", 2, 1), "[8,1] aaaaaaaa");
  EXPECT_EQ(BytesFor("abcd", 2, 1), "[8,1] unknown");
  EXPECT_EQ(BytesFor("aaaa", 1, 2), "[2,1] aa");
  EXPECT_EQ(BytesFor("abcd", 1, 2), "[2,1] unknown");
  EXPECT_EQ(BytesFor("abcd", 1, 1), "[4,1] abcd");
}

TEST(MicroBatches, MustDivideTheBatch) {
  Net net;
  net.Op("ReLU", {net.In("f32[12,4]")});
  EXPECT_TRUE(WithMicroBatches(net.graph, 4).ok());
  const auto dealt = WithMicroBatches(net.graph, 5);
  ASSERT_FALSE(dealt.ok());
  EXPECT_EQ(dealt.status().message(),
            "input 'x': dim 0 = 12 cannot be dealt evenly to 5 micro batches");
}

}  // namespace
}  // namespace relayout
