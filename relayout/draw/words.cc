// SPDX-License-Identifier: Apache-2.0
#include "relayout/draw/words.h"

#include <algorithm>
#include <numeric>

#include "relayout/base/text.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

// "axis a", "axes a, c".
std::string AxesText(const std::vector<int>& axes) {
  std::vector<std::string> names;
  names.reserve(axes.size());
  for (const int axis : axes) names.push_back(AxisName(static_cast<size_t>(axis)));
  return Format("{} {}", axes.size() == 1 ? "axis" : "axes", JoinLimited(names, kMaxDims));
}

std::string MeshWords(const Layout& layout) {
  const std::vector<int64_t>& mesh = layout.spec().mesh;
  const std::string devices = Count(layout.device_count(), "device");
  if (mesh.empty() || layout.device_count() == 1) return devices + ".";
  std::vector<int> axes(mesh.size());
  std::iota(axes.begin(), axes.end(), 0);
  if (axes.size() == 1) return Format("{} in a row ({}).", devices, AxesText(axes));
  std::string sizes;
  for (const int64_t size : mesh) sizes += Format("{}{}", sizes.empty() ? "" : " x ", size);
  return Format("{}, a grid of {} ({}).", devices, sizes, AxesText(axes));
}

// "Rows (dim 0) are", "Dim 2 is".
std::string Subject(size_t dim_count, size_t d) {
  if (dim_count == 2) return d == 0 ? "Rows (dim 0) are" : "Columns (dim 1) are";
  if (dim_count == 1) return "The vector (dim 0) is";
  return Format("Dim {} is", d);
}

std::string CutWords(const Layout& layout, size_t d) {
  const LayoutSpec& spec = layout.spec();
  const std::string subject = Subject(layout.dim_count(), d);
  if (layout.mesh_count(d) == 1) return subject + " not cut.";
  std::string text = Format("{} cut in {}", subject, layout.mesh_count(d));
  if (d == 0 && !spec.uneven_rows.empty()) {
    std::vector<std::string> lengths;
    for (const int64_t rows : spec.uneven_rows) lengths.push_back(std::to_string(rows));
    text += Format(" unequal pieces (of {})", JoinLimited(lengths, 16));
  }
  text += " along " + AxesText(spec.dim_axes[d]);
  if (spec.dim_axes[d].size() > 1) {
    text += Format(", {} first", AxisName(static_cast<size_t>(spec.dim_axes[d][0])));
  }
  return text + ".";
}

std::string AllCutsWords(const Layout& layout) {
  if (layout.dim_count() == 0) return "The tensor is a single value.";
  std::string cut;
  std::vector<std::string> uncut;
  size_t last_uncut = 0;
  for (size_t d = 0; d < layout.dim_count(); ++d) {
    if (layout.mesh_count(d) > 1) {
      if (!cut.empty()) cut += ' ';
      cut += CutWords(layout, d);
    } else {
      uncut.push_back(std::to_string(d));
      last_uncut = d;
    }
  }
  if (cut.empty()) return "No dimension is cut by the mesh.";
  if (uncut.size() == 1) {
    return Format("{} {}", cut, CutWords(layout, last_uncut));
  }
  if (uncut.empty()) return cut;
  return Format("{} Dims {} are not cut.", cut, JoinLimited(uncut, kMaxDims));
}

// The devices that hold one mesh piece: "those that differ only on axis a".
std::string SharersWords(const Layout& layout) {
  const LayoutSpec& spec = layout.spec();
  std::vector<int> unused;
  for (size_t axis = 0; axis < spec.mesh.size(); ++axis) {
    const bool is_used =
        std::any_of(spec.dim_axes.begin(), spec.dim_axes.end(), [&](const std::vector<int>& axes) {
          return std::find(axes.begin(), axes.end(), static_cast<int>(axis)) != axes.end();
        });
    if (!is_used && spec.mesh[axis] > 1) unused.push_back(static_cast<int>(axis));
  }
  if (layout.device_count() == layout.optimizer_count() * layout.replica_count()) {
    return "all of them";
  }
  return "those that differ only on " + AxesText(unused);
}

std::string ReplicaWords(const Layout& layout) {
  const int64_t parts = layout.optimizer_count();
  const int64_t copies = layout.replica_count();
  if (parts == 1) {
    if (copies == 1) {
      return layout.device_count() == 1 ? "" : "No piece is on two devices.";
    }
    return Format("Each piece is on {} devices ({}): {} copies of the same.", copies,
                  SharersWords(layout), copies);
  }
  const std::string along = layout.dim_count() == 2 ? "by rows" : "along dim 0";
  if (layout.device_count() == parts) {
    return Format(
        "All {} devices would hold the same; the optimizer split cuts it in {} {}, and each keeps "
        "one "
        "part.",
        parts, parts, along);
  }
  std::string text = Format(
      "{} devices would hold the same piece ({}); the optimizer split cuts it further in {} "
      "{}, and each keeps one part.",
      parts * copies, SharersWords(layout), parts, along);
  if (copies > 1) text += Format(" {} copies of each part remain.", copies);
  return text;
}

std::string SumWords(const Layout& layout) {
  if (layout.shard_count() == 1) {
    return layout.device_count() == 1 ? "It holds the whole tensor."
                                      : "Every device holds the whole tensor.";
  }
  if (!layout.spec().uneven_rows.empty()) {
    return Format("So there are {} different shards.", layout.shard_count());
  }
  return Format("So there are {} different shards; each device holds 1/{} of the tensor.",
                layout.shard_count(), layout.shard_count());
}

}  // namespace

std::string DimWord(size_t dim_count, size_t d) {
  if (dim_count == 2) return d == 0 ? "rows" : "columns";
  return Format("dim {}", d);
}

std::vector<std::string> LayoutWords(const Layout& layout) {
  std::vector<std::string> words = {MeshWords(layout), AllCutsWords(layout)};
  const std::string replicas = ReplicaWords(layout);
  if (!replicas.empty()) words.push_back(replicas);
  words.push_back(SumWords(layout));
  return words;
}

}  // namespace relayout
