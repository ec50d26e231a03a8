// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "python/src/bindings.h"
#include "python/src/errors.h"
#include "python/src/run.h"
#include "relayout/base/text.h"
#include "relayout/io/posix_file_system.h"

namespace nb = nanobind;

NB_MODULE(_core, module) {
  using namespace relayout;  // NOLINT(google-build-using-namespace): one line a function.
  module.doc() = "The C++ engine of relayout. Use the package relayout instead.";
  module.attr("__version__") = RELAYOUT_VERSION;
  // Threads and tracebacks that live to the end of the program keep objects; that is no leak of
  // ours.
  nb::set_leak_warnings(false);
  python::RegisterErrors();
  python::BindSets(module);
  python::BindConvert(module);
  python::BindStrategy(module);
  python::BindMindSpore(module);
  python::BindCheckpoint(module);
  python::BindPlan(module);
  python::BindCompare(module);
  python::BindNetwork(module);
  python::BindWorld(module);
  module.def(
      "parse_bytes", [](const std::string& text) { return ParseBytes(text); }, nb::arg("text"),
      "\"256MiB\" -> 268435456; None for what is no size.");
  module.def("raise_open_file_limit", &RaiseOpenFileLimit,
             "Lets this process open as many files as its hard limit allows.");
  nb::module_::import_("atexit").attr("register")(module.attr("stop_all_runs"));
}
