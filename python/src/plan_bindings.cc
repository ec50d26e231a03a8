// SPDX-License-Identifier: Apache-2.0
//
// A DryRunReport as dicts and lists. _plan.py has the words for it.
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "python/src/bindings.h"
#include "python/src/run.h"
#include "python/src/text.h"
#include "relayout/convert/dry_run.h"
#include "relayout/draw/svg.h"
#include "relayout/io/posix_file_system.h"
#include "relayout/plan/explain.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

nb::list SourcesOf(const DryRunReport& report) {
  nb::list sources;
  for (const DryRunSource& source : report.sources) {
    sources.append(nb::make_tuple(source.rank, PathToPython(source.path), source.size_bytes,
                                  source.read_bytes));
  }
  return sources;
}

nb::list TargetsOf(const DryRunReport& report) {
  nb::list targets;
  for (const DryRunTarget& target : report.targets) {
    targets.append(nb::make_tuple(target.rank, PathToPython(target.path), target.size_bytes,
                                  target.payload_bytes, target.original));
  }
  return targets;
}

nb::tuple PlaceOf(const PlacedTensor& placed) {
  return nb::make_tuple(placed.first_rank, placed.partition.layout());
}

nb::tuple SlicesOf(const Box& box) { return nb::make_tuple(TupleOf(box.begin), TupleOf(box.end)); }

// (target ranks, (begin, end), [(source rank, (begin, end)), ...]) of each shard that is wanted.
nb::list CopiesOf(const Transfer& transfer) {
  nb::list copies;
  for (size_t t = 0; t < transfer.targets.size(); ++t) {
    const TransferTarget& target = transfer.targets[t];
    const Partition& partition = target.placed.partition;
    for (int64_t shard = 0; shard < partition.layout().shard_count(); ++shard) {
      if (!target.wants(shard)) continue;
      nb::list from;
      for (const ShardCopy& copy : CopiesInto(transfer, t, shard)) {
        from.append(nb::make_tuple(copy.source_rank, SlicesOf(copy.box)));
      }
      copies.append(nb::make_tuple(TupleOf(target.ranks_of_shard[static_cast<size_t>(shard)]),
                                   SlicesOf(partition.BoxOf(partition.layout().CellOfShard(shard))),
                                   nb::tuple(from)));
    }
  }
  return copies;
}

nb::list LinesOf(const DryRunReport::Explained& tensor) {
  nb::list lines;
  for (const std::string& line :
       ExplainTransfer(tensor.name, tensor.dtype, tensor.transfer, tensor.unused_sources)) {
    lines.append(TextFromMessage(line));
  }
  return lines;
}

nb::list ExplainedOf(const DryRunReport& report) {
  nb::list explained;
  for (const DryRunReport::Explained& tensor : report.explained) {
    nb::list targets;
    for (const TransferTarget& target : tensor.transfer.targets) {
      targets.append(PlaceOf(target.placed));
    }
    nb::dict dict;
    dict["name"] = tensor.name;
    dict["dtype"] = std::string(ShortName(tensor.dtype));
    dict["shape"] = TupleOf(tensor.transfer.shape());
    dict["source"] = PlaceOf(tensor.transfer.source);
    dict["targets"] = targets;
    dict["copies"] = CopiesOf(tensor.transfer);
    dict["lines"] = LinesOf(tensor);
    dict["svg"] = TransferSvg(tensor.transfer, {.title = tensor.name});
    explained.append(dict);
  }
  return explained;
}

nb::list ProblemsOf(const DryRunReport& report) {
  nb::list problems;
  for (const Status& problem : report.problems) {
    problems.append(
        nb::make_tuple(StatusCodeName(problem.code()), TextFromMessage(problem.message())));
  }
  return problems;
}

nb::dict DictOf(const DryRunReport& report) {
  nb::dict dict;
  dict["source_rank_count"] = report.source_rank_count;
  dict["target_rank_count"] = report.target_rank_count;
  dict["value_count"] = report.value_count;
  dict["sources"] = SourcesOf(report);
  dict["targets"] = TargetsOf(report);
  dict["read_bytes"] = report.read_bytes;
  dict["checked_bytes"] = report.checked_bytes;
  dict["payload_bytes"] = report.payload_bytes;
  dict["written_bytes"] = report.written_bytes;
  dict["piece_count"] = report.piece_count;
  dict["memory_bytes"] = report.memory.total_bytes();
  dict["disk_path"] = PathToPython(report.disk_path);
  dict["disk_bytes"] = report.disk_bytes();
  dict["free_bytes"] = report.free_bytes;
  dict["seconds"] = report.estimated_seconds;
  dict["explained"] = ExplainedOf(report);
  dict["problems"] = ProblemsOf(report);
  dict["notes"] = NotesToPython(report.notes);
  return dict;
}

nb::dict Plan(TransformRequest request, const std::vector<std::string>& explain, bool probe) {
  Progress progress;
  request.progress = &progress;
  return DictOf(RunForResult<DryRunReport>(progress, nb::none(), [&] {
    const auto fs = NewPosixFileSystem();
    return DryRunTransform(*fs, request, {.probe = probe, .explain = explain});
  }));
}

}  // namespace

void BindPlan(nb::module_& module) {
  module.def("plan", &Plan, nb::arg("request"), nb::arg("explain"), nb::arg("probe"));
}

}  // namespace relayout::python
