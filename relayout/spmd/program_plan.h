// SPDX-License-Identifier: Apache-2.0
//
// What one rank does to run its stage of a network, forward and backward, as data: operators on the
// pieces that it holds, and moves that bring pieces from one layout to another. Made once, run in
// every step (program.h).
//
// # Example
//
// The tutorial's first two layers on 8 ranks, a rank's part; m is the batch of all ranks:
//
//   feed    x                          f32[32,784]     each rank its rows
//   move    x -> (a,-)                 f32[128,784]    all-gather within a's groups
//   run     MatMul x, layer1.weight -> f32[128,256]    backward: dw is a term along a
//   move    (a,b) -> (b*a,-)           ...             Add is cut by its batch alone
//   run     Add, ReLU               -> f32[32,512]     in the same memory
//
// # Values, layouts, moves
//
// A value has a *home*: as its operator makes it, as it is fed, stored or received. An operator
// that needs it in another layout gets it by a move from its home, shared by all that need it so.
// Where a result is a sum of terms (PartialAxesOfOutput), the move from there sums; with more than
// one user the sum is made first, and that is the home.
//
// # Views
//
// What an operator leaves as it is, element by element in order (Reshape), lies in its input's
// memory. So may what it calculates from input 0 alone, element by element, where nobody else reads
// that, now or backward.
//
// # Gradients
//
// Each tensor with a gradient has one accumulator. Backward goes through the steps in reverse; the
// first contribution overwrites, the others add. A move's gradient goes back by Backward() of its
// redistribution (redistribute.h), over the axes along which the users' gradients are terms: uses
// of one value that differ in these have moves of their own.
//
// Parameters and what is made of them alone by moves (gathering what the optimizer has split) are
// the same for all micro batches of a step: these moves are made once before and, backward, once
// behind them all.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/base/dtype.h"
#include "relayout/base/status.h"
#include "relayout/graph/graph.h"
#include "relayout/spmd/operator_kernel.h"
#include "relayout/spmd/parameter_store.h"
#include "relayout/spmd/rank_place.h"
#include "relayout/spmd/redistribute.h"

namespace relayout {

struct InferredStrategy;  // infer_strategy.h

struct ProgramPlan {
  static constexpr int kNone = -1;

  // Memory for a tensor or a gradient.
  struct Memory {
    enum class Kind : uint8_t {
      kFrame,      // A micro batch in flight has its own; gradients are of one at a time.
      kStep,       // One for all micro batches.
      kParameter,  // A shard of the parameter store, or its gradient: number `parameter`.
    };
    Kind kind = Kind::kFrame;
    DType dtype = DType::kFloat32;
    Dims shape;
    size_t parameter = 0;
    // Of a view: the tensor (of a gradient, the gradient) in whose memory it lies, with as many
    // elements in another shape. That one comes before this one.
    int shares = kNone;
  };

  // A contribution to a gradient.
  struct Contribution {
    int gradient = kNone;
    bool adds = false;  // Something is there from the same micro batch.
  };

  struct Move {
    int from = kNone;  // Tensors.
    int to = kNone;
    RedistributionPlan forward;
    // kNone: no gradient comes back.
    int result_gradient = kNone;
    Contribution source_gradient;
    RedistributionPlan backward;
  };

  struct Run {
    const OperatorKernel* kernel = nullptr;
    RankOperator at = {};
    std::vector<int> inputs = {};
    std::vector<int> outputs = {};
    // Of each output, kNone where no gradient comes; none at all: no backward.
    std::vector<int> output_gradients = {};
    std::vector<Contribution> input_gradients = {};
    bool has_backward = false;
  };

  // One of the two, in the order of the network.
  struct Step {
    int move = kNone;
    int run = kNone;
  };

  // What a rank gets from its data: an input of the network.
  struct Feed {
    ValueId value = kNoId;
    std::string name;
    Box box;
    int tensor = kNone;
  };

  // What passes between this rank and the rank at the same place of a neighbouring stage.
  struct Passage {
    ValueId value = kNoId;
    int tensor = kNone;
    Contribution gradient = {};  // Of the next stage; none: none comes back.
  };
  struct Boundary {
    std::vector<Passage> values;      // Each micro batch.
    std::vector<Passage> parameters;  // Once a step.
  };

  // A result of the network that this stage makes, whole on each of its ranks.
  struct Result {
    size_t index = 0;
    int tensor = kNone;
    Contribution gradient = {};
  };

  std::vector<Memory> tensors;
  std::vector<Memory> gradients;
  std::vector<Move> moves;
  std::vector<Run> runs;
  std::vector<Step> parameter_steps;  // Moves only.
  std::vector<Step> steps;
  std::vector<Feed> feeds;
  std::vector<std::pair<int, ValueId>> constants;  // Tensors that hold a whole constant.
  Boundary previous;
  Boundary next;
  std::vector<Result> results;
};

struct ProgramRequest {
  const InferredStrategy* network = nullptr;
  RankPlace place;
  // With backward; the network's results are then losses.
  bool training = true;
  // Each rank is fed the whole of each input; else the rows that are its own when all ranks of the
  // stage share them evenly.
  bool full_batch = false;
};

// Pure. Fails when an operator has no kernel, an element type is not one of tensor.h's, a dim is
// not divisible, or a parameter is used in a stage before the one that holds it; names the
// operator or the tensor, and both sides.
Result<ProgramPlan> PlanProgram(const ProgramRequest& request, const ParameterStore& parameters);

// A line a step, for people and tests: "run MatMul (x, layer1.weight) -> f32[128,256]".
std::string ToText(const ProgramPlan& plan);

}  // namespace relayout
