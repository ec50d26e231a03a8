// SPDX-License-Identifier: Apache-2.0
//
// Which library should the kernels of relayout/spmd stand on, and how fast are they? Times products
// of matrices as the tutorial's network and a GPT block have them, by oneDNN, by OpenBLAS (each of
// Debian's three builds that is installed), by Eigen and by our kernels; what oneDNN has beyond
// products; and a training step. A line is a sample:
//
//   kernel_bench [--samples 3] [--threads 1] [--ranks 1] [--only step.256]
//   tutorial.256.layer1.y onednn 1 1 4.1432       case, who, threads, ranks, milliseconds a call
//
// With --ranks R, R threads do the same at a time, each with the asked number of threads, as ranks
// in one process do; the slowest counts. kernels.py runs this and kernel_peer.py (MindSpore) by
// turns and makes the table.
//
// OpenBLAS is loaded at run time, so that its builds can stand side by side; Eigen takes part when
// its headers were there at compile time, and is compiled for AVX2 and FMA, which our code is not.
#include <dlfcn.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <thread>
#include <vector>

#include "benchmarks/eigen_product.h"
#include "benchmarks/matrix_product.h"
#include "relayout/spmd/kernels/activation.h"
#include "relayout/spmd/kernels/matrix.h"
#include "relayout/spmd/kernels/normalize.h"
#include "relayout/spmd/kernels/softmax.h"
#include "relayout/spmd/kernels/threads.h"
#include "tests/spmd/mlp.h"

// Of libgomp, which libdnnl brings; its header comes with one compiler only.
extern "C" void omp_set_num_threads(int count);

namespace relayout {
namespace {

struct Options {
  int samples = 3;
  int threads = 1;
  int ranks = 1;
  std::string only;
};

using Call = std::function<void()>;

// Somebody's way of doing one case. `prepare` is called on each rank, and gives what is timed.
struct Contender {
  std::string name;
  std::function<Call()> prepare;
};

struct Case {
  std::string name;
  std::vector<Contender> contenders;
};

std::shared_ptr<Tensor> Filled(const Dims& shape, float value) {
  auto tensor = std::make_shared<Tensor>(DType::kFloat32, shape);
  for (int64_t i = 0; i < tensor->size(); ++i) {
    tensor->f32().data[i] = value * static_cast<float>(i % 97 - 48);
  }
  return tensor;
}

// ---------------------------------------------------------------------------- products

using Multiply = std::function<void(const MatrixProduct&, const float*, const float*, float*)>;

void MultiplyBySgemm(const MatrixProduct& p, const float* a, const float* b, float* c) {
  for (int64_t i = 0; i < p.batch; ++i) {
    dnnl_sgemm(p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N', p.m, p.n, p.k, 1.0F,
               a + i * p.m * p.k, p.transpose_a ? p.m : p.k, b + i * p.k * p.n,
               p.transpose_b ? p.k : p.n, 0.0F, c + i * p.m * p.n, p.n);
  }
}

using CblasSgemm = void (*)(int order, int transpose_a, int transpose_b, int m, int n, int k,
                            float alpha, const float* a, int lda, const float* b, int ldb,
                            float beta, float* c, int ldc);

Multiply ByOpenBlas(CblasSgemm sgemm) {
  return [sgemm](const MatrixProduct& p, const float* a, const float* b, float* c) {
    const auto m = static_cast<int>(p.m);
    const auto n = static_cast<int>(p.n);
    const auto k = static_cast<int>(p.k);
    for (int64_t i = 0; i < p.batch; ++i) {
      sgemm(101, p.transpose_a ? 112 : 111, p.transpose_b ? 112 : 111, m, n, k, 1.0F,
            a + i * p.m * p.k, p.transpose_a ? m : k, b + i * p.k * p.n, p.transpose_b ? k : n,
            0.0F, c + i * p.m * p.n, n);
    }
  };
}

struct Library {
  std::string name;
  std::function<void(int)> set_threads;  // Called on the thread that multiplies.
  Multiply multiply;
};

void AddOpenBlas(const std::string& build, std::vector<Library>& libraries) {
  const std::string path = "openblas-" + build + "/libopenblas.so.0";
  for (const char* folder : {"/usr/lib/x86_64-linux-gnu/", "/usr/lib/aarch64-linux-gnu/"}) {
    void* const library = dlopen((folder + path).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) continue;
    const auto sgemm = reinterpret_cast<CblasSgemm>(dlsym(library, "cblas_sgemm"));
    const auto set = reinterpret_cast<void (*)(int)>(dlsym(library, "openblas_set_num_threads"));
    const auto set_both = [set](int threads) {
      omp_set_num_threads(threads);
      set(threads);
    };
    libraries.push_back({"openblas-" + build, set_both, ByOpenBlas(sgemm)});
    return;
  }
}

std::vector<Library> Libraries(const Options& options) {
  const auto set_omp = [](int threads) { omp_set_num_threads(threads); };
  std::vector<Library> libraries = {{"onednn", set_omp, MultiplyBySgemm}};
  for (const char* build : {"serial", "openmp", "pthread"}) {
    if (build == std::string("serial") && options.threads > 1) continue;
    AddOpenBlas(build, libraries);
  }
  if (HasEigen()) libraries.push_back({"eigen", set_omp, MultiplyByEigen});
  return libraries;
}

Case ProductCase(const MatrixProduct& product, const std::vector<Library>& libraries, int threads) {
  const auto tensors = [product] {
    const auto a = product.transpose_a ? Dims{product.batch, product.k, product.m}
                                       : Dims{product.batch, product.m, product.k};
    const auto b = product.transpose_b ? Dims{product.batch, product.n, product.k}
                                       : Dims{product.batch, product.k, product.n};
    return std::array{Filled(a, 0.01F), Filled(b, 0.02F),
                      Filled({product.batch, product.m, product.n}, 0)};
  };
  Case result{product.name, {}};
  for (const Library& library : libraries) {
    result.contenders.push_back({library.name, [=] {
                                   library.set_threads(threads);
                                   const auto t = tensors();
                                   return [=] {
                                     library.multiply(product, t[0]->f32().data, t[1]->f32().data,
                                                      t[2]->f32().data);
                                   };
                                 }});
  }
  result.contenders.push_back({"ours", [=] {
                                 kernels::UseKernelThreads(threads);
                                 const auto t = tensors();
                                 return [=] {
                                   kernels::BatchMatMul(t[0]->f32(), t[1]->f32(),
                                                        {product.transpose_a, product.transpose_b},
                                                        t[2]->f32());
                                 };
                               }});
  return result;
}

// ---------------------------------------------------------------------------- a GPT block's others

Contender Ours(int threads, const std::function<Call()>& prepare) {
  return {"ours", [=] {
            kernels::UseKernelThreads(threads);
            return prepare();
          }};
}

// oneDNN's own primitive of one tensor in and one out.
template <typename Forward>
Contender OneDnn(int threads, const Dims& shape, const typename Forward::desc& description,
                 const dnnl::memory::desc& memory) {
  return {"onednn", [=] {
            omp_set_num_threads(threads);
            static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
            const auto x = Filled(shape, 0.05F);
            const auto y = Filled(shape, 0);
            const Forward primitive(typename Forward::primitive_desc(description, engine));
            return [=] {
              dnnl::stream stream(engine);
              const dnnl::memory in(memory, engine, x->f32().data);
              const dnnl::memory out(memory, engine, y->f32().data);
              primitive.execute(stream, {{DNNL_ARG_SRC, in}, {DNNL_ARG_DST, out}});
              stream.wait();
            };
          }};
}

std::vector<Case> OtherCases(int threads) {
  using dnnl::memory;
  const auto row_major = memory::format_tag::ab;
  const memory::desc scores({16384, 128}, memory::data_type::f32, row_major);
  const memory::desc inner({2048, 2048}, memory::data_type::f32, row_major);
  const memory::desc hidden({2048, 512}, memory::data_type::f32, row_major);
  const auto kind = dnnl::prop_kind::forward_inference;
  const Contender softmax = Ours(threads, [] {
    const auto x = Filled({16384, 128}, 0.05F);
    const auto y = Filled({16384, 128}, 0);
    return [=] { kernels::Softmax(x->f32(), 1, y->f32()); };
  });
  const Contender gelu = Ours(threads, [] {
    const auto x = Filled({2048, 2048}, 0.05F);
    const auto y = Filled({2048, 2048}, 0);
    return [=] { kernels::GeLU(x->f32(), y->f32()); };
  });
  const Contender gelu_gradient = Ours(threads, [] {
    const auto x = Filled({2048, 2048}, 0.05F);
    const auto y = Filled({2048, 2048}, 0);
    return [=] { kernels::GeLUGradient(x->f32(), x->f32(), y->f32()); };
  });
  const Contender norm = Ours(threads, [] {
    const auto x = Filled({2048, 512}, 0.05F);
    const auto weights = Filled({512}, 0.1F);
    const auto y = Filled({2048, 512}, 0);
    const auto rows = Filled({2048}, 0);
    return [=] {
      kernels::LayerNorm(x->f32(), weights->f32(), weights->f32(), 1e-5F, y->f32(), rows->f32(),
                         rows->f32());
    };
  });
  using Norm = dnnl::layer_normalization_forward;
  return {
      {"gpt.softmax",
       {OneDnn<dnnl::softmax_forward>(threads, {16384, 128}, {kind, scores, 1}, scores), softmax}},
      {"gpt.gelu",
       {OneDnn<dnnl::eltwise_forward>(threads, {2048, 2048},
                                      {kind, dnnl::algorithm::eltwise_gelu_tanh, inner, 0.0F, 0.0F},
                                      inner),
        gelu}},
      {"gpt.gelu_gradient", {gelu_gradient}},
      {"gpt.layernorm",
       {OneDnn<Norm>(threads, {2048, 512}, {kind, hidden, 1e-5F, dnnl::normalization_flags::none},
                     hidden),
        norm}},
  };
}

// ---------------------------------------------------------------------------- training steps

Case StepCase(const std::string& name, MlpOptimizer::Kind kind, int64_t rows, int threads) {
  const auto prepare = [=] {
    kernels::UseKernelThreads(threads);
    const auto mlp = std::make_shared<Mlp>(rows, std::vector<int64_t>{784, 512, 512, 10});
    for (Mlp::Layer& layer : mlp->layers()) {
      for (int64_t i = 0; i < layer.weight.size(); ++i) {
        layer.weight.f32().data[i] = 0.001F * static_cast<float>(i % 61 - 30);
      }
    }
    const auto x = Filled({rows, 784}, 0.02F);
    const auto labels = std::make_shared<Tensor>(DType::kInt32, Dims{rows});
    const auto optimizer = std::make_shared<MlpOptimizer>();
    optimizer->kind = kind;
    return [=] { mlp->Step(x->f32(), labels->i32(), *optimizer); };
  };
  return {"step." + std::to_string(rows) + "." + name, {{"ours", prepare}}};
}

// ---------------------------------------------------------------------------- timing

double MillisecondsOf(const Call& call, int calls) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  for (int i = 0; i < calls; ++i) call();
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count() / calls;
}

// The slowest of `ranks` threads that begin together; of as many calls as take some 30 ms.
double Sample(const Contender& contender, int ranks) {
  constexpr double kMilliseconds = 30;
  std::vector<double> times(static_cast<size_t>(ranks));
  std::barrier start(ranks);
  std::atomic<int> calls = 1;
  const auto rank = [&](size_t index) {
    const Call call = contender.prepare();
    call();
    const double once = MillisecondsOf(call, 1);
    if (index == 0) calls = std::max(1, static_cast<int>(kMilliseconds / once));
    start.arrive_and_wait();
    times[index] = MillisecondsOf(call, calls);
  };
  {
    std::vector<std::jthread> others;
    for (int i = 1; i < ranks; ++i) others.emplace_back(rank, static_cast<size_t>(i));
    rank(0);
  }
  return *std::max_element(times.begin(), times.end());
}

std::vector<Case> Cases(const Options& options) {
  const std::vector<Library> libraries = Libraries(options);
  std::vector<Case> cases;
  for (const MatrixProduct& product : BenchmarkProducts()) {
    cases.push_back(ProductCase(product, libraries, options.threads));
  }
  for (Case& other : OtherCases(options.threads)) cases.push_back(std::move(other));
  for (const int64_t rows : {32, 256}) {
    cases.push_back(StepCase("sgd", MlpOptimizer::Kind::kSgd, rows, options.threads));
    cases.push_back(StepCase("momentum", MlpOptimizer::Kind::kMomentum, rows, options.threads));
    cases.push_back(StepCase("adam", MlpOptimizer::Kind::kAdam, rows, options.threads));
  }
  return cases;
}

void Run(const Options& options) {
  for (const Case& one : Cases(options)) {
    if (one.name.rfind(options.only, 0) != 0) continue;
    for (int sample = 0; sample < options.samples; ++sample) {
      for (const Contender& contender : one.contenders) {
        std::printf("%s %s %d %d %.5f\n", one.name.c_str(), contender.name.c_str(), options.threads,
                    options.ranks, Sample(contender, options.ranks));
        std::fflush(stdout);
      }
    }
  }
}

}  // namespace
}  // namespace relayout

int main(int argc, char** argv) {
  relayout::Options options;
  CLI::App app("times libraries and kernels");
  app.add_option("--samples", options.samples);
  app.add_option("--threads", options.threads);
  app.add_option("--ranks", options.ranks);
  app.add_option("--only", options.only, "the cases whose names begin so");
  CLI11_PARSE(app, argc, argv);
  relayout::Run(options);
  return 0;
}
