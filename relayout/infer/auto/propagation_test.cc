// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/propagation.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/graph/builder.h"
#include "relayout/infer/auto/propagation_cases.h"
#include "relayout/infer/parameter_layouts.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

// "[32,64]" or "(2,1)": the numbers.
std::vector<int64_t> Numbers(std::string_view text) {
  std::vector<int64_t> numbers;
  std::string digits;
  for (const char c : text) {
    if (c >= '0' && c <= '9') {
      digits += c;
    } else if (!digits.empty()) {
      numbers.push_back(std::stoll(digits));
      digits.clear();
    }
  }
  return numbers;
}

// "((2,1),(1,2))".
Cuts ToCuts(std::string_view text) {
  Cuts cuts;
  for (size_t at = 1; (at = text.find('(', at)) != std::string_view::npos; ++at) {
    cuts.push_back(Numbers(text.substr(at, text.find(')', at) - at + 1)));
  }
  return cuts;
}

// Reads the notation of propagation_cases.h.
class Reader {
 public:
  // The batch of all devices: so many times that of one.
  explicit Reader(int64_t batch_factor) : batch_factor_(batch_factor) {}

  Graph Read(std::string_view text) {
    std::vector<NetworkTensor> last;
    for (const std::string_view line : SplitLines(text)) {
      const std::vector<std::string_view> words = SplitWords(line);
      if (words.size() < 2 || words[1] != "=") {
        for (const std::string_view word : words) Declare(word);
        continue;
      }
      tensors_.insert_or_assign(std::string(words[0]), Apply(words));
      last = {tensors_.at(std::string(words[0]))};
    }
    Result<Graph> graph = builder_.Build(last);
    EXPECT_TRUE(graph.ok()) << graph.status().message();
    return *graph;
  }

 private:
  void Declare(std::string_view word) {
    const size_t bracket = word.find('[');
    const std::string name(word.substr(0, bracket));
    Dims shape;
    for (const int64_t n : Numbers(word.substr(bracket))) shape.push_back(n);
    if (name[0] == 'x') shape[0] *= batch_factor_;
    tensors_.emplace(
        name, name[0] == 'x' ? builder_.Input(name, shape) : builder_.Parameter(name, shape));
  }

  // "5 = MatMul.t 4 w3 ((2,2),(2,1))".
  NetworkTensor Apply(const std::vector<std::string_view>& words) {
    std::vector<NetworkTensor> inputs;
    std::vector<int64_t> list;
    Cuts cuts;
    for (size_t i = 3; i < words.size(); ++i) {
      if (words[i][0] == '(') {
        cuts = ToCuts(words[i]);
      } else if (words[i][0] == '[') {
        list = Numbers(words[i]);
      } else {
        inputs.push_back(tensors_.at(std::string(words[i])));
      }
    }
    NetworkTensor made = Make(words[2], inputs, list);
    return cuts.empty() ? made : made.Cut(cuts);
  }

  NetworkTensor Make(std::string_view type, const std::vector<NetworkTensor>& in,
                     const std::vector<int64_t>& list) {
    if (type == "MatMul.t") return builder_.MatMul(in[0], in[1], {.transpose_b = true});
    if (type == "BatchMatMul.t") return builder_.BatchMatMul(in[0], in[1], {.transpose_b = true});
    if (type == "Reshape") return builder_.Reshape(in[0], list);
    if (type == "Transpose") return builder_.Transpose(in[0], list);
    if (type == "Softmax") return builder_.Softmax(in[0]);
    if (type == "LayerNorm") return builder_.LayerNorm(in[0], in[1], in[2]);
    return builder_.Apply(type, in);
  }

  int64_t batch_factor_;
  NetworkBuilder builder_;
  std::map<std::string, NetworkTensor> tensors_;
};

TEST(Propagation, ParametersLieAsMindSporeLaysThem) {
  for (const PropagationCase& c : kPropagationCases) {
    SCOPED_TRACE(c.title);
    const Graph graph = Reader(c.full_batch ? 1 : c.device_count).Read(c.network);
    const Result<Assignment> assignment =
        Propagate(graph, c.device_count, {c.training, c.full_batch});
    ASSERT_TRUE(assignment.ok()) << assignment.status().message();
    const Result<std::vector<OperatorLayout>> layouts =
        LayOutAll(graph, *assignment, c.device_count);
    ASSERT_TRUE(layouts.ok()) << layouts.status().message();
    const Result<std::vector<LaidParameter>> parameters =
        LayOutParameters(graph, *layouts, std::vector<int64_t>(layouts->size(), 0));
    ASSERT_TRUE(parameters.ok()) << parameters.status().message();
    const std::vector<std::string_view> expected = SplitLines(c.layouts);
    ASSERT_EQ(parameters->size(), expected.size());
    for (const LaidParameter& laid : *parameters) {
      const std::string& name = graph.value(laid.parameter).name;
      const auto line =
          std::find_if(expected.begin(), expected.end(),
                       [&name](std::string_view text) { return text.starts_with(name + " "); });
      ASSERT_NE(line, expected.end()) << name;
      const Result<Layout> layout = ParseLayout(line->substr(name.size() + 1));
      ASSERT_TRUE(layout.ok());
      EXPECT_TRUE(HoldSameShards(laid.layout, *layout))
          << name << " lies " << ToText(laid.layout) << ", MindSpore " << ToText(*layout);
    }
  }
}

TEST(Propagation, KeepsAnnotations) {
  const Graph graph = Reader(1).Read(
      "x[32,64] w0[64,64] w1[64,64]\n"
      "0 = MatMul x w0 ((2,1),(1,4))\n"
      "1 = MatMul 0 w1 ((1,8),(8,1))");
  const Result<Assignment> assignment =
      Propagate(graph, 8, {.training = false, .full_batch = true});
  ASSERT_TRUE(assignment.ok());
  EXPECT_EQ(assignment->cuts, (std::vector<AxisCuts>{{2, 1, 4}, {1, 8, 1}}));
}

TEST(Propagation, UsersOfAParameterFollowTheAnnotatedOne) {
  const Graph graph = Reader(1).Read(
      "x[32,64] w0[64,64]\n"
      "0 = MatMul x w0 ((2,1),(1,4))\n"
      "1 = ReLU 0\n"
      "2 = MatMul 1 w0");
  const Result<Assignment> assignment =
      Propagate(graph, 8, {.training = false, .full_batch = true});
  ASSERT_TRUE(assignment.ok()) << assignment.status().message();
  EXPECT_EQ(assignment->cuts[2], (AxisCuts{2, 1, 4}));
}

TEST(Propagation, AnnotationsOfAParameterMustAgree) {
  const Graph graph = Reader(1).Read(
      "x[32,64] w0[64,64]\n"
      "0 = MatMul x w0 ((2,1),(1,4))\n"
      "1 = MatMul 0 w0 ((1,8),(8,1))");
  const Result<Assignment> assignment =
      Propagate(graph, 8, {.training = false, .full_batch = true});
  ASSERT_FALSE(assignment.ok());
  EXPECT_NE(assignment.status().message().find("parameter 'w0'"), std::string::npos)
      << assignment.status().message();
}

TEST(Propagation, OddFactorsGoToOneAxis) {
  const Graph graph = Reader(1).Read(
      "x[48,96] w0[96,96] w1[96]\n"
      "0 = MatMul x w0 ((2,1),(1,3))\n"
      "1 = Add 0 w1");
  const Result<Assignment> assignment =
      Propagate(graph, 6, {.training = false, .full_batch = true});
  ASSERT_TRUE(assignment.ok());
  EXPECT_EQ(assignment->cuts[1], (AxisCuts{2, 3}));
}

}  // namespace
}  // namespace relayout
