// SPDX-License-Identifier: Apache-2.0
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <memory>

#include "python/src/bindings.h"
#include "python/src/run.h"
#include "python/src/text.h"
#include "relayout/base/text.h"
#include "relayout/convert/load_strategy.h"
#include "relayout/convert/merge_strategies.h"
#include "relayout/convert/rank_list.h"
#include "relayout/draw/svg.h"
#include "relayout/io/posix_file_system.h"
#include "relayout/layout/notation.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

std::shared_ptr<Strategy> Load(nb::handle path) {
  const std::string file = PathFromPython(path);
  return std::make_shared<Strategy>(RunBriefly<Strategy>([&] {
    const auto fs = NewPosixFileSystem();
    return LoadStrategy(*fs, file);
  }));
}

Status CheckRank(const Layout& layout, int64_t local_rank) {
  if (local_rank >= 0 && local_rank < layout.device_count()) return OkStatus();
  return InvalidInput(Format("device {}: {} has devices 0-{}", local_rank, ToText(layout),
                             layout.device_count() - 1));
}

Status CheckDimCount(size_t dim_count) {
  if (dim_count <= kMaxDims) return OkStatus();
  return InvalidInput(Format("{} dimensions: at most {} can be", dim_count, kMaxDims));
}

// The places of `name`: (stage, first_rank, layout, shape or None) each.
nb::list Find(const Strategy& strategy, std::string_view name) {
  nb::list places;
  for (const Placement& placement : strategy.Find(name)) {
    const StatedShape& shape = placement.parameter->whole_shape;
    places.append(nb::make_tuple(placement.stage, placement.first_rank, placement.layout(),
                                 shape ? nb::object(TupleOf(*shape)) : nb::none()));
  }
  return places;
}

Dims DimsOf(const std::vector<int64_t>& shape) {
  ThrowIfFailed(CheckDimCount(shape.size()));
  Dims dims;
  for (const int64_t length : shape) dims.push_back(length);
  return dims;
}

// The part of a tensor of `shape` that a rank of the layout holds, as (begin, end).
nb::tuple BoxOf(const Layout& layout, int64_t local_rank, const std::vector<int64_t>& shape) {
  ThrowIfFailed(CheckRank(layout, local_rank));
  const Partition partition = ValueOrThrow(Partition::Create(layout, DimsOf(shape)));
  const Box box = partition.BoxOf(layout.CellOf(local_rank));
  return nb::make_tuple(TupleOf(box.begin), TupleOf(box.end));
}

std::string Svg(const Layout& layout, const std::string& title,
                const std::optional<std::vector<int64_t>>& shape, int64_t first_rank) {
  LayoutSvgOptions options{.title = title, .first_rank = first_rank};
  if (shape) options.shape = DimsOf(*shape);
  return LayoutSvg(layout, options);
}

nb::tuple CellOf(const Layout& layout, int64_t local_rank) {
  ThrowIfFailed(CheckRank(layout, local_rank));
  return TupleOf(layout.CellOf(local_rank));
}

nb::tuple DimAxes(const Layout& layout) {
  nb::list dims;
  for (const std::vector<int>& axes : layout.spec().dim_axes) dims.append(TupleOf(axes));
  return nb::tuple(dims);
}

void BindLayout(nb::module_& module) {
  nb::class_<Layout>(module, "Layout", "See relayout/layout/layout.h.")
      .def_prop_ro("mesh", [](const Layout& self) { return TupleOf(self.spec().mesh); })
      .def_prop_ro("dim_axes", &DimAxes)
      .def_prop_ro("uneven_rows",
                   [](const Layout& self) { return TupleOf(self.spec().uneven_rows); })
      .def_prop_ro("optimizer_count", &Layout::optimizer_count)
      .def_prop_ro("device_count", &Layout::device_count)
      .def_prop_ro("grid", [](const Layout& self) { return TupleOf(self.grid()); })
      .def_prop_ro("shard_count", &Layout::shard_count)
      .def_prop_ro("replica_count", &Layout::replica_count)
      .def("cell_of", &CellOf, nb::arg("device"))
      .def("box_of", &BoxOf, nb::arg("device"), nb::arg("shape"))
      .def("svg", &Svg, nb::arg("title"), nb::arg("shape").none(), nb::arg("first_rank"))
      .def("text", [](const Layout& self) { return ToText(self); });
}

nb::tuple RanksOf(const RankCover& cover) {
  return nb::make_tuple(TupleOf(cover.ranks), cover.is_minimal);
}

nb::tuple Ranks(nb::handle source_strategy, nb::handle target_strategy, int64_t rank) {
  const RankListRequest request{.source_strategy_path = OptionalPathFromPython(source_strategy),
                                .target_strategy_path = OptionalPathFromPython(target_strategy),
                                .rank = rank};
  return RanksOf(RunBriefly<RankCover>([&] {
    const auto fs = NewPosixFileSystem();
    return RanksForTransform(*fs, request);
  }));
}

nb::dict Merge(nb::handle directory, nb::handle target, bool overwrite) {
  const std::string source_path = PathFromPython(directory);
  const std::string target_path = PathFromPython(target);
  const auto report = RunBriefly<MergeReport>([&] {
    const auto fs = NewPosixFileSystem();
    return MergeStrategies(*fs, source_path, target_path, overwrite);
  });
  nb::dict dict;
  dict["file"] = PathToPython(target_path);
  dict["stage_count"] = report.stage_count;
  dict["parameter_count"] = report.parameter_count;
  dict["rank_count"] = report.rank_count;
  return dict;
}

}  // namespace

void BindStrategy(nb::module_& module) {
  BindLayout(module);
  nb::class_<Strategy>(module, "Strategy", "See relayout/layout/strategy.h.")
      .def_prop_ro("stage_count", &Strategy::stage_count)
      .def_prop_ro("rank_count", &Strategy::rank_count)
      .def_prop_ro("name_count", [](const Strategy& self) { return self.Names().size(); })
      .def("names", &Strategy::Names)
      .def("contains", &Strategy::Contains, nb::arg("name"))
      .def("find", &Find, nb::arg("name"));
  module.def(
      "parse_layout", [](const std::string& text) { return ValueOrThrow(ParseLayout(text)); },
      nb::arg("text"));
  module.def("load_strategy", &Load, nb::arg("path"));
  module.def("ranks", &Ranks, nb::arg("source_strategy").none(), nb::arg("target_strategy").none(),
             nb::arg("rank"));
  module.def("merge_strategies", &Merge, nb::arg("directory"), nb::arg("target"),
             nb::arg("overwrite"));
}

}  // namespace relayout::python
