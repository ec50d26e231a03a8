// SPDX-License-Identifier: Apache-2.0
#include "tests/convert/whole_runs.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/comm/thread_comm.h"
#include "relayout/layout/notation.h"

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

}  // namespace

LayoutSpec ParseSpec(const char* text) { return ParseLayout(text)->spec(); }

uint64_t PrintedSeed() {
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  uint64_t seed = static_cast<uint64_t>(now) / 1000 % 1'000'000'000'000;
  if (const char* given = std::getenv("RELAYOUT_SEED")) {
    seed = static_cast<uint64_t>(ParseDecimal(given).value_or(0));
  }
  std::printf("RELAYOUT_SEED=%llu\n", static_cast<unsigned long long>(seed));
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
