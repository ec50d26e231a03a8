// SPDX-License-Identifier: Apache-2.0
//
// Python functions that C++ calls: network functions, callbacks. What they raise cannot pass
// through the library, so it is kept here, the library gets a Status in its place, and when the
// library has returned it is raised again, with its traceback.
#pragma once

#include <nanobind/nanobind.h>

#include <functional>

#include "relayout/base/status.h"

namespace relayout::python {

class PythonFailure {
 public:
  // With the GIL: calls `work`, which may throw, and keeps the exception if it is the first.
  // The status has its class and text: "ValueError: no such thing".
  Status Guard(const std::function<void()>& work);

  // With the GIL. Throws what was kept, once; does nothing if nothing was.
  void Raise();
  // With the GIL. The exception that is kept, or null.
  nanobind::handle kept() const { return exception_; }

 private:
  nanobind::object exception_;
};

// With the GIL: the exception itself, which knows its traceback.
nanobind::object ExceptionOf(nanobind::python_error& error);
[[noreturn]] void RaiseAgain(const nanobind::object& exception);

}  // namespace relayout::python
