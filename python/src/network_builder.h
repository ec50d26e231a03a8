// SPDX-License-Identifier: Apache-2.0
//
// The NetworkBuilder of Python programs. One that Python made has a network of its own; one that
// relayout._train hands to a network function writes into a Model's, which is gone when the
// function has returned. Tensors may outlive that in Python's hands, so they ask their builder
// before they touch it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "relayout/graph/builder.h"

namespace relayout::python {

class Builder {
 public:
  Builder() : own_(std::make_unique<NetworkBuilder>()), net_(own_.get()) {}
  // Writes into `net`, until Finish().
  explicit Builder(NetworkBuilder& net) : net_(&net) {}

  // Throws StatusError when it is finished.
  NetworkBuilder& net() const;
  void Enter(const std::string& name);
  void Leave();
  void Finish();

 private:
  std::unique_ptr<NetworkBuilder> own_;
  NetworkBuilder* net_;
  std::vector<std::unique_ptr<Scope>> scopes_;
};

// A NetworkTensor in Python's hands.
struct BuiltTensor {
  std::shared_ptr<Builder> builder;
  NetworkTensor tensor;

  // Throws StatusError when its builder is finished.
  const NetworkTensor& get() const {
    (void)builder->net();
    return tensor;
  }
};

}  // namespace relayout::python
