// SPDX-License-Identifier: Apache-2.0
#include <atomic>

#include "relayout/comm/comm.h"

namespace relayout {
namespace {

class SelfComm final : public Comm {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string label() const override { return "this process"; }

  Status Barrier() override { return OkStatus(); }
  Status Broadcast(std::string& /*bytes*/, int root) override {
    RELAYOUT_CHECK(root == 0);
    return OkStatus();
  }
  Result<std::vector<std::string>> AllGather(std::string_view mine) override {
    return std::vector<std::string>{std::string(mine)};
  }
  Result<std::vector<std::string>> Gather(std::string_view mine, int root) override {
    RELAYOUT_CHECK(root == 0);
    return AllGather(mine);
  }

  Status Exchange(std::span<const int> group, std::span<const std::string_view> give,
                  const Receive& receive) override {
    RELAYOUT_CHECK(group.size() == 1 && group[0] == 0 && give.size() == 1);
    receive(0, give[0]);
    return OkStatus();
  }

  void RequestStop() override { stop_ = true; }
  bool StopRequested() override { return stop_; }

 private:
  std::atomic<bool> stop_ = false;
};

}  // namespace

std::unique_ptr<Comm> NewSelfComm() { return std::make_unique<SelfComm>(); }

}  // namespace relayout
