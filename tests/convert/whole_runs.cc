// SPDX-License-Identifier: Apache-2.0
#include "tests/convert/whole_runs.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/checkpoint/catalog.h"
#include "relayout/comm/thread_comm.h"
#include "relayout/convert/transform.h"
#include "relayout/io/memory_file_system.h"
#include "relayout/layout/notation.h"
#include "tests/oracle/world.h"

namespace relayout::oracle {
namespace {

void RepeatLayouts(std::optional<WorldSide>& side, const std::string& name,
                   const std::string& copy) {
  if (!side) return;
  for (WorldStage& stage : *side) {
    const LayoutSpec* const found = stage.Find(name);
    if (found == nullptr) continue;
    const LayoutSpec spec = *found;
    stage.layouts.emplace_back(copy, spec);
  }
}

constexpr size_t kBlockBytes = 1024;  // Of base/content_hash.h.
using Uint128 = unsigned __int128;

Uint128 NaiveSum(uint64_t stream, std::string_view bytes) {
  Uint128 sum = 0;
  for (size_t begin = 0, block = 0; begin < bytes.size(); begin += kBlockBytes, ++block) {
    const std::string_view part = bytes.substr(begin, kBlockBytes);
    const Hash128 inner = HashBytes(std::as_bytes(std::span(part)));
    const uint64_t words[] = {inner.low, inner.high, stream, block};
    const Hash128 term = HashBytes(std::as_bytes(std::span(words)));
    sum += Uint128{term.high} << 64 | term.low;
  }
  return sum;
}

uint64_t IdOf(std::string_view name) { return Hash64(std::as_bytes(std::span(name))); }

Hash128 ToHash(Uint128 sum) {
  return {.high = static_cast<uint64_t>(sum >> 64), .low = static_cast<uint64_t>(sum)};
}

}  // namespace

LayoutSpec ParseSpec(const char* text) { return ParseLayout(text)->spec(); }

uint64_t PrintedSeed() {
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  uint64_t seed = static_cast<uint64_t>(now) / 1000 % 1'000'000'000'000;
  if (const char* given = std::getenv("RELAYOUT_SEED")) {
    seed = static_cast<uint64_t>(ParseDecimal(given).value_or(0));
  }
  std::printf("RELAYOUT_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);  // A CHECK that fails ends the process.
  return seed;
}

World WithManyTensors(World world, int64_t count) {
  const std::vector<WorldTensor> originals = world.tensors;
  for (int64_t n = 0; std::ssize(world.tensors) < count; ++n) {
    for (const WorldTensor& original : originals) {
      WorldTensor copy = original;
      copy.name = Format("{}.copy{}", original.name, n);
      copy.content = Mix(original.content + static_cast<uint64_t>(n));
      RepeatLayouts(world.source, original.name, copy.name);
      RepeatLayouts(world.target, original.name, copy.name);
      world.tensors.push_back(std::move(copy));
    }
  }
  return world;
}

World LargeWorld() {
  World world;
  world.tensors = {{.name = "columns", .shape = {1032, 1002}, .content = 1},
                   {.name = "small", .shape = {6}, .content = 2},
                   {.name = "whole", .shape = {250001}, .content = 3}};
  world.source = WorldSide{{.device_count = 2,
                            .layouts = {{"columns", ParseSpec("{a:2} (a,-)")},
                                        {"small", ParseSpec("{a:2} (a)")},
                                        {"whole", ParseSpec("{a:2} (-)")}}}};
  world.target = WorldSide{{.device_count = 4,
                            .layouts = {{"columns", ParseSpec("{a:2,b:2} (-,b)")},
                                        {"small", ParseSpec("{a:2,b:2} (b)")},
                                        {"whole", ParseSpec("{a:2,b:2} (-)")}}}};
  return world;
}

Files FilesUnder(MemoryFileSystem& fs, const std::string& folder) {
  Files files;
  const auto entries = fs.List(folder);
  if (!entries.ok()) return files;
  for (const DirectoryEntry& entry : *entries) {
    const std::string path = JoinPath(folder, entry.name);
    if (entry.kind == FileKind::kDirectory) {
      files.merge(FilesUnder(fs, path));
    } else if (entry.name != "lock") {
      files[path] = fs.FileBytes(path).value_or("");
    }
  }
  return files;
}

std::string Compare(const Files& files, const Files& expected) {
  for (const auto& [path, bytes] : expected) {
    const auto file = files.find(path);
    if (file == files.end()) return path + ": is missing";
    if (file->second == bytes) continue;
    if (file->second.size() < 2000) {
      return Format("{}: holds\n{}\nand not\n{}", path, Printable(file->second), Printable(bytes));
    }
    return path + ": holds other bytes";
  }
  for (const auto& [path, bytes] : files) {
    if (!expected.contains(path)) return path + ": should not be there";
  }
  return "";
}

Hash128 NaiveContentHash(MemoryFileSystem& fs, const std::string& path) {
  const std::string bytes = *fs.FileBytes(path);
  const auto catalog = Catalog::Open(fs, {{0, path}}, 1);
  // Of a rank without values: nothing, or a trailer alone, which readers refuse.
  if (!catalog.ok()) {
    RELAYOUT_CHECK(bytes.empty() || bytes.size() == 17);
    return ToHash(NaiveSum(IdOf("") + 1, bytes));
  }
  const RankFile& file = catalog->files()[0];
  const size_t end = file.crc32 ? static_cast<size_t>(file.crc_covers_bytes) : bytes.size();
  std::vector<bool> is_payload(bytes.size(), false);
  Uint128 sum = NaiveSum(IdOf("") + 1, std::string_view(bytes).substr(end));
  for (const ValueView& value : *file.values) {
    std::string payload;
    for (const Extent& extent : value.extents) {
      const auto begin = static_cast<size_t>(extent.offset_bytes);
      const auto size = static_cast<size_t>(extent.size_bytes);
      payload += bytes.substr(begin, size);
      std::fill_n(is_payload.begin() + extent.offset_bytes, size, true);
    }
    sum += NaiveSum(IdOf(value.name), payload);
  }
  std::string headers;
  for (size_t i = 0; i < end; ++i) {
    if (!is_payload[i]) headers += bytes[i];
  }
  sum += NaiveSum(IdOf(""), headers);
  return ToHash(sum);
}

Result<TransformReport> Convert(int process_count, const FileSystemOf& fs_of,
                                const TransformRequest& request) {
  std::optional<Result<TransformReport>> of_root;
  const Status status = RunThreadComm(process_count, [&](Comm& comm) -> Status {
    auto report = TransformCheckpoints(fs_of(comm.rank()), comm, request);
    Status mine = report.status();
    if (comm.rank() == 0) of_root.emplace(std::move(report));
    return mine;
  });
  if (!status.ok()) return status;
  return *std::move(of_root);
}

Result<TransformReport> Convert(int process_count, FileSystem& fs,
                                const TransformRequest& request) {
  return Convert(
      process_count, [&](int) -> FileSystem& { return fs; }, request);
}

}  // namespace relayout::oracle
