// SPDX-License-Identifier: Apache-2.0
//
// How the command line talks: results on stdout, everything else on stderr, exit codes, one
// progress line on a terminal, a clean stop on Ctrl-C.
#pragma once

#include <memory>
#include <string>

#include "relayout/base/status.h"
#include "relayout/exec/progress.h"

namespace relayout::cli {

// Exit codes of every command.
inline constexpr int kExitOk = 0;
inline constexpr int kExitWrong = 1;          // The input or the request is wrong; sets differ.
inline constexpr int kExitUsage = 2;          // The command line is wrong.
inline constexpr int kExitMachine = 3;        // I/O, memory.
inline constexpr int kExitInterrupted = 130;  // Ctrl-C, as shells have it.

int ExitCodeOf(const Status& status);

// Prints `relayout: error: ...` on stderr, and with `json` {"ok":false,"error":{...}} on stdout.
// Returns the exit code.
int Fail(const Status& status, bool json);

// Writes a line of result to stdout.
void Print(const std::string& line);

// A progress line on stderr while it lives, if stderr is a terminal: amount, rate and time left.
// Ctrl-C and SIGTERM set progress.cancel_requested; a second one ends the process.
class ProgressLine {
 public:
  // Draws nothing unless `visible`.
  explicit ProgressLine(const std::string& verb, bool visible = true);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  Progress& progress() { return progress_; }
  double seconds() const;

 private:
  struct Ticker;

  Progress progress_;
  std::unique_ptr<Ticker> ticker_;
};

// "12 s", "3 min 5 s", "2 h 40 min".
std::string TimeText(double seconds);

// "1.5 GiB/s".
std::string RateText(int64_t bytes, double seconds);

}  // namespace relayout::cli
