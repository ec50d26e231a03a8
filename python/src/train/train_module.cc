// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>

#include "python/src/errors.h"
#include "python/src/train/bindings.h"

namespace nb = nanobind;

NB_MODULE(_train, module) {
  using namespace relayout;  // NOLINT(google-build-using-namespace): one line a function.
  module.doc() = "Training. Use the package relayout.train instead.";
  nb::module_::import_("relayout._core");  // Whose types are used here.
  nb::set_leak_warnings(false);
  python::RegisterErrors();
  python::BindRanks(module);
  python::BindData(module);
  python::BindFiles(module);
  python::BindCallbacks(module);
  python::BindModel(module);
  nb::module_::import_("atexit").attr("register")(module.attr("stop_all_runs"));
}
