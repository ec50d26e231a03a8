// SPDX-License-Identifier: Apache-2.0
#include "python/src/errors.h"

#include <nanobind/nanobind.h>

#include "python/src/text.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

void Translate(const std::exception_ptr& thrown, void* /*payload*/) {
  try {
    std::rethrow_exception(thrown);
  } catch (const StatusError& error) {
    const Status& status = error.status();
    try {
      const nb::object exception = nb::module_::import_("relayout._errors")
                                       .attr("from_status")(StatusCodeName(status.code()),
                                                            TextFromMessage(status.message()));
      PyErr_SetObject(exception.type().ptr(), exception.ptr());
    } catch (nb::python_error& failure) {
      failure.restore();
    }
  }
}

}  // namespace

void RegisterErrors() { nb::register_exception_translator(Translate, nullptr); }

}  // namespace relayout::python
