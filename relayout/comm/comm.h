// SPDX-License-Identifier: Apache-2.0
//
// Comm: the one seam between ranks. The ranks of a Comm do one job together: they are the processes
// that mpirun or srun started (relayout/mpi), threads of one process (thread_comm.h, above all for
// tests), or this process alone (NewSelfComm). Code that takes a Comm& runs on all three, and with
// one rank it costs nothing.
//
// Worked example, three ranks, each with a count of its own:
//
//   RELAYOUT_ASSIGN_OR_RETURN(const auto counts, comm.AllGather(std::to_string(mine)));
//   // On each rank: {"12", "7", "9"}, in the order of the ranks.
//   RELAYOUT_RETURN_IF_ERROR(Agree(comm, WriteMyShare(counts)));
//   // Only here if all three wrote theirs. Where rank 1's disk was full, all three return
//   // "process 1 (node07): rank_1/net.ckpt: no space left on device".
//
// Three rules keep ranks from waiting for each other for ever:
//
//   1. Every rank calls the same collectives in the same order, with the same root. For Exchange(),
//      which is a matter of a group, any two ranks call those of the groups that hold both in the
//      same order.
//   2. A step that can fail on some ranks only is followed by Agree(); nobody leaves before it.
//   3. The failure of a collective itself is final: the Comm is good for RequestStop() and the
//      destructor, and each later collective fails with the same words. A rank that breaks rule 2
//      makes the others' collectives fail, naming it, rather than hang.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/status.h"

namespace relayout {

class Comm {
 public:
  Comm() = default;
  Comm(const Comm&) = delete;
  Comm& operator=(const Comm&) = delete;
  virtual ~Comm() = default;

  // This rank, in [0, size()), and the number of ranks. Neither changes.
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // What messages call this rank, e.g. "process 3 (node07)".
  virtual std::string label() const = 0;

  // Collectives. They block until this rank's part is done; one thread of a rank at a time. Bytes
  // may be any and as many as fit in memory; they need not be equally many on all ranks. Fail with
  // kIoError (the transport, or a rank that left) or kOutOfMemory.

  // Returns on no rank before all ranks have called it.
  virtual Status Barrier() = 0;

  // `bytes` of rank `root` replaces everybody's `bytes`.
  virtual Status Broadcast(std::string& bytes, int root) = 0;

  // Everybody gets what each rank gave, by rank: size() strings.
  virtual Result<std::vector<std::string>> AllGather(std::string_view mine) = 0;

  // The same for `root` only; the other ranks get an empty vector and may return early.
  virtual Result<std::vector<std::string>> Gather(std::string_view mine, int root) = 0;

  // Takes what group[member] gave to this rank. The bytes may be that rank's own memory: they are
  // to be read, before the call returns, and the memory that is given away must not be written.
  using Receive = std::function<void(size_t member, std::string_view bytes)>;

  // Collective among the ranks of `group`: ascending, this rank one of them, the same on each.
  // Gives give[i] to rank group[i] and calls `receive` for what each member gave to this rank,
  // itself included, in the order of the group. Other ranks need not know, so that groups can work
  // at the same time, as often as each likes. With ranks 0 and 2 in a group of their own:
  //
  //   rank 0 gives {"a", "bc"}  receives (0, "a") (1, "")
  //   rank 2 gives {"", "d"}    receives (0, "bc") (1, "d")
  //
  // Bytes are copied at most once on their way to `receive`: between threads not at all.
  // @pre give.size() == group.size()
  virtual Status Exchange(std::span<const int> group, std::span<const std::string_view> give,
                          const Receive& receive) = 0;

  // Not collective: from any thread at any time, also during a collective; neither waits for other
  // ranks. A wish that everybody stops soon, because a rank failed or somebody pressed Ctrl-C. It
  // ends no collective; the ranks notice it where they ask, return kCancelled, and meet in Agree().
  //
  // RequestStop() is seen by this rank at once and by the others within about 20 ms of asking. It
  // may not be called in a signal handler. StopRequested() is cheap enough (some 40 ns) to be asked
  // by all threads before each piece of work; once true it stays true.
  virtual void RequestStop() = 0;
  virtual bool StopRequested() = 0;
};

// Collective. OK on all ranks if `mine` is OK on all; else the same failure on all (CommonFailure
// below). Where the ranks can no longer talk: `mine` if that is a failure, else why they cannot.
Status Agree(Comm& comm, const Status& mine);

// How one rank's step came out, and what messages call that rank.
struct RankOutcome {
  std::string label;
  Status status;
};

// The failure that speaks for all, or OK if none failed: that of the lowest failed rank, passing
// over kCancelled (those ranks stopped because of another's failure) unless all are. The label
// stands before the message, "process 3 (node07): ...", unless every rank says the very same, as
// with an option that is wrong everywhere.
Status CommonFailure(const std::vector<RankOutcome>& by_rank);

// Which member of `group` the rank is. @pre group is ascending and holds it
size_t MemberOf(std::span<const int> group, int rank);

// All ranks of `comm`, as a group.
std::vector<int> WholeGroup(const Comm& comm);

// A Comm of this process alone: rank 0 of 1.
std::unique_ptr<Comm> NewSelfComm();

}  // namespace relayout
