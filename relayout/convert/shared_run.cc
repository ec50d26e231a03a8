// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/shared_run.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>

#include "relayout/base/byte_io.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr std::chrono::milliseconds kRelayInterval{20};

// What has to be equal on all processes.
std::string CommonPart(const TransformRequest& request) {
  ByteWriter writer;
  writer.Text(request.source.path);
  writer.Text(request.source.strategy_path.value_or(""));
  writer.Text(request.source.step ? ToText(*request.source.step) : "");
  writer.Text(request.target_strategy_path.value_or(""));
  writer.Text(request.target_directory);
  writer.Text(request.prefix);
  writer.Int(request.format ? static_cast<int64_t>(*request.format) : -1);
  for (const bool option :
       {request.contents.keep_extra, request.contents.allow_missing, request.contents.strict,
        request.check_replicas, request.trust_strategy, request.check_crc, request.overwrite,
        request.sync, request.crc_trailer, request.resume, request.target_file.empty()}) {
    writer.Int(option ? 1 : 0);
  }
  writer.Int(static_cast<int64_t>(request.replica_mode));
  writer.Int(request.memory_bytes);
  return writer.Take();
}

std::string OwnPart(const TransformRequest& request) {
  ByteWriter writer;
  for (const int64_t rank : request.ranks) writer.Int(rank);
  writer.Text(request.target_file);
  for (const auto& [rank, path] : request.source.files) {
    writer.Int(rank);
    writer.Text(path);
  }
  return writer.Take();
}

}  // namespace

Result<bool> IsOneRequest(Comm& comm, const TransformRequest& request) {
  if (comm.size() == 1) return true;
  RELAYOUT_ASSIGN_OR_RETURN(const auto common, comm.AllGather(CommonPart(request)));
  RELAYOUT_ASSIGN_OR_RETURN(const auto own, comm.AllGather(OwnPart(request)));
  for (size_t i = 1; i < common.size(); ++i) {
    if (common[i] == common[0]) continue;
    return InvalidInput(
        Format("process {} was asked for another conversion than process 0; processes of one run "
               "may differ in --rank, --source-file and --output only",
               i));
  }
  for (const std::string& part : own) {
    if (part != own[0]) return false;
  }
  return true;
}

StopRelay::StopRelay(Comm& comm, Progress& progress) : comm_(comm), progress_(progress) {
  if (comm.size() == 1) return;
  thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
}

void StopRelay::Run(const std::stop_token& stop) const {
  std::mutex mutex;
  std::condition_variable_any ended;
  while (!stop.stop_requested()) {
    if (progress_.cancel_requested) comm_.RequestStop();
    if (comm_.StopRequested()) {
      progress_.cancel_requested = true;
      return;
    }
    std::unique_lock lock(mutex);
    ended.wait_for(lock, stop, kRelayInterval, [] { return false; });
  }
}

}  // namespace relayout
