// SPDX-License-Identifier: Apache-2.0
//
// A line an operator: what MindSpore 2.10 makes of it. "oracle" says that MindSpore's own frontend
// was asked, with parameters as the operator's inputs, and wrote these layouts of theirs; results
// follow from its sources.
#include "relayout/infer/operator_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

using ::testing::HasSubstr;

// "[2,3]", "((2,1),(3,))": the numbers in each innermost pair of brackets.
std::vector<std::vector<int64_t>> Lists(const std::string& text, const std::string& open,
                                        const std::string& close) {
  std::vector<std::vector<int64_t>> lists;
  bool inside = false;
  std::string number;
  const auto finish_number = [&] {
    if (!number.empty()) lists.back().push_back(std::stoll(number));
    number.clear();
  };
  for (const char c : text) {
    if (open.find(c) != std::string::npos) {
      lists.emplace_back();
      inside = true;
    } else if (close.find(c) != std::string::npos) {
      if (inside) finish_number();
      inside = false;
    } else if (inside && c == ',') {
      finish_number();
    } else if (inside) {
      number += c;
    }
  }
  return lists;
}

// "((2,1),())" without its outer brackets.
std::optional<Cuts> ParseCuts(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return Lists(text.substr(1, text.size() - 2), "(", ")");
}

// "axis=1 keep_dims=true perm=[1,0] input_layout=BSH"
Attributes ParseAttributes(const std::string& text) {
  Attributes attributes;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    const std::string entry = text.substr(begin, end - begin);
    const std::string name = entry.substr(0, entry.find('='));
    const std::string value = entry.substr(entry.find('=') + 1);
    if (value == "true" || value == "false") {
      attributes.Set(name, value == "true");
    } else if (value[0] == '[') {
      attributes.Set(name, Lists(value, "[", "]")[0]);
    } else if (std::isalpha(static_cast<unsigned char>(value[0])) != 0) {
      attributes.Set(name, value);
    } else {
      attributes.Set(name, static_cast<int64_t>(std::stoll(value)));
    }
    begin = end + 1;
  }
  return attributes;
}

Dims ToDims(const std::vector<int64_t>& numbers) {
  Dims dims;
  for (const int64_t number : numbers) dims.push_back(number);
  return dims;
}

// "Concat [4,6] [4,2] -> [4,8]": one operator whose inputs are parameters w0, w1, ...
Graph OneOperator(const std::string& text, const std::string& attributes, const std::string& cuts) {
  Graph graph;
  Operator op;
  op.type = text.substr(0, text.find(' '));
  op.name = Format("Default/{}-op0", op.type);
  const size_t arrow = text.find("->");
  for (const auto& numbers : Lists(text.substr(0, arrow), "[", "]")) {
    const std::string name = Format("w{}", op.inputs.size());
    op.inputs.push_back(graph.AddParameter(name, {DType::kFloat32, ToDims(numbers)}).value());
  }
  std::vector<TensorType> results;
  for (const auto& numbers : Lists(text.substr(arrow), "[", "]")) {
    results.push_back({DType::kFloat32, ToDims(numbers)});
  }
  op.attributes = ParseAttributes(attributes);
  op.cuts = ParseCuts(cuts);
  graph.AddOperator(std::move(op), results);
  return graph;
}

Result<OperatorLayout> LayOutOne(const Graph& graph, int64_t device_count) {
  const Operator& op = graph.op(0);
  RELAYOUT_ASSIGN_OR_RETURN(const OperatorRule* const rule, RuleOf(op));
  RELAYOUT_ASSIGN_OR_RETURN(const OperatorAxes axes, rule->axes(graph, op));
  RELAYOUT_ASSIGN_OR_RETURN(const AxisCuts cuts, ChosenCuts(graph, op, *rule, axes, device_count));
  return LayOut(graph, op, *rule, axes, cuts, device_count);
}

// "{a:2,b:4} (a,-) (b) -> (a,b)".
std::string ToText(const OperatorLayout& layout) {
  const auto split = [](const Layout& one) {
    const std::string text = ToText(one);
    return std::pair(text.substr(0, text.find(' ')), text.substr(text.find(' ')));
  };
  std::string text;
  for (const Layout& one : layout.inputs) {
    if (text.empty()) text = split(one).first;
    text += split(one).second;
  }
  text += " ->";
  for (const Layout& one : layout.outputs) text += split(one).second;
  return text;
}

enum Source { oracle, sources };

struct Case {
  std::string op;
  std::string attributes;
  std::string cuts;
  std::string want;
  Source source = oracle;
  int64_t devices = 8;
};

void ExpectLayouts(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    const std::string what = Format("{} {} {}", c.op, c.attributes, c.cuts);
    const Graph graph = OneOperator(c.op, c.attributes, c.cuts);
    const auto layout = LayOutOne(graph, c.devices);
    ASSERT_TRUE(layout.ok()) << what << "\n" << layout.status().message();
    EXPECT_EQ(ToText(*layout), c.want) << what;
  }
}

struct Refusal {
  std::string op;
  std::string attributes;
  std::string cuts;
  std::vector<std::string> words;
  int64_t devices = 8;
};

void ExpectRefusals(const std::vector<Refusal>& refusals) {
  for (const Refusal& r : refusals) {
    const std::string what = Format("{} {} {}", r.op, r.attributes, r.cuts);
    const Graph graph = OneOperator(r.op, r.attributes, r.cuts);
    const auto layout = LayOutOne(graph, r.devices);
    ASSERT_FALSE(layout.ok()) << what;
    EXPECT_THAT(layout.status().message(), HasSubstr(Describe(graph.op(0))));
    for (const std::string& word : r.words) {
      EXPECT_THAT(layout.status().message(), HasSubstr(word)) << what;
    }
  }
}

TEST(OperatorRule, Matrices) {
  ExpectLayouts({
      {"MatMul [12,16] [16,8] -> [12,8]", "", "", "{a:4,b:2} (a,-) (-,-) -> (a,-)"},
      {"MatMul [16,32] [16,8] -> [32,8]", "transpose_a=true", "", "{a:8} (-,a) (-,-) -> (a,-)"},
      {"MatMul [32,16] [8,16] -> [32,8]", "transpose_b=true", "((2,2),(2,2))",
       "{a:2,b:2,c:2} (a,b) (c,b) -> (a,c)"},
      {"BatchMatMul [12,4,8] [12,8,4] -> [12,4,4]", "", "", "{a:4,b:2} (a,-,-) (a,-,-) -> (a,-,-)"},
      {"BatchMatMul [16,4,8] [1,8,4] -> [16,4,4]", "", "", "{a:8} (-,-,-) (-,-,-) -> (-,-,-)"},
      {"BatchMatMul [16,4,8] [8,4] -> [16,4,4]", "", "", "{a:8} (a,-,-) (-,-) -> (a,-,-)"},
      {"BatchMatMul [4,8] [16,8,4] -> [16,4,4]", "", "", "{a:8} (-,-) (a,-,-) -> (a,-,-)"},
      {"BatchMatMul [2,16,4,8] [16,8,4] -> [2,16,4,4]", "", "",
       "{a:2,b:4} (a,-,-,-) (-,-,-) -> (a,-,-,-)"},
      {"BatchMatMulExt [4,32,16] [4,16,8] -> [4,32,8]", "", "((2,2,2),(2,2,1))",
       "{a:2,b:2,c:2} (a,b,c) (a,c,-) -> (a,b,-)"},
      {"MatMulExt [4,32,16] [16,8] -> [4,32,8]", "", "((2,2,2),(2,1))",
       "{a:2,b:2,c:2} (a,b,c) (c,-) -> (a,b,-)"},
      {"MatMulExt [32,4,16] [32,16,8] -> [32,4,8]", "", "", "{a:8} (a,-,-) (a,-,-) -> (a,-,-)"},
  });
}

TEST(OperatorRule, ElementByElement) {
  ExpectLayouts({
      {"GeLU [32,16] -> [32,16]", "", "((2,2),)", "{a:2,b:2,c:2} (a,b) -> (a,b)"},
      {"Add [32,16] [16] -> [32,16]", "", "((2,2),(2))", "{a:2,b:2,c:2} (a,b) (b) -> (a,b)"},
      {"Add [12,16] [12,16] -> [12,16]", "", "", "{a:4,b:2} (a,-) (a,-) -> (a,-)"},
      {"Add [1,8,32] [16,8,32] -> [16,8,32]", "", "", "{a:8} (-,-,-) (a,-,-) -> (a,-,-)"},
      {"Add [8,32] [16,8,32] -> [16,8,32]", "", "", "{a:8} (-,-) (a,-,-) -> (a,-,-)"},
      {"Add [1,8,32] [12,8,32] -> [12,8,32]", "", "", "{a:4,b:2} (-,-,-) (a,-,-) -> (a,-,-)"},
      {"Mul [32,16] [] -> [32,16]", "", "((2,2),())", "{a:2,b:2,c:2} (a,b) () -> (a,b)"},
      // What x * 2.0 and the like become; a number that is no tensor is not in the annotation.
      {"Muls [12,32] -> [12,32]", "other=2", "", "{a:4,b:2} (a,-) -> (a,-)"},
      {"Mul [12,32] -> [12,32]", "other=2", "", "{a:4,b:2} (a,-) -> (a,-)", sources},
      {"Mul [32,16] -> [32,16]", "other=2", "((2,2),)", "{a:2,b:2,c:2} (a,b) -> (a,b)", sources},
      {"FmodScalar [12,32] -> [12,32]", "other=3", "", "{a:4,b:2} (a,-) -> (a,-)"},
      {"RemainderTensorScalar [12,32] -> [12,32]", "other=3", "", "{a:4,b:2} (a,-) -> (a,-)"},
      {"Mul [32,16] [] -> [32,16]", "", "((2,2),)", "{a:2,b:2,c:2} (a,b) () -> (a,b)", sources},
      {"SubExt [32,16] [16] -> [32,16]", "", "((2,4),(4))", "{a:2,b:4} (a,b) (b) -> (a,b)"},
      {"BiasAdd [12,16] [16] -> [12,16]", "", "", "{a:4,b:2} (a,-) (-) -> (a,-)"},
      {"BiasAdd [32,16] [16] -> [32,16]", "", "((2,4),(4))", "{a:2,b:4} (a,b) (b) -> (a,b)"},
      {"PReLU [32,16,4] [16] -> [32,16,4]", "", "((2,4,1),(4))",
       "{a:2,b:4} (a,b,-) (b) -> (a,b,-)"},
      {"PReLU [32,16,4] [1] -> [32,16,4]", "", "((2,4,1),(1))", "{a:2,b:4} (a,b,-) (-) -> (a,b,-)"},
      {"AddN [32,16] [32,16] -> [32,16]", "", "((4,2),(4,2))", "{a:4,b:2} (a,b) (a,b) -> (a,b)"},
      {"AddN [12,16] [12,16] -> [12,16]", "", "", "{a:4,b:2} (a,-) (a,-) -> (a,-)"},
      {"Assign [12,16] [12,16] -> [12,16]", "", "", "{a:4,b:2} (a,-) (a,-) -> (a,-)"},
      {"AssignAdd [32,16] [32,16] -> [32,16]", "", "((2,4),(2,4))",
       "{a:2,b:4} (a,b) (a,b) -> (a,b)"},
      {"Select [12,16] [12,16] [12,16] -> [12,16]", "", "", "{a:4,b:2} (a,-) (a,-) (a,-) -> (a,-)"},
      {"MaskedFill [32,16,8] [1,16,8] [] -> [32,16,8]", "", "",
       "{a:8} (a,-,-) (-,-,-) () -> (a,-,-)"},
      {"MaskedFill [32,16,8] [1,16,8] [] -> [32,16,8]", "", "((2,2,2),(1,2,2),())",
       "{a:2,b:2,c:2} (a,b,c) (-,b,c) () -> (a,b,c)"},
      {"Lerp [12,16] [12,16] [] -> [12,16]", "", "", "{a:4,b:2} (a,-) (a,-) () -> (a,-)"},
      {"Dropout [32,16] -> [32,16] [32,16]", "", "((2,4),)", "{a:2,b:4} (a,b) -> (a,b) (a,b)"},
      {"DropoutExt [12,16] -> [12,16] [32]", "", "", "{a:4,b:2} (a,-) -> (a,-) (-)"},
  });
  ExpectRefusals({
      {"Select [32,1] [32,16] [16] -> [32,16]", "", "", {"one shape", "[32,1]", "[32,16]"}},
      {"Add [32,3] [16] -> [32,16]", "", "", {"input 0 [32,3]", "[32,16]"}},
      {"BiasAdd [32,16] [8] -> [32,16]", "", "", {"[8]", "dim 1 of [32,16]"}},
  });
}

TEST(OperatorRule, Normalizations) {
  ExpectLayouts({
      {"Softmax [32,16] -> [32,16]", "axis=-1", "", "{a:8} (a,-) -> (a,-)"},
      {"Softmax [12,16] -> [12,16]", "axis=-1", "", "{a:4,b:2} (a,-) -> (a,-)"},
      {"Softmax [1,16] -> [1,16]", "axis=-1", "", "{a:8} (-,-) -> (-,-)"},
      {"Softmax [32,16,8] -> [32,16,8]", "axis=[-1]", "((2,2,1),)",
       "{a:2,b:2,c:2} (a,b,-) -> (a,b,-)"},
      {"Softmax [32,16] -> [32,16]", "axis=0", "((1,4),)", "{a:4,b:2} (-,a) -> (-,a)"},
      {"LogSoftmax [12,16] -> [12,16]", "axis=-1", "", "{a:4,b:2} (a,-) -> (a,-)"},
      {"L2Normalize [32,16] -> [32,16]", "axis=1", "((4,1),)", "{a:4,b:2} (a,-) -> (a,-)"},
      {"Swiglu [32,16] -> [32,8]", "dim=-1", "((2,1),)", "{a:2,b:4} (a,-) -> (a,-)"},
      {"LayerNorm [32,16,24] [24] [24] -> [32,16,24] [32,16,1] [32,16,1]",
       "begin_norm_axis=-1 begin_params_axis=-1", "",
       "{a:8} (a,-,-) (-) (-) -> (a,-,-) (a,-,-) (a,-,-)"},
      {"LayerNorm [32,16,24] [24] [24] -> [32,16,24] [32,16,1] [32,16,1]",
       "begin_norm_axis=2 begin_params_axis=2", "((2,2,1),(1),(1))",
       "{a:2,b:2,c:2} (a,b,-) (-) (-) -> (a,b,-) (a,b,-) (a,b,-)"},
      {"LayerNorm [32,16,24] [16,24] [16,24] -> [32,16,24] [32,1,1] [32,1,1]",
       "begin_norm_axis=1 begin_params_axis=1", "((2,1,1),(1,1),(1,1))",
       "{a:2,b:4} (a,-,-) (-,-) (-,-) -> (a,-,-) (a,-,-) (a,-,-)"},
      {"LayerNorm [32,16,24] [16,24] [16,24] -> [32,16,24] [32,16,1] [32,16,1]",
       "begin_norm_axis=2 begin_params_axis=1", "((2,2,1),(2,1),(2,1))",
       "{a:2,b:2,c:2} (a,b,-) (b,-) (b,-) -> (a,b,-) (a,b,-) (a,b,-)"},
      {"LayerNorm [12,16,24] [24] [24] -> [12,16,24] [12,16,1] [12,16,1]",
       "begin_norm_axis=-1 begin_params_axis=-1", "",
       "{a:4,b:2} (a,-,-) (-) (-) -> (a,-,-) (a,-,-) (a,-,-)"},
      {"RmsNorm [32,16,24] [24] -> [32,16,24] [32,16,1]", "", "((2,2,1),(1))",
       "{a:2,b:2,c:2} (a,b,-) (-) -> (a,b,-) (a,b,-)"},
      {"RmsNorm [32,16,24] [24] -> [32,16,24] [32,16,1]", "", "((2,2,2),(2))",
       "{a:2,b:2,c:2} (a,b,c) (c) -> (a,b,c) (a,b,-)"},
      {"BatchNorm [32,16,8,8] [16] [16] [16] [16] -> [32,16,8,8] [16] [16]", "",
       "((2,2,1,1),(2),(2),(2),(2))",
       "{a:2,b:2,c:2} (a,b,-,-) (b) (b) (b) (b) -> (a,b,-,-) (b) (b)"},
      {"BatchNorm [32,16,8,8] [16] [16] [16] [16] -> [32,16,8,8]", "",
       "((2,2,2,1),(2),(2),(2),(2))", "{a:2,b:2,c:2} (a,b,c,-) (b) (b) (b) (b) -> (a,b,c,-)"},
      {"BatchNorm [12,16,8,8] [16] [16] [16] [16] -> [12,16,8,8]", "", "",
       "{a:4,b:2} (a,-,-,-) (-) (-) (-) (-) -> (a,-,-,-)"},
      {"GroupNorm [32,16,8,8] [16] [16] -> [32,16,8,8] [32,4] [32,4]", "", "((2,1,1,1),(1),(1))",
       "{a:2,b:4} (a,-,-,-) (-) (-) -> (a,-,-,-) (a,-) (a,-)"},
      {"TopK [32,16] -> [32,4] [32,4]", "", "((2,1),)", "{a:2,b:4} (a,-) -> (a,-) (a,-)"},
      {"TopkExt [32,16] -> [4,16] [4,16]", "dim=0", "", "{a:8} (-,-) -> (-,-) (-,-)"},
      {"Sort [32,16] -> [32,16] [32,16]", "axis=-1", "", "{a:8} (a,-) -> (a,-) (a,-)"},
      {"CumSum [32,16] -> [32,16]", "axis=1", "((2,1),)", "{a:2,b:4} (a,-) -> (a,-)"},
      {"CumSum [32,16] -> [32,16]", "axis=0", "", "{a:8} (-,-) -> (-,-)"},
      {"ReverseV2 [32,16] -> [32,16]", "axis=[1]", "((2,1),)", "{a:2,b:4} (a,-) -> (a,-)"},
      {"Triu [32,16,16] -> [32,16,16]", "", "((2,2,1),)", "{a:2,b:2,c:2} (a,b,-) -> (a,b,-)"},
  });
  ExpectRefusals({
      {"Softmax [32,16] -> [32,16]",
       "axis=0",
       "",
       {"without an annotation", "((8,1),)", "dim 0", "'w0', [32,16]", "whole"}},
      {"Softmax [32,16] -> [32,16]", "axis=1", "((1,4),)", {"dim 1", "'w0', [32,16]", "into 4"}},
      {"LayerNorm [32,16] [32,16] [32,16] -> [32,16]",
       "begin_norm_axis=0 begin_params_axis=0",
       "",
       {"without an annotation", "dim 0", "'w0', [32,16]"}},
      {"LayerNorm [32,16] [16] [8] -> [32,16]", "", "", {"input 2 of [8]", "[32,16]"}},
      {"TopK [32] -> [4] [4]", "", "", {"without an annotation", "dim 0", "'w0', [32]"}},
      {"TopK [32,16] -> [32,4]", "", "((2,2),)", {"dim 1", "into 2"}},
      {"CumSum [32,16] -> [32,16]", "axis=1", "((2,2),)", {"dim 1", "into 2"}},
      {"GroupNorm [32,16,8,8] [16] [16] -> [32,16,8,8]",
       "",
       "((2,2,1,1),(2),(2))",
       {"dim 1", "'w0', [32,16,8,8]", "into 2"}},
      {"Sort [32,16] -> [32,16]", "axis=0", "", {"without an annotation", "dim 0"}},
  });
}

TEST(OperatorRule, Reductions) {
  ExpectLayouts({
      {"ReduceSum [32,16] -> [32]", "axis=1", "", "{a:8} (a,-) -> (a)"},
      {"ReduceSum [32,16] -> [16]", "axis=0", "", "{a:8} (a,-) -> (-)"},
      {"ReduceSum [12,16] -> [12]", "axis=[1]", "", "{a:4,b:2} (a,-) -> (a)"},
      {"ReduceSum [32,16] -> [32]", "axis=1", "((2,4),)", "{a:2,b:4} (a,b) -> (a)"},
      {"ReduceSum [32,16] -> [32,1]", "axis=1 keep_dims=true", "((2,4),)",
       "{a:2,b:4} (a,b) -> (a,-)"},
      {"ReduceMean [32,16] -> []", "", "", "{a:8} (a,-) -> ()"},
      {"ReduceMean [32,16] -> [32]", "axis=1", "((2,2),)", "{a:2,b:2,c:2} (a,b) -> (a)"},
      {"SumExt [32,16] -> [32]", "dim=[1]", "((2,4),)", "{a:2,b:4} (a,b) -> (a)"},
      {"MeanExt [32,16] -> [32]", "dim=[1]", "((2,4),)", "{a:2,b:4} (a,b) -> (a)"},
      {"Argmax [32,16] -> [32]", "axis=-1", "((2,4),)", "{a:2,b:4} (a,b) -> (a)"},
      {"Argmax [32,16] -> [16]", "axis=0", "", "{a:8} (-,-) -> (-)"},
      {"ArgMaxWithValue [32,16] -> [16] [16]", "axis=0", "", "{a:8} (a,-) -> (-) (-)"},
      {"ArgMinWithValue [32,16] -> [32] [32]", "axis=1", "((2,2),)",
       "{a:2,b:2,c:2} (a,b) -> (a) (a)"},
  });
  ExpectRefusals({
      {"ReduceSum [32,16] -> [16]", "axis=1", "", {"[32,16]", "[16]", "[32]"}},
      {"ReduceSum [32,16] -> [32]", "axis=2", "", {"axis 2", "2 dims"}},
  });
}

TEST(OperatorRule, LookingUp) {
  ExpectLayouts({
      {"Gather [64,32] [16,8] -> [16,8,32]", "axis=0", "", "{a:8} (-,-) (a,-) -> (a,-,-)"},
      {"Gather [64,32] [12,8] -> [12,8,32]", "axis=0", "", "{a:4,b:2} (-,-) (a,-) -> (a,-,-)",
       sources},
      {"Gather [64,32] [1,8] -> [1,8,32]", "axis=0", "", "{a:8} (-,-) (-,-) -> (-,-,-)", sources},
      {"Gather [64,32] [16,8] -> [16,8,32]", "axis=0", "((1,2),(2,1))",
       "{a:2,b:2,c:2} (-,b) (a,-) -> (a,-,b)"},
      {"Gather [64,32] [16,8] -> [16,8,32]", "axis=0", "((1,2),(2,2))",
       "{a:2,b:2,c:2} (-,c) (a,b) -> (a,b,c)", sources},
      {"Gather [64,32] [16,8] -> [64,16,8]", "axis=1", "((4,1),(1,1))",
       "{a:4,b:2} (a,-) (-,-) -> (a,-,-)"},
      {"Gather [64,32] [16] -> [16,32]", "axis=0", "((1,2),(1))", "{a:2,b:4} (-,a) (-) -> (-,a)"},
      {"Gather [64,32] [] -> [32]", "axis=0", "((1,4),())", "{a:4,b:2} (-,a) () -> (a)"},
      {"Gather [64,32,8] [16] -> [16,32,8]", "axis=0", "((1,2,2),(2))",
       "{a:2,b:2,c:2} (-,b,c) (a) -> (a,b,c)", sources},
      // The table is cut where it is looked up in.
      {"Gather [64,32] [16,8] -> [16,8,32]", "axis=0", "((8,1),(1,1))",
       "{a:8} (a,-) (-,-) -> (a,-,-)"},
      {"Gather [64,32] [12,8] -> [12,8,32]", "axis=0", "((8,1),(1,1))",
       "{a:8} (a,-) (-,-) -> (-,-,-)", sources},
      {"Gather [64,32] [16,8] -> [16,8,32]", "axis=0", "((4,1),(1,1))",
       "{a:8,b:4} (b,-) (-,-) -> (b,-,-)", oracle, 32},
      {"Gather [64] [16] -> [16]", "axis=0", "((2),(1))", "{a:4,b:2} (b) (-) -> (b)"},
      {"Gather [64,32] [16,8] -> [16,8,32]", "axis=0", "((4,2),(1,1))",
       "{a:4,b:2} (a,b) (-,-) -> (a,-,b)", sources},
      {"Gather [64,32] [16,8] -> [16,8,32]", "axis=0", "((2,1),(4,1))",
       "{a:4,b:2} (b,-) (a,-) -> (a,-,-)"},
      {"Gather [64,32] [16] -> [16,32]", "axis=0", "((4,1),(2))", "{a:2,b:4} (b,-) (a) -> (a,-)"},
      {"Gather [64,32] [16,8] -> [16,8,32]", "axis=0", "((4,1),(2,2))",
       "{a:2,b:2,c:4} (c,-) (a,b) -> (a,b,-)", oracle, 16},
      {"Gather [64,32] [16] -> [64,16]", "axis=1", "((1,8),(1))", "{a:8} (-,a) (-) -> (a,-)"},
      {"Gather [64,32] [16,8] -> [64,16,8]", "axis=1", "((2,4),(1,1))",
       "{a:2,b:4} (a,b) (-,-) -> (a*b,-,-)", sources},
      {"Gather [16,32,8] [16,8] -> [16,8,8]", "axis=1 batch_dims=1", "((2,1,2),(2,2))",
       "{a:2,b:2,c:2} (a,-,c) (a,b) -> (a,b,c)", sources},
      {"Gather [12,32,8] [12,8] -> [12,8,8]", "axis=1 batch_dims=1", "",
       "{a:4,b:2} (a,-,-) (a,-) -> (a,-,-)"},
      {"IndexSelect [32,16] [8] -> [8,16]", "dim=0", "((1,2),(2))",
       "{a:2,b:2,c:2} (-,b) (a) -> (a,b)"},
      {"IndexSelect [32,16] [8] -> [8,16]", "dim=0", "((2,1),(1))", "{a:4,b:2} (b,-) (-) -> (b,-)",
       sources},
      {"Embedding [32,16] [64,32] -> [32,16,32]", "", "", "{a:8} (-,-) (a,-) -> (a,-,-)"},
      {"Embedding [32,16] [64,32] -> [32,16,32]", "", "((1,1),(2,4))",
       "{a:2,b:4} (-,-) (a,b) -> (a,-,b)"},
      {"GatherD [32,16] [32,4] -> [32,4]", "dim=1", "((2,1),(2,1))",
       "{a:2,b:4} (a,-) (a,-) -> (a,-)"},
      {"GatherD [32,16] [4,16] -> [4,16]", "dim=0", "", "{a:8} (-,-) (-,-) -> (-,-)"},
      {"GatherNd [32,16] [8,2] -> [8]", "", "", "{a:8} (-,-) (a,-) -> (a)"},
      {"GatherNd [32,16] [8,2] -> [8]", "", "((1,1),(2,1))", "{a:2,b:4} (-,-) (a,-) -> (a)"},
      {"EmbeddingLookup [64,32] [16,8] -> [16,8,32]", "", "", "{a:8} (-,-) (-,-) -> (-,-,-)"},
      // OneHot is annotated by the dims of its result.
      {"OneHot [32] [] [] -> [32,16]", "axis=-1", "", "{a:8} (a) () () -> (a,-)"},
      {"OneHot [12] [] [] -> [12,16]", "axis=-1", "", "{a:8} (-) () () -> (-,-)"},
      {"OneHot [32] [] [] -> [32,16]", "axis=-1", "((2,2),(),())",
       "{a:2,b:2,c:4} (a) () () -> (a,b)", oracle, 16},
      {"OneHot [32] [] [] -> [16,32]", "axis=0", "((4,2),(),())", "{a:2,b:4} (a) () () -> (b,a)"},
      {"OneHot [32] [] [] -> [16,32]", "axis=0", "", "{a:8} (-) () () -> (a,-)"},
      {"OneHot [32,8] [] [] -> [32,8,16]", "axis=-1", "((4,1,1),(),())",
       "{a:4,b:2} (a,-) () () -> (a,-,-)"},
  });
  ExpectRefusals({
      {"Gather [64,32] [16,8] -> [16,8,32]",
       "axis=0",
       "((2,2),(1,1))",
       {"dim 0", "'w0', [64,32]", "into 2", "8 devices", "not 4"}},
      {"Gather [64,32] [16,8] -> [16,8,32]",
       "axis=0",
       "((2,1),(2,1))",
       {"dim 0", "'w0', [64,32]", "into 2", "make 8 pieces", "they make 4"}},
      {"Gather [64,32] [16,8,4] -> [16,8,4,32]", "axis=0", "((4,1),(2,1,1))", {"into 4"}},
      {"Gather [64] [16] -> [16]", "axis=0", "((4),(2))", {"into 4"}},
      {"Gather [64,32] [16,8] -> [16,8,32]",
       "axis=0",
       "((4,1),(1,2))",
       {"'w0', [64,32]", "into 4", "only in dim 0"}},
      {"Gather [64,32] [] -> [32]", "axis=0", "((4,1),())", {"into 4", "indices with dims"}},
      {"Gather [64,32] [] -> [32]", "axis=0", "", {"without an annotation"}},
      {"Gather [64,32] [16,8] -> [64,16,8]", "axis=1", "((1,4),(1,1))", {"8 devices", "not 4"}},
      {"Gather [6,32] [16,8] -> [6,16,8]", "axis=1", "((2,4),(1,1))", {"dim 0 = 6", "8 pieces"}},
      {"Gather [64,32,8] [16] -> [16,32,8]", "axis=0", "((2,2,2),(1))", {"1 or 2 dims"}},
      {"Gather [4,32,64] [16] -> [4,32,16]", "axis=2", "((1,1,8),(1))", {"1 or 2 dims"}},
      {"Gather [16,32,8] [16,8] -> [16,8,8]",
       "axis=1 batch_dims=1",
       "((2,2,2),(2,1))",
       {"dim 1", "'w0', [16,32,8]", "into 2"}},
      {"Gather [16,32,8] [16,8] -> [16,8,8]",
       "axis=1 batch_dims=1",
       "((2,1,2),(1,2))",
       {"'w0', [16,32,8]", "into 2", "'w1', [16,8]", "into 1"}},
      {"Gather [64,32] [16,8] -> [16,8]", "axis=0", "", {"[16,8]", "[64,32]"}},
      {"Embedding [32,16] [64,32] -> [32,16,32]",
       "",
       "((1,1),(2,1))",
       {"'w1', [64,32]", "8 devices", "not into 2"}},
      {"Embedding [32,16] [12,32] -> [32,16,32]",
       "",
       "",
       {"'w1', [12,32]", "8 devices", "not into 4"}},
      {"GatherD [32,16] [32,4] -> [32,4]", "dim=1", "((2,2),(2,2))", {"dim 1", "into 2"}},
      {"GatherNd [32,16] [8,2] -> [8]", "", "((2,1),(2,1))", {"dim 0", "'w0', [32,16]"}},
      {"OneHot [32,8] [] [] -> [32,8,16]",
       "axis=-1",
       "((4,2,1),(),())",
       {"dim 1", "the result ([32,8,16])", "into 2"}},
  });
}

TEST(OperatorRule, Shapes) {
  ExpectLayouts({
      {"Transpose [32,16,8] -> [16,32,8]", "perm=[1,0,2]", "((2,4,1),)",
       "{a:2,b:4} (a,b,-) -> (b,a,-)"},
      {"Transpose [12,16,8] -> [16,12,8]", "perm=[1,0,2]", "", "{a:4,b:2} (a,-,-) -> (-,a,-)"},
      {"ExpandDims [32,16] -> [32,1,16]", "axis=1", "((2,4),)", "{a:2,b:4} (a,b) -> (a,-,b)"},
      {"ExpandDims [12,16] -> [12,16,1]", "axis=-1", "", "{a:4,b:2} (a,-) -> (a,-,-)"},
      {"ExpandDims [1,16] -> [1,1,16]", "axis=0", "", "{a:8} (-,-) -> (-,-,-)"},
      {"Squeeze [32,1,16] -> [32,16]", "axis=1", "((2,1,4),)", "{a:2,b:4} (a,-,b) -> (a,b)"},
      {"Squeeze [1,32,16] -> [32,16]", "axis=0", "", "{a:8} (-,-,-) -> (-,-)"},
      {"BroadcastTo [32,16] -> [4,32,16]", "", "((2,2),)", "{a:2,b:2,c:2} (a,b) -> (-,a,b)"},
      {"BroadcastTo [32,1,16] -> [32,8,16]", "", "((2,1,2),)", "{a:2,b:2,c:2} (a,-,b) -> (a,-,b)"},
      {"BroadcastTo [1,16] -> [32,16]", "", "", "{a:8} (-,-) -> (-,-)"},
      {"BroadcastTo [16] -> [32,16]", "", "", "{a:8} (a) -> (-,a)"},
      // Tile is annotated by the number of copies, where there are some.
      {"Tile [32,16] -> [32,32]", "", "", "{a:8} (a,-) -> (a,-)"},
      {"Tile [32,16] -> [32,32]", "", "((2,2),)", "{a:2,b:2,c:2} (a,-) -> (a,b)"},
      {"Tile [32,16] -> [256,16]", "", "", "{a:8} (-,-) -> (a,-)"},
      {"Tile [32,16] -> [8,32,16]", "", "", "{a:8} (-,-) -> (a,-,-)"},
      {"Tile [32,16] -> [8,32,16]", "", "((2,2,2),)", "{a:2,b:2,c:2} (b,c) -> (a,b,c)"},
      {"Tile [16,4] -> [2,32,8]", "", "((2,2,2),)", "{a:2,b:2,c:2} (-,-) -> (a,b,c)"},
      {"Tile [12,16] -> [12,32]", "", "", "{a:4,b:2} (a,-) -> (a,-)"},
      {"Outer [32] [16] -> [32,16]", "", "((2),(4))", "{a:2,b:4} (a) (b) -> (a,b)"},
      {"RepeatInterleaveInt [32,16] -> [32,32]", "dim=1", "((2,2),)",
       "{a:2,b:2,c:2} (a,b) -> (a,b)"},
      {"LinSpace [] [] -> [16]", "", "", "{a:8} () () -> (-)", sources},
      // Reshape has its repeats on the left.
      {"Reshape [32,16] -> [32,4,4]", "", "", "{a:8} (a,-) -> (a,-,-)"},
      {"Reshape [12,16] -> [12,4,4]", "", "", "{a:8} (-,-) -> (-,-,-)"},
      {"Reshape [32,16] -> [32,4,4]", "", "((2,4),)", "{a:2,b:4} (a,b) -> (a,b,-)"},
      {"Reshape [32,16] -> [16,32]", "", "((4,1),)", "{a:2,b:4} (b,-) -> (b,-)"},
      {"Reshape [32,16] -> [16,32]", "", "((1,4),)", "{a:2,b:4} (-,b) -> (-,-)"},
      {"Reshape [32,16] -> [2,256]", "", "", "{a:8} (a,-) -> (-,-)", sources},
      {"Reshape [2,1,12] -> [2,3,1,4]", "", "((2,1,4),)", "{a:2,b:4} (a,-,b) -> (a,-,-,-)",
       sources},
      {"Reshape [1,1] -> []", "", "", "{a:8} (-,-) -> ()", sources},
  });
  ExpectRefusals({
      {"Tile [32,16] -> [64,16]",
       "",
       "",
       {"without an annotation", "((8,1),)", "dim 0 = 2", "into 8"}},
      {"Tile [32,16] -> [32,32]", "", "((2,4),)", {"dim 1 = 2", "into 4"}},
      {"BroadcastTo [1,16] -> [32,16]", "", "((2,4),)", {"dim 0 = 1", "into 2"}},
      {"Transpose [32,16] -> [16,32]", "perm=[1,1]", "", {"[16,32]", "[32,16]"}},
      {"Reshape [32,16] -> [32,15]", "", "", {"[32,15]", "[32,16]"}},
      {"Squeeze [32,1,16] -> [16,32]", "", "", {"[16,32]", "[32,1,16]"}},
  });
}

TEST(OperatorRule, Pieces) {
  ExpectLayouts({
      {"Split [32,16] -> [32,8] [32,8]", "axis=1", "((2,1),)", "{a:2,b:4} (a,-) -> (a,-) (a,-)"},
      {"Split [12,16] -> [12,8] [12,8]", "axis=1", "", "{a:4,b:2} (a,-) -> (a,-) (a,-)"},
      {"Split [32,16] -> [16,16] [16,16]", "axis=0", "", "{a:8} (-,-) -> (-,-) (-,-)"},
      {"Split [32] -> [16] [16]", "axis=0", "", "{a:8} (-) -> (-) (-)"},
      {"SplitWithSize [32,16] -> [32,4] [32,12]", "dim=1", "((2,1),)",
       "{a:2,b:4} (a,-) -> (a,-) (a,-)"},
      {"SplitTensor [32,16] -> [8,16] [8,16]", "dim=0", "", "{a:8} (-,-) -> (-,-) (-,-)"},
      {"Concat [32,16] [32,16] -> [32,32]", "axis=1", "((4,1),(4,1))",
       "{a:4,b:2} (a,-) (a,-) -> (a,-)"},
      {"Concat [12,16] [12,8] [12,8] -> [12,32]", "axis=1", "",
       "{a:4,b:2} (a,-) (a,-) (a,-) -> (a,-)"},
      {"Concat [32,16] [16,16] -> [48,16]", "axis=0", "((1,4),(1,4))",
       "{a:4,b:2} (-,a) (-,a) -> (-,a)"},
      {"Concat [32,16] [32,16] -> [64,16]", "axis=0", "", "{a:8} (-,-) (-,-) -> (-,-)"},
      {"Stack [32,16] [32,16] -> [32,2,16]", "axis=1", "((4,2),(4,2))",
       "{a:4,b:2} (a,b) (a,b) -> (a,-,b)"},
      {"Stack [32,16] [32,16] -> [2,32,16]", "axis=0", "", "{a:8} (a,-) (a,-) -> (-,a,-)"},
      {"Slice [32,16] -> [32,8]", "", "((4,1),)", "{a:4,b:2} (a,-) -> (a,-)"},
      {"Slice [32,16] -> [16,16]", "", "", "{a:8} (-,-) -> (-,-)"},
      {"SliceExt [32,16] -> [8,16]", "", "((1,4),)", "{a:4,b:2} (-,a) -> (-,a)"},
      {"PadV3 [32,16] [] -> [32,18]", "paddings=[1,1]", "((2,1),())",
       "{a:2,b:4} (a,-) () -> (a,-)"},
      {"StridedSlice [32,16] -> [32,8]", "begin=[0,0] end=[32,8] strides=[1,1]", "",
       "{a:8} (a,-) -> (a,-)"},
      {"StridedSlice [32,16] -> [16,8]", "begin=[0,0] end=[16,8] strides=[1,1]", "",
       "{a:8} (-,-) -> (-,-)"},
      {"StridedSlice [32,16] -> [16,16]", "begin=[0,0] end=[16,16] strides=[1,1]", "((1,4),)",
       "{a:4,b:2} (-,a) -> (-,a)"},
      {"StridedSlice [32,16] -> [16]", "begin=[0,0] end=[1,16] strides=[1,1] shrink_axis_mask=1",
       "((1,4),)", "{a:4,b:2} (-,a) -> (a)"},
      {"StridedSlice [32,16] -> [32]", "begin=[0,0] end=[32,1] strides=[1,1] shrink_axis_mask=2",
       "", "{a:8} (a,-) -> (a)"},
      {"StridedSlice [32,16] -> [1,32,16]", "begin=[0,0] end=[1,32] strides=[1,1] new_axis_mask=1",
       "((2,1),)", "{a:2,b:4} (a,-) -> (-,a,-)"},
      {"StridedSlice [32,16] -> [32,8]",
       "begin=[3,0] end=[5,8] strides=[1,1] begin_mask=1 end_mask=1", "", "{a:8} (a,-) -> (a,-)"},
      {"StridedSlice [32,16] -> [32,8]", "begin=[-32,0] end=[32,8] strides=[1,1]", "",
       "{a:8} (-,-) -> (-,-)"},
      {"StridedSlice [32,16] -> [32,16]", "begin=[0] end=[32] strides=[1]", "",
       "{a:8} (a,-) -> (a,-)"},
      {"StridedSlice [32,16] -> [32,8]", "begin=[0,0] end=[32,16] strides=[1,2]", "",
       "{a:8} (a,-) -> (a,-)"},
  });
  ExpectRefusals({
      {"Split [32,16] -> [32,8] [32,8]", "axis=1", "((2,2),)", {"dim 1", "into 2"}},
      {"Concat [32,16] [32,16] -> [32,32]", "axis=1", "((4,2),(4,2))", {"dim 1", "into 2"}},
      {"Concat [32,16] [31,16] -> [32,32]", "axis=1", "", {"[31,16]", "[32,32]"}},
      {"Slice [32,16] -> [32,8]", "", "((4,2),)", {"dim 1", "into 2"}},
      {"PadV3 [32,16] [] -> [34,16]", "", "", {"without an annotation", "dim 0", "into 8"}},
      {"StridedSlice [32,16] -> [16,8]",
       "begin=[0,0] end=[16,8] strides=[1,1]",
       "((4,1),)",
       {"dim 0", "into 4"}},
      {"StridedSlice [32,16] -> [16,16]",
       "begin=[0,0] end=[32,16] strides=[2,1]",
       "",
       {"without an annotation", "dim 0", "into 8"}},
      {"StridedSlice [32,16] -> [32,8]",
       "begin=[0] end=[8] strides=[1] ellipsis_mask=1",
       "",
       {"ellipsis_mask"}},
  });
}

TEST(OperatorRule, Losses) {
  ExpectLayouts({
      {"SoftmaxCrossEntropyWithLogits [32,16] [32,16] -> [32] [32,16]", "", "((4,1),(4,1))",
       "{a:4,b:2} (a,-) (a,-) -> (a) (a,-)"},
      {"SoftmaxCrossEntropyWithLogits [12,16] [12,16] -> [12] [12,16]", "", "",
       "{a:4,b:2} (a,-) (a,-) -> (a) (a,-)"},
      {"SparseSoftmaxCrossEntropyWithLogits [32,16] [32] -> []", "", "", "{a:8} (a,-) (a) -> ()"},
      {"SparseSoftmaxCrossEntropyWithLogits [32,16] [32] -> []", "", "((1,1),(1))",
       "{a:8} (-,-) (-) -> ()"},
      {"KLDivLoss [32,16] [32,16] -> [32,16]", "", "((4,2),(4,2))",
       "{a:4,b:2} (a,b) (a,b) -> (a,b)"},
      {"KLDivLoss [32,16] [32,16] -> []", "", "((2,4),(2,4))", "{a:2,b:4} (a,b) (a,b) -> ()"},
      {"CrossEntropyLoss [32,16] [32] -> [] [32,16] [] [32]", "", "((2,1),(2))",
       "{a:2,b:4} (a,-) (a) -> () (a,-) () (a)"},
      {"CrossEntropyLoss [32,16] [32] [16] -> []", "", "", "{a:8} (a,-) (a) (-) -> ()", sources},
      {"L2Loss [32,16] -> []", "", "((2,4),)", "{a:2,b:4} (a,b) -> ()"},
      {"SigmoidCrossEntropyWithLogits [32,16] [32,16] -> [32,16]", "", "((2,4),(2,4))",
       "{a:2,b:4} (a,b) (a,b) -> (a,b)"},
  });
  ExpectRefusals({
      {"SoftmaxCrossEntropyWithLogits [32,16] [32,16] -> [32] [32,16]",
       "",
       "((4,2),(4,2))",
       {"dim 1", "into 2"}},
      {"SparseSoftmaxCrossEntropyWithLogits [32,16] [32] -> []",
       "",
       "((4,1),(4))",
       {"'w0'", "dim 0 = 32", "8 devices", "4 pieces"}},
      {"SparseSoftmaxCrossEntropyWithLogits [12,16] [12] -> []",
       "",
       "",
       {"'w0'", "dim 0 = 12", "8 devices", "4 pieces"}},
  });
}

// MindSpore has no rule for these.
TEST(OperatorRule, BatchParallel) {
  ExpectLayouts({
      {"Flatten [32,16,4] -> [32,64]", "", "", "{a:8} (a,-,-) -> (a,-)"},
      {"Flatten [32,16,4] -> [32,64]", "", "((4,2,1),)", "{a:8} (a,-,-) -> (a,-)"},
      {"Flatten [12,4,4] -> [12,16]", "", "((2,1,1),)", "{a:8} (-,-,-) -> (-,-)"},
      {"Dense [32,16] [8,16] [8] -> [32,8]", "", "((2,2),(2,2),(2))",
       "{a:8} (a,-) (-,-) (-) -> (a,-)"},
      {"Dense [12,16] [8,16] [8] -> [12,8]", "", "", "{a:8} (-,-) (-,-) (-) -> (-,-)"},
      {"NLLLoss [32,16] [32] [16] -> [] []", "", "", "{a:8} (-,-) (-) (-) -> () ()"},
      {"NLLLoss [32,16] [32] [16] -> [32] []", "", "((2,1),(2),(1))",
       "{a:8} (a,-) (-) (-) -> (a) ()"},
      {"BinaryCrossEntropy [32,16] [32,16] [32,16] -> [32,16]", "", "",
       "{a:8} (a,-) (-,-) (-,-) -> (a,-)"},
      {"Unstack [32,4] -> [32] [32] [32] [32]", "axis=1", "((2,1),)",
       "{a:8} (a,-) -> (a) (a) (a) (a)"},
      {"Mm [32,16] [16,8] -> [32,8]", "", "((2,1),(1,2))", "{a:8} (a,-) (-,-) -> (a,-)"},
      {"SelectV2 [32,16] [32,16] [32,16] -> [32,16]", "", "((2,1),(2,1),(2,1))",
       "{a:8} (a,-) (-,-) (-,-) -> (a,-)"},
      {"Conv2DExt [32,8,8,8] [16,8,3,3] -> [32,16,6,6]", "", "",
       "{a:8} (a,-,-,-) (-,-,-,-) -> (a,-,-,-)"},
  });
}

TEST(OperatorRule, Images) {
  ExpectLayouts({
      {"Conv2D [32,8,8,8] [16,8,3,3] -> [32,16,6,6]", "", "",
       "{a:8} (a,-,-,-) (-,-,-,-) -> (a,-,-,-)"},
      {"Conv2D [12,8,8,8] [16,8,3,3] -> [12,16,6,6]", "", "",
       "{a:4,b:2} (a,-,-,-) (-,-,-,-) -> (a,-,-,-)"},
      {"Conv2D [32,8,8,8] [16,8,3,3] -> [32,16,6,6]", "", "((2,2,1,1),(4,2,1,1))",
       "{a:2,b:2,c:4} (a,b,-,-) (c,b,-,-) -> (a,c,-,-)", oracle, 16},
      {"Conv2D [32,8,8,8] [16,8,2,2] -> [32,16,4,4]", "", "((2,1,2,2),(1,1,1,1))",
       "{a:2,b:2,c:2} (a,-,b,c) (-,-,-,-) -> (a,-,b,c)"},
      {"Conv2D [32,8,8,8] [16,4,3,3] -> [32,16,6,6]", "group=2", "",
       "{a:8} (a,-,-,-) (-,-,-,-) -> (a,-,-,-)"},
      {"Conv2DTranspose [32,16,8,8] [16,8,3,3] -> [32,8,10,10]", "", "((2,2,1,1),(2,2,1,1))",
       "{a:2,b:2,c:2} (a,b,-,-) (b,c,-,-) -> (a,c,-,-)"},
      {"MaxPool [32,8,8,8] -> [32,8,4,4]", "kernel_size=[1,1,2,2] strides=[1,1,2,2]",
       "((2,2,2,1),)", "{a:2,b:2,c:2} (a,b,c,-) -> (a,b,c,-)"},
      {"AvgPool [32,8,8,8] -> [32,8,4,4]", "kernel_size=2 strides=2", "((2,2,1,1),)",
       "{a:2,b:2,c:2} (a,b,-,-) -> (a,b,-,-)"},
      {"MaxPool [12,8,8,8] -> [12,8,4,4]", "", "", "{a:4,b:2} (a,-,-,-) -> (a,-,-,-)"},
      {"ResizeBilinearV2 [32,16,8,8] -> [32,16,16,16]", "", "((2,2,1,1),)",
       "{a:2,b:2,c:2} (a,b,-,-) -> (a,b,-,-)"},
  });
  ExpectRefusals({
      {"Conv2D [32,8,8,8] [16,4,3,3] -> [32,16,6,6]",
       "group=2",
       "((2,1,1,1),(2,1,1,1))",
       {"dim 0", "'w1', [16,4,3,3]", "into 2"}},
      {"Conv2D [32,8,8,8] [16,8,3,3] -> [32,16,6,6]",
       "",
       "((2,2,1,1),(2,1,1,1))",
       {"'w0', [32,8,8,8]", "into 2", "'w1', [16,8,3,3]", "into 1"}},
      {"Conv2D [32,8,8,8] [16,8,2,2] -> [32,16,4,4]",
       "",
       "((2,1,8,1),(1,1,1,1))",
       {"length 4", "8 equal pieces"},
       16},
      {"MaxPool [32,8,8,8] -> [32,8,3,3]",
       "kernel_size=[1,1,3,3] strides=[1,1,2,2]",
       "((2,2,2,1),)",
       {"dim 2", "'w0', [32,8,8,8]", "into 2", "whole"}},
      {"MaxPool [32,8,8,8] -> [32,8,4,4]",
       "kernel_size=[1,1,3,3] strides=[1,1,2,2]",
       "((2,2,2,1),)",
       {"dim 2", "'w0', [32,8,8,8]", "into 2", "windows of 3", "stride of 2"}},
  });
}

TEST(OperatorRule, Attention) {
  const std::string bnsd = "input_layout=BNSD head_num=8";
  const std::string bsh = "input_layout=BSH head_num=8";
  ExpectLayouts({
      {"FlashAttentionScore [8,64,128] [8,64,128] [8,64,128] -> [8,8,64,8] [8,64,128]", bsh,
       "((2,2,2),(2,1,2),(2,1,2))", "{a:2,b:2,c:2} (a,b,c) (a,-,c) (a,-,c) -> (a,c,b,-) (a,b,c)"},
      {"FlashAttentionScore [8,64,128] [8,64,128] [8,64,128] -> [8,64,128]", bsh,
       "((2,1,4),(2,1,4),(2,1,4))", "{a:2,b:4} (a,-,b) (a,-,b) (a,-,b) -> (a,-,b)"},
      {"FlashAttentionScore [8,8,64,16] [8,8,64,16] [8,8,64,16] -> [8,8,64,16]", bnsd,
       "((2,2,2,1),(2,2,1,1),(2,2,1,1))",
       "{a:2,b:2,c:2} (a,b,c,-) (a,b,-,-) (a,b,-,-) -> (a,b,c,-)"},
      {"FlashAttentionScore [4,8,64,16] [4,8,64,16] [4,8,64,16] -> [4,8,64,16]", bnsd, "",
       "{a:4,b:2} (a,-,-,-) (a,-,-,-) (a,-,-,-) -> (a,-,-,-)"},
      {"FlashAttentionScore [8,8,64,16] [8,8,64,16] [8,8,64,16] [8,1,64,64] -> [8,8,64,16]", bnsd,
       "((2,2,2,1),(2,2,1,1),(2,2,1,1),(2,1,2,1))",
       "{a:2,b:2,c:2} (a,b,c,-) (a,b,-,-) (a,b,-,-) (a,-,c,-) -> (a,b,c,-)"},
      {"FlashAttentionScore [8,8,64,16] [8,8,64,16] [8,8,64,16] [8,1,64,64] -> [8,8,64,16]", bnsd,
       "", "{a:8} (a,-,-,-) (a,-,-,-) (a,-,-,-) (a,-,-,-) -> (a,-,-,-)"},
      {"FlashAttentionScore [8,8,64,16] [8,8,64,16] [8,8,64,16] [64,64] -> [8,8,64,16]", bnsd,
       "((2,2,1,1),(2,2,1,1),(2,2,1,1),(1,1))",
       "{a:2,b:2,c:2} (a,b,-,-) (a,b,-,-) (a,b,-,-) (-,-) -> (a,b,-,-)"},
      {"FlashAttentionScore [8,64,8,16] [8,64,8,16] [8,64,8,16] -> [8,64,8,16]",
       "input_layout=BSND head_num=8", "((2,2,2,1),(2,1,2,1),(2,1,2,1))",
       "{a:2,b:2,c:2} (a,b,c,-) (a,-,c,-) (a,-,c,-) -> (a,b,c,-)"},
      {"FlashAttentionScore [64,8,128] [64,8,128] [64,8,128] -> [64,8,128]",
       "input_layout=2 head_num=8", "((2,2,2),(1,2,2),(1,2,2))",
       "{a:2,b:2,c:2} (a,b,c) (-,b,c) (-,b,c) -> (a,b,c)"},
      {"FlashAttentionScore [8,8,64,16] [8,2,64,16] [8,2,64,16] -> [8,8,64,16]", bnsd,
       "((2,2,1,1),(2,2,1,1),(2,2,1,1))",
       "{a:2,b:2,c:2} (a,b,-,-) (a,b,-,-) (a,b,-,-) -> (a,b,-,-)"},
      {"FlashAttentionScore [8,8,64,16] [8,1,64,16] [8,1,64,16] -> [8,8,64,16]", bnsd,
       "((2,4,1,1),(2,1,1,1),(2,1,1,1))", "{a:2,b:4} (a,b,-,-) (a,-,-,-) (a,-,-,-) -> (a,b,-,-)"},
      {"RotaryPositionEmbedding [8,16,8,64] [1,16,1,64] [1,16,1,64] -> [8,16,8,64]", "",
       "((2,1,2,1),(1,1,1,1),(1,1,1,1))",
       "{a:2,b:2,c:2} (a,-,b,-) (-,-,-,-) (-,-,-,-) -> (a,-,b,-)"},
      {"RotaryPositionEmbedding [8,16,8,64] [1,16,1,64] [1,16,1,64] -> [8,16,8,64]", "", "",
       "{a:8} (-,-,-,-) (-,-,-,-) (-,-,-,-) -> (-,-,-,-)"},
  });
  ExpectRefusals({
      {"FlashAttentionScore [8,8,64,16] [8,8,64,16] [8,8,64,16] -> [8,8,64,16]",
       bnsd,
       "((2,2,1,2),(2,2,1,2),(2,2,1,2))",
       {"dim 3", "'w0', [8,8,64,16]", "into 2"}},
      {"FlashAttentionScore [8,8,64,16] [8,8,64,16] [8,8,64,16] [64,64] -> [8,8,64,16]",
       bnsd,
       "",
       {"without an annotation", "'w3', [64,64]", "8"}},
      {"FlashAttentionScore [512,8,16] [512,8,16] [512,8,16] -> [512,8,16]",
       "input_layout=TND head_num=8",
       "",
       {"input_layout TND"}},
  });
}

TEST(OperatorRule, TypesAreSortedAndNear) {
  const std::vector<std::string_view> types = RuleTypes();
  EXPECT_TRUE(std::is_sorted(types.begin(), types.end()));
  EXPECT_GT(types.size(), 150u);
  for (const std::string_view type : types) {
    ASSERT_NE(FindRule(type), nullptr);
    EXPECT_EQ(FindRule(type)->type, type);
    EXPECT_NE(FindRule(type)->axes, nullptr) << type;
  }
}

}  // namespace
}  // namespace relayout
