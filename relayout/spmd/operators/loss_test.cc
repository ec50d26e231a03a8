// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "tests/spmd/operators.h"

namespace relayout {
namespace {

using testing::ExpectSameOnPieces;
using testing::OneOperator;
using testing::OperatorCase;

TEST(LossOperators, OnPiecesAreAsOnWholes) {
  for (const std::string type : {"NLLLoss", "CrossEntropyLoss"}) {
    for (const std::string reduction : {"mean", "sum", "none"}) {
      for (const int64_t ignored : {-100, 1}) {
        const Attributes attributes = {{"reduction", reduction}, {"ignore_index", ignored}};
        ExpectSameOnPieces({type, "f32[8,4] i32[8]", attributes});
        ExpectSameOnPieces({type, "f32[12,4] i32[12] f32[4]", attributes, 1, 0.5});
      }
    }
  }
  ExpectSameOnPieces({"SparseSoftmaxCrossEntropyWithLogits", "f32[8,4] i32[8]"});
  ExpectSameOnPieces({"SoftmaxCrossEntropyWithLogits", "f32[8,4] f32[8,4]"});
}

// By hand, for infer/ does not cut these: rows by axis 0, and everything repeated along axis 1.
OperatorLayout CutRows(const OneOperator& one, const std::vector<int64_t>& mesh) {
  OperatorLayout layout;
  const auto cut = [&mesh](const Dims& shape, bool has_rows) {
    LayoutSpec spec;
    spec.mesh = mesh;
    spec.dim_axes.resize(shape.size());
    if (has_rows) spec.dim_axes[0] = {0};
    return Layout::Create(std::move(spec)).value();
  };
  for (size_t i = 0; i < one.op().inputs.size(); ++i) {
    layout.inputs.push_back(cut(one.input(i).shape, i < 2));
  }
  for (size_t i = 0; i < one.op().outputs.size(); ++i) {
    layout.outputs.push_back(cut(one.output(i).shape, one.output(i).shape.size() == 2));
  }
  return layout;
}

TEST(LossOperators, DivideByTheRowsOfAllRanks) {
  for (const std::string type : {"NLLLoss", "CrossEntropyLoss"}) {
    for (const std::string reduction : {"mean", "sum"}) {
      SCOPED_TRACE(type + " " + reduction);
      const OperatorCase c = {
          .type = type,
          .inputs = "f32[12,4] i32[12] f32[4]",
          .attributes = {{"reduction", reduction}, {"ignore_index", int64_t{1}}},
          .lowest = 0.5};
      const OneOperator one(c);
      const OperatorKernel& kernel = *KernelOf(one.graph(), one.op()).value();
      oracle::Random random(1);
      const testing::WholeTensors whole = testing::RandomTensors(random, c, one);
      const auto want = testing::RunOnRanks(c, one, kernel, testing::OnOneRank(one), whole);
      for (const std::vector<int64_t>& mesh : {std::vector<int64_t>{4, 1}, {2, 2}, {6, 1}}) {
        testing::ExpectSameUnder(c, one, kernel, CutRows(one, mesh), whole, want[0], {});
      }
    }
  }
}

// Row 5 is rank 2's; the others fail with it, and do not wait.
TEST(LossOperators, RefuseLabelsThatAreNoClasses) {
  for (const std::string type :
       {"NLLLoss", "CrossEntropyLoss", "SparseSoftmaxCrossEntropyWithLogits"}) {
    SCOPED_TRACE(type);
    const OperatorCase c = {type, "f32[8,4] i32[8]"};
    const OneOperator one(c);
    const OperatorKernel& kernel = *KernelOf(one.graph(), one.op()).value();
    oracle::Random random(1);
    testing::WholeTensors whole = testing::RandomTensors(random, c, one);
    whole.inputs[1].i32().data[5] = 4;
    const OperatorLayout layout = CutRows(one, {4, 1});
    std::vector<Status> statuses(4);
    const Status common = RunThreadComm(4, [&](Comm& comm) {
      testing::RankRun run(one, kernel, layout, comm, {});
      testing::Made made;
      statuses[static_cast<size_t>(comm.rank())] = run.Run(c, whole, made);
      return OkStatus();
    });
    EXPECT_TRUE(common.ok()) << common.message();
    EXPECT_EQ(statuses[2].code(), StatusCode::kInvalidInput);
    EXPECT_EQ(statuses[2].message(),
              Format("{} 'Default/{}-op0': the label of row 5 is 4, which is none of the 4 classes",
                     type, type));
    const bool sums = kernel.sums_outputs;
    EXPECT_EQ(statuses[0].code(), sums ? StatusCode::kInvalidInput : StatusCode::kOk);
  }
}

TEST(LossOperators, TakeNoGradientOfWhatTheyGiveBeside) {
  const OperatorCase c = {.type = "NLLLoss", .inputs = "f32[8,4] i32[8]", .output_gradients = 0b11};
  const OneOperator one(c);
  oracle::Random random(1);
  const testing::WholeTensors whole = testing::RandomTensors(random, c, one);
  const Status status = RunThreadComm(1, [&](Comm& comm) {
    testing::RankRun run(one, *KernelOf(one.graph(), one.op()).value(), testing::OnOneRank(one),
                         comm, {});
    testing::Made made;
    return run.Run(c, whole, made);
  });
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_EQ(status.message(),
            "NLLLoss 'Default/NLLLoss-op0': a gradient comes from output 1 (the total weight), but "
            "relayout calculates what comes from output 0 only");
}

}  // namespace
}  // namespace relayout
