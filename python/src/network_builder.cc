// SPDX-License-Identifier: Apache-2.0
#include "python/src/network_builder.h"

#include "python/src/errors.h"

namespace relayout::python {

NetworkBuilder& Builder::net() const {
  if (net_ == nullptr) {
    ThrowIfFailed(InvalidInput(
        "the network is written: its builder and tensors end with the call of its function"));
  }
  return *net_;
}

void Builder::Enter(const std::string& name) {
  scopes_.push_back(std::make_unique<Scope>(net(), name));
}

void Builder::Leave() {
  if (!scopes_.empty()) scopes_.pop_back();
}

void Builder::Finish() {
  while (!scopes_.empty()) scopes_.pop_back();
  net_ = nullptr;
}

}  // namespace relayout::python
