// SPDX-License-Identifier: Apache-2.0
#include "relayout/mpi/mpi_comm.h"

#include <mpi.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <new>
#include <numeric>
#include <span>
#include <thread>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/mpi/control.h"
#include "relayout/mpi/mpi_calls.h"

static_assert(MPI_VERSION > 3 || (MPI_VERSION == 3 && MPI_SUBVERSION >= 1));

namespace relayout {
namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kControlInterval = 10ms;  // How often messages out of turn are looked for.
constexpr auto kSilentWait = 1s;         // How long a rank that leaves waits before it says so.
constexpr int kBrokenExitStatus = 3;     // What the CLI returns for kIoError.

// The pauses between looks at something that others will bring about. While it may be there any
// moment, only other processes are let run: for a millisecond, and for as long as `size_bytes` take
// at 50 MB/s, because MPI moves bytes while it is looked at and only some at a time. Later the
// pauses grow, such that a waiting rank takes some 3 % of a processor.
class Pauses {
 public:
  explicit Pauses(int64_t size_bytes) : eager_(1ms + std::chrono::nanoseconds(20 * size_bytes)) {}

  void Pause() {
    if (Waited() < eager_) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(length_);
      length_ = std::min<std::chrono::microseconds>(2 * length_, 500us);
    }
  }
  steady_clock::duration Waited() const { return steady_clock::now() - start_; }

 private:
  const steady_clock::time_point start_ = steady_clock::now();
  const steady_clock::duration eager_;
  std::chrono::microseconds length_ = 20us;
};

// True once every kControlInterval, for one of the threads that ask.
class RateLimit {
 public:
  bool Due() {
    const auto now = steady_clock::now().time_since_epoch();
    auto next = next_.load(std::memory_order_relaxed);
    return now.count() >= next &&
           next_.compare_exchange_strong(next, (now + kControlInterval).count(),
                                         std::memory_order_relaxed);
  }

 private:
  std::atomic<steady_clock::rep> next_ = 0;
};

// The two communicators: data_ for the collectives of comm.h, in which a rank may be stuck, and
// control_ for messages out of turn and for closing. Every collective is started and then looked
// at until it is done (Wait); so the lock is never held for long, a waiting rank sleeps, and it
// notices when the rank it waits for has left.
//
// Once a collective has failed, MPI may still hold pointers into the buffers of that call. So from
// then on no function of MPI is called but MPI_Abort: failure_ is checked first everywhere.
class MpiComm final : public Comm {
 public:
  MpiComm(MPI_Comm data, MPI_Comm control, std::string host, const MpiOptions& options)
      : options_(options),
        data_(data),
        control_comm_(control),
        control_(control),
        host_(std::move(host)) {
    MPI_Comm_rank(data, &rank_);
    MPI_Comm_size(data, &size_);
    exchange_counts_.resize(static_cast<size_t>(size_), 0);
  }
  ~MpiComm() override {
    if (broken_ || !Close().ok()) AbortMpi(kBrokenExitStatus);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string label() const override { return Format("process {} ({})", rank_, host_); }

  Status Barrier() override {
    return Collective("Barrier", [&] {
      return Complete("MPI_Ibarrier", [&](MPI_Request* r) { return MPI_Ibarrier(data_, r); });
    });
  }
  Status Broadcast(std::string& bytes, int root) override {
    RELAYOUT_CHECK(root >= 0 && root < size_);
    return Collective("Broadcast", [&] { return BroadcastBytes(bytes, root); });
  }
  Result<std::vector<std::string>> AllGather(std::string_view mine) override {
    return Collect("AllGather", mine, kEverybody);
  }
  Result<std::vector<std::string>> Gather(std::string_view mine, int root) override {
    RELAYOUT_CHECK(root >= 0 && root < size_);
    return Collect("Gather", mine, root);
  }

  Status Exchange(std::span<const int> group, std::span<const std::string_view> give,
                  const Receive& receive) override {
    const size_t mine = MemberOf(group, rank_);
    RELAYOUT_CHECK(give.size() == group.size() && group.front() >= 0 && group.back() < size_);
    if (broken_) return failure_;
    for (const int rank : group) ++exchange_counts_[static_cast<size_t>(rank)];
    Status status = Guarded([&] { return ExchangeBytes(group, mine, give, receive); });
    if (!status.ok()) Break(status);
    return status;
  }

  void RequestStop() override {
    // Where somebody else's wish is known, that rank has told all of them.
    if (stop_.exchange(true)) return;
    const std::lock_guard lock(mutex_);
    if (!broken_) control_.SendStop();
  }

  bool StopRequested() override {
    if (stop_.load(std::memory_order_relaxed)) return true;
    // If the lock is taken, a collective is looking at the control messages as well.
    if (!control_rate_.Due()) return false;
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (lock.owns_lock() && !broken_) (void)ReceiveControl();
    return stop_;
  }

 private:
  static constexpr int kEverybody = -1;
  static constexpr int kExchangeTag = 2;

  // Runs one collective of comm.h. The first failure is final.
  template <typename Work>
  Status Collective(const char* name, const Work& work) {
    if (broken_) return failure_;
    collective_ = name;
    ++collective_count_;
    Status status = Guarded(work);
    if (!status.ok()) Break(status);
    return status;
  }

  template <typename Work>
  static Status Guarded(const Work& work) {
    try {
      return work();
    } catch (const std::bad_alloc&) {
      return OutOfMemory("the machine has no memory left for what the other processes sent");
    }
  }

  void Break(const Status& failure) {
    const std::lock_guard lock(mutex_);
    failure_ = failure;
    broken_ = true;
    stop_ = true;
  }

  // Starts one of MPI's operations, which moves so many bytes, and waits until it is done.
  template <typename Start>
  Status Complete(const char* function, const Start& start, int64_t size_bytes = 0) {
    MPI_Request request = MPI_REQUEST_NULL;
    {
      const std::lock_guard lock(mutex_);
      RELAYOUT_RETURN_IF_ERROR(MpiStatus(start(&request), function));
    }
    Pauses pauses(size_bytes);
    for (;;) {
      RELAYOUT_ASSIGN_OR_RETURN(const bool done, Look(&request, function));
      if (done) return OkStatus();
      if (closing_ && pauses.Waited() > kSilentWait) SayThatWeLeft();
      pauses.Pause();
    }
  }

  // One look at an operation that was started, and at what the others say meanwhile.
  Result<bool> Look(MPI_Request* request, const char* function) {
    const std::lock_guard lock(mutex_);
    int done = 0;
    RELAYOUT_RETURN_IF_ERROR(MpiStatus(MPI_Test(request, &done, MPI_STATUS_IGNORE), function));
    if (done != 0) return true;
    if (look_rate_.Due()) RELAYOUT_RETURN_IF_ERROR(ReceiveControl());
    if (closing_) return false;
    if (const auto left = control_.LeftBefore(collective_count_)) {
      return IoError(Format("process {} left, and process {} ({}) waits for it in {}", *left, rank_,
                            host_, collective_));
    }
    return false;
  }

  // Under the lock.
  Status ReceiveControl() {
    RELAYOUT_RETURN_IF_ERROR(control_.Receive());
    if (control_.stop_received()) stop_ = true;
    return OkStatus();
  }

  void SayThatWeLeft() {
    if (std::exchange(said_that_we_left_, true)) return;
    const std::lock_guard lock(mutex_);
    control_.SendLeft(collective_count_, exchange_counts_);
  }

  Status BroadcastBytes(std::string& bytes, int root) {
    int64_t size_bytes = std::ssize(bytes);
    RELAYOUT_RETURN_IF_ERROR(BroadcastPiece(&size_bytes, sizeof(size_bytes), root));
    bytes.resize(static_cast<size_t>(size_bytes));
    for (int64_t begin = 0; begin < size_bytes; begin += options_.max_message_bytes) {
      const int64_t piece_bytes = std::min(options_.max_message_bytes, size_bytes - begin);
      RELAYOUT_RETURN_IF_ERROR(BroadcastPiece(bytes.data() + begin, piece_bytes, root));
    }
    return OkStatus();
  }

  Status BroadcastPiece(void* bytes, int64_t size_bytes, int root) {
    const auto start = [&](MPI_Request* request) {
      return MPI_Ibcast(bytes, static_cast<int>(size_bytes), MPI_BYTE, root, data_, request);
    };
    return Complete("MPI_Ibcast", start, size_bytes);
  }

  Result<std::vector<std::string>> Collect(const char* name, std::string_view mine, int root) {
    std::vector<std::string> all;
    RELAYOUT_RETURN_IF_ERROR(Collective(name, [&] { return CollectBytes(mine, root, all); }));
    return all;
  }

  // The lengths first, known to all; then windows over what all ranks give, rank after rank.
  Status CollectBytes(std::string_view mine, int root, std::vector<std::string>& all) {
    RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> sizes, AllSizes(std::ssize(mine)));
    const bool receives = root == kEverybody || root == rank_;
    if (receives) {
      all.resize(sizes.size());
      for (size_t i = 0; i < sizes.size(); ++i) all[i].reserve(static_cast<size_t>(sizes[i]));
    }
    const int64_t total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
    for (int64_t begin = 0; begin < total; begin += options_.max_message_bytes) {
      const int64_t end = std::min(total, begin + options_.max_message_bytes);
      const std::vector<int> counts = CountsInWindow(sizes, begin, end);
      const auto my_count = static_cast<size_t>(counts[static_cast<size_t>(rank_)]);
      std::string window(receives ? static_cast<size_t>(end - begin) : 0, '\0');
      RELAYOUT_RETURN_IF_ERROR(CollectWindow(mine.substr(0, my_count), root, counts, window));
      mine.remove_prefix(my_count);
      if (receives) Distribute(window, counts, all);
    }
    return OkStatus();
  }

  Result<std::vector<int64_t>> AllSizes(int64_t my_size) {
    std::vector<int64_t> sizes(static_cast<size_t>(size_));
    RELAYOUT_RETURN_IF_ERROR(Complete("MPI_Iallgather", [&](MPI_Request* request) {
      return MPI_Iallgather(&my_size, 1, MPI_INT64_T, sizes.data(), 1, MPI_INT64_T, data_, request);
    }));
    return sizes;
  }

  Status CollectWindow(std::string_view mine, int root, const std::vector<int>& counts,
                       std::string& window) {
    std::vector<int> offsets(counts.size());
    std::exclusive_scan(counts.begin(), counts.end(), offsets.begin(), 0);
    const auto my_count = static_cast<int>(mine.size());
    const auto all_gather = [&](MPI_Request* request) {
      return MPI_Iallgatherv(mine.data(), my_count, MPI_BYTE, window.data(), counts.data(),
                             offsets.data(), MPI_BYTE, data_, request);
    };
    const auto gather = [&](MPI_Request* request) {
      return MPI_Igatherv(mine.data(), my_count, MPI_BYTE, window.data(), counts.data(),
                          offsets.data(), MPI_BYTE, root, data_, request);
    };
    const int64_t window_bytes = offsets.back() + int64_t{counts.back()};
    if (root == kEverybody) return Complete("MPI_Iallgatherv", all_gather, window_bytes);
    return Complete("MPI_Igatherv", gather, window_bytes);
  }

  static void Distribute(std::string_view window, const std::vector<int>& counts,
                         std::vector<std::string>& all) {
    for (size_t i = 0; i < counts.size(); ++i) {
      all[i] += window.substr(0, static_cast<size_t>(counts[i]));
      window.remove_prefix(static_cast<size_t>(counts[i]));
    }
  }

  // Messages between each two of the group: the length, then the bytes in pieces. They need no
  // communicator of the group, because MPI keeps the order of what one rank sends to another.
  Status ExchangeBytes(std::span<const int> group, size_t mine,
                       std::span<const std::string_view> give, const Receive& receive) {
    std::vector<int64_t> give_sizes(group.size());
    std::vector<int64_t> take_sizes(group.size(), 0);
    std::vector<MPI_Request> lengths;
    std::vector<MPI_Request> payloads;
    for (size_t i = 0; i < group.size(); ++i) {
      if (i == mine) continue;
      give_sizes[i] = std::ssize(give[i]);
      RELAYOUT_RETURN_IF_ERROR(StartReceive(&take_sizes[i], sizeof(int64_t), group[i], lengths));
      RELAYOUT_RETURN_IF_ERROR(StartSend(&give_sizes[i], sizeof(int64_t), group[i], payloads));
      RELAYOUT_RETURN_IF_ERROR(StartSend(give[i].data(), give_sizes[i], group[i], payloads));
    }
    RELAYOUT_RETURN_IF_ERROR(CompleteAll(lengths, group, 0));
    std::vector<int64_t> begins(group.size());
    std::exclusive_scan(take_sizes.begin(), take_sizes.end(), begins.begin(), int64_t{0});
    const int64_t take_bytes = begins.back() + take_sizes.back();
    const auto buffer = std::make_unique_for_overwrite<char[]>(static_cast<size_t>(take_bytes));
    for (size_t i = 0; i < group.size(); ++i) {
      RELAYOUT_RETURN_IF_ERROR(
          StartReceive(buffer.get() + begins[i], take_sizes[i], group[i], payloads));
    }
    const int64_t give_bytes = std::accumulate(give_sizes.begin(), give_sizes.end(), int64_t{0});
    RELAYOUT_RETURN_IF_ERROR(CompleteAll(payloads, group, take_bytes + give_bytes));
    for (size_t i = 0; i < group.size(); ++i) {
      const std::string_view taken(buffer.get() + begins[i], static_cast<size_t>(take_sizes[i]));
      receive(i, i == mine ? give[i] : taken);
    }
    return OkStatus();
  }

  // Start to move so many bytes, in as many messages as they need.
  Status StartSend(const void* bytes, int64_t size_bytes, int to,
                   std::vector<MPI_Request>& requests) {
    return ForEachMessage(size_bytes, requests, [&](int64_t begin, int count, MPI_Request* r) {
      const char* piece = static_cast<const char*>(bytes) + begin;
      return MpiStatus(MPI_Isend(piece, count, MPI_BYTE, to, kExchangeTag, data_, r), "MPI_Isend");
    });
  }
  Status StartReceive(void* bytes, int64_t size_bytes, int from,
                      std::vector<MPI_Request>& requests) {
    return ForEachMessage(size_bytes, requests, [&](int64_t begin, int count, MPI_Request* r) {
      char* piece = static_cast<char*>(bytes) + begin;
      return MpiStatus(MPI_Irecv(piece, count, MPI_BYTE, from, kExchangeTag, data_, r),
                       "MPI_Irecv");
    });
  }
  template <typename Start>
  Status ForEachMessage(int64_t size_bytes, std::vector<MPI_Request>& requests,
                        const Start& start) {
    const std::lock_guard lock(mutex_);
    for (int64_t begin = 0; begin < size_bytes; begin += options_.max_message_bytes) {
      const int64_t piece_bytes = std::min(options_.max_message_bytes, size_bytes - begin);
      requests.push_back(MPI_REQUEST_NULL);
      RELAYOUT_RETURN_IF_ERROR(start(begin, static_cast<int>(piece_bytes), &requests.back()));
    }
    return OkStatus();
  }

  // Waits until all that was started in an exchange of `group` is done.
  Status CompleteAll(std::vector<MPI_Request>& requests, std::span<const int> group,
                     int64_t size_bytes) {
    Pauses pauses(size_bytes);
    for (;;) {
      RELAYOUT_ASSIGN_OR_RETURN(const bool done, LookAtAll(requests, group));
      if (done) return OkStatus();
      pauses.Pause();
    }
  }

  Result<bool> LookAtAll(std::vector<MPI_Request>& requests, std::span<const int> group) {
    const std::lock_guard lock(mutex_);
    int done = 0;
    RELAYOUT_RETURN_IF_ERROR(MpiStatus(
        MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE),
        "MPI_Testall"));
    if (done != 0) return true;
    if (look_rate_.Due()) RELAYOUT_RETURN_IF_ERROR(ReceiveControl());
    for (const int rank : group) {
      if (control_.LeftBeforeExchange(rank, exchange_counts_[static_cast<size_t>(rank)])) {
        return IoError(Format("process {} left, and process {} ({}) waits for it in Exchange", rank,
                              rank_, host_));
      }
    }
    return false;
  }

  // Ends MPI together with the other ranks. MPI_Finalize wants every message received:
  //   1. Wait until all ranks are here. If that takes long, say so, once: then a rank that waits
  //   for
  //      us in a collective fails, and ends everybody. After 1 nobody sends messages any more.
  //   2. Sum up how many messages each rank was sent.
  //   3. Receive until we have that many, and until our own are on their way.
  //   4. Give the communicators back and finalise.
  Status Close() {
    closing_ = true;
    RELAYOUT_RETURN_IF_ERROR(Complete("MPI_Ibarrier", [&](MPI_Request* request) {
      return MPI_Ibarrier(control_comm_, request);
    }));
    int expected_count = 0;
    said_that_we_left_ = true;
    RELAYOUT_RETURN_IF_ERROR(Complete("MPI_Ireduce_scatter_block", [&](MPI_Request* request) {
      return MPI_Ireduce_scatter_block(control_.sent_counts().data(), &expected_count, 1, MPI_INT,
                                       MPI_SUM, control_comm_, request);
    }));
    RELAYOUT_RETURN_IF_ERROR(DrainControl(expected_count));
    RELAYOUT_RETURN_IF_ERROR(MpiStatus(MPI_Comm_free(&data_), "MPI_Comm_free"));
    RELAYOUT_RETURN_IF_ERROR(MpiStatus(MPI_Comm_free(&control_comm_), "MPI_Comm_free"));
    return MpiStatus(MPI_Finalize(), "MPI_Finalize");
  }

  Status DrainControl(int expected_count) {
    Pauses pauses(0);
    for (;;) {
      RELAYOUT_RETURN_IF_ERROR(control_.Receive());
      RELAYOUT_ASSIGN_OR_RETURN(const bool sent, control_.TestSends());
      if (sent && control_.received_count() == expected_count) return OkStatus();
      pauses.Pause();
    }
  }

  const MpiOptions options_;
  MPI_Comm data_;
  MPI_Comm control_comm_;
  Control control_;
  const std::string host_;
  int rank_ = 0;
  int size_ = 1;

  std::mutex mutex_;  // Around every call of MPI, and control_.
  std::atomic<bool> stop_ = false;
  RateLimit control_rate_;
  RateLimit look_rate_;

  // Of the thread that is in a collective; broken_ is read by all, under the lock.
  const char* collective_ = "";
  int64_t collective_count_ = 0;
  std::vector<int64_t> exchange_counts_;  // With each rank.
  Status failure_;
  std::atomic<bool> broken_ = false;
  bool closing_ = false;
  bool said_that_we_left_ = false;
};

Result<MPI_Comm> Duplicate() {
  MPI_Comm comm = MPI_COMM_NULL;
  RELAYOUT_RETURN_IF_ERROR(MpiStatus(MPI_Comm_dup(MPI_COMM_WORLD, &comm), "MPI_Comm_dup"));
  return comm;
}

std::string HostName() {
  char name[MPI_MAX_PROCESSOR_NAME];
  int length = 0;
  if (MPI_Get_processor_name(name, &length) != MPI_SUCCESS) return "unknown host";
  return {name, static_cast<size_t>(length)};
}

Status CheckProcessCount(const Launch& launch) {
  int size = 0;
  RELAYOUT_RETURN_IF_ERROR(MpiStatus(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size"));
  if (launch.process_count == 0 || launch.process_count == size) return OkStatus();
  return InvalidInput(
      Format("started {}, but for the MPI library ({}) this is one of {}, so they "
             "could not work together; start relayout with the mpirun of that library, or with an "
             "srun --mpi=... that it understands",
             Describe(launch), MpiLibrary(), size));
}

Result<std::unique_ptr<Comm>> NewMpiComm(int thread_level, const Launch& launch,
                                         const MpiOptions& options) {
  RELAYOUT_RETURN_IF_ERROR(CheckThreadLevel(thread_level));
  RELAYOUT_RETURN_IF_ERROR(CheckProcessCount(launch));
  // From here on errors come back; the duplicates inherit that.
  RELAYOUT_RETURN_IF_ERROR(MpiStatus(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN),
                                     "MPI_Comm_set_errhandler"));
  RELAYOUT_ASSIGN_OR_RETURN(const MPI_Comm data, Duplicate());
  RELAYOUT_ASSIGN_OR_RETURN(const MPI_Comm control, Duplicate());
  return std::unique_ptr<Comm>(std::make_unique<MpiComm>(data, control, HostName(), options));
}

}  // namespace

Result<std::unique_ptr<Comm>> InitMpi(const Launch& launch, const MpiOptions& options) {
  RELAYOUT_CHECK(options.max_message_bytes >= 1);
  RELAYOUT_CHECK(options.max_message_bytes <= std::numeric_limits<int>::max());
  int initialized = 0;
  RELAYOUT_RETURN_IF_ERROR(MpiStatus(MPI_Initialized(&initialized), "MPI_Initialized"));
  if (initialized != 0) return Unsupported("this process has initialised MPI before");
  int thread_level = MPI_THREAD_SINGLE;
  RELAYOUT_RETURN_IF_ERROR(MpiStatus(
      MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &thread_level), "MPI_Init_thread"));
  auto comm = NewMpiComm(thread_level, launch, options);
  if (!comm.ok()) (void)MPI_Finalize();
  return comm;
}

void AbortMpi(int exit_status) {
  (void)MPI_Abort(MPI_COMM_WORLD, exit_status);
  std::abort();
}

}  // namespace relayout
