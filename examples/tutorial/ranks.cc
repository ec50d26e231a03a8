// SPDX-License-Identifier: Apache-2.0
#include "examples/tutorial/ranks.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string_view>
#include <thread>

#include "relayout/base/text.h"
#include "relayout/comm/launch.h"
#include "relayout/comm/thread_comm.h"
#include "relayout/spmd/kernels/threads.h"
#ifdef RELAYOUT_HAS_MPI
#include "relayout/mpi/mpi_comm.h"
#endif

namespace relayout::tutorial {
namespace {

int ExitStatusOf(const Status& status) {
  if (status.ok()) return 0;
  const StatusCode code = status.code();
  return code == StatusCode::kIoError || code == StatusCode::kOutOfMemory ? 3 : 1;
}

void Report(const Status& status) {
  std::fprintf(stderr, "tutorial: error: %s\n", status.message().c_str());
  std::fflush(stdout);
}

// The processors are divided among the ranks of this machine.
void ShareProcessors(int rank_count) {
  const int processors = static_cast<int>(std::thread::hardware_concurrency());
  kernels::UseKernelThreads(std::max(1, processors / rank_count));
}

class StandardOutput final : public Output {
 public:
  void Print(std::string_view line) override {
    std::printf("%.*s\n", static_cast<int>(line.size()), line.data());
    std::fflush(stdout);
  }
};

class FileOutput final : public Output {
 public:
  FileOutput(const std::filesystem::path& path, bool echoes) : echoes_(echoes) {
    std::error_code ignored;  // The stream fails, if this does.
    std::filesystem::create_directories(path.parent_path(), ignored);
    file_.open(path, std::ios::trunc);
  }
  bool is_open() const { return file_.is_open(); }
  void Print(std::string_view line) override {
    file_ << line << std::endl;
    if (echoes_) StandardOutput().Print(line);
  }

 private:
  std::ofstream file_;
  bool echoes_;
};

int RunThreads(int rank_count, const std::string& log_directory, const RankMain& rank_main) {
  const Status status = RunThreadComm(rank_count, [&](Comm& comm) {
    ShareProcessors(rank_count);
    const std::string path = Format("{}/1/rank.{}/stdout", log_directory, comm.rank());
    FileOutput output(path, comm.rank() == 0);
    const Status opened = output.is_open()
                              ? OkStatus()
                              : Status(StatusCode::kIoError, Format("{}: cannot be written", path));
    RELAYOUT_RETURN_IF_ERROR(Agree(comm, opened));
    return rank_main(comm, output);
  });
  return Finish(status);
}

#ifdef RELAYOUT_HAS_MPI
// A collective failed: the ranks can no longer end together, and the first to end ends all.
bool IsBroken(Comm& comm) {
  const int group[] = {comm.rank()};
  const std::string_view nothing[] = {""};
  return !comm.Exchange(group, nothing, [](size_t, std::string_view) {}).ok();
}

// One rank says what went wrong: rank 0 what all share, a rank what it alone met with, which begins
// with its name. Of those that lost another rank, the lowest that still can: the others wait, and
// are ended by then.
void Tell(Comm& comm, const Status& status) {
  if (status.ok()) return;
  const bool is_mine = status.message().starts_with(Format("rank {}, ", comm.rank()));
  if (comm.rank() != 0 && !is_mine) {
    if (!IsBroken(comm)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1000 + 500 * comm.rank()));
  }
  Report(status);
}

Status RunProcess(const Launch& launch, int rank_count, const RankMain& rank_main) {
  auto joined = InitMpi(launch);
  if (!joined.ok()) {
    Report(joined.status());
    return joined.status();
  }
  Comm& comm = **joined;
  Status status;
  if (comm.size() != rank_count) {
    status = InvalidInput(Format("this is for {}, but it was started {}", Count(rank_count, "rank"),
                                 Describe(launch)));
  } else {
    ShareProcessors(rank_count);
    StandardOutput output;
    status = rank_main(comm, output);
  }
  Tell(comm, status);
  return status;
}
#endif

}  // namespace

int Finish(const Status& status) {
  if (!status.ok()) Report(status);
  return ExitStatusOf(status);
}

int RunRanks(int rank_count, const std::string& log_directory, const RankMain& rank_main) {
  const Launch launch = DetectLaunch();
  if (!launch.needs_mpi()) return RunThreads(rank_count, log_directory, rank_main);
#ifdef RELAYOUT_HAS_MPI
  return ExitStatusOf(RunProcess(launch, rank_count, rank_main));
#else
  Report(
      Unsupported(Format("this program was started {}, but was built without MPI; start it alone "
                         "and its ranks are threads",
                         Describe(launch))));
  return 1;
#endif
}

}  // namespace relayout::tutorial
