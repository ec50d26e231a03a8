// SPDX-License-Identifier: Apache-2.0
//
// OperatorAxes: which dims of an operator's tensors belong together, and what that says about how
// it can be cut. The centre of infer/: every rule, default, propagation and search is made of it.
//
// # Definitions
//
// An *axis* of an operator is a set of dims, at most one of each tensor, that run together: cutting
// one means cutting all of them. A matrix product has three:
//
//   MatMul  x[m,k] w[k,n] -> y[m,n]        axes m, k, n
//
// A dim without an axis (kWhole) cannot be cut: what Softmax normalizes, a length of 1 that is
// broadcast. An axis that the outputs do not have (k) is *contracted*: cutting it leaves partial
// sums, which are reduced over the devices.
//
// The operator's mesh is its axes in order, outermost first, each as large as the number of pieces
// it is cut into, and the devices that are left over as one more axis on the right which cuts
// nothing: they repeat the calculation. Axes of one piece are left out. (A few operators have
// another order: MeshOrder.)
//
// # Example
//
//   ((2,1),(1,2)) on 8 devices     m 2, k 1, n 2, two repeats: {a:2,b:2,c:2}
//                                  x (a,-)   w (-,b)   y (a,b)
//
// Source of the rules: MindSpore's compiler (docs/strategy.md tells how they were checked).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"
#include "relayout/layout/layout.h"

namespace relayout {

struct OperatorAxes {
  static constexpr int kWhole = -1;

  // For each tensor and each of its dims an index into `lengths`, or kWhole.
  std::vector<std::vector<int>> inputs;
  std::vector<std::vector<int>> outputs;
  // Of each axis, in the order of the mesh, a length that its pieces must divide: the common length
  // of its dims, or what they have in common where they differ (Reshape).
  std::vector<int64_t> lengths;

  // What the lists of an annotation cut, where that is not the inputs: OneHot's first list cuts the
  // result, because the input lacks a dim. Empty: the inputs.
  struct Listed {
    std::vector<int> dims;
    Dims shape;
  };
  std::vector<Listed> listed;

  // An axis that cuts a dim of an output where its pieces divide `length`, inside of what cuts that
  // dim already unless it wants the dim for itself; where it cannot, the output is not cut by it.
  // What it cuts are partial results that are summed up (Gather from a table with cut rows), or
  // pieces that the output cannot always have (Reshape).
  struct Conditional {
    int axis = kWhole;
    size_t output = 0;
    size_t dim = 0;
    int64_t length = 1;
    bool sums = false;
    bool wants_whole_dim = false;
  };
  std::vector<Conditional> conditionals;

  size_t count() const { return lengths.size(); }
  // Each piece of the axis makes partial results for the outputs.
  bool IsContracted(int axis) const;
};

// Into how many pieces each axis is cut.
using AxisCuts = std::vector<int64_t>;

// How the axes make a mesh, where it is not in order with the repeats on the right.
struct MeshOrder {
  std::vector<int> axes;  // Every axis once, outermost first.
  bool repeats_on_the_left = false;

  static MeshOrder InOrder(size_t axis_count);
};

// An operator's tensors on the devices of a stage.
struct OperatorLayout {
  // Of each input; what MindSpore's files call the operator's strategy. Empty where the annotation
  // names mesh axes.
  Cuts cuts;
  std::vector<Layout> inputs;
  std::vector<Layout> outputs;
};

// Who chose cuts, for messages.
enum class CutsOrigin : uint8_t { kAnnotation, kDefault };

// What `cuts` of the inputs (or of what is `listed`) mean for the axes. Tensors without dims may be
// left out.
// Fails when there are not as many lists or numbers as the inputs have dims, a number is below 1, a
// dim does not divide, a dim that cannot be cut is, or two dims of one axis are cut differently.
// The message names the operator, the tensors and both numbers.
Result<AxisCuts> ToAxisCuts(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                            const Cuts& cuts, CutsOrigin origin = CutsOrigin::kAnnotation);

// The same for an annotation that names the axes of a mesh.
Result<AxisCuts> ToAxisCuts(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                            const MeshCuts& cuts);

// Lays out an operator whose annotation names mesh axes: its inputs lie as it says, and so do the
// dims of its outputs that run along with theirs.
// Fails as ToAxisCuts does, when the inputs' meshes differ or have not `device_count` devices, and
// when dims that run along are cut by different mesh axes.
Result<OperatorLayout> LayOutOnMesh(const Graph& graph, const Operator& op,
                                    const OperatorAxes& axes, const MeshCuts& cuts,
                                    int64_t device_count);

// The cuts of the inputs (or of what is `listed`) that `axis_cuts` mean.
Cuts ToCuts(const OperatorAxes& axes, const AxisCuts& axis_cuts);

// Fails when the pieces do not divide `device_count`, or not the lengths; names the operator.
Result<OperatorLayout> LayOut(const Operator& op, const OperatorAxes& axes,
                              const AxisCuts& axis_cuts, const MeshOrder& order,
                              int64_t device_count);

}  // namespace relayout
