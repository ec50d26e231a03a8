// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/movement.h"

#include <algorithm>

#include "relayout/base/check.h"

namespace relayout {
namespace {

// A place of the devices' mixed radix: atoms are numbered from the innermost.
struct Atoms {
  std::vector<int64_t> strides;  // Ascending, 1 first; the device count last, which begins no atom.

  size_t count() const { return strides.size() - 1; }
  int64_t size(size_t atom) const { return strides[atom + 1] / strides[atom]; }
};

void AddStrides(const std::vector<int64_t>& mesh, std::vector<int64_t>& strides) {
  int64_t stride = 1;
  strides.push_back(stride);
  for (size_t axis = mesh.size(); axis-- > 0;) strides.push_back(stride *= mesh[axis]);
}

// Empty when the meshes have no common atoms.
Atoms CommonAtoms(const Layout& a, const Layout& b) {
  Atoms atoms;
  AddStrides(a.spec().mesh, atoms.strides);
  AddStrides(b.spec().mesh, atoms.strides);
  std::sort(atoms.strides.begin(), atoms.strides.end());
  atoms.strides.erase(std::unique(atoms.strides.begin(), atoms.strides.end()), atoms.strides.end());
  for (size_t i = 1; i < atoms.strides.size(); ++i) {
    if (atoms.strides[i] % atoms.strides[i - 1] != 0) return Atoms{};
  }
  return atoms;
}

// The atoms that cut dim `d`, outermost first.
std::vector<size_t> AtomsOf(const Layout& layout, size_t d, const Atoms& atoms) {
  const std::vector<int64_t>& mesh = layout.spec().mesh;
  std::vector<size_t> list;
  for (const int axis : layout.spec().dim_axes[d]) {
    int64_t stride = 1;
    for (size_t inner = mesh.size() - 1; inner > static_cast<size_t>(axis); --inner) {
      stride *= mesh[inner];
    }
    const int64_t end = stride * mesh[static_cast<size_t>(axis)];
    for (size_t atom = atoms.count(); atom-- > 0;) {
      if (atoms.strides[atom] >= stride && atoms.strides[atom] < end) list.push_back(atom);
    }
  }
  return list;
}

double Fraction(int64_t pieces) { return 1.0 / static_cast<double>(pieces); }

Movement ByAtoms(const Layout& from, const Layout& to, const Atoms& atoms,
                 int64_t devices_per_node) {
  std::vector<bool> travels(atoms.count(), false);
  double overlap = 1;
  bool disjoint = false;
  for (size_t d = 0; d < from.dim_count(); ++d) {
    const std::vector<size_t> has = AtomsOf(from, d, atoms);
    const std::vector<size_t> needs = AtomsOf(to, d, atoms);
    const auto [rest_has, rest_needs] =
        std::mismatch(has.begin(), has.end(), needs.begin(), needs.end());
    if (rest_has == has.end()) {
      overlap *= Fraction(to.mesh_count(d));
      continue;
    }
    overlap *= Fraction(from.mesh_count(d));
    disjoint |= rest_needs != needs.end();
    for (auto atom = rest_has; atom != has.end(); ++atom) travels[*atom] = true;
    for (auto atom = rest_needs; atom != needs.end(); ++atom) travels[*atom] = true;
  }
  double needed = 1;
  for (size_t d = 0; d < to.dim_count(); ++d) needed *= Fraction(to.mesh_count(d));
  Movement movement;
  movement.fraction = disjoint ? needed : needed - overlap;
  for (size_t atom = 0; atom < atoms.count(); ++atom) {
    if (!travels[atom]) continue;
    movement.group_size *= atoms.size(atom);
    movement.crosses_nodes |= atoms.strides[atom + 1] > devices_per_node;
  }
  return movement;
}

// The part of dim `d` that both pieces share, as a fraction of the dim.
double SharedPart(int64_t index_a, int64_t count_a, int64_t index_b, int64_t count_b) {
  const double begin = std::max(static_cast<double>(index_a) * Fraction(count_a),
                                static_cast<double>(index_b) * Fraction(count_b));
  const double end = std::min(static_cast<double>(index_a + 1) * Fraction(count_a),
                              static_cast<double>(index_b + 1) * Fraction(count_b));
  // Rounding leaves crumbs between pieces that only touch.
  return end - begin > 1e-12 ? end - begin : 0;
}

Movement ByRanks(const Layout& from, const Layout& to, int64_t devices_per_node) {
  double needed = 1;
  for (size_t d = 0; d < to.dim_count(); ++d) needed *= Fraction(to.mesh_count(d));
  double least_shared = needed;
  for (int64_t rank = 0; rank < from.device_count(); ++rank) {
    const Dims has = from.CellOf(rank);
    const Dims needs = to.CellOf(rank);
    double shared = 1;
    for (size_t d = 0; d < from.dim_count(); ++d) {
      shared *= SharedPart(has[d], from.mesh_count(d), needs[d], to.mesh_count(d));
    }
    least_shared = std::min(least_shared, shared);
  }
  Movement movement;
  movement.fraction = needed - least_shared;
  if (movement.fraction < 1e-12) return Movement{};
  movement.group_size = from.device_count();
  movement.crosses_nodes = from.device_count() > devices_per_node;
  return movement;
}

}  // namespace

bool CrossesNodes(const std::vector<int64_t>& mesh, const std::vector<int>& mesh_axes,
                  int64_t devices_per_node) {
  int64_t end = 1;
  for (size_t axis = mesh.size(); axis-- > 0;) {
    end *= mesh[axis];
    const bool listed =
        std::find(mesh_axes.begin(), mesh_axes.end(), static_cast<int>(axis)) != mesh_axes.end();
    if (listed && mesh[axis] > 1 && end > devices_per_node) return true;
  }
  return false;
}

Movement MovementBetween(const Layout& from, const Layout& to, int64_t devices_per_node) {
  RELAYOUT_CHECK(from.device_count() == to.device_count() && from.dim_count() == to.dim_count());
  if (from == to) return Movement{};
  const Atoms atoms = CommonAtoms(from, to);
  return atoms.strides.empty() ? ByRanks(from, to, devices_per_node)
                               : ByAtoms(from, to, atoms, devices_per_node);
}

}  // namespace relayout
