// SPDX-License-Identifier: Apache-2.0
#include "relayout/mpi/control.h"

#include <algorithm>

#include "relayout/mpi/mpi_calls.h"

namespace relayout {
namespace {

constexpr int kTag = 1;
// Any other message is the number of collectives of a rank that has left.
constexpr int64_t kStopMessage = -1;

}  // namespace

Control::Control(MPI_Comm comm) : comm_(comm) {
  int size = 1;
  MPI_Comm_rank(comm, &rank_);
  MPI_Comm_size(comm, &size);
  sent_counts_.resize(static_cast<size_t>(size), 0);
  // So that sending needs no memory of ours: neither message may fail for want of it.
  sends_.reserve(2 * sent_counts_.size());
}

void Control::SendStop() { SendToOthers(kStopMessage); }

void Control::SendLeft(int64_t collective_count) {
  left_message_ = collective_count;
  SendToOthers(left_message_);
}

void Control::SendToOthers(const int64_t& message) {
  for (int to = 0; to < static_cast<int>(sent_counts_.size()); ++to) {
    MPI_Request request = MPI_REQUEST_NULL;
    if (to == rank_ ||
        MPI_Isend(&message, 1, MPI_INT64_T, to, kTag, comm_, &request) != MPI_SUCCESS) {
      continue;
    }
    sends_.push_back(request);
    ++sent_counts_[static_cast<size_t>(to)];
  }
}

Status Control::Receive() {
  for (;;) {
    int arrived = 0;
    MPI_Status envelope;
    RELAYOUT_RETURN_IF_ERROR(
        MpiStatus(MPI_Iprobe(MPI_ANY_SOURCE, kTag, comm_, &arrived, &envelope), "MPI_Iprobe"));
    if (arrived == 0) return OkStatus();
    int64_t message = 0;
    RELAYOUT_RETURN_IF_ERROR(MpiStatus(
        MPI_Recv(&message, 1, MPI_INT64_T, envelope.MPI_SOURCE, kTag, comm_, MPI_STATUS_IGNORE),
        "MPI_Recv"));
    Take(envelope.MPI_SOURCE, message);
  }
}

void Control::Take(int from, int64_t message) {
  ++received_count_;
  if (message == kStopMessage) {
    stop_received_ = true;
  } else {
    left_.push_back({from, message});
  }
}

std::optional<int> Control::LeftBefore(int64_t collective_number) const {
  const auto left = std::ranges::find_if(
      left_, [&](const Left& one) { return one.collective_count < collective_number; });
  return left == left_.end() ? std::nullopt : std::optional(left->rank);
}

Result<bool> Control::TestSends() {
  int done = 0;
  RELAYOUT_RETURN_IF_ERROR(MpiStatus(
      MPI_Testall(static_cast<int>(sends_.size()), sends_.data(), &done, MPI_STATUSES_IGNORE),
      "MPI_Testall"));
  return done != 0;
}

}  // namespace relayout
