// SPDX-License-Identifier: Apache-2.0
//
// The tutorial's networks: what we infer against the strategy files that MindSpore's compiler wrote
// for them (tests/data/strategies; README.md there).
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <string>

#include "relayout/format/strategy_file.h"
#include "relayout/graph/mindir.h"
#include "relayout/graph/training_loss.h"
#include "relayout/infer/auto/search.h"
#include "relayout/infer/infer_strategy.h"
#include "relayout/io/posix_file_system.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

struct Case {
  std::string name;     // <name>_<stage>.ckpt is MindSpore's file.
  std::string network;  // <network>.mindir
  InferOptions options;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

std::string DataPath(const std::string& file) {
  return std::string(RELAYOUT_TEST_DATA) + "/strategies/" + file;
}

InferOptions Train(int64_t device_count, const std::string& optimizer) {
  InferOptions options;
  options.device_count = device_count;
  options.optimizer = optimizer;
  return options;
}

InferOptions FullBatch(InferOptions options) {
  options.full_batch = true;
  return options;
}

InferOptions Predict(InferOptions options) {
  options.training = false;
  return options;
}

InferOptions OptimizerParallelOf(InferOptions options, int64_t threshold_kib = 64,
                                 int64_t group = OptimizerParallel::kAllReplicas) {
  options.optimizer_parallel = {.enabled = true, .threshold_kib = threshold_kib, .group = group};
  return options;
}

InferOptions TwoStages(InferOptions options) {
  options.stage_count = 2;
  options.stage_rules = {{"layer1", 0}, {"layer2", 1}, {"layer3", 1}};
  return options;
}

InferOptions Propagated(InferOptions options) {
  options.mode = InferMode::kPropagated;
  return options;
}

std::vector<Case> Cases() {
  return {
      {"save_8", "save_8", Train(8, "sgd")},
      {"save_8_momentum", "save_8", Train(8, "momentum")},
      {"save_8_adam", "save_8", Train(8, "adam")},
      {"save_8_opt0", "save_8", OptimizerParallelOf(Train(8, "sgd"), 0)},
      {"save_16", "save_8", Train(16, "sgd")},
      {"retrain_4", "retrain_4", FullBatch(OptimizerParallelOf(Train(4, "sgd")))},
      {"retrain_4_momentum", "retrain_4", FullBatch(OptimizerParallelOf(Train(4, "momentum")))},
      {"retrain_4_adam", "retrain_4", FullBatch(OptimizerParallelOf(Train(4, "adam")))},
      {"retrain_4_opt0", "retrain_4", FullBatch(OptimizerParallelOf(Train(4, "sgd"), 0))},
      {"retrain_8_opt0_adam", "retrain_4", FullBatch(OptimizerParallelOf(Train(8, "adam"), 0))},
      {"opt_group_2", "retrain_4", FullBatch(OptimizerParallelOf(Train(8, "sgd"), 0, 2))},
      {"infer_4", "infer_4", Predict(OptimizerParallelOf(Train(4, "sgd")))},
      {"layer2_8", "layer2_8", OptimizerParallelOf(Train(8, "sgd"), 0)},
      {"pipeline_8", "pipeline_8", TwoStages(OptimizerParallelOf(Train(8, "sgd")))},
      {"pipeline_8_momentum", "pipeline_8", TwoStages(OptimizerParallelOf(Train(8, "momentum")))},
      {"pipeline_8_adam", "pipeline_8", TwoStages(OptimizerParallelOf(Train(8, "adam")))},
      {"pipeline_8_opt0", "pipeline_8", TwoStages(OptimizerParallelOf(Train(8, "sgd"), 0))},
      {"pipeline_retrain_4", "pipeline_8", FullBatch(Train(4, "sgd"))},
      {"auto_propagation_8", "save_8", Propagated(Train(8, "sgd"))},
  };
}

class CompiledNetworks : public testing::TestWithParam<Case> {};

std::map<std::string, Layout> LayoutsOf(const StrategyFile& file) {
  std::map<std::string, Layout> layouts;
  for (const ParameterLayout& parameter : file.stages[0].layouts.parameters) {
    layouts.emplace(parameter.name, parameter.layout);
  }
  return layouts;
}

std::map<std::string, std::string> OperatorsOf(const StrategyFile& file) {
  std::map<std::string, std::string> operators;
  for (const StrategyFile::Operator& op : file.operators) operators[op.name] = ToText(op.strategy);
  return operators;
}

// Same parameters, each rank the same shard; whether the meshes are written alike too.
void ExpectSameLayouts(const StrategyFile& ours, const StrategyFile& theirs) {
  const auto our_layouts = LayoutsOf(ours);
  const auto their_layouts = LayoutsOf(theirs);
  for (const auto& [name, layout] : our_layouts) {
    EXPECT_EQ(their_layouts.count(name), 1U) << name << " is only in ours";
  }
  for (const auto& [name, layout] : their_layouts) {
    const auto found = our_layouts.find(name);
    if (found == our_layouts.end()) {
      ADD_FAILURE() << name << " is only in MindSpore's";
      continue;
    }
    EXPECT_EQ(ToText(found->second), ToText(layout)) << name;
    EXPECT_TRUE(HoldSameShards(found->second, layout)) << name;
  }
}

TEST_P(CompiledNetworks, AreInferredAsMindSporeCompilesThem) {
  const auto fs = NewPosixFileSystem();
  const auto graph = ReadMindir(*fs, DataPath(GetParam().network + ".mindir"));
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  const auto inferred = InferStrategy(*graph, GetParam().options);
  ASSERT_TRUE(inferred.ok()) << inferred.status().message();
  ASSERT_EQ(std::ssize(inferred->stages), GetParam().options.stage_count);
  for (size_t stage = 0; stage < inferred->stages.size(); ++stage) {
    const auto theirs =
        ReadStrategyFile(*fs, DataPath(GetParam().name + "_" + std::to_string(stage) + ".ckpt"));
    ASSERT_TRUE(theirs.ok()) << theirs.status().message();
    const StrategyFile& ours = inferred->stages[stage];
    ExpectSameLayouts(ours, *theirs);
    EXPECT_EQ(OperatorsOf(ours), OperatorsOf(*theirs));
    EXPECT_EQ(ours.current_stage, theirs->current_stage);
    EXPECT_EQ(ours.stages[0].stage, theirs->stages[0].stage);
  }
}

// With a loss behind it, which the exported network does not have, all parameters lie as before.
TEST_P(CompiledNetworks, AreInferredAlikeWithALoss) {
  const auto fs = NewPosixFileSystem();
  const auto graph = ReadMindir(*fs, DataPath(GetParam().network + ".mindir"));
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  const auto inferred = InferStrategy(*graph, GetParam().options);
  ASSERT_TRUE(inferred.ok()) << inferred.status().message();
  for (const Loss loss :
       {Loss::kCrossEntropy, Loss::kSoftmaxCrossEntropy, Loss::kMeanSquaredError}) {
    SCOPED_TRACE(ToText(loss));
    const auto trained = WithLoss(*graph, loss);
    ASSERT_TRUE(trained.ok()) << trained.status().message();
    const auto with_loss = InferStrategy(*trained, GetParam().options);
    ASSERT_TRUE(with_loss.ok()) << with_loss.status().message();
    ASSERT_EQ(with_loss->stages.size(), inferred->stages.size());
    for (size_t stage = 0; stage < inferred->stages.size(); ++stage) {
      EXPECT_EQ(SerializeStrategyProtobuf(with_loss->stages[stage]),
                SerializeStrategyProtobuf(inferred->stages[stage]));
    }
    EXPECT_TRUE(std::equal(inferred->stage_of.begin(), inferred->stage_of.end(),
                           with_loss->stage_of.begin()));
    EXPECT_EQ(with_loss->stage_of.back(), std::ssize(inferred->stages) - 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Tutorial, CompiledNetworks, testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

// MindSpore's recursive programming chose these cuts for the network without annotations. Its file
// has the operators with parameters only; for the others we take what suits its choice best.
Result<Graph> WithCutsOf(FileSystem& fs, const std::string& strategy_file, Graph graph) {
  RELAYOUT_ASSIGN_OR_RETURN(const StrategyFile theirs, ReadStrategyFile(fs, strategy_file));
  std::map<std::string, Cuts> cuts_of;
  for (const StrategyFile::Operator& op : theirs.operators) cuts_of[op.name] = op.strategy;
  for (size_t id = 0; id < graph.operators().size(); ++id) {
    Operator& op = graph.mutable_op(static_cast<OperatorId>(id));
    op.cuts.reset();
    for (const ValueId input : op.inputs) {
      const auto found = cuts_of.find(op.type + "_" + graph.value(input).name);
      if (found != cuts_of.end()) op.cuts = found->second;
    }
  }
  return graph;
}

TEST(SearchedNetworks, CostNoMoreThanMindSporesChoiceUnderOurModel) {
  const auto fs = NewPosixFileSystem();
  auto graph = ReadMindir(*fs, DataPath("save_8.mindir"));
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  const auto theirs = WithCutsOf(*fs, DataPath("auto_rec_8_0.ckpt"), *graph);
  ASSERT_TRUE(theirs.ok()) << theirs.status().message();
  for (size_t id = 0; id < graph->operators().size(); ++id) {
    graph->mutable_op(static_cast<OperatorId>(id)).cuts.reset();
  }
  InferOptions options = Train(8, "sgd");
  options.mode = InferMode::kSearched;
  const auto our_choice = InferStrategy(*graph, options);
  const auto their_choice = InferStrategy(*theirs, options);
  ASSERT_TRUE(our_choice.ok()) << our_choice.status().message();
  ASSERT_TRUE(their_choice.ok()) << their_choice.status().message();
  EXPECT_TRUE(our_choice->search->is_optimal);
  EXPECT_LE(our_choice->search->cost.seconds, their_choice->search->cost.seconds);
  EXPECT_EQ(our_choice->stages[0].stages[0].layouts.parameters.size(), 18U);
}

}  // namespace
}  // namespace relayout
