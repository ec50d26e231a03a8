// SPDX-License-Identifier: Apache-2.0
//
// Status and Result<T>: how every fallible function of relayout reports failure.
//
// No exception crosses a module. A message is written for the person who runs the tool: it says
// what, where (file, tensor, rank) and both sides, e.g.
//
//   layer1.weight: dim 0 = 784 is not divisible by 6 (dst_strategy.ckpt)
//
// Worked example:
//
//   Result<int64_t> Half(int64_t n) {
//     if (n % 2 != 0) return InvalidInput(Format("{} is odd", n));
//     return n / 2;
//   }
//   Status Use() {
//     RELAYOUT_ASSIGN_OR_RETURN(const int64_t half, Half(6));
//     ...
//     return OkStatus();
//   }
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "relayout/base/check.h"

namespace relayout {

// Few codes, each with a different consequence for the caller. The CLI maps kIoError and
// kOutOfMemory to exit code 3 (the machine failed), every other failure to 1.
enum class StatusCode {
  kOk,
  kInvalidInput,   // A file or a request contradicts itself or something else.
  kNotFound,       // Something that was named does not exist.
  kAlreadyExists,  // Something would be overwritten.
  kUnsupported,    // Understood, and not done by design.
  kIoError,        // The operating system refused or the disk is full.
  kOutOfMemory,
  kCancelled,  // The caller asked to stop.
};

// The name of a code as used in --json output, e.g. "invalid_input".
const char* StatusCodeName(StatusCode code);

// An outcome without a value. Cheap to copy when OK.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {
    RELAYOUT_CHECK(code != StatusCode::kOk);
  }

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

  // The same failure with "context: " before its message; OK stays OK.
  Status WithContext(const std::string& context) const {
    return ok() ? *this : Status(code_, context + ": " + message_);
  }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

inline Status OkStatus() { return Status(); }
inline Status InvalidInput(std::string message) {
  return {StatusCode::kInvalidInput, std::move(message)};
}
inline Status NotFound(std::string message) { return {StatusCode::kNotFound, std::move(message)}; }
inline Status AlreadyExists(std::string message) {
  return {StatusCode::kAlreadyExists, std::move(message)};
}
inline Status Unsupported(std::string message) {
  return {StatusCode::kUnsupported, std::move(message)};
}
inline Status IoError(std::string message) { return {StatusCode::kIoError, std::move(message)}; }
inline Status OutOfMemory(std::string message) {
  return {StatusCode::kOutOfMemory, std::move(message)};
}
inline Status Cancelled(std::string message) {
  return {StatusCode::kCancelled, std::move(message)};
}

// A value or the reason why there is none. Reading the value of a failed Result is a CHECK failure.
template <typename T>
class [[nodiscard]] Result {
 public:
  // Implicit on purpose: `return value;` and `return InvalidInput(...);` both read naturally.
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Status status) : state_(std::in_place_index<1>, std::move(status)) {
    RELAYOUT_CHECK(!std::get<1>(state_).ok());
  }

  bool ok() const { return state_.index() == 0; }
  Status status() const { return ok() ? OkStatus() : std::get<1>(state_); }

  T& value() & {
    RELAYOUT_CHECK(ok());
    return std::get<0>(state_);
  }
  const T& value() const& {
    RELAYOUT_CHECK(ok());
    return std::get<0>(state_);
  }
  // By value, so that `for (x : *F())` does not dangle.
  T value() && {
    RELAYOUT_CHECK(ok());
    return std::move(std::get<0>(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Status> state_;
};

}  // namespace relayout

#define RELAYOUT_CONCAT_INNER_(a, b) a##b
#define RELAYOUT_CONCAT_(a, b) RELAYOUT_CONCAT_INNER_(a, b)

// Returns from the enclosing function when `expression` (a Status) is a failure.
#define RELAYOUT_RETURN_IF_ERROR(expression)                        \
  do {                                                              \
    if (::relayout::Status status_ = (expression); !status_.ok()) { \
      return status_;                                               \
    }                                                               \
  } while (false)

// `declaration` = the value of `expression` (a Result), or return its Status.
#define RELAYOUT_ASSIGN_OR_RETURN(declaration, expression) \
  RELAYOUT_ASSIGN_OR_RETURN_(RELAYOUT_CONCAT_(result_, __LINE__), declaration, expression)
// NOLINTBEGIN(bugprone-macro-parentheses): a declaration and a name cannot stand in parentheses.
#define RELAYOUT_ASSIGN_OR_RETURN_(result, declaration, expression) \
  auto result = (expression);                                       \
  if (!result.ok()) {                                               \
    return result.status();                                         \
  }                                                                 \
  declaration = std::move(result).value()
// NOLINTEND(bugprone-macro-parentheses)
