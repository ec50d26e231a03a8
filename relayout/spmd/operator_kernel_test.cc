// SPDX-License-Identifier: Apache-2.0
//
// Operators, whole on one rank, against what MindSpore calculated on a CPU: what their attributes
// mean (tests/data/spmd/operators.txt). And what the table of kernels refuses.
#include "relayout/spmd/operator_kernel.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/graph/mindir.h"
#include "relayout/io/posix_file_system.h"
#include "tests/spmd/operators.h"
#include "tests/spmd/testing.h"

namespace relayout {
namespace {

using testing::KernelStatus;
using testing::OperatorCase;
using Ints = std::vector<int64_t>;

// --- MindSpore ----------------------------------------------------------------------------------

struct Row {
  std::string name;  // Of the case; up to a slash it is the type, unless that is given.
  Attributes attributes = {};
  std::string type = {};
};

Attributes Ignoring(const std::string& reduction) {
  return {{"reduction", reduction}, {"ignore_index", int64_t{1}}};
}

std::vector<Row> Rows() {
  return {
      {"NLLLoss/mean", Ignoring("mean")},
      {"NLLLoss/sum", Ignoring("sum")},
      {"NLLLoss/none", {{"reduction", int64_t{2}}, {"ignore_index", int64_t{-100}}}},
      {"CrossEntropyLoss/mean", Ignoring("mean")},
      {"CrossEntropyLoss/sum", {{"reduction", int64_t{0}}, {"ignore_index", int64_t{1}}}},
      {"CrossEntropyLoss/none", Ignoring("none")},
      {"SparseSoftmaxCrossEntropyWithLogits", {{"is_grad", false}, {"sens", 1.0}}},
      {"SoftmaxCrossEntropyWithLogits"},
      {"LayerNorm", {{"epsilon", 1e-3}}},
      {"LayerNorm/last",
       {{"begin_norm_axis", int64_t{-1}}, {"begin_params_axis", int64_t{-1}}, {"epsilon", 1e-7}}},
      {"LogSoftmax/0", {{"axis", int64_t{0}}}},
      {"Softmax/tuple", {{"axis", Ints{-2}}}},
      {"StridedSlice/steps", {{"begin", Ints{0, 1}}, {"end", Ints{4, 6}}, {"strides", Ints{1, 2}}}},
      {"StridedSlice/back",
       {{"begin", Ints{0, -1}}, {"end", Ints{4, -7}}, {"strides", Ints{1, -2}}}},
      {"StridedSlice/masks",
       {{"begin", Ints{7, 4, 1, 0}},
        {"end", Ints{9, 9, 2, 1}},
        {"strides", Ints{1, 1, 1, 1}},
        {"begin_mask", int64_t{0b0001}},
        {"end_mask", int64_t{0b0011}},
        {"new_axis_mask", int64_t{0b1000}},
        {"shrink_axis_mask", int64_t{0b0100}}}},
      {"Slice", {{"begin", Ints{1, 2}}, {"size", Ints{3, 2}}}},
      {"Split", {{"axis", int64_t{1}}, {"output_num", int64_t{3}}}},
      {"Concat", {{"axis", int64_t{-1}}}},
      {"Stack", {{"axis", int64_t{1}}}},
      {"Transpose", {{"dims", Ints{0, 2, -1, 1}}}},
      {"BroadcastTo", {{"shape", Ints{3, -1, 6}}}},
      {"Tile", {{"dims", Ints{3, 2, 1}}}},
      {"ExpandDims", {{"axis", int64_t{-1}}}},
      {"Flatten"},
      {"Gather", {{"axis", int64_t{1}}, {"batch_dims", int64_t{0}}}},
      {"EmbeddingLookup", {{"offset", int64_t{2}}}},
      {"OneHot", {{"depth", int64_t{5}}, {"axis", int64_t{-1}}}},
      {"OneHot/0", {{"depth", int64_t{3}}, {"axis", int64_t{0}}}},
      {"ReduceMean", {{"axis", Ints{0, -1}}, {"keep_dims", true}}},
      {"ReduceSum", {{"axis", Ints{}}, {"keep_dims", false}, {"skip_mode", false}}},
      {"BiasAdd", {{"data_format", int64_t{0}}}},
      {"Dense"},
      {"AddN"},
      {"RealDiv"},
      {"Sub"},
      {"Pow", {{"exponent", 2.5}}},
      {"Log"},
      {"Erf"},
      {"Gelu/erf", {{"approximate", std::string("none")}}, "GeluExt"},
      {"Cast", {{"dtype", int64_t{34}}}},
      {"Tril", {{"diagonal", int64_t{1}}}},
      {"Triu", {{"diagonal", int64_t{-1}}}},
  };
}

OperatorCase CaseOf(const Row& row, const MindSporeCase& tensors) {
  OperatorCase c;
  c.type = row.type.empty() ? row.name.substr(0, row.name.find('/')) : row.type;
  c.attributes = row.attributes;
  c.output_gradients = tensors.Has("dy") ? 1 : 0;
  for (size_t i = 0; tensors.Has(Format("x{}", i)); ++i) {
    const Tensor& x = tensors[Format("x{}", i)];
    c.inputs += Format("{}{}{}", i == 0 ? "" : " ", ShortName(x.dtype()), ToText(x.shape()));
  }
  return c;
}

testing::WholeTensors TensorsOf(const testing::OneOperator& one, const MindSporeCase& tensors) {
  testing::WholeTensors whole;
  for (size_t i = 0; i < one.op().inputs.size(); ++i) {
    whole.inputs.push_back(tensors[Format("x{}", i)].Clone());
  }
  for (size_t i = 0; i < one.op().outputs.size(); ++i) {
    const bool is_given = i == 0 && tensors.Has("dy");
    whole.output_gradients.push_back(is_given ? tensors["dy"].Clone()
                                              : Tensor(one.output(i).dtype, one.output(i).shape));
  }
  return whole;
}

// CrossEntropyLoss runs on other devices only. Here it is the function that is made of others, of
// which the first output and gradient are the same.
bool IsMindSpores(const Row& row, size_t index) {
  return index == 0 || row.name.find("CrossEntropyLoss") == std::string::npos;
}

TEST(OperatorKernels, EqualMindSpores) {
  const auto cases = ReadMindSporeCases("operators.txt");
  std::set<std::string> checked;
  for (const Row& row : Rows()) {
    SCOPED_TRACE(row.name);
    ASSERT_EQ(cases.count(row.name), 1U);
    const MindSporeCase& tensors = cases.at(row.name);
    const OperatorCase c = CaseOf(row, tensors);
    const testing::OneOperator one(c);
    const auto kernel = KernelOf(one.graph(), one.op());
    ASSERT_TRUE(kernel.ok()) << kernel.status().message();
    const auto made =
        testing::RunOnRanks(c, one, **kernel, testing::OnOneRank(one), TensorsOf(one, tensors));
    for (size_t i = 0; i < one.op().outputs.size(); ++i) {
      SCOPED_TRACE(Format("output {}", i));
      if (!IsMindSpores(row, i)) continue;
      testing::ExpectClose(made[0].outputs[i], tensors[Format("y{}", i)], 2e-5);
    }
    for (size_t i = 0; i < made[0].input_gradients.size(); ++i) {
      if (one.input(i).dtype != DType::kFloat32 || !IsMindSpores(row, i)) continue;
      SCOPED_TRACE(Format("gradient of input {}", i));
      testing::ExpectClose(made[0].input_gradients[i], tensors[Format("dx{}", i)], 2e-5);
    }
    checked.insert(row.name);
  }
  EXPECT_EQ(checked.size(), cases.size());
}

// --- The table ----------------------------------------------------------------------------------

TEST(OperatorKernels, AreOfTypesThatInferKnows) {
  for (const std::string_view type : KernelTypes()) {
    EXPECT_NE(FindRule(type), nullptr) << type;
    EXPECT_TRUE(HasResultTypes(type)) << type;
  }
}

struct Refusal {
  std::string type;
  std::string inputs;
  Attributes attributes;
  std::string words;
};

TEST(OperatorKernels, SayWhatTheyCannotDo) {
  const Refusal refusals[] = {
      {"Sin", "f32[4]", {}, "relayout cannot run operators of this type"},
      {"ReLU", "f16[4,2]", {}, "input 0 is f16[4,2], but relayout runs it on f32 only"},
      {"Add", "f32[4] i32[4]", {}, "input 1 is i32[4], but relayout runs it on f32 only"},
      {"Cast",
       "f32[4]",
       {{"dtype", int64_t{42}}},
       "output 0 is f16[4], but relayout runs it on f32 and i32 only"},
      {"Reshape", "i64[4]", {{"shape", Ints{2, 2}}}, "runs it on f32 and i32 only"},
      {"Add", "f32[4]", {}, "has one tensor, so that relayout needs a number for input or other"},
      {"SubExt", "f32[4] f32[4]", {{"alpha", 0.5}}, "alpha is 0.5, but relayout runs it with 1"},
      {"GeluExt",
       "f32[4]",
       {{"approximate", std::string("some")}},
       "approximate is some, but relayout runs it with none and tanh only"},
      {"Log", "f32[4]", {{"base", 2.0}}, "base is 2, but relayout runs it with -1 only"},
      {"Pow",
       "f32[4] f32[4]",
       {},
       "its exponent is input 'x', f32[4], but relayout runs it with "
       "a constant of one element only"},
      {"MatMulExt", "f32[2,4] f32[4]", {}, "input 1 is f32[4], but relayout runs it on tensors of"},
      {"Softmax",
       "f32[2,4]",
       {{"axis", Ints{0, 1}}},
       "axis is (0,1), but relayout runs it with "
       "one dim only"},
      {"LogSoftmaxExt", "f32[2,4]", {}, "dim is nothing, but relayout runs it with one dim only"},
      {"LayerNorm",
       "f32[4,2,6] f32[6] f32[6]",
       {{"begin_params_axis", int64_t{2}}},
       "begin_params_axis is 2"},
      {"LayerNormExt",
       "f32[4,6]",
       {{"normalized_shape", Ints{6}}, {"eps", 1e-5}},
       "has 1 tensor for inputs, but relayout runs it on 3 tensors"},
      {"Dropout", "f32[4]", {{"keep_prob", 0.0}}, "keep_prob is 0, but relayout runs it with"},
      {"StridedSlice",
       "f32[4]",
       {{"begin", Ints{0}}, {"end", Ints{4}}, {"strides", Ints{1}}, {"ellipsis_mask", int64_t{1}}},
       "ellipsis_mask is 1, but relayout runs it with 0 only"},
      {"Gather", "f32[2,4] i64[2]", {{"axis", int64_t{0}}}, "input 1 is i64[2]"},
      {"Gather",
       "f32[2,4] i32[2,2]",
       {{"axis", int64_t{1}}, {"batch_dims", int64_t{1}}},
       "batch_dims is 1, but relayout runs it with 0 only"},
      {"Embedding",
       "i32[2] f32[8,4]",
       {{"padding_idx", int64_t{0}}},
       "padding_idx is 0, but relayout runs it with nothing only"},
      {"OneHot", "i32[4]", {{"depth", int64_t{3}}}, "on_value is nothing, but relayout runs it"},
      {"ReduceSum",
       "f32[4]",
       {{"skip_mode", true}},
       "skip_mode is true, but relayout runs it "
       "with false only"},
      {"NLLLoss", "f32[4,2] i64[4]", {}, "input 1 is i64[4], but relayout runs it on i32 only"},
      {"NLLLoss",
       "f32[4,2] i32[4]",
       {{"reduction", std::string("most")}},
       "reduction is most, but relayout runs it with mean, sum and none only"},
      {"CrossEntropyLoss",
       "f32[4,2] i32[4]",
       {{"label_smoothing", 0.1}},
       "label_smoothing is 0.1, but relayout runs it with 0 only"},
      {"SparseSoftmaxCrossEntropyWithLogits",
       "f32[4,2] i32[4]",
       {{"is_grad", true}},
       "is_grad is true, but relayout runs it with false only"}};
  for (const Refusal& refusal : refusals) {
    SCOPED_TRACE(refusal.type + " " + refusal.inputs);
    const Status status = KernelStatus(refusal.type, refusal.inputs, refusal.attributes);
    EXPECT_EQ(status.code(), StatusCode::kUnsupported);
    EXPECT_NE(status.message().find(Format("{} 'Default/{}-op0': ", refusal.type, refusal.type)),
              std::string::npos)
        << status.message();
    EXPECT_NE(status.message().find(refusal.words), std::string::npos) << status.message();
  }
}

// The networks of tests/data/mindir: what of each has no kernel.
TEST(OperatorKernels, RunWhatMindSporeExports) {
  struct Network {
    std::string name;
    std::string refusals;  // Types.
  };
  const auto fs = NewPosixFileSystem();
  for (const Network& network :
       {Network{"block", ""}, Network{"embedding", ""}, Network{"encoder_layer", ""},
        Network{"mlp", ""}, Network{"recompute", ""}, Network{"tied", ""},
        Network{"llama", "Cast Cast "},  // To f16 and back.
        Network{"loss", "ReduceMax Equal MaskedFill GatherD MaskedFill MaskedFill MaskedFill "}}) {
    SCOPED_TRACE(network.name);
    const auto graph =
        ReadMindir(*fs, Format("{}/mindir/{}.mindir", RELAYOUT_TEST_DATA, network.name));
    ASSERT_TRUE(graph.ok()) << graph.status().message();
    std::string refusals;
    for (const Operator& op : graph->operators()) {
      if (!KernelOf(*graph, op).ok()) refusals += op.type + " ";
    }
    EXPECT_EQ(refusals, network.refusals);
  }
}

TEST(OperatorKernels, OfATypeThatIsNotThereNameOneThatIs) {
  const Status status = KernelStatus("Tan", "f32[4]");
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_NE(status.message().find("Tanh"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace relayout
