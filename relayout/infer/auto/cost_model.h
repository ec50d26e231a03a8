// SPDX-License-Identifier: Apache-2.0
//
// CostModel: how long a step takes under given cuts, by a stated model of the machine. What
// search.h minimizes, and what any other choice (MindSpore's, a hand-made one) can be priced with.
//
// # The machine
//
// Devices are ranks; `devices_per_node` consecutive ranks share a node. A device computes
// `flops_per_second`, reads and writes its memory with `memory_bytes_per_second`, and exchanges
// `bytes_within_node` or `bytes_between_nodes` per second with others. A collective over g devices
// runs as a ring, so its slowest link decides; starting it takes `message_seconds` * ceil(log2 g).
//
//   Gather(n, g)   n bytes that each device lacks     n / bandwidth + start
//   Reduce(n, g)   all-reduce of n bytes on each      2 (g-1)/g n / bandwidth + 2 start
//
// # Costs of an operator, on one device, in seconds
//
//   compute     max(flops / flops_per_second, bytes touched / memory_bytes_per_second) of its
//               pieces; flops = 2 * product of the axes for a matrix product, none otherwise.
//               Three times in training (two more for the gradients). Views (Reshape) are free.
//   reduction   forward: an output without a mesh axis that cuts the inputs is a partial sum:
//               Reduce(output). Backward: likewise the gradient of an input without a mesh axis
//               that cuts the others. E.g. y[m,n] = x[m,k] w[k,n]: y over k, dx over n. What Gather
//               looks up in a table with cut rows is summed up as well; it may be scattered at
//               once, which takes half as long.
//   gradient    backward: Reduce(the device's piece of a trained parameter) over the devices that
//               hold the same piece. The optimizer's split exchanges the reduction for a
//               scattered one and a gathering: the same bytes.
//   input       bringing the network's input from where the data set puts it (its first dim cut
//               over all devices; whole with full_batch) to where the operator needs it.
//   memory      bytes kept: parameters with their gradients and optimizer state (divided by the
//               replicas under the optimizer's split where rows allow), and in training the results
//               that wait for the backward pass. Priced at `seconds_per_byte_kept`.
//
// # Costs between operators
//
//   redistribution   Gather(what the busiest device lacks: movement.h) where a result's layout is
//                    not the one its user wants; in training also back, for the gradient.
//   shared parameter users of one parameter must want the same shards, since MindSpore refuses
//                    anything else: kDisagreementSeconds for each user that differs from the first.
//                    A Cast is no such user (parameter_layouts.h); it keeps the parameter only
//                    where it has no other user.
//
// Not modelled: overlap of computing and sending, fusion of collectives, pipelines.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"
#include "relayout/infer/assignment.h"
#include "relayout/infer/auto/machine_model.h"
#include "relayout/infer/auto/movement.h"
#include "relayout/infer/operator_axes.h"

namespace relayout {

struct CostOptions {
  bool training = true;
  // The data set gives every device the whole batch.
  bool full_batch = false;
  // Optimizer state per byte of a trained parameter: SGD 2, Momentum 1, Adam 2.
  double state_bytes_per_parameter_byte = 2;
  bool optimizer_parallel = false;
};

inline constexpr double kDisagreementSeconds = 1e3;

// One operator's share; seconds but for the bytes.
struct OperatorCost {
  double compute = 0;
  double reduction = 0;
  double gradient = 0;
  double input = 0;
  double bytes_kept = 0;
  double memory = 0;  // bytes_kept at its price.

  double total() const { return compute + reduction + gradient + input + memory; }
};

// Between the maker of a value and one user of it, or between the first user of a parameter and
// another.
struct EdgeCost {
  OperatorId from = kNoId;
  OperatorId to = kNoId;
  ValueId value = kNoId;
  int32_t input = 0;  // Of `to`.
  double forward = 0;
  double backward = 0;
  bool disagreement = false;

  double total() const { return forward + backward + (disagreement ? kDisagreementSeconds : 0); }
};

// What a whole assignment costs.
struct CostTable {
  std::vector<OperatorCost> operators;  // By OperatorId.
  std::vector<EdgeCost> edges;          // By user, then by its input.
  double seconds = 0;                   // Of everything, memory's price and disagreements included.
  double step_seconds = 0;              // Of a step: without these two.
  double bytes_kept = 0;                // On each device.
};

// The model of one network. Keeps a reference to the graph.
class CostModel {
 public:
  // An edge of the network, without cuts.
  struct Edge {
    OperatorId from = kNoId;
    OperatorId to = kNoId;
    ValueId value = kNoId;
    int32_t output = 0;  // Of `from`; of its inputs for a parameter.
    int32_t input = 0;   // Of `to`.
    bool shared_parameter = false;
    double bytes = 0;           // Of the whole tensor.
    bool has_backward = false;  // A gradient comes back.
  };

  CostModel(const Graph& graph, const MachineModel& machine, const CostOptions& options);

  const Graph& graph() const { return graph_; }
  const MachineModel& machine() const { return machine_; }
  // By user, then by its input.
  const std::vector<Edge>& edges() const { return edges_; }

  OperatorCost CostOf(OperatorId id, const OperatorLayout& layout) const;
  EdgeCost CostOf(const Edge& edge, const Layout& from, const Layout& to) const;
  // The same when it is known what moves there, and back.
  EdgeCost CostOf(const Edge& edge, const Movement& there, const Movement& back) const;
  // What a movement costs for a tensor of n bytes: fixed + n * per_byte.
  struct LinearSeconds {
    double fixed = 0;
    double per_byte = 0;
  };
  LinearSeconds SecondsOf(const Movement& movement) const;

  // The layout at either end of an edge.
  static const Layout& From(const Edge& edge, const OperatorLayout& from);
  static const Layout& To(const Edge& edge, const OperatorLayout& to);

  // Everything that CostOf(id, .) depends on apart from the layout, as a text: operators with equal
  // texts have equal costs.
  std::string Signature(OperatorId id) const;

 private:
  bool IsView(const Operator& op) const;
  double StartSeconds(int64_t group_size) const;
  double GatherSeconds(double bytes, int64_t group_size, bool crosses_nodes) const;
  double ReduceSeconds(double bytes, int64_t group_size, bool crosses_nodes) const;
  // Reduces a tensor over the axes of `working` that its layout does not have.
  double PartialSumSeconds(ValueId value, const Layout& layout,
                           const std::vector<bool>& working) const;
  double ScatteredSumSeconds(const Operator& op, const OperatorLayout& layout) const;
  double ComputeSeconds(const Operator& op, const OperatorLayout& layout) const;
  double GradientSeconds(ValueId parameter, const Layout& layout) const;
  double InputSeconds(ValueId input, const Layout& layout) const;
  void FindFirstUses();
  double ParameterBytesKept(ValueId parameter, const Layout& layout) const;
  double PieceBytes(ValueId value, const Layout& layout) const;
  double WholeBytes(ValueId value) const;

  const Graph& graph_;
  MachineModel machine_;
  CostOptions options_;
  std::vector<Edge> edges_;
  // By ValueId: a gradient flows to it.
  std::vector<bool> needs_gradient_;
  // By ValueId of a parameter: the operator that pays for keeping it, and at which input.
  std::vector<Graph::Use> first_use_;
};

// Prices every operator and edge of `layouts` (by OperatorId).
CostTable Price(const CostModel& model, const std::vector<OperatorLayout>& layouts);

// The same from cuts. Fails when they do not fit.
Result<CostTable> Price(const Graph& graph, const Assignment& assignment, int64_t device_count,
                        const MachineModel& machine, const CostOptions& options);

}  // namespace relayout
