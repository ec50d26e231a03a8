// SPDX-License-Identifier: Apache-2.0
//
// What only relayout.mindspore needs: files in MindSpore's own words.
#include <nanobind/stl/string.h>

#include <vector>

#include "python/src/bindings.h"
#include "python/src/run.h"
#include "python/src/text.h"
#include "relayout/format/mindspore/group_file.h"
#include "relayout/format/mindspore/strategy_record.h"
#include "relayout/format/strategy_file.h"
#include "relayout/io/posix_file_system.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

nb::list ListOf(const std::vector<int64_t>& numbers) {
  nb::list list;
  for (const int64_t number : numbers) list.append(number);
  return list;
}

// As MindSpore writes it: one list with an axis for each dimension, or, where a dimension is cut by
// several axes, one list a dimension, and an empty one behind it when there is only one.
nb::list TensorMaps(const LayoutRecord& record) {
  nb::list maps;
  if (record.IsNested()) {
    for (const auto& axes : record.tensor_map) maps.append(ListOf(axes));
    if (record.tensor_map.size() == 1) maps.append(nb::list());
    return maps;
  }
  nb::list flat;
  for (const auto& axes : record.tensor_map) flat.append(axes.empty() ? -1 : axes[0]);
  maps.append(flat);
  return maps;
}

// (name, dev_matrix, tensor_map lists, param_split_shape, indices_offset, field, step, size) each.
nb::list ReadRecords(nb::handle path) {
  const std::string file = PathFromPython(path);
  const auto records = RunBriefly<StrategyRecords>([&] {
    const auto fs = NewPosixFileSystem();
    return ReadStrategyRecords(*fs, file);
  });
  nb::list layouts;
  for (const StrategyRecords::NamedLayout& layout : records.layouts) {
    const LayoutRecord& record = records.RecordOf(layout);
    layouts.append(nb::make_tuple(layout.name, ListOf(record.dev_matrix), TensorMaps(record),
                                  ListOf(record.param_split_shape), ListOf(record.indices_offset),
                                  record.field, record.opt_weight_shard_step,
                                  record.opt_weight_shard_size));
  }
  return layouts;
}

nb::list RestoreGroupInfoList(nb::handle path) {
  const std::string file = PathFromPython(path);
  const auto groups = RunBriefly<GroupFile>([&] {
    const auto fs = NewPosixFileSystem();
    return ReadGroupFile(*fs, file);
  });
  return ListOf(groups.restore_ranks);
}

}  // namespace

void BindMindSpore(nb::module_& module) {
  module.def("read_strategy_records", &ReadRecords, nb::arg("path"));
  module.def("restore_group_info_list", &RestoreGroupInfoList, nb::arg("path"));
}

}  // namespace relayout::python
