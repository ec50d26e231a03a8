// SPDX-License-Identifier: Apache-2.0
//
// The border between Status and Python's exceptions: a failed Status is thrown as StatusError,
// which becomes the class that relayout/_errors.py has for its code.
#pragma once

#include <exception>
#include <string>
#include <utility>

#include "relayout/base/status.h"

namespace relayout::python {

class StatusError : public std::exception {
 public:
  explicit StatusError(Status status) : status_(std::move(status)) {}
  const Status& status() const { return status_; }
  const char* what() const noexcept override { return status_.message().c_str(); }

 private:
  Status status_;
};

inline void ThrowIfFailed(const Status& status) {
  if (!status.ok()) throw StatusError(status);
}

template <typename T>
T ValueOrThrow(Result<T> result) {
  ThrowIfFailed(result.status());
  return std::move(result).value();
}

// Makes StatusError known to Python; once, when the module is loaded.
void RegisterErrors();

}  // namespace relayout::python
