// SPDX-License-Identifier: Apache-2.0
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "python/src/bindings.h"
#include "python/src/run.h"
#include "python/src/text.h"
#include "relayout/convert/compare.h"
#include "relayout/convert/verify_manifest.h"
#include "relayout/io/posix_file_system.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

nb::dict DictOf(const VerifyReport& report) {
  nb::list problems;
  for (const std::string& problem : report.problems) problems.append(TextFromMessage(problem));
  nb::dict dict;
  dict["file_count"] = report.file_count;
  dict["value_count"] = report.value_count;
  dict["compared_bytes"] = report.compared_bytes;
  dict["problems"] = problems;
  dict["problem_count"] = report.problem_count;
  return dict;
}

nb::dict Verify(const CheckpointSetSpec& source, const CheckpointSetSpec& target,
                const std::vector<int64_t>& ranks, bool keep_extra, bool remove_redundancy,
                int threads, nb::handle on_progress) {
  Progress progress;
  return DictOf(RunForResult<VerifyReport>(progress, on_progress, [&] {
    const auto fs = NewPosixFileSystem();
    return VerifyTransform(*fs, {.source = source,
                                 .target = target,
                                 .ranks = ranks,
                                 .keep_extra = keep_extra,
                                 .remove_redundancy = remove_redundancy,
                                 .thread_count = threads,
                                 .progress = &progress});
  }));
}

nb::dict VerifyAlone(nb::handle directory, const std::vector<int64_t>& ranks, int threads,
                     nb::handle on_progress) {
  Progress progress;
  const VerifyManifestRequest request{.directory = PathFromPython(directory),
                                      .ranks = ranks,
                                      .thread_count = threads,
                                      .progress = &progress};
  return DictOf(RunForResult<VerifyReport>(progress, on_progress, [&] {
    const auto fs = NewPosixFileSystem();
    return VerifyManifest(*fs, request);
  }));
}

nb::dict Diff(const CheckpointSetSpec& a, const CheckpointSetSpec& b, int threads,
              nb::handle on_progress) {
  Progress progress;
  const auto report = RunForResult<DiffReport>(progress, on_progress, [&] {
    const auto fs = NewPosixFileSystem();
    return DiffCheckpoints(*fs, {.a = a, .b = b, .thread_count = threads, .progress = &progress});
  });
  nb::list differences;
  for (const ValueDifference& difference : report.differences) {
    differences.append(nb::make_tuple(difference.name, TextFromMessage(difference.text)));
  }
  nb::dict dict;
  dict["equal_count"] = report.equal_count;
  dict["compared_bytes"] = report.compared_bytes;
  dict["differences"] = differences;
  return dict;
}

}  // namespace

void BindCompare(nb::module_& module) {
  module.def("verify", &Verify, nb::arg("source"), nb::arg("target"), nb::arg("ranks"),
             nb::arg("keep_extra"), nb::arg("remove_redundancy"), nb::arg("threads"),
             nb::arg("progress").none());
  module.def("verify_manifest", &VerifyAlone, nb::arg("directory"), nb::arg("ranks"),
             nb::arg("threads"), nb::arg("progress").none());
  module.def("diff", &Diff, nb::arg("a"), nb::arg("b"), nb::arg("threads"),
             nb::arg("progress").none());
}

}  // namespace relayout::python
