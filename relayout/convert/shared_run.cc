// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/shared_run.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

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
  writer.Text(request.source.file_suffix);
  writer.Text(request.prefix);
  writer.Text(request.file_name);
  for (const auto& [name, new_name] : request.contents.renames) {
    writer.Text(name);
    writer.Text(new_name.value_or(""));
  }
  writer.Int(request.unified ? request.unified->part_bytes : 0);
  writer.Int(request.unified ? request.unified->task : 0);
  writer.Int(request.unified ? request.unified->task_count : 0);
  writer.Int(request.format ? static_cast<int64_t>(*request.format) : -1);
  for (const bool option :
       {request.contents.keep_extra, request.contents.allow_missing, request.contents.strict,
        request.check_replicas, request.trust_strategy, request.check_crc, request.overwrite,
        request.keep_others, request.sync, request.crc_trailer, request.remove_redundancy,
        request.resume, request.target_file.empty()}) {
    writer.Int(option ? 1 : 0);
  }
  writer.Int(static_cast<int64_t>(request.replica_mode));
  writer.Int(request.memory_bytes);
  return writer.Take();
}

std::string OwnPart(const TransformRequest& request) {
  ByteWriter writer;
  const std::set<int64_t> ranks(request.ranks.begin(), request.ranks.end());
  writer.Int(std::ssize(ranks));
  for (const int64_t rank : ranks) writer.Int(rank);
  writer.Text(request.target_file);
  for (const auto& [rank, path] : request.source.files) {
    writer.Int(rank);
    writer.Text(path);
  }
  return writer.Take();
}

// The ranks at the beginning of an OwnPart.
std::vector<int64_t> RanksOf(const std::string& own_part) {
  ByteReader reader(own_part);
  std::vector<int64_t> ranks(reader.Count());
  for (int64_t& rank : ranks) rank = reader.Int();
  return ranks;
}

// Two that write the same file would each find the other's in its way, or replace it.
Status CheckRanksAreDisjoint(const std::vector<std::string>& own_parts) {
  std::map<int64_t, size_t> process_of_rank;
  for (size_t i = 0; i < own_parts.size(); ++i) {
    const std::vector<int64_t> ranks = RanksOf(own_parts[i]);
    if (ranks.empty()) {
      return InvalidInput(
          Format("process {} was asked for all target ranks and others for some of them; give "
                 "--rank to all processes or to none",
                 i));
    }
    for (const int64_t rank : ranks) {
      const auto [entry, is_new] = process_of_rank.emplace(rank, i);
      if (is_new) continue;
      return InvalidInput(
          Format("--rank {}: processes {} and {} would both write it; give each process ranks of "
                 "its own, or all the same",
                 rank, entry->second, i));
    }
  }
  return OkStatus();
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
  if (std::all_of(own.begin(), own.end(), [&](const auto& part) { return part == own[0]; })) {
    return true;
  }
  if (request.target_file.empty()) RELAYOUT_RETURN_IF_ERROR(CheckRanksAreDisjoint(own));
  return false;
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
