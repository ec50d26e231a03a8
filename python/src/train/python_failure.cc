// SPDX-License-Identifier: Apache-2.0
#include "python/src/train/python_failure.h"

#include <exception>
#include <utility>

#include "python/src/errors.h"
#include "relayout/base/text.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

// "ValueError: no such thing", or what relayout itself says.
std::string Describe(const nb::object& exception) {
  try {
    const std::string text = nb::cast<std::string>(nb::str(exception));
    const nb::object error = nb::module_::import_("relayout._errors").attr("Error");
    if (nb::isinstance(exception, error)) return text;
    const auto name = nb::cast<std::string>(exception.type().attr("__name__"));
    return text.empty() ? name : Format("{}: {}", name, text);
  } catch (const std::exception&) {
    return "an exception that has no text";
  }
}

}  // namespace

nb::object ExceptionOf(nb::python_error& error) {
  nb::object exception = nb::borrow(error.value());
  // Before CPython 3.12 they travel apart.
  if (error.traceback().is_valid()) {
    PyException_SetTraceback(exception.ptr(), error.traceback().ptr());
  }
  return exception;
}

void RaiseAgain(const nb::object& exception) {
  PyErr_SetObject(exception.type().ptr(), exception.ptr());
  throw nb::python_error();
}

Status PythonFailure::Guard(const std::function<void()>& work) {
  try {
    work();
    return OkStatus();
  } catch (nb::python_error& error) {
    const nb::object exception = ExceptionOf(error);
    if (!exception_.is_valid()) exception_ = exception;
    return InvalidInput(Describe(exception));
  } catch (const StatusError& error) {
    return error.status();
  } catch (const std::exception& error) {  // nanobind's own: a cast that cannot be made.
    return InvalidInput(error.what());
  }
}

void PythonFailure::Raise() {
  if (exception_.is_valid()) RaiseAgain(std::exchange(exception_, nb::object()));
}

}  // namespace relayout::python
