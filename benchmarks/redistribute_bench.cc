// SPDX-License-Identifier: Apache-2.0
//
// How fast tensors change their layout between threads of one process, beside memcpy: each line is
// a movement, the bytes that all ranks together receive into their new shards, the median of some
// rounds, and bytes per second; the first line is as many threads that copy as many bytes each as
// the gather does.
//
//   redistribute_bench [ROWS=4096 [RANKS=4]]       a tensor f32[ROWS,ROWS]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <span>
#include <vector>

#include "relayout/comm/thread_comm.h"
#include "relayout/spmd/redistribute.h"

namespace relayout {
namespace {

constexpr size_t kRounds = 9;

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Rank 0 prints; between barriers all ranks do the same.
Status Measure(Comm& comm, const char* name, int64_t bytes, const std::function<Status()>& work) {
  std::vector<double> seconds(kRounds);
  for (double& round : seconds) {
    RELAYOUT_RETURN_IF_ERROR(comm.Barrier());
    const double begin = Seconds();
    RELAYOUT_RETURN_IF_ERROR(work());
    RELAYOUT_RETURN_IF_ERROR(comm.Barrier());
    round = Seconds() - begin;
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[kRounds / 2];
  if (comm.rank() == 0) {
    std::printf("%-28s %8.1f MiB %9.3f ms %7.2f GB/s\n", name,
                static_cast<double>(bytes) / (1 << 20), median * 1e3,
                static_cast<double>(bytes) / median / 1e9);
  }
  return OkStatus();
}

struct Movement {
  const char* name;
  std::vector<std::vector<int>> from;
  std::vector<std::vector<int>> to;
  std::vector<int> sum_axes;
};

Status MeasureMovement(Comm& comm, int64_t rows, const Movement& movement) {
  RELAYOUT_ASSIGN_OR_RETURN(const Layout from,
                            Layout::Create({{comm.size()}, movement.from, 1, {}}));
  RELAYOUT_ASSIGN_OR_RETURN(const Layout to, Layout::Create({{comm.size()}, movement.to, 1, {}}));
  RELAYOUT_ASSIGN_OR_RETURN(
      const RedistributionPlan plan,
      PlanRedistribution(
          {.shape = {rows, rows}, .from = from, .to = to, .sum_axes = movement.sum_axes},
          comm.rank()));
  const std::vector<float> source(static_cast<size_t>(plan.from_box.volume()), 1.0F);
  std::vector<float> target(static_cast<size_t>(plan.to_box.volume()), 0.0F);
  return Measure(comm, movement.name, plan.to_bytes() * comm.size(), [&] {
    return Redistribute(comm, plan, std::as_bytes(std::span(source)),
                        std::as_writable_bytes(std::span(target)));
  });
}

Status MeasureAll(Comm& comm, int64_t rows) {
  const std::vector<float> source(static_cast<size_t>(rows * rows), 1.0F);
  std::vector<float> target(source.size(), 0.0F);
  const auto bytes = static_cast<int64_t>(source.size() * sizeof(float));
  RELAYOUT_RETURN_IF_ERROR(Measure(comm, "memcpy", bytes * comm.size(), [&] {
    std::memcpy(target.data(), source.data(), source.size() * sizeof(float));
    return OkStatus();
  }));
  const Movement movements[] = {
      {"nothing: (a,-) to (a,-)", {{0}, {}}, {{0}, {}}, {}},
      {"slice: (-,-) to (-,a)", {{}, {}}, {{}, {0}}, {}},
      {"all-gather: (a,-) to (-,-)", {{0}, {}}, {{}, {}}, {}},
      {"all-gather: (-,a) to (-,-)", {{}, {0}}, {{}, {}}, {}},
      {"all-to-all: (a,-) to (-,a)", {{0}, {}}, {{}, {0}}, {}},
      {"all-to-all: (-,a) to (a,-)", {{}, {0}}, {{0}, {}}, {}},
      {"all-reduce: (-,-) + (-,-)", {{}, {}}, {{}, {}}, {0}},
      {"reduce-scatter: (-,-) + (a,-)", {{}, {}}, {{0}, {}}, {0}},
  };
  for (const Movement& movement : movements) {
    RELAYOUT_RETURN_IF_ERROR(MeasureMovement(comm, rows, movement));
  }
  return OkStatus();
}

}  // namespace
}  // namespace relayout

int main(int argc, char** argv) {
  const int64_t rows = argc > 1 ? std::atoll(argv[1]) : 4096;
  const int rank_count = argc > 2 ? std::atoi(argv[2]) : 4;
  if (rows < 1 || rank_count < 1) return 2;
  const relayout::Status status = relayout::RunThreadComm(
      rank_count, [&](relayout::Comm& comm) { return relayout::MeasureAll(comm, rows); });
  if (!status.ok()) (void)std::fprintf(stderr, "%s\n", status.message().c_str());
  return status.ok() ? 0 : 1;
}
