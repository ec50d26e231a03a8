// SPDX-License-Identifier: Apache-2.0
#include "cli/console.h"

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <thread>

#include "relayout/base/json_writer.h"
#include "relayout/base/text.h"

namespace relayout::cli {
namespace {

using Clock = std::chrono::steady_clock;

std::atomic<std::atomic<bool>*> cancel_flag = nullptr;

void OnSignal(int signal) {
  if (std::atomic<bool>* flag = cancel_flag.load()) *flag = true;
  // A second signal does what it always does.
  std::signal(signal, SIG_DFL);
}

}  // namespace

int ExitCodeOf(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
      return kExitOk;
    case StatusCode::kIoError:
    case StatusCode::kOutOfMemory:
      return kExitMachine;
    case StatusCode::kCancelled:
      return kExitInterrupted;
    case StatusCode::kInvalidInput:
    case StatusCode::kNotFound:
    case StatusCode::kAlreadyExists:
    case StatusCode::kUnsupported:
      return kExitWrong;
  }
  return kExitWrong;
}

int Fail(const Status& status, bool json) {
  std::fprintf(stderr, "relayout: error: %s\n", status.message().c_str());
  if (json) {
    JsonWriter writer;
    writer.BeginObject().Key("ok").Bool(false).Key("error").BeginObject();
    writer.Key("code").String(StatusCodeName(status.code()));
    writer.Key("message").String(status.message()).EndObject().EndObject();
    Print(writer.text());
  }
  std::fflush(stdout);  // The end of a Comm after a failure may end the process.
  return ExitCodeOf(status);
}

void Print(const std::string& line) { std::printf("%s\n", line.c_str()); }

std::string TimeText(double seconds) {
  const int64_t whole = std::llround(seconds);
  if (whole < 60) return Format("{} s", whole);
  if (whole < 3600) return Format("{} min {} s", whole / 60, whole % 60);
  return Format("{} h {} min", whole / 3600, whole / 60 % 60);
}

std::string RateText(int64_t bytes, double seconds) {
  return HumanBytes(static_cast<int64_t>(static_cast<double>(bytes) / std::max(seconds, 1e-3))) +
         "/s";
}

struct ProgressLine::Ticker {
  std::string verb;
  Clock::time_point begin = Clock::now();
  std::mutex mutex;
  std::condition_variable wake;
  bool done = false;
  std::jthread thread;

  void Draw(const Progress& progress) const {
    const int64_t total = progress.total_bytes;
    const int64_t written = progress.written_bytes;
    if (total == 0) return;
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    const double rest =
        written > 0 ? seconds * static_cast<double>(total - written) / static_cast<double>(written)
                    : 0;
    std::fprintf(stderr, "\r\033[K%s %s of %s, %s, %s left", verb.c_str(),
                 HumanBytes(written).c_str(), HumanBytes(total).c_str(),
                 RateText(written, seconds).c_str(), TimeText(rest).c_str());
  }

  void Run(const Progress& progress) {
    std::unique_lock lock(mutex);
    // Short runs stay silent.
    while (!wake.wait_for(lock, std::chrono::milliseconds(500), [this] { return done; })) {
      Draw(progress);
    }
    std::fprintf(stderr, "\r\033[K");
  }
};

ProgressLine::ProgressLine(const std::string& verb, bool visible)
    : ticker_(std::make_unique<Ticker>()) {
  ticker_->verb = verb;
  cancel_flag = &progress_.cancel_requested;
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
  if (visible && isatty(STDERR_FILENO) != 0) {
    ticker_->thread = std::jthread([this] { ticker_->Run(progress_); });
  }
}

ProgressLine::~ProgressLine() {
  {
    const std::lock_guard lock(ticker_->mutex);
    ticker_->done = true;
  }
  ticker_->wake.notify_all();
  if (ticker_->thread.joinable()) ticker_->thread.join();
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  cancel_flag = nullptr;
}

double ProgressLine::seconds() const {
  return std::chrono::duration<double>(Clock::now() - ticker_->begin).count();
}

}  // namespace relayout::cli
