// SPDX-License-Identifier: Apache-2.0
#include "python/src/text.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

nb::str Steal(PyObject* text) {
  if (text == nullptr) throw nb::python_error();
  return nb::steal<nb::str>(text);
}

}  // namespace

std::string PathFromPython(nb::handle path) {
  PyObject* encoded = nullptr;
  if (PyUnicode_FSConverter(path.ptr(), &encoded) == 0) throw nb::python_error();
  const nb::bytes bytes = nb::steal<nb::bytes>(encoded);
  return {bytes.c_str(), bytes.size()};
}

std::optional<std::string> OptionalPathFromPython(nb::handle path) {
  if (path.is_none()) return std::nullopt;
  return PathFromPython(path);
}

nb::str PathToPython(const std::string& path) {
  return Steal(PyUnicode_DecodeFSDefaultAndSize(path.data(), static_cast<Py_ssize_t>(path.size())));
}

nb::str TextFromMessage(const std::string& message) {
  return Steal(PyUnicode_DecodeUTF8(message.data(), static_cast<Py_ssize_t>(message.size()),
                                    "backslashreplace"));
}

}  // namespace relayout::python
