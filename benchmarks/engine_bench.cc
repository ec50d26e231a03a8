// SPDX-License-Identifier: Apache-2.0
//
// How should an engine move bytes from file to file on this machine? Copies files by several means
// that the executor could use and prints seconds of the clock and of the processor:
//
//   engine_bench DIR [--size 1GiB] [--threads 2] [--runs 5] [--cold]
//
// Offsets in source and target differ by 77 bytes, as headers make them differ. The page cache is
// warm unless --cold, which drops it before each run (as root) and syncs after it.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "relayout/base/content_hash.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr int kFiles = 8;
constexpr int64_t kPieceBytes = int64_t{4} << 20;  // What a thread takes at a time.
constexpr int64_t kShiftBytes = 77;

struct Options {
  std::string directory;
  std::string size = "1GiB";
  int threads = 2;
  int runs = 5;
  bool cold = false;
};

struct Piece {
  int source;
  int target;
  int64_t source_offset;
  int64_t target_offset;
  int64_t size;
};

void Check(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::exit(3);
}

void CopyInKernel(const Piece& piece) {
  off64_t from = piece.source_offset;
  off64_t to = piece.target_offset;
  for (int64_t rest = piece.size; rest > 0;) {
    const ssize_t count =
        copy_file_range(piece.source, &from, piece.target, &to, static_cast<size_t>(rest), 0);
    Check(count > 0, "copy_file_range");
    rest -= count;
  }
}

// Through a buffer; `aligned`: writes end at multiples of the buffer in the target.
void CopyThroughBuffer(const Piece& piece, int64_t buffer_bytes, bool aligned, bool hash) {
  thread_local std::vector<std::byte> buffer;
  buffer.resize(static_cast<size_t>(buffer_bytes));
  BlockHasher hasher(1, piece.size);
  for (int64_t done = 0; done < piece.size;) {
    const int64_t phase = aligned ? (piece.target_offset + done) % buffer_bytes : 0;
    const int64_t size = std::min(buffer_bytes - phase, piece.size - done);
    const auto count = static_cast<size_t>(size);
    Check(pread(piece.source, buffer.data(), count, piece.source_offset + done) == size, "pread");
    if (hash) hasher.Add(done, std::span(buffer).first(count));
    Check(pwrite(piece.target, buffer.data(), count, piece.target_offset + done) == size, "pwrite");
    done += size;
  }
}

// Reads past the page cache, in whole blocks around the piece.
void CopyDirect(const Piece& piece, int64_t buffer_bytes) {
  constexpr int64_t kBlock = 4096;
  const auto capacity = static_cast<size_t>(buffer_bytes + 2 * kBlock);
  static thread_local const std::unique_ptr<char, decltype(&std::free)> buffer(
      static_cast<char*>(std::aligned_alloc(kBlock, capacity)), &std::free);
  for (int64_t done = 0; done < piece.size;) {
    const int64_t size = std::min(buffer_bytes, piece.size - done);
    const int64_t begin = piece.source_offset + done;
    const int64_t block_begin = begin / kBlock * kBlock;
    const int64_t wanted = (begin + size - block_begin + kBlock - 1) / kBlock * kBlock;
    Check(pread(piece.source, buffer.get(), static_cast<size_t>(wanted), block_begin) >=
              begin + size - block_begin,
          "pread with O_DIRECT");
    Check(pwrite(piece.target, buffer.get() + (begin - block_begin), static_cast<size_t>(size),
                 piece.target_offset + done) == size,
          "pwrite");
    done += size;
  }
}

struct Method {
  std::string name;
  bool direct_source;
  std::function<void(const Piece&)> copy;
};

std::vector<Method> Methods() {
  std::vector<Method> methods = {{"copy_file_range", false, CopyInKernel}};
  for (const int64_t kib : {64, 256, 512, 1024}) {
    for (const bool aligned : {false, true}) {
      methods.push_back(
          {Format("pread, pwrite {} KiB{}", kib, aligned ? ", aligned writes" : ""), false,
           [=](const Piece& piece) { CopyThroughBuffer(piece, kib << 10, aligned, false); }});
    }
  }
  methods.push_back({"the same 256 KiB, hashed: what relayout does", false, [](const Piece& piece) {
                       CopyThroughBuffer(piece, int64_t{256} << 10, true, true);
                     }});
  methods.push_back({"pread O_DIRECT 1 MiB, pwrite", true,
                     [](const Piece& piece) { CopyDirect(piece, int64_t{1} << 20); }});
  return methods;
}

std::string PathOf(const Options& options, const char* kind, int i) {
  return Format("{}/engine_bench.{}{}", options.directory, kind, i);
}

void WriteSources(const Options& options, int64_t file_bytes) {
  std::vector<uint32_t> noise(1 << 18);
  uint32_t state = 1;
  for (uint32_t& word : noise) word = state = state * 1664525 + 1013904223;
  const auto block_bytes = static_cast<int64_t>(noise.size() * sizeof(uint32_t));
  for (int i = 0; i < kFiles; ++i) {
    std::ofstream file(PathOf(options, "src", i), std::ios::binary);
    for (int64_t done = 0; done < file_bytes + block_bytes; done += block_bytes) {
      file.write(reinterpret_cast<const char*>(noise.data()), block_bytes);
    }
  }
}

double ProcessorSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Clock and processor seconds of one run of a method.
std::pair<double, double> Run(const Options& options, const Method& method, int64_t file_bytes) {
  std::vector<int> sources;
  std::vector<int> targets;
  for (int i = 0; i < kFiles; ++i) {
    const int flags = O_RDONLY | (method.direct_source ? O_DIRECT : 0);
    sources.push_back(open(PathOf(options, "src", i).c_str(), flags));
    Check(sources.back() >= 0, "open");
    unlink(PathOf(options, "dst", i).c_str());
    targets.push_back(open(PathOf(options, "dst", i).c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644));
    Check(targets.back() >= 0, "create");
  }
  if (options.cold) {
    sync();
    std::ofstream("/proc/sys/vm/drop_caches") << 3;
  }
  const double processor_begin = ProcessorSeconds();
  const auto begin = std::chrono::steady_clock::now();
  for (const int target : targets) {
    Check(fallocate(target, 0, 0, file_bytes + kShiftBytes) == 0, "fallocate");
  }
  const int64_t pieces_per_file = file_bytes / kPieceBytes;
  std::atomic<int64_t> next = 0;
  const auto work = [&] {
    for (int64_t n = next++; n < pieces_per_file * kFiles; n = next++) {
      const auto file = static_cast<size_t>(n / pieces_per_file);
      const int64_t offset = n % pieces_per_file * kPieceBytes;
      method.copy({sources[file], targets[file], offset, offset + kShiftBytes, kPieceBytes});
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 1; i < options.threads; ++i) threads.emplace_back(work);
    work();
  }
  for (const int target : targets) {
    if (options.cold) Check(fsync(target) == 0, "fsync");
    close(target);
  }
  for (const int source : sources) close(source);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  return {seconds.count(), ProcessorSeconds() - processor_begin};
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Main(const Options& options) {
  const int64_t file_bytes = *ParseBytes(options.size) / kFiles / kPieceBytes * kPieceBytes;
  WriteSources(options, file_bytes);
  const std::vector<Method> methods = Methods();
  std::vector<std::vector<double>> clock(methods.size());
  std::vector<std::vector<double>> processor(methods.size());
  for (int run = 0; run <= options.runs; ++run) {
    for (size_t m = 0; m < methods.size(); ++m) {
      const auto [seconds, processor_seconds] = Run(options, methods[m], file_bytes);
      if (run == 0) continue;  // Warms up.
      clock[m].push_back(seconds);
      processor[m].push_back(processor_seconds);
    }
  }
  std::printf("| method | seconds | of the processor |\n|---|---|---|\n");
  for (size_t m = 0; m < methods.size(); ++m) {
    std::printf("| %s | %.3f | %.3f |\n", methods[m].name.c_str(), Median(clock[m]),
                Median(processor[m]));
  }
  for (int i = 0; i < kFiles; ++i) {
    unlink(PathOf(options, "src", i).c_str());
    unlink(PathOf(options, "dst", i).c_str());
  }
}

}  // namespace
}  // namespace relayout

int main(int argc, char** argv) {
  relayout::Options options;
  CLI::App app{"Copies files by several means and times them."};
  app.add_option("DIR", options.directory, "Where to make the files")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("--size", options.size, "Of all files together")->capture_default_str();
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 64))->capture_default_str();
  app.add_option("--runs", options.runs)->check(CLI::Range(1, 100))->capture_default_str();
  app.add_flag("--cold", options.cold, "Drop the page cache before each run, sync after it");
  CLI11_PARSE(app, argc, argv);
  relayout::Main(options);
}
