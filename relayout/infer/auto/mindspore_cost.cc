// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/mindspore_cost.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace relayout {
namespace {

constexpr int kNone = -1;

// A tensor as sub-dims, each with the atom that cuts it. An atom is known by where it begins among
// the devices' places (its stride), which stays when another atom is split.
struct SubDim {
  int64_t length = 1;
  int64_t stride = 0;  // 0: not cut.
  int64_t pieces = 1;
};
using SubDims = std::vector<SubDim>;

std::vector<int64_t> Strides(const std::vector<int64_t>& mesh) {
  std::vector<int64_t> strides(mesh.size() + 1, 1);
  for (size_t axis = mesh.size(); axis-- > 0;) strides[axis] = strides[axis + 1] * mesh[axis];
  return strides;
}

// Ends of the atoms, ascending from 1; nothing when the meshes have no common ones.
std::optional<std::vector<int64_t>> AtomEnds(const Layout& a, const Layout& b) {
  std::vector<int64_t> ends = Strides(a.spec().mesh);
  const std::vector<int64_t> more = Strides(b.spec().mesh);
  ends.insert(ends.end(), more.begin(), more.end());
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  for (size_t i = 1; i < ends.size(); ++i) {
    if (ends[i] % ends[i - 1] != 0) return std::nullopt;
  }
  return ends;
}

// Dims of length 1 are left out; a dim that several atoms cut becomes several.
SubDims ToSubDims(const LaidOut& tensor, const std::vector<int64_t>& atom_ends) {
  const std::vector<int64_t> strides = Strides(tensor.layout.spec().mesh);
  SubDims dims;
  for (size_t d = 0; d < tensor.shape.size(); ++d) {
    SubDims atoms;
    for (const int axis : tensor.layout.spec().dim_axes[d]) {
      const auto at = static_cast<size_t>(axis);
      for (size_t i = atom_ends.size() - 1; i > 0; --i) {
        if (atom_ends[i] > strides[at] || atom_ends[i - 1] < strides[at + 1]) continue;
        atoms.push_back({0, atom_ends[i - 1], atom_ends[i] / atom_ends[i - 1]});
      }
    }
    int64_t rest = tensor.shape[d];
    for (size_t i = 0; i < atoms.size(); ++i) {
      atoms[i].length = i + 1 == atoms.size() ? rest : atoms[i].pieces;
      rest /= atoms[i].pieces;
      dims.push_back(atoms[i]);
    }
    if (atoms.empty() && tensor.shape[d] > 1) dims.push_back({tensor.shape[d], 0, 1});
  }
  return dims;
}

// Splits sub-dims where the other has them split. False when one does not fit into the other.
// A cut whose sub-dim becomes too short is itself split, which is reported by `new_atom_end`.
bool SplitBy(SubDims& dims, const SubDims& other, int64_t& new_atom_end) {
  SubDims result;
  size_t next = 0;
  int64_t left = other.empty() ? 1 : other[0].length;
  for (const SubDim& dim : dims) {
    int64_t rest = dim.length;
    bool is_first = true;
    while (rest > 1) {
      if (next == other.size()) return false;
      const int64_t part = std::min(rest, left);
      if (rest % part != 0 || left % part != 0) return false;
      SubDim piece{part, 0, 1};
      if (is_first && dim.stride != 0) {
        if (part % dim.pieces != 0) {
          if (dim.pieces % part != 0) return false;
          new_atom_end = dim.stride * (dim.pieces / part);
          return true;
        }
        piece.stride = dim.stride;
        piece.pieces = dim.pieces;
      }
      result.push_back(piece);
      is_first = false;
      rest /= part;
      left /= part;
      if (left == 1 && ++next < other.size()) left = other[next].length;
    }
  }
  dims = std::move(result);
  return true;
}

std::vector<int64_t> PieceShape(const SubDims& dims) {
  std::vector<int64_t> shape;
  for (const SubDim& dim : dims) shape.push_back(dim.length / dim.pieces);
  return shape;
}

std::vector<int64_t> PieceShape(const LaidOut& tensor) {
  std::vector<int64_t> shape;
  for (size_t d = 0; d < tensor.shape.size(); ++d) {
    shape.push_back(tensor.shape[d] / tensor.layout.mesh_count(d));
  }
  return shape;
}

double Elements(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), 1.0,
                         [](double p, int64_t n) { return p * static_cast<double>(n); });
}

// Both as common sub-dims, or nothing.
std::optional<std::pair<SubDims, SubDims>> Unify(const LaidOut& from, const LaidOut& to) {
  std::optional<std::vector<int64_t>> atom_ends = AtomEnds(from.layout, to.layout);
  while (atom_ends) {
    SubDims a = ToSubDims(from, *atom_ends);
    SubDims b = ToSubDims(to, *atom_ends);
    int64_t new_end = 0;
    if (!SplitBy(a, b, new_end)) return std::nullopt;
    if (new_end == 0 && !SplitBy(b, a, new_end)) return std::nullopt;
    if (new_end == 0) return std::make_pair(std::move(a), std::move(b));
    atom_ends->insert(std::lower_bound(atom_ends->begin(), atom_ends->end(), new_end), new_end);
    for (size_t i = 1; i < atom_ends->size(); ++i) {
      if ((*atom_ends)[i] % (*atom_ends)[i - 1] != 0) return std::nullopt;
    }
  }
  return std::nullopt;
}

// In elements.
struct Moved {
  double forward = 0;
  double backward = 0;
  double computation = 0;
};

// The steps from one to the other, and what they cost.
class Steps {
 public:
  Steps(const SubDims& from, const SubDims& to) : from_(from), to_(to) {
    for (const SubDim& dim : from) {
      has_.push_back(dim.stride == 0 ? kNone : dim.stride);
      piece_ *= static_cast<double>(dim.length / dim.pieces);
    }
    for (const SubDim& dim : to) wants_.push_back(dim.stride == 0 ? kNone : dim.stride);
    settled_.assign(from.size(), false);
  }

  void Run() {
    while (!done()) {
      const size_t before = count;
      SliceAndPass();
      GatherUnwanted();
      if (count != before || done()) continue;
      const size_t first = static_cast<size_t>(std::find(settled_.begin(), settled_.end(), false) -
                                               settled_.begin());
      Gather(first, from_[IndexOf(from_, has_[first])].pieces);
      has_[first] = kNone;
    }
  }

  size_t count = 0;
  Moved moved;

 private:
  bool done() const { return std::find(settled_.begin(), settled_.end(), false) == settled_.end(); }

  static size_t IndexOf(const SubDims& dims, int64_t stride) {
    const auto found = std::find_if(dims.begin(), dims.end(),
                                    [stride](const SubDim& dim) { return dim.stride == stride; });
    return static_cast<size_t>(found - dims.begin());
  }

  // Some sub-dim that is not settled has the atom.
  bool IsHeld(int64_t atom) const {
    for (size_t i = 0; i < has_.size(); ++i) {
      if (!settled_[i] && has_[i] == atom) return true;
    }
    return false;
  }

  void SliceAndPass() {
    while (!done()) {
      const size_t before = count;
      SliceFree();
      for (size_t round = count + 1; !done() && round != count;) {
        round = count;
        PassOn();
      }
      if (count == before) return;
    }
  }

  void SliceFree() {
    for (size_t i = 0; i < has_.size(); ++i) {
      if (settled_[i]) continue;
      if (has_[i] == wants_[i]) {
        settled_[i] = true;
      } else if (has_[i] == kNone && !IsHeld(wants_[i])) {
        Slice();
        settled_[i] = true;
      }
    }
  }

  void PassOn() {
    for (size_t i = 0; i < has_.size(); ++i) {
      if (settled_[i]) continue;
      if (has_[i] == wants_[i]) {
        settled_[i] = true;
      } else if (has_[i] == kNone && IsHeld(wants_[i])) {
        const size_t giver = IndexOf(from_, wants_[i]);
        Gather(giver, from_[giver].pieces);
        Slice();
        settled_[i] = true;
        settled_[giver] = false;
        has_[giver] = kNone;
      }
    }
  }

  void GatherUnwanted() {
    for (size_t i = 0; i < has_.size(); ++i) {
      if (settled_[i] || has_[i] == kNone || IndexOf(to_, has_[i]) < to_.size()) continue;
      Gather(i, from_[IndexOf(from_, has_[i])].pieces);
      has_[i] = kNone;
      settled_[i] = wants_[i] == kNone;
    }
  }

  void Slice() {
    ++count;
    moved.computation += piece_;
  }

  void Gather(size_t sub_dim, int64_t pieces) {
    ++count;
    const auto n = static_cast<double>(pieces);
    moved.forward += piece_ * n / 2;
    moved.backward += piece_ / 2;
    moved.computation += sub_dim == 0 ? 2 * piece_ : 2 * piece_ + 2 * n * piece_;
  }

  const SubDims& from_;
  const SubDims& to_;
  std::vector<int64_t> has_;
  std::vector<int64_t> wants_;
  std::vector<bool> settled_;
  double piece_ = 1;
};

double Practical(double bytes) {
  if (bytes <= 0) return 0;
  return bytes <= 2048 ? 3072 : bytes + 1024;
}

// Without common sub-dims: everything is gathered and sliced anew.
Moved ThroughTheWhole(const LaidOut& from, const LaidOut& to) {
  Moved moved;
  const double piece = Elements(PieceShape(from));
  double whole = 1;
  for (size_t d = 0; d < from.shape.size(); ++d) {
    whole *= static_cast<double>(from.shape[d]);
    const auto n = static_cast<double>(from.layout.mesh_count(d));
    if (n == 1) continue;
    moved.forward += piece * n / 2;
    moved.backward += piece / 2;
    moved.computation += d == 0 ? 2 * piece : 2 * piece + 2 * n * piece;
  }
  if (from.shape != to.shape) moved.computation += 2 * whole;
  for (size_t d = 0; d < to.shape.size(); ++d) {
    if (to.layout.mesh_count(d) > 1) moved.computation += whole;
  }
  return moved;
}

Moved Move(const LaidOut& from, const LaidOut& to) {
  const auto unified = Unify(from, to);
  if (!unified) return ThroughTheWhole(from, to);
  const auto& [a, b] = *unified;
  Steps steps(a, b);
  steps.Run();
  const bool reshapes = steps.count == 0
                            ? PieceShape(from) != PieceShape(to)
                            : PieceShape(from) != PieceShape(a) || PieceShape(to) != PieceShape(b);
  if (reshapes) steps.moved.computation += 2 * Elements(PieceShape(from));
  return steps.moved;
}

double PieceBytes(const Graph& graph, ValueId id, const Layout& layout) {
  const Value& value = graph.value(id);
  double bytes = static_cast<double>(ElementSize(value.dtype));
  for (size_t d = 0; d < value.shape.size(); ++d) {
    bytes *= static_cast<double>(value.shape[d] / layout.mesh_count(d));
  }
  return bytes;
}

// Bytes of the first output where the operator leaves it as a partial sum.
double PartialSumBytes(const Graph& graph, const Operator& op, const OperatorLayout& layout) {
  if (op.type == "MatMul" || op.type == "BatchMatMul") {
    const size_t last = graph.value(op.inputs[0]).shape.size() - 1;
    return layout.inputs[0].mesh_count(last) == 1
               ? 0
               : PieceBytes(graph, op.outputs[0], layout.outputs[0]);
  }
  if (op.type == "Gather") {
    // Rows of a table that is cut along them, reduced and scattered.
    const Dims& table = graph.value(op.inputs[0]).shape;
    if (layout.inputs[0].mesh_count(0) == 1) return 0;
    double bytes = static_cast<double>(ElementSize(graph.value(op.outputs[0]).dtype)) *
                   Elements(PieceShape({layout.inputs[1], graph.value(op.inputs[1]).shape}));
    if (table.size() == 2) {
      bytes *= static_cast<double>(table[1] / layout.inputs[0].mesh_count(1));
    }
    return bytes;
  }
  if (op.type.starts_with("Reduce") && op.type != "ReduceAll" && op.type != "ReduceAny") {
    // Some reduced dim is cut: the output has fewer pieces.
    return layout.outputs[0].shard_count() == layout.inputs[0].shard_count()
               ? 0
               : PieceBytes(graph, op.outputs[0], layout.outputs[0]);
  }
  return 0;
}

double ReadBytes(const Graph& graph, const Operator& op, const OperatorLayout& layout) {
  // A table cut along its rows is dear.
  const bool cut_table = op.type == "Gather" && layout.inputs[0].mesh_count(0) > 1;
  double bytes = 0;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const double weight = cut_table ? (i == 0 ? 3 : 7) : 1;
    bytes += weight * PieceBytes(graph, op.inputs[i], layout.inputs[i]);
  }
  return bytes;
}

}  // namespace

MindsporeCost MindsporeRedistribution(const LaidOut& from, const LaidOut& to, DType dtype) {
  const Moved moved = Move(from, to);
  const auto size = static_cast<double>(ElementSize(dtype));
  MindsporeCost cost;
  cost.communication = Practical(moved.forward * size) + Practical(moved.backward * size);
  cost.computation = moved.computation * size;
  // MindSpore's collectives know no bool.
  if (dtype == DType::kBool && cost.communication > 0) {
    cost.communication = std::numeric_limits<double>::infinity();
  }
  return cost;
}

MindsporeCost MindsporeReshape(const LaidOut& from, const LaidOut& to, DType dtype) {
  const Moved moved = Move(from, to);
  const auto size = static_cast<double>(ElementSize(dtype));
  return {Practical((moved.forward + moved.backward) * size), moved.computation * size};
}

MindsporeCost MindsporeOperatorCost(const Graph& graph, const Operator& op,
                                    const OperatorLayout& layout, int64_t device_count) {
  const double partial_sum = PartialSumBytes(graph, op, layout);
  MindsporeCost cost;
  cost.computation = ReadBytes(graph, op, layout) + partial_sum * (op.type == "ReduceMean" ? 2 : 1);
  cost.communication = partial_sum;
  const bool all_devices_cut_the_batch = !layout.inputs.empty() &&
                                         layout.inputs[0].dim_count() > 0 &&
                                         layout.inputs[0].mesh_count(0) == device_count;
  if (all_devices_cut_the_batch) {
    if (cost.computation > 1) cost.computation -= 1;
    if (cost.communication > 1) cost.communication -= 1;
  }
  cost.communication = Practical(cost.communication);
  return cost;
}

}  // namespace relayout
