// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/library.h"

#include <algorithm>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "relayout/base/check.h"
#include "relayout/base/checked_math.h"
#include "relayout/spmd/kernels/threads.h"

// libdnnl brings libgomp, but its header comes with one compiler only.
extern "C" {
void omp_set_num_threads(int count);
int omp_get_max_threads();
}

namespace relayout::kernels {
namespace {

// oneDNN's C++ face throws when it lacks memory or is asked for what it cannot do. Neither can be
// mended here: what follows is noexcept, so that the program ends with oneDNN's message.
const dnnl::engine& Engine() noexcept {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& Stream() noexcept {
  thread_local dnnl::stream stream(Engine());
  return stream;
}

// Keeps oneDNN on the calling thread: it is called for parts, one on each thread (threads.h).
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) {
    if (before_ != 1) omp_set_num_threads(1);
  }
  ~OneThread() {
    if (before_ != 1) omp_set_num_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;  // The thread may have other users of OpenMP.
};

// About 20 microseconds on one thread, a product of 80 x 80 x 80: what is worth a thread.
constexpr double kProductGrain = 512 * 1024;

// A product by blocks of c, `down` of them one under the other and `across` side by side.
struct Blocks {
  int64_t down = 1;
  int64_t across = 1;
};

// As many blocks as threads, as square as can be: each reads its rows of a and columns of b.
Blocks CutProduct(int64_t m, int64_t n, int64_t k) {
  const double work = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  const auto count = static_cast<int64_t>(
      std::clamp(work / kProductGrain, 1.0, static_cast<double>(KernelThreads())));
  Blocks best{1, count};
  for (int64_t down = 1; down <= count; ++down) {
    if (count % down != 0) continue;
    const Blocks blocks{down, count / down};
    if (m * blocks.across + n * blocks.down < m * best.across + n * best.down) best = blocks;
  }
  return best;
}

// The i-th of `count` pieces of [0, length), in steps of what the library's inner loops take.
struct Piece {
  Piece(int64_t length, int64_t count, int64_t i) {
    constexpr int64_t kStep = 16;
    const int64_t size = CeilDiv(CeilDiv(length, count), kStep) * kStep;
    begin = std::min(i * size, length);
    end = std::min(begin + size, length);
  }
  int64_t begin, end;
};

// A factor as the library is given it: rows of `stride` floats.
struct StridedFactor {
  const float* data = nullptr;
  int64_t stride = 0;
  bool transposed = false;

  char letter() const { return transposed ? 'T' : 'N'; }
};

// Unless both sides of the product are long, the library reads the factors where they lie (with
// AVX2; more than AVX2 it knows better). This is its threshold.
bool ReadsInPlace(int64_t m, int64_t n) {
  constexpr double kThreshold = 0.0038;
  static const bool has_avx512 =
      (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
  return !has_avx512 && 1 / static_cast<double>(m) + 1 / static_cast<double>(n) >= kThreshold;
}

// Rows that begin a multiple of 2 KiB apart fall onto each other in the nearest cache when they are
// read one below the other. A copy whose rows begin a cache line later costs little and makes the
// product half as fast again (docs/performance.md, "Training").
class SpreadRows {
 public:
  // `rows` of `length` floats. @pre length is the factor's stride, or less
  StridedFactor Copy(const StridedFactor& factor, int64_t rows, int64_t length) {
    constexpr int64_t kLine = 16;
    const int64_t stride = length + kLine;
    const auto count = static_cast<size_t>(rows * stride);
    if (memory_.size() < count) memory_.resize(count);
    for (int64_t row = 0; row < rows; ++row) {
      std::copy_n(factor.data + row * factor.stride, length, memory_.data() + row * stride);
    }
    return {memory_.data(), stride, factor.transposed};
  }

  static bool AreWanted(const StridedFactor& factor, int64_t uses) {
    constexpr int64_t kCollision = 512;
    constexpr int64_t kFewestUses = 32;  // Of each element, to be worth the copy.
    return factor.stride % kCollision == 0 && uses >= kFewestUses;
  }

 private:
  std::vector<float> memory_;
};

// c = a b for blocks of larger matrices. Rows of c are `c_stride` floats long.
void MultiplyBlock(int64_t m, int64_t n, int64_t k, StridedFactor a, StridedFactor b, float* c,
                   int64_t c_stride) {
  // One product after the other has the same lengths; memory is taken once a thread.
  thread_local SpreadRows spread_a;
  thread_local SpreadRows spread_b;
  if (ReadsInPlace(m, n)) {
    if (a.transposed && SpreadRows::AreWanted(a, n)) a = spread_a.Copy(a, k, m);
    if (!b.transposed && SpreadRows::AreWanted(b, m)) b = spread_b.Copy(b, k, n);
  }
  const dnnl_status_t status = dnnl_sgemm(a.letter(), b.letter(), m, n, k, 1.0F, a.data, a.stride,
                                          b.data, b.stride, 0.0F, c, c_stride);
  RELAYOUT_CHECK(status == dnnl_success);
}

struct Algorithm {
  dnnl::algorithm algorithm;
  float alpha = 0;
};

Algorithm AlgorithmOf(Function function) {
  switch (function) {
    case Function::kExp:
      return {dnnl::algorithm::eltwise_exp};
    case Function::kTanh:
      return {dnnl::algorithm::eltwise_tanh};
    case Function::kSigmoid:
      return {dnnl::algorithm::eltwise_logistic};
    case Function::kSilu:
      return {dnnl::algorithm::eltwise_swish, 1.0F};
  }
  RELAYOUT_CHECK(false);
}

dnnl::memory::desc Row(int64_t count) {
  return {{count}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::a};
}

// oneDNN's memory has no constants.
dnnl::memory Wrap(const dnnl::memory::desc& description, const float* data) {
  return {description, Engine(), const_cast<float*>(data)};
}

dnnl::eltwise_forward::primitive_desc Forward(Function function, const dnnl::memory::desc& row) {
  const Algorithm algorithm = AlgorithmOf(function);
  return {{dnnl::prop_kind::forward_training, algorithm.algorithm, row, algorithm.alpha, 0.0F},
          Engine()};
}

}  // namespace

void MultiplyMatrices(int64_t m, int64_t n, int64_t k, MatrixOperand a, MatrixOperand b, float* c) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    std::fill(c, c + m * n, 0.0F);
    return;
  }
  const Blocks blocks = CutProduct(m, n, k);
  ForRange(blocks.down * blocks.across, 1, [&](int64_t begin, int64_t end) {
    const OneThread one_thread;
    for (int64_t i = begin; i < end; ++i) {
      const Piece rows(m, blocks.down, i / blocks.across);
      const Piece columns(n, blocks.across, i % blocks.across);
      if (rows.begin == rows.end || columns.begin == columns.end) continue;
      const StridedFactor a_rows = {a.data + rows.begin * (a.transposed ? 1 : k),
                                    a.transposed ? m : k, a.transposed};
      const StridedFactor b_columns = {b.data + columns.begin * (b.transposed ? k : 1),
                                       b.transposed ? k : n, b.transposed};
      MultiplyBlock(rows.end - rows.begin, columns.end - columns.begin, k, a_rows, b_columns,
                    c + rows.begin * n + columns.begin, n);
    }
  });
}

void Apply(Function function, int64_t count, const float* x, float* y) noexcept {
  ForRange(count, kElementGrain, [&](int64_t begin, int64_t end) {
    const OneThread one_thread;
    // oneDNN keeps the primitives it made, so that making one again takes a few microseconds.
    const dnnl::memory::desc row = Row(end - begin);
    dnnl::eltwise_forward(Forward(function, row))
        .execute(Stream(),
                 {{DNNL_ARG_SRC, Wrap(row, x + begin)}, {DNNL_ARG_DST, Wrap(row, y + begin)}});
    Stream().wait();
  });
}

void ApplyGradient(Function function, int64_t count, const float* x, const float* dy,
                   float* dx) noexcept {
  const Algorithm algorithm = AlgorithmOf(function);
  ForRange(count, kElementGrain, [&](int64_t begin, int64_t end) {
    const OneThread one_thread;
    const dnnl::memory::desc row = Row(end - begin);
    const dnnl::eltwise_backward::primitive_desc description(
        {algorithm.algorithm, row, row, algorithm.alpha, 0.0F}, Engine(), Forward(function, row));
    dnnl::eltwise_backward(description)
        .execute(Stream(), {{DNNL_ARG_SRC, Wrap(row, x + begin)},
                            {DNNL_ARG_DIFF_DST, Wrap(row, dy + begin)},
                            {DNNL_ARG_DIFF_SRC, Wrap(row, dx + begin)}});
    Stream().wait();
  });
}

}  // namespace relayout::kernels
