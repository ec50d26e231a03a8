// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/operator_shapes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "relayout/format/testing.h"
#include "relayout/graph/mindir.h"
#include "relayout/graph/testing.h"
#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

using Ints = std::vector<int64_t>;

struct Case {
  std::string type;
  std::string inputs;
  Attributes attributes;
  std::string results;  // Or a part of the error.
};

std::string Outcome(const Case& c) {
  Operator op;
  op.type = c.type;
  op.name = "op";
  op.attributes = c.attributes;
  const Result<std::vector<TensorType>> results = ResultTypes(op, testing::TypesOf(c.inputs));
  return results.ok() ? testing::TextOf(*results) : results.status().message();
}

TEST(OperatorShapes, Results) {
  const std::vector<Case> cases = {
      // Elementwise.
      {"ReLU", "f32[4,8]", {}, "f32[4,8]"},
      {"IsNan", "f32[4,8]", {}, "bool[4,8]"},
      {"Add", "f32[4,8] f32[8]", {}, "f32[4,8]"},
      {"Add", "f32[8] f32[4,1]", {}, "f32[4,8]"},
      {"Add", "f16[8] f32[]", {}, "f32[8]"},
      {"Mul", "bf16[2] f16[2]", {}, "f32[2]"},
      {"Mul", "i64[2] f16[2]", {}, "f16[2]"},
      {"Mul", "f32[4,8]", {{"other", 2.0}}, "f32[4,8]"},
      {"Less", "i32[16,1] i32[16]", {}, "bool[16,16]"},
      {"LogicalAnd", "bool[4] bool[]", {}, "bool[4]"},
      {"Select", "bool[4,1] f32[4,8] f32[]", {}, "f32[4,8]"},
      {"MaskedFill", "f16[4,8] bool[8] f16[]", {}, "f16[4,8]"},
      {"AddN", "f32[4] f32[4] f32[4]", {}, "f32[4]"},
      {"ClipByValue", "f32[4,8] f32[]", {}, "f32[4,8]"},
      {"Cast", "f32[4]", {{"dtype", "f16"}}, "f16[4]"},
      {"Cast", "f32[4]", {{"dtype", int64_t{45}}}, "bf16[4]"},
      {"Mul", "i32[4]", {{"other", 0.5}}, "f32[4]"},
      {"Mul", "i32[4]", {{"other", int64_t{5}}}, "i32[4]"},
      {"Muls", "f16[4]", {{"other", 0.5}}, "f16[4]"},
      {"Addmm", "f32[3] f32[2,4] f32[4,3]", {}, "f32[2,3]"},
      {"Outer", "f32[3] f32[2]", {}, "f32[3,2]"},
      {"FullLike", "f16[4,8]", {{"fill_value", 1.0}}, "f16[4,8]"},
      {"NewZeros", "f16[]", {{"size", Ints{2}}, {"dtype", int64_t{34}}}, "i32[2]"},
      {"GLU", "f16[4,8]", {{"axis", int64_t{0}}}, "f16[2,8]"},
      {"Cast", "f32[4]", {{"dtype", "bfloat16"}}, "bf16[4]"},
      {"BiasAdd", "f32[4,3,8,8] f32[3]", {}, "f32[4,3,8,8]"},
      {"BiasAdd", "f32[4,8,8,3] f32[3]", {{"data_format", "NHWC"}}, "f32[4,8,8,3]"},
      {"Swiglu", "f16[4,8]", {}, "f16[4,4]"},
      // Matrices.
      {"MatMul", "f32[32,784] f32[784,512]", {}, "f32[32,512]"},
      {"MatMul", "f32[32,784] f32[512,784]", {{"transpose_b", true}}, "f32[32,512]"},
      {"MatMul", "f32[784,32] f32[784,512]", {{"transpose_a", true}}, "f32[32,512]"},
      {"BatchMatMul", "f32[2,4,16,8] f32[2,4,8,16]", {}, "f32[2,4,16,16]"},
      {"BatchMatMul", "f32[2,4,16,8] f32[8,3]", {}, "f32[2,4,16,3]"},
      {"BatchMatMul", "f32[2,1,16,8] f32[4,16,8]", {{"transpose_b", true}}, "f32[2,4,16,16]"},
      {"MatMulExt", "f32[8] f32[8,3]", {}, "f32[3]"},
      {"MatMulExt", "f32[2,4,8] f32[8]", {}, "f32[2,4]"},
      {"MatMulExt", "f32[8] f32[8]", {}, "f32[]"},
      {"Dense", "f16[2,4,8] f16[3,8] f16[3]", {}, "f16[2,4,3]"},
      // Normalizing.
      {"Softmax", "f32[4,8]", {{"axis", Ints{-1}}}, "f32[4,8]"},
      {"LogSoftmax", "f32[4,8]", {{"axis", int64_t{1}}}, "f32[4,8]"},
      {"LayerNorm",
       "f32[4,6,8] f32[8] f32[8]",
       {{"begin_norm_axis", int64_t{-1}}},
       "f32[4,6,8] f32[4,6,1] f32[4,6,1]"},
      {"LayerNorm", "f32[4,6,8] f32[6,8] f32[6,8]", {}, "f32[4,6,8] f32[4,1,1] f32[4,1,1]"},
      {"LayerNormExt",
       "f16[4,6,8] f16[8]",
       {{"normalized_shape", Ints{8}}},
       "f16[4,6,8] f32[4,6,1] f32[4,6,1]"},
      {"RmsNorm", "f16[4,6,8] f16[8]", {}, "f16[4,6,8] f32[4,6,1]"},
      {"AddRmsNorm", "f16[4,8] f16[4,8] f16[8]", {}, "f16[4,8] f32[4,1] f16[4,8]"},
      {"BatchNorm",
       "f32[4,3,8,8] f32[3] f32[3] f32[3] f32[3]",
       {},
       "f32[4,3,8,8] f32[3] f32[3] f32[3] f32[3]"},
      {"GroupNorm",
       "f32[4,6,8] f32[6] f32[6]",
       {{"num_groups", int64_t{2}}},
       "f32[4,6,8] f32[4,2] f32[4,2]"},
      {"Dropout", "f32[4,8]", {}, "f32[4,8] f32[4,8]"},
      {"DropoutExt", "f32[4,33]", {}, "f32[4,33] u8[32]"},
      // Reducing.
      {"ReduceSum", "f32[4,8,16]", {{"axis", Ints{0, -1}}}, "f32[8]"},
      {"ReduceSum", "f32[4,8,16]", {{"axis", Ints{0, 2}}, {"keep_dims", true}}, "f32[1,8,1]"},
      {"ReduceMean", "f32[4,8]", {{"axis", Ints{}}}, "f32[]"},
      {"ReduceSum", "f32[4,8]", {{"axis", Ints{}}, {"skip_mode", true}}, "f32[4,8]"},
      {"ReduceMax", "f32[4,8]", {{"axis", int64_t{1}}}, "f32[4]"},
      {"ReduceAny", "bool[4,8]", {}, "bool[]"},
      {"SumExt", "i32[4,8]", {{"dim", Ints{1}}, {"keepdim", true}}, "i64[4,1]"},
      {"SumExt", "f16[4,8]", {{"dtype", "f32"}}, "f32[]"},
      {"MeanExt", "f16[4,8]", {{"dim", int64_t{0}}}, "f16[8]"},
      {"Argmax", "f32[4,10]", {}, "i32[4]"},
      {"ArgMaxExt", "f32[4,10]", {}, "i64[]"},
      {"ArgMaxWithValue", "f32[4,10]", {{"axis", int64_t{1}}}, "i64[4] f32[4]"},
      {"TopK", "f32[4,10]", {{"k", int64_t{3}}}, "f32[4,3] i32[4,3]"},
      // Reshaping.
      {"Reshape", "f32[4,8,16]", {{"shape", Ints{-1, 16}}}, "f32[32,16]"},
      {"Reshape", "f32[4,8]", {{"shape", Ints{2, 2, 8}}}, "f32[2,2,8]"},
      {"Reshape", "f32[1]", {{"shape", Ints{}}}, "f32[]"},
      {"Reshape", "f32[0,4]", {{"shape", Ints{2, 0}}}, "f32[2,0]"},
      {"Flatten", "f32[4,1,28,28]", {}, "f32[4,784]"},
      {"Flatten", "f32[4]", {}, "f32[4,1]"},
      {"FlattenExt",
       "f32[4,2,3,5]",
       {{"start_dim", int64_t{1}}, {"end_dim", int64_t{2}}},
       "f32[4,6,5]"},
      {"Transpose", "f32[4,8,16]", {{"dims", Ints{0, 2, 1}}}, "f32[4,16,8]"},
      {"TransposeExtView",
       "f32[4,8,16]",
       {{"dim0", int64_t{0}}, {"dim1", int64_t{-1}}},
       "f32[16,8,4]"},
      {"ExpandDims", "f32[4,8]", {{"axis", int64_t{1}}}, "f32[4,1,8]"},
      {"ExpandDims", "f32[4,8]", {{"axis", int64_t{-1}}}, "f32[4,8,1]"},
      {"Squeeze", "f32[4,1,8,1]", {}, "f32[4,8]"},
      {"Squeeze", "f32[4,1,8,1]", {{"axis", int64_t{1}}}, "f32[4,8,1]"},
      {"Tile", "f32[4,8]", {{"dims", Ints{2, 1, 3}}}, "f32[2,4,24]"},
      {"Tile", "f32[4,8]", {{"dims", Ints{3}}}, "f32[4,24]"},
      {"BroadcastTo", "f32[1,8]", {{"shape", Ints{2, 4, -1}}}, "f32[2,4,8]"},
      {"RepeatInterleaveInt",
       "f32[4,8]",
       {{"repeats", int64_t{3}}, {"dim", int64_t{1}}},
       "f32[4,24]"},
      // Parting.
      {"Split",
       "f32[4,9]",
       {{"axis", int64_t{1}}, {"output_num", int64_t{3}}},
       "f32[4,3] f32[4,3] f32[4,3]"},
      {"SplitTensor", "f32[7,2]", {{"split_size", int64_t{3}}}, "f32[3,2] f32[3,2] f32[1,2]"},
      {"SplitWithSize",
       "f32[2,7]",
       {{"split_size", Ints{4, 3}}, {"dim", int64_t{-1}}},
       "f32[2,4] f32[2,3]"},
      {"Chunk", "f32[7]", {{"chunks", int64_t{2}}}, "f32[4] f32[3]"},
      {"Concat", "f32[4,3] f32[4,6]", {{"axis", int64_t{-1}}}, "f32[4,9]"},
      {"StackExt", "f32[4,3] f32[4,3]", {{"dim", int64_t{-1}}}, "f32[4,3,2]"},
      {"Stack", "f32[4,3] f32[4,3]", {}, "f32[2,4,3]"},
      {"Unstack", "f32[2,3]", {{"axis", int64_t{1}}}, "f32[2] f32[2] f32[2]"},
      {"Slice", "f32[4,9]", {{"begin", Ints{0, 3}}, {"size", Ints{2, -1}}}, "f32[2,6]"},
      {"SliceExt",
       "f32[4,9]",
       {{"dim", int64_t{1}}, {"start", int64_t{2}}, {"end", int64_t{-1}}, {"step", int64_t{4}}},
       "f32[4,2]"},
      // Lookup.
      {"Gather", "f32[50,8] i32[4,6]", {{"axis", int64_t{0}}}, "f32[4,6,8]"},
      {"Gather", "f32[50,8] i32[]", {}, "f32[8]"},
      {"Gather",
       "f32[4,50,8] i32[4,6]",
       {{"axis", int64_t{1}}, {"batch_dims", int64_t{1}}},
       "f32[4,6,8]"},
      {"Embedding", "i32[4,6] f32[50,8]", {}, "f32[4,6,8]"},
      {"GatherD", "f32[4,9] i64[4,3]", {{"dim", int64_t{1}}}, "f32[4,3]"},
      {"GatherNd", "f32[4,9,5] i32[7,2]", {}, "f32[7,5]"},
      {"IndexSelect", "f32[4,9] i32[3]", {{"dim", int64_t{1}}}, "f32[4,3]"},
      {"OneHot", "i32[4,6] f16[] f16[]", {{"depth", int64_t{10}}}, "f16[4,6,10]"},
      {"OneHot", "i32[4,6]", {{"depth", int64_t{10}}, {"axis", int64_t{0}}}, "f32[10,4,6]"},
      // Losses.
      {"SoftmaxCrossEntropyWithLogits", "f32[4,10] f32[4,10]", {}, "f32[4] f32[4,10]"},
      {"SparseSoftmaxCrossEntropyWithLogits", "f32[4,10] i32[4]", {}, "f32[]"},
      {"SparseSoftmaxCrossEntropyWithLogits", "f32[4,10] i32[4]", {{"is_grad", true}}, "f32[4,10]"},
      {"NLLLoss", "f32[4,10] i32[4] f32[10]", {{"reduction", "mean"}}, "f32[] f32[]"},
      {"NLLLoss", "f32[4,10] i32[4] f32[10]", {{"reduction", "none"}}, "f32[4] f32[]"},
      {"NLLLoss", "f32[4,10] i32[4] f32[10]", {{"reduction", int64_t{2}}}, "f32[4] f32[]"},
      {"NLLLoss", "f32[4,10] i32[4] f32[10]", {{"reduction", int64_t{0}}}, "f32[] f32[]"},
      {"MSELossExt", "f32[4,10] f32[4,10]", {{"reduction", "none"}}, "f32[4,10]"},
      // Attention.
      {"FlashAttentionScore",
       "f16[2,4,16,8] f16[2,4,32,8] f16[2,4,32,8]",
       {{"head_num", int64_t{4}}, {"input_layout", int64_t{1}}},
       "f32[2,4,16,8] f32[2,4,16,8] f16[1] f16[2,4,16,8]"},
      {"FlashAttentionScore",
       "f16[32,4,8] f16[32,4,8] f16[32,4,8]",
       {{"head_num", int64_t{4}}, {"input_layout", "TND"}},
       "f32[32,4,8] f32[32,4,8] f16[1] f16[32,4,8]"},
      {"FlashAttentionScore",
       "f16[2,16,64] f16[2,16,64] f16[2,16,64]",
       {{"head_num", int64_t{4}}, {"input_layout", "BSH"}},
       "f32[2,4,16,8] f32[2,4,16,8] f16[1] f16[2,16,64]"},
      {"FlashAttentionScore",
       "f16[2,4,16,8] f16[2,4,32,8] f16[2,4,32,8]",
       {{"head_num", int64_t{4}}, {"input_layout", "BNSD"}},
       "f32[2,4,16,8] f32[2,4,16,8] f16[1] f16[2,4,16,8]"},
      // Creating.
      {"Zeros", "", {{"size", Ints{4, 8}}, {"dtype", "i32"}}, "i32[4,8]"},
      {"FillV2", "f16[]", {{"shape", Ints{4}}}, "f16[4]"},
      {"Arange", "", {{"start", int64_t{0}}, {"end", int64_t{10}}, {"step", int64_t{3}}}, "i64[4]"},
      {"Arange", "", {{"start", int64_t{5}}, {"end", int64_t{0}}, {"step", int64_t{-2}}}, "i64[3]"},
      // Windows.
      {"Conv2D", "f32[4,3,32,32] f32[8,3,3,3]", {}, "f32[4,8,30,30]"},
      {"Conv2D",
       "f32[4,3,32,32] f32[8,3,3,3]",
       {{"pad_mode", "same"}, {"stride", Ints{1, 1, 2, 2}}},
       "f32[4,8,16,16]"},
      {"Conv2D",
       "f32[4,3,32,32] f32[8,3,3,3]",
       {{"pad_mode", "pad"}, {"pad", Ints{1, 1, 1, 1}}, {"dilation", int64_t{2}}},
       "f32[4,8,30,30]"},
      {"Conv2D", "f32[4,4,9,9] f32[8,1,3,3]", {{"group", int64_t{4}}}, "f32[4,8,7,7]"},
      {"MaxPool",
       "f32[4,8,17,17]",
       {{"kernel_size", Ints{1, 1, 2, 2}}, {"strides", Ints{1, 1, 2, 2}}, {"pad_mode", "VALID"}},
       "f32[4,8,8,8]"},
      {"AvgPool",
       "f32[4,17,17,8]",
       {{"kernel_size", Ints{2, 2}},
        {"strides", Ints{2, 2}},
        {"pad_mode", int64_t{1}},
        {"data_format", int64_t{1}}},
       "f32[4,9,9,8]"},
      {"AvgPool",
       "f32[4,8,17,17]",
       {{"kernel_size", int64_t{2}}, {"strides", int64_t{2}}, {"pad_mode", "SAME"}},
       "f32[4,8,9,9]"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(Outcome(c), c.results) << c.type << " " << c.inputs;
  }
}

// Every operator of networks that MindSpore exported has the types that the file says.
TEST(OperatorShapes, AreThoseOfMindSpore) {
  for (const std::string name :
       {"mindir/mlp", "mindir/block", "mindir/embedding", "mindir/llama", "mindir/encoder_layer",
        "mindir/convolution", "mindir/tied", "mindir/flash_attention", "mindir/loss", "mindir/mint",
        "mindir/state", "global_batch/gpt", "global_batch/sequence_first", "global_batch/mask",
        "global_batch/mint"}) {
    MemoryFileSystem fs;
    fs.SetFile("net.mindir", testing_support::ReadTestData(name + ".mindir"));
    const Result<Graph> graph = ReadMindir(fs, "net.mindir");
    ASSERT_TRUE(graph.ok()) << graph.status().message();
    const auto types_of = [&](const std::vector<ValueId>& ids) {
      std::vector<TensorType> types;
      for (const ValueId id : ids)
        types.push_back({graph->value(id).dtype, graph->value(id).shape});
      return types;
    };
    for (const Operator& op : graph->operators()) {
      const Result<std::vector<TensorType>> results = ResultTypes(op, types_of(op.inputs));
      ASSERT_TRUE(results.ok()) << name << ": " << results.status().message();
      EXPECT_EQ(testing::TextOf(*results), testing::TextOf(types_of(op.outputs)))
          << name << " " << Describe(op);
    }
  }
}

TEST(OperatorShapes, StridedSlice) {
  struct SliceCase {
    std::string input;
    Ints begin, end, strides;
    Attributes masks;
    std::string result;
  };
  const std::vector<SliceCase> cases = {
      {"f32[4,9]", {0, 3}, {4, 9}, {1, 2}, {}, "f32[4,3]"},
      {"f32[4,9]", {1}, {-1}, {1}, {}, "f32[2,9]"},
      {"f32[4,9]", {0, 8}, {4, 0}, {1, -3}, {}, "f32[4,3]"},
      {"f32[4,9]", {0, 2}, {4, 100}, {1, 1}, {}, "f32[4,7]"},
      {"f32[4,9]", {3, 0}, {1, 9}, {1, 1}, {}, "f32[0,9]"},
      {"f32[4,9]", {1, 3}, {2, 5}, {1, 1}, {{"begin_mask", int64_t{2}}}, "f32[1,5]"},
      {"f32[4,9]", {1, 3}, {2, 5}, {1, 1}, {{"end_mask", int64_t{3}}}, "f32[3,6]"},
      {"f32[4,9]",
       {0, 3},
       {0, 5},
       {1, -1},
       {{"begin_mask", int64_t{3}}, {"end_mask", int64_t{3}}},
       "f32[4,9]"},
      {"f32[4,9]", {2, 0}, {3, 9}, {1, 1}, {{"shrink_axis_mask", int64_t{1}}}, "f32[9]"},
      {"f32[4,9]", {0, 0, 0}, {4, 0, 9}, {1, 1, 1}, {{"new_axis_mask", int64_t{2}}}, "f32[4,1,9]"},
      {"f32[4,5,6,9]",
       {0, 0, 1},
       {2, 0, 3},
       {1, 1, 1},
       {{"ellipsis_mask", int64_t{2}}},
       "f32[2,5,6,2]"},
      {"f32[4,9]", {0, 0, 0}, {1, 1, 1}, {1, 1, 1}, {}, "StridedSlice 'op': 3 entries for [4,9]"},
      {"f32[4,9]",
       {0},
       {1},
       {0},
       {},
       "StridedSlice 'op': begin (0), end (1) and strides (0) are no slice"},
  };
  for (const SliceCase& c : cases) {
    Case call = {"StridedSlice", c.input, c.masks, c.result};
    call.attributes.Set("begin", c.begin);
    call.attributes.Set("end", c.end);
    call.attributes.Set("strides", c.strides);
    EXPECT_EQ(Outcome(call), c.result) << c.input;
  }
}

TEST(OperatorShapes, ErrorsNameTheOperatorAndBothSides) {
  const std::vector<Case> cases = {
      {"LayerNorm2",
       "f32[4]",
       {},
       "LayerNorm2 'op': the shapes of results are not known for this type of operator; near it: "
       "LayerNorm, LayerNormV3, LayerNormExt"},
      {"MatMul",
       "f32[32,784] f32[512,10]",
       {},
       "MatMul 'op': 784 columns of [32,784] against 512 rows of [512,10]"},
      {"MatMul", "f32[32,784]", {}, "MatMul 'op': takes 2 tensors, here 1"},
      {"MatMul",
       "f32[2,32,784] f32[784,10]",
       {},
       "MatMul 'op': multiplies matrices of 2 dims, here [2,32,784] by [784,10]"},
      {"BatchMatMul",
       "f32[2,4,5] f32[3,5,6]",
       {},
       "BatchMatMul 'op': the batches of [2,4,5] and [3,5,6] do not broadcast"},
      {"Add", "f32[4,8] f32[7]", {}, "Add 'op': [4,8] and [7] do not broadcast: 8 against 7"},
      {"Cast", "f32[4]", {{"dtype", "f31"}}, "Cast 'op': dtype = 'f31' is no element type"},
      {"Cast", "f32[4]", {{"dtype", int64_t{99}}}, "Cast 'op': dtype = 99 is no element type"},
      {"Cast", "f32[4]", {}, "Cast 'op': the attribute dtype is missing"},
      {"BiasAdd", "f32[4,8] f32[7]", {}, "BiasAdd 'op': adds a bias of [7] along dim 1 of [4,8]"},
      {"Softmax",
       "f32[4,8]",
       {{"axis", int64_t{2}}},
       "Softmax 'op': axis 2 is none of the 2 dims of [4,8]"},
      {"LayerNorm",
       "f32[4,8] f32[7] f32[8]",
       {},
       "LayerNorm 'op': input 1 [7] is not the last dims of [4,8]"},
      {"ReduceSum",
       "f32[4,8]",
       {{"axis", Ints{0, -2}}},
       "ReduceSum 'op': axis names dim 0 of [4,8] twice"},
      {"Reshape",
       "f32[4,8]",
       {{"shape", Ints{3, -1}}},
       "Reshape 'op': [4,8] has 32 elements, (3,-1) has 30"},
      {"Reshape",
       "f32[4,8]",
       {},
       "Reshape 'op': the attribute shape is missing, or no list of integers"},
      {"Reshape", "f32[4]", {{"shape", Ints{-1, -1}}}, "Reshape 'op': no shape: [-1,-1]"},
      {"Reshape", "f32[4]", {{"shape", Ints(17, 1)}}, "Reshape 'op': makes more than 16 dims"},
      {"Transpose",
       "f32[4,8,2]",
       {{"dims", Ints{1, 0}}},
       "Transpose 'op': exchanges 2 dims, but [4,8,2] has 3"},
      {"BroadcastTo",
       "f32[3,8]",
       {{"shape", Ints{4, 8}}},
       "BroadcastTo 'op': [3,8] does not broadcast to (4,8)"},
      {"Squeeze", "f32[4,8]", {{"axis", int64_t{0}}}, "Squeeze 'op': dim 0 of [4,8] is 4, not 1"},
      {"Split",
       "f32[4,9]",
       {{"axis", int64_t{1}}, {"output_num", int64_t{2}}},
       "Split 'op': dim 1 of [4,9] is not divisible by 2"},
      {"SplitWithSize",
       "f32[7]",
       {{"split_size", Ints{4, 2}}},
       "SplitWithSize 'op': pieces (4,2) do not make up dim 0 of [7]"},
      {"Concat",
       "f32[4,3] f32[5,3]",
       {{"axis", int64_t{1}}},
       "Concat 'op': input 1 [5,3] does not continue [4,3] along dim 1"},
      {"Slice",
       "f32[4]",
       {{"begin", Ints{2}}, {"size", Ints{3}}},
       "Slice 'op': begin (2) and size (3) are not within [4]"},
      {"NLLLoss", "f32[4,10] i32[5] f32[10]", {}, "NLLLoss 'op': logits [4,10] against labels [5]"},
      {"Conv2D",
       "f32[4,3,32,32] f32[8,4,3,3]",
       {},
       "Conv2D 'op': [4,3,32,32] with a weight of [8,4,3,3] in 1 groups"},
      {"MaxPool",
       "f32[4,8,2,2]",
       {{"kernel_size", int64_t{3}}},
       "MaxPool 'op': a window of 3 does not fit 2 + 0 padding (input [4,8,2,2])"},
  };
  for (const Case& c : cases) EXPECT_EQ(Outcome(c), c.results) << c.type;
}

// Attributes and shapes may come from a file that lies.
TEST(OperatorShapes, NothingHostileMakesNegativeDims) {
  const std::vector<std::string> names = {"axis",
                                          "dim",
                                          "dims",
                                          "shape",
                                          "size",
                                          "begin",
                                          "end",
                                          "strides",
                                          "k",
                                          "split_size",
                                          "chunks",
                                          "depth",
                                          "kernel_size",
                                          "stride",
                                          "pad",
                                          "start",
                                          "step",
                                          "repeats",
                                          "n",
                                          "m",
                                          "output_num",
                                          "length",
                                          "groups",
                                          "dim0",
                                          "dim1",
                                          "num_groups",
                                          "batch_dims",
                                          "begin_norm_axis",
                                          "start_dim",
                                          "end_dim",
                                          "ellipsis_mask",
                                          "dilation",
                                          "head_num",
                                          "normalized_shape"};
  const std::string large = "f32[9223372036854775807,3,0,9223372036854775807]";
  const std::vector<std::string> inputs = {"",
                                           large,
                                           large + " " + large,
                                           large + " f32[2]",
                                           large + " " + large + " " + large,
                                           "f32[] f32[] f32[]",
                                           "f32[9223372036854775807] f32[9223372036854775807]"};
  int64_t results = 0;
  for (const std::string_view type : TypesWithResultTypes()) {
    for (const int64_t value : {INT64_MAX, INT64_MIN, int64_t{0}, int64_t{-1}, int64_t{1}}) {
      for (const size_t length : {0, 1, 4, 20}) {
        Operator op;
        op.type = type;
        for (const std::string& name : names) {
          op.attributes.Set(name, value);
          if (length > 0) op.attributes.Set(name, Ints(length, value));
        }
        for (const std::string& text : inputs) {
          const auto types = ResultTypes(op, testing::TypesOf(text));
          if (!types.ok()) continue;
          for (const TensorType& result : *types) {
            ++results;
            for (const int64_t dim : result.shape) EXPECT_GE(dim, 0) << type << " " << text;
          }
        }
      }
    }
  }
  EXPECT_GT(results, 1'000);
}

TEST(OperatorShapes, TypesAreAscendingAndKnown) {
  const std::vector<std::string_view> types = TypesWithResultTypes();
  EXPECT_TRUE(std::is_sorted(types.begin(), types.end()));
  EXPECT_EQ(std::set<std::string_view>(types.begin(), types.end()).size(), types.size());
  EXPECT_TRUE(HasResultTypes("MatMul"));
  EXPECT_FALSE(HasResultTypes("Nonsense"));
}

}  // namespace
}  // namespace relayout
