// SPDX-License-Identifier: Apache-2.0
#include "relayout/mpi/control.h"

#include <algorithm>

#include "relayout/mpi/mpi_calls.h"

namespace relayout {
namespace {

constexpr int kTag = 1;
constexpr int kMessageLength = 2;
// In place of a number of collectives.
constexpr int64_t kStop = -1;

}  // namespace

Control::Control(MPI_Comm comm) : comm_(comm) {
  int size = 1;
  MPI_Comm_rank(comm, &rank_);
  MPI_Comm_size(comm, &size);
  sent_counts_.resize(static_cast<size_t>(size), 0);
  left_messages_.resize(sent_counts_.size());
  // So that sending needs no memory of ours: neither message may fail for want of it.
  sends_.reserve(2 * sent_counts_.size());
}

void Control::SendStop() {
  static constexpr Message kStopMessage = {kStop, 0};
  for (int to = 0; to < static_cast<int>(sent_counts_.size()); ++to) Send(kStopMessage, to);
}

void Control::SendLeft(int64_t collective_count, const std::vector<int64_t>& exchange_counts) {
  for (size_t to = 0; to < left_messages_.size(); ++to) {
    left_messages_[to] = {collective_count, exchange_counts[to]};
    Send(left_messages_[to], static_cast<int>(to));
  }
}

void Control::Send(const Message& message, int to) {
  MPI_Request request = MPI_REQUEST_NULL;
  if (to == rank_ ||
      MPI_Isend(&message, kMessageLength, MPI_INT64_T, to, kTag, comm_, &request) != MPI_SUCCESS) {
    return;
  }
  sends_.push_back(request);
  ++sent_counts_[static_cast<size_t>(to)];
}

Status Control::Receive() {
  for (;;) {
    int arrived = 0;
    MPI_Status envelope;
    RELAYOUT_RETURN_IF_ERROR(
        MpiStatus(MPI_Iprobe(MPI_ANY_SOURCE, kTag, comm_, &arrived, &envelope), "MPI_Iprobe"));
    if (arrived == 0) return OkStatus();
    Message message = {};
    RELAYOUT_RETURN_IF_ERROR(
        MpiStatus(MPI_Recv(&message, kMessageLength, MPI_INT64_T, envelope.MPI_SOURCE, kTag, comm_,
                           MPI_STATUS_IGNORE),
                  "MPI_Recv"));
    Take(envelope.MPI_SOURCE, message);
  }
}

void Control::Take(int from, const Message& message) {
  ++received_count_;
  if (message.collective_count == kStop) {
    stop_received_ = true;
  } else {
    left_.push_back({from, message});
  }
}

std::optional<int> Control::LeftBefore(int64_t collective_number) const {
  const auto left = std::ranges::find_if(
      left_, [&](const Left& one) { return one.counts.collective_count < collective_number; });
  return left == left_.end() ? std::nullopt : std::optional(left->rank);
}

bool Control::LeftBeforeExchange(int rank, int64_t exchange_number) const {
  return std::ranges::any_of(left_, [&](const Left& one) {
    return one.rank == rank && one.counts.exchange_count < exchange_number;
  });
}

Result<bool> Control::TestSends() {
  int done = 0;
  RELAYOUT_RETURN_IF_ERROR(MpiStatus(
      MPI_Testall(static_cast<int>(sends_.size()), sends_.data(), &done, MPI_STATUSES_IGNORE),
      "MPI_Testall"));
  return done != 0;
}

}  // namespace relayout
