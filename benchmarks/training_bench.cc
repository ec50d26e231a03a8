// SPDX-License-Identifier: Apache-2.0
//
// Times training steps (forward, backward, optimizer) of the networks of training_cases.h, the
// batch in memory, as Model makes them.
//
//   training_bench --case tutorial.adam [--threads 1] [--ranks 1] [--samples 3]
//   loss tutorial.adam relayout 2.3121 2.2857 2.2441           of the first steps
//   step tutorial.adam relayout 1 1 14.21 14.19 0 0 0
//
// A line is a sample: case, who, threads, ranks; then, a step, milliseconds, and of all ranks
// together: milliseconds of the processor, of these within exchanges between ranks (copying, adding
// up), exchanges, and bytes that ranks gave to others. Ranks are threads; under mpirun they are
// its processes, and rank 0 speaks.
//
// With --samples 0 each line on standard input asks for a sample: so training.py takes turns with
// MindSpore (training_peer.py), a fraction of a second each.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "benchmarks/training_cases.h"
#include "relayout/base/text.h"
#include "relayout/comm/launch.h"
#include "relayout/comm/thread_comm.h"
#include "relayout/spmd/kernels/threads.h"
#include "relayout/spmd/stage_runner.h"
#ifdef RELAYOUT_HAS_MPI
#include "relayout/mpi/mpi_comm.h"
#endif

namespace relayout {
namespace {

struct Options {
  std::string name = "tutorial.adam";
  int samples = 3;
  int threads = 1;
  int ranks = 1;
};

double Milliseconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
}

// What ranks exchange, counted and timed.
class MeasuredComm final : public Comm {
 public:
  explicit MeasuredComm(Comm& comm) : comm_(comm) {}

  int rank() const override { return comm_.rank(); }
  int size() const override { return comm_.size(); }
  std::string label() const override { return comm_.label(); }
  Status Barrier() override { return comm_.Barrier(); }
  Status Broadcast(std::string& bytes, int root) override { return comm_.Broadcast(bytes, root); }
  Result<std::vector<std::string>> AllGather(std::string_view mine) override {
    return comm_.AllGather(mine);
  }
  Result<std::vector<std::string>> Gather(std::string_view mine, int root) override {
    return comm_.Gather(mine, root);
  }
  Status Exchange(std::span<const int> group, std::span<const std::string_view> give,
                  const Receive& receive) override {
    const double begin = Milliseconds(CLOCK_THREAD_CPUTIME_ID);
    ++exchanges;
    for (size_t i = 0; i < group.size(); ++i) {
      if (group[i] != rank()) bytes += static_cast<double>(give[i].size());
    }
    const Status status = comm_.Exchange(group, give, receive);
    milliseconds += Milliseconds(CLOCK_THREAD_CPUTIME_ID) - begin;
    return status;
  }
  void RequestStop() override { comm_.RequestStop(); }
  bool StopRequested() override { return comm_.StopRequested(); }

  double milliseconds = 0;  // Of the processor.
  double exchanges = 0;
  double bytes = 0;

 private:
  Comm& comm_;
};

// A rank's network, ready to be trained.
class Trainer {
 public:
  static Result<std::unique_ptr<Trainer>> Create(const TrainingCase& one, const Comm& comm) {
    auto trainer = std::make_unique<Trainer>();
    RELAYOUT_ASSIGN_OR_RETURN(const Graph graph, NetworkOf(one, comm.size()));
    InferOptions options;
    options.device_count = comm.size();
    options.optimizer = one.optimizer.type;
    RELAYOUT_ASSIGN_OR_RETURN(InferredStrategy inferred, InferStrategy(graph, options));
    trainer->network_ = std::make_unique<InferredStrategy>(std::move(inferred));
    const RankPlace place = RankPlace::Of(comm.rank(), comm.size(), 1);
    RELAYOUT_ASSIGN_OR_RETURN(ParameterStore made,
                              ParameterStore::Create(*trainer->network_, place));
    trainer->parameters_ = std::make_unique<ParameterStore>(std::move(made));
    trainer->FillParameters();
    RELAYOUT_ASSIGN_OR_RETURN(Optimizer optimizer,
                              Optimizer::Create(one.optimizer, *trainer->parameters_));
    trainer->optimizer_ = std::make_unique<Optimizer>(std::move(optimizer));
    RELAYOUT_ASSIGN_OR_RETURN(
        trainer->runner_, StageRunner::Create({.network = trainer->network_.get(), .place = place},
                                              *trainer->parameters_));
    trainer->MakeBatch(place);
    return trainer;
  }

  // As Model::TrainStep.
  Result<float> Step(Comm& comm) {
    const std::vector<const Tensor*> inputs = {&x_, &label_};
    RELAYOUT_ASSIGN_OR_RETURN(const float loss, runner_->Train(comm, inputs, {.step = step_++}));
    optimizer_->Step(*parameters_);
    return loss;
  }

 private:
  // Whole on every rank: nothing here cuts a parameter.
  void FillParameters() {
    for (size_t n = 0; n < parameters_->shards().size(); ++n) {
      ParameterShard& shard = parameters_->shards()[n];
      const bool is_gamma = shard.name.ends_with("gamma");
      for (int64_t i = 0; i < shard.value.size(); ++i) {
        const float value = HashedValue(static_cast<int64_t>(n), i);
        shard.value.f32().data[i] = is_gamma ? 1 + value / 8 : value * kWeightScale;
      }
    }
  }

  void MakeBatch(const RankPlace& place) {
    const Graph& graph = network_->graph;
    const auto make = [&](size_t input) {
      const Value& value = graph.value(graph.inputs()[input]);
      Dims mine = value.shape;
      mine[0] /= place.rank_count;
      return Tensor(value.dtype, mine);
    };
    x_ = make(0);
    label_ = make(1);
    const int64_t first = place.rank * x_.size();
    for (int64_t i = 0; i < x_.size(); ++i) {
      x_.f32().data[i] = HashedValue(kInputNumber, first + i);
    }
    const int64_t first_label = place.rank * label_.size();
    for (int64_t i = 0; i < label_.size(); ++i) {
      const float value = HashedValue(kLabelNumber, first_label + i);
      if (label_.dtype() == DType::kFloat32) {
        label_.f32().data[i] = value;
      } else {
        label_.i32().data[i] = static_cast<int32_t>((value + 1) * 5);
      }
    }
  }

  static constexpr float kWeightScale = 0.0625F;

  std::unique_ptr<InferredStrategy> network_;
  std::unique_ptr<ParameterStore> parameters_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<StageRunner> runner_;
  Tensor x_;
  Tensor label_;
  int64_t step_ = 0;
};

// Sums over all ranks.
Result<std::vector<double>> Total(Comm& comm, const std::vector<double>& mine) {
  const std::string_view bytes(reinterpret_cast<const char*>(mine.data()),
                               mine.size() * sizeof(double));
  RELAYOUT_ASSIGN_OR_RETURN(const auto all, comm.AllGather(bytes));
  std::vector<double> total(mine.size(), 0);
  for (const std::string& one : all) {
    std::vector<double> values(mine.size());
    one.copy(reinterpret_cast<char*>(values.data()), one.size());
    for (size_t i = 0; i < total.size(); ++i) total[i] += values[i];
  }
  return total;
}

class Bench {
 public:
  Bench(const Options& options, Comm& comm, bool shares_process)
      : options_(options), comm_(comm), shares_process_(shares_process) {}

  Status Run() {
    kernels::UseKernelThreads(options_.threads);
    for (const TrainingCase& one : TrainingCases()) {
      if (one.name != options_.name) continue;
      RELAYOUT_ASSIGN_OR_RETURN(trainer_, Trainer::Create(one, comm_));
      RELAYOUT_RETURN_IF_ERROR(FirstSteps());
      return Samples();
    }
    return InvalidInput(Format("there is no case '{}'", options_.name));
  }

 private:
  bool Speaks() const { return comm_.rank() == 0; }

  // The losses, as the other side has to have them, and how many steps make a sample.
  Status FirstSteps() {
    constexpr int kLosses = 5;
    constexpr double kSample = 150;
    std::string text;
    double begin = 0;
    for (int i = 0; i < kLosses; ++i) {
      if (i == 2) begin = Milliseconds(CLOCK_MONOTONIC);
      RELAYOUT_ASSIGN_OR_RETURN(const float loss, trainer_->Step(comm_));
      text += Format(" {:.6f}", static_cast<double>(loss));
    }
    const double once = (Milliseconds(CLOCK_MONOTONIC) - begin) / (kLosses - 2);
    std::string count = std::to_string(std::max(1, static_cast<int>(kSample / once)));
    RELAYOUT_RETURN_IF_ERROR(comm_.Broadcast(count, 0));
    steps_ = std::stoi(count);
    if (Speaks()) std::printf("loss %s relayout%s\n", options_.name.c_str(), text.c_str());
    return OkStatus();
  }

  Status Samples() {
    for (int sample = 0;; ++sample) {
      if (Speaks()) std::fflush(stdout);
      std::string asked = "yes";
      if (options_.samples != 0 && sample == options_.samples) return OkStatus();
      if (options_.samples == 0) {
        if (Speaks() && !std::getline(std::cin, asked)) asked = "end";
        RELAYOUT_RETURN_IF_ERROR(comm_.Broadcast(asked, 0));
        if (asked == "end") return OkStatus();
      }
      RELAYOUT_RETURN_IF_ERROR(Sample());
    }
  }

  Status Sample() {
    MeasuredComm measured(comm_);
    RELAYOUT_RETURN_IF_ERROR(comm_.Barrier());
    const double wall = Milliseconds(CLOCK_MONOTONIC);
    const double cpu = Milliseconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < steps_; ++i) RELAYOUT_RETURN_IF_ERROR(trainer_->Step(measured).status());
    RELAYOUT_RETURN_IF_ERROR(comm_.Barrier());
    const double wall_spent = Milliseconds(CLOCK_MONOTONIC) - wall;
    // Ranks that are threads see the same clock.
    const bool counts = !shares_process_ || Speaks();
    const double cpu_spent = counts ? Milliseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu : 0;
    RELAYOUT_ASSIGN_OR_RETURN(const auto total, Total(comm_, {cpu_spent, measured.milliseconds,
                                                              measured.exchanges, measured.bytes}));
    if (!Speaks()) return OkStatus();
    std::printf("step %s relayout %d %d %.4f", options_.name.c_str(), options_.threads,
                comm_.size(), wall_spent / steps_);
    for (const double value : total) std::printf(" %.4f", value / steps_);
    std::printf("\n");
    return OkStatus();
  }

  const Options& options_;
  Comm& comm_;
  const bool shares_process_;
  std::unique_ptr<Trainer> trainer_;
  int steps_ = 1;
};

Status Run(const Options& options) {
#ifdef RELAYOUT_HAS_MPI
  if (const Launch launch = DetectLaunch(); launch.needs_mpi()) {
    RELAYOUT_ASSIGN_OR_RETURN(const auto comm, InitMpi(launch));
    return Bench(options, *comm, false).Run();
  }
#endif
  return RunThreadComm(options.ranks, [&](Comm& comm) { return Bench(options, comm, true).Run(); });
}

}  // namespace
}  // namespace relayout

int main(int argc, char** argv) {
  relayout::Options options;
  CLI::App app("times training steps");
  app.add_option("--case", options.name)->capture_default_str();
  app.add_option("--samples", options.samples, "0: one for each line on standard input")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "of each rank")->capture_default_str();
  app.add_option("--ranks", options.ranks, "threads that are ranks")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const relayout::Status status = relayout::Run(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "training_bench: %s\n", status.message().c_str());
  return 1;
}
