// SPDX-License-Identifier: Apache-2.0
//
// Runs a command and writes what it took:
//
//   stopwatch REPORT COMMAND [ARGUMENTS]
//
// REPORT gets lines "name value": seconds, cpu_seconds, peak_bytes (ru_maxrss of the largest
// process of the command's tree) and the counters of /proc/PID/io. The exit status is the
// command's.
//
// A program of its own because ru_maxrss counts what a process was before exec: a child of Python
// never seems smaller than Python. The counters are read when the command has ended and nobody has
// waited for it yet, which is when they are final.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace {

constexpr int kCannotRun = 127;

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

// The lines of /proc/PID/io are "rchar: 17"; not everybody may read them everywhere.
void ReportCounters(pid_t pid, std::FILE* report) {
  char path[64];
  std::snprintf(path, sizeof(path), "/proc/%d/io", pid);
  std::FILE* file = std::fopen(path, "r");
  if (file == nullptr) return;
  char name[32];
  unsigned long long value = 0;
  while (std::fscanf(file, "%31[^:]: %llu\n", name, &value) == 2) {
    std::fprintf(report, "%s %llu\n", name, value);
  }
  std::fclose(file);
}

pid_t Start(char** command) {
  const pid_t pid = fork();
  if (pid == 0) {
    execvp(command[0], command);
    std::perror(command[0]);
    _exit(kCannotRun);
  }
  return pid;
}

int Measure(char** command, std::FILE* report) {
  const auto begin = std::chrono::steady_clock::now();
  const pid_t pid = Start(command);
  siginfo_t ended{};
  if (pid < 0 || waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOWAIT) != 0) {
    std::perror("stopwatch");
    return kCannotRun;
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  ReportCounters(pid, report);
  int status = 0;
  rusage usage{};
  wait4(pid, &status, 0, &usage);
  std::fprintf(report, "seconds %.6f\ncpu_seconds %.6f\npeak_bytes %ld\n", seconds.count(),
               Seconds(usage.ru_utime) + Seconds(usage.ru_stime), usage.ru_maxrss * 1024);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: stopwatch REPORT COMMAND [ARGUMENTS]\n", stderr);
    return kCannotRun;
  }
  std::FILE* report = std::fopen(argv[1], "w");
  if (report == nullptr) {
    std::perror(argv[1]);
    return kCannotRun;
  }
  const int status = Measure(argv + 2, report);
  return std::fclose(report) == 0 ? status : kCannotRun;
}
