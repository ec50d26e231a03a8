// SPDX-License-Identifier: Apache-2.0
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "python/src/bindings.h"
#include "python/src/run.h"
#include "python/src/set_spec.h"
#include "python/src/text.h"
#include "relayout/convert/transform.h"
#include "relayout/io/posix_file_system.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

using Request = TransformRequest;
using Renames = std::map<std::string, std::optional<std::string>, std::less<>>;

// A path or an optional path of the request as an attribute.
template <auto kMember>
void BindPath(nb::class_<Request>& request, const char* name) {
  request.def_prop_rw(
      name, [](const Request& self) { return PathToPython(self.*kMember); },
      [](Request& self, nb::handle path) { self.*kMember = PathFromPython(path); });
}

// A member of the request's ContentsOptions as an attribute of the request.
template <auto kMember>
void BindContentsOption(nb::class_<Request>& request, const char* name) {
  request.def_prop_rw(
      name, [](const Request& self) { return self.contents.*kMember; },
      [](Request& self, bool value) { self.contents.*kMember = value; });
}

void BindRequest(nb::module_& module) {
  nb::class_<Request> request(module, "TransformRequest", "See relayout/convert/transform.h.");
  request.def(nb::init<>());
  request.def_rw("source", &Request::source);
  request.def_prop_rw(
      "target_strategy",
      [](const Request& self) -> nb::object {
        if (!self.target_strategy_path) return nb::none();
        return PathToPython(*self.target_strategy_path);
      },
      [](Request& self, nb::handle path) {
        self.target_strategy_path = OptionalPathFromPython(path);
      },
      nb::for_setter(nb::arg("path").none()));
  request.def_rw("ranks", &Request::ranks);
  request.def_prop_rw(
      "renames", [](const Request& self) { return self.contents.renames; },
      [](Request& self, Renames renames) { self.contents.renames = std::move(renames); });
  BindContentsOption<&ContentsOptions::keep_extra>(request, "keep_extra");
  BindContentsOption<&ContentsOptions::allow_missing>(request, "allow_missing");
  BindContentsOption<&ContentsOptions::strict>(request, "strict");
  request.def_rw("check_replicas", &Request::check_replicas);
  request.def_rw("trust_strategy", &Request::trust_strategy);
  request.def_rw("check_crc", &Request::check_crc);
  BindPath<&Request::target_directory>(request, "target_directory");
  BindPath<&Request::target_file>(request, "target_file");
  BindPath<&Request::prefix>(request, "prefix");
  BindPath<&Request::file_name>(request, "file_name");
  request.def_rw("unified", &Request::unified, nb::for_setter(nb::arg("options").none()));
  request.def_rw("format", &Request::format, nb::for_setter(nb::arg("format").none()));
  request.def_rw("overwrite", &Request::overwrite);
  request.def_rw("keep_others", &Request::keep_others);
  request.def_rw("sync", &Request::sync);
  request.def_rw("crc_trailer", &Request::crc_trailer);
  request.def_rw("replicas", &Request::replica_mode);
  request.def_rw("remove_redundancy", &Request::remove_redundancy);
  request.def_rw("resume", &Request::resume);
  request.def_rw("thread_count", &Request::thread_count);
  request.def_rw("memory_bytes", &Request::memory_bytes);
}

void BindUnified(nb::module_& module) {
  nb::class_<UnifiedOptions>(module, "UnifiedOptions", "See relayout/convert/unified.h.")
      .def(
          "__init__",
          [](UnifiedOptions* options, int64_t part_bytes, int64_t task, int64_t task_count) {
            new (options)
                UnifiedOptions{.part_bytes = part_bytes, .task = task, .task_count = task_count};
          },
          nb::arg("part_bytes"), nb::arg("task"), nb::arg("task_count"));
}

void BindEnums(nb::module_& module) {
  nb::enum_<FileFormat>(module, "FileFormat")
      .value("CKPT", FileFormat::kMindSporeCheckpoint)
      .value("SAFETENSORS", FileFormat::kSafetensors);
  nb::enum_<ReplicaMode>(module, "ReplicaMode")
      .value("COPY", ReplicaMode::kCopy)
      .value("HARDLINK", ReplicaMode::kHardLink)
      .value("REFLINK", ReplicaMode::kReflink);
}

nb::dict DictOf(const TransformReport& report) {
  nb::dict files;
  for (const auto& [rank, path] : report.file_of_rank) files[nb::int_(rank)] = PathToPython(path);
  nb::dict dict;
  dict["is_shared"] = report.is_shared;
  dict["files"] = files;
  dict["source_rank_count"] = report.source_rank_count;
  dict["target_rank_count"] = report.target_rank_count;
  dict["source_ranks_read"] = TupleOf(report.source_ranks_read);
  dict["is_unified"] = report.is_unified;
  dict["value_count"] = report.value_count;
  dict["source_bytes"] = report.source_bytes;
  dict["read_bytes"] = report.read_bytes;
  dict["written_bytes"] = report.written_bytes;
  dict["target_bytes"] = report.target_bytes;
  dict["resumed_bytes"] = report.resumed_bytes;
  dict["is_complete"] = report.is_complete;
  dict["step"] = StepToPython(report.step);
  dict["notes"] = NotesToPython(report.notes);
  return dict;
}

// Together with the processes of `world`, unless that is None.
nb::dict Transform(TransformRequest request, nb::handle on_progress, nb::handle world) {
  Comm* const comm = CommOf(world);
  Progress progress;
  request.progress = &progress;
  return DictOf(RunForResult<TransformReport>(progress, on_progress, [&] {
    const auto fs = NewPosixFileSystem();
    return comm == nullptr ? TransformCheckpoints(*fs, request)
                           : TransformCheckpoints(*fs, *comm, request);
  }));
}

}  // namespace

nb::list NotesToPython(const std::vector<Note>& notes) {
  nb::list list;
  for (const Note& note : notes) {
    list.append(nb::make_tuple(note.kind, TextFromMessage(note.message)));
  }
  return list;
}

void BindConvert(nb::module_& module) {
  BindEnums(module);
  BindUnified(module);
  BindRequest(module);
  module.def("transform", &Transform, nb::arg("request"), nb::arg("progress").none(),
             nb::arg("world").none());
}

}  // namespace relayout::python
