// SPDX-License-Identifier: Apache-2.0
//
// The contract of comm.h on MPI. One process of several that mpirun starts, so without GoogleTest:
//
//   mpirun -n 3 mpi_contract contract 3 [MAX_MESSAGE_BYTES]
//
// Exit status 0 if all is as promised. What the other words do stands at kScenes.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/comm/comm.h"
#include "relayout/comm/launch.h"
#include "relayout/mpi/mpi_comm.h"
#include "tests/comm/contract.h"

namespace relayout {
namespace {

// Whole lines, so that those of several processes do not mix, and flushed before anybody aborts.
void Say(const std::string& text) {
  (void)std::fputs((text + "\n").c_str(), stdout);
  (void)std::fflush(stdout);
}

int Report(const Status& status) {
  if (!status.ok()) Say(status.message());
  return status.ok() ? 0 : 1;
}

// All cases. A rank that finds something wrong ends all: the others may be in a collective.
int Contract(Comm& comm) {
  for (const auto& [name, run] : comm_contract::Cases()) {
    const Status status = run(comm);
    if (status.ok()) continue;
    Say(Format("{}: {}", name, status.message()));
    AbortMpi(1);
  }
  if (comm.rank() == 0) Say(Format("{} cases hold", comm_contract::Cases().size()));
  return comm_contract::Cases().empty() ? 1 : 0;
}

// The last process does not wait for the others, who wait for it. Each collective must fail.
int Leave(Comm& comm) {
  if (comm.rank() == comm.size() - 1) return 0;
  return Report(comm.Barrier());
}

// The last process leaves; the others do without it in exchanges of their own, and fail in the
// first one that needs it.
int LeaveGroup(Comm& comm) {
  const std::vector<int> all = WholeGroup(comm);
  const auto exchange = [&](std::span<const int> group) {
    const std::vector<std::string_view> give(group.size(), "bytes");
    return comm.Exchange(group, give, [](size_t, std::string_view) {});
  };
  const Status together = exchange(all);
  if (comm.rank() == comm.size() - 1) return Report(together);
  // Long enough for the word to come that one has left.
  for (int i = 0; i < 30; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const Status status = exchange(std::span(all).first(all.size() - 1));
    if (!status.ok()) return Report(InvalidInput("failed too early: " + status.message()));
  }
  return Report(exchange(all));
}

// Everybody asks for a stop from two threads, and ends before anybody looks.
int StopUnseen(Comm& comm) {
  const std::jthread first([&] { comm.RequestStop(); });
  const std::jthread second([&] { comm.RequestStop(); });
  return 0;
}

// The last process is killed while the others wait for it. The launcher must end them.
int Killed(Comm& comm) {
  if (comm.rank() == comm.size() - 1) (void)std::raise(SIGKILL);
  return Report(comm.Barrier());
}

// The last process ends everybody, whatever they do.
int Abort(Comm& comm) {
  if (comm.rank() == comm.size() - 1) AbortMpi(5);
  return Report(comm.Barrier());
}

struct Scene {
  const char* name;
  int (*play)(Comm&);
};
const Scene kScenes[] = {{"contract", Contract},      {"leave", Leave},
                         {"leave_group", LeaveGroup}, {"stop_unseen", StopUnseen},
                         {"killed", Killed},          {"abort", Abort}};

int Play(const std::string& name, int process_count, const MpiOptions& options) {
  auto comm = InitMpi(DetectLaunch(), options);
  if (!comm.ok()) return Report(comm.status());
  if (InitMpi(DetectLaunch()).status().code() != StatusCode::kUnsupported) return 1;
  if ((*comm)->size() != process_count) return 1;
  for (const Scene& scene : kScenes) {
    if (name == scene.name) return scene.play(**comm);
  }
  return 2;
}

}  // namespace
}  // namespace relayout

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  relayout::MpiOptions options;
  if (argc > 3) options.max_message_bytes = std::atoll(argv[3]);
  return relayout::Play(argv[1], std::atoi(argv[2]), options);
}
