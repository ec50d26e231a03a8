// SPDX-License-Identifier: Apache-2.0
//
// What ranks tell each other out of turn, on a communicator of its own: "everybody stop" and "I
// have left". No memory windows (RMA): each message is two int64 that are sent to each other rank
// without waiting, and looked for now and then. A rank sends each of the two at most once.
//
// Not thread-safe: MpiComm calls it under its lock.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "relayout/base/status.h"

namespace relayout {

class Control {
 public:
  // `comm` is for this object alone; it stays the caller's to free.
  explicit Control(MPI_Comm comm);

  // Start sending and return. A message that cannot be sent is lost: it was a wish.
  void SendStop();
  // Says that this rank has taken part in so many collectives of all ranks, and in so many
  // exchanges with each rank, and will in no more. The others need the numbers, because a rank can
  // be through with a collective before they are.
  void SendLeft(int64_t collective_count, const std::vector<int64_t>& exchange_counts);

  // Takes in what has arrived. Does not wait.
  Status Receive();

  bool stop_received() const { return stop_received_; }
  // A rank that has left before the collective of this number (from 1), if one is known.
  std::optional<int> LeftBefore(int64_t collective_number) const;
  // Whether `rank` has left before the exchange of this number (from 1) between it and this rank.
  bool LeftBeforeExchange(int rank, int64_t exchange_number) const;

  // How many messages were sent to each rank so far, and how many have been received.
  const std::vector<int>& sent_counts() const { return sent_counts_; }
  int received_count() const { return received_count_; }
  // Whether all sends are done with, so that MPI may be finalised. Does not wait.
  Result<bool> TestSends();

 private:
  // A stop, or the numbers of collectives and exchanges of a rank that has left.
  struct Message {
    int64_t collective_count;
    int64_t exchange_count;
  };

  void Send(const Message& message, int to);
  void Take(int from, const Message& message);

  const MPI_Comm comm_;
  int rank_ = 0;
  bool stop_received_ = false;
  std::vector<Message> left_messages_;  // To each rank; alive until sent.
  std::vector<MPI_Request> sends_;
  std::vector<int> sent_counts_;
  int received_count_ = 0;
  struct Left {
    int rank;
    Message counts;
  };
  std::vector<Left> left_;
};

}  // namespace relayout
