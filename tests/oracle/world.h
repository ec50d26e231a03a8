// SPDX-License-Identifier: Apache-2.0
//
// World: a whole conversion as data: tensors, how the source cuts them, how the target shall, and
// the options of the run. From it come the source files, the request, and, by the oracle alone,
// what every target file must hold.
//
//   World world = RandomWorld(seed);
//   std::string mismatch = RunWorld(world, /*thread_count=*/2);    // Empty: right to the last bit.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "relayout/convert/transform.h"
#include "relayout/io/memory_file_system.h"
#include "tests/oracle/oracle.h"
#include "tests/oracle/random.h"

namespace relayout::oracle {

struct WorldTensor {
  std::string name;
  ValueKind kind = ValueKind::kTensor;
  DType dtype = DType::kFloat32;
  Ints shape = {};
  uint64_t content = 0;  // What Content() makes it from.
  // For tensors of no source strategy: the ranks that hold it; empty = all.
  std::set<int64_t> held_by = {};
  // Such a tensor's content differs from rank to rank.
  bool differs_by_rank = false;
};

struct WorldStage {
  int64_t device_count = 1;
  std::vector<std::pair<std::string, LayoutSpec>> layouts = {};

  const LayoutSpec* Find(const std::string& name) const;
};
using WorldSide = std::vector<WorldStage>;

int64_t RankCount(const WorldSide& side);

enum class StrategyForm { kProtobuf, kJson, kFolder };

struct World {
  std::vector<WorldTensor> tensors;
  // Nothing: whole on one rank.
  std::optional<WorldSide> source;
  std::optional<WorldSide> target;
  StrategyForm source_form = StrategyForm::kProtobuf;
  StrategyForm target_form = StrategyForm::kProtobuf;
  bool states_shapes = false;  // JSON's tensor_shape.
  FileFormat source_format = FileFormat::kMindSporeCheckpoint;
  FileFormat target_format = FileFormat::kMindSporeCheckpoint;
  int64_t slice_bytes = int64_t{512} << 20;  // Of source .ckpt files.
  // As MindSpore, which writes no record for a slice without elements. Tensors without any keep
  // them.
  bool drops_empty = false;
  bool source_crc = false;
  bool target_crc = false;
  bool keep_extra = false;
  std::vector<int64_t> ranks;  // Empty: all.
};

// What a file must hold under a name.
struct ExpectedValue {
  ValueKind kind = ValueKind::kTensor;
  DType dtype = DType::kFloat32;
  Ints shape = {};
  std::string bytes = {};
};
using ExpectedFile = std::map<std::string, ExpectedValue>;

// The bytes of a checkpoint file with these values. `crc` adds MindSpore's trailer.
std::string FileOf(FileFormat format,
                   const std::vector<std::pair<std::string, ExpectedValue>>& values,
                   int64_t slice_bytes = int64_t{512} << 20, bool crc = false);

// Writes src/rank_<r>/net_<r>.<format> for all source ranks, and the strategies.
void WriteSource(const World& world, MemoryFileSystem& fs);
// The strategy file (or folder) of a side under `path` with the right ending; returns its path.
std::string WriteStrategy(const World& world, const WorldSide& side, StrategyForm form,
                          const std::string& path, MemoryFileSystem& fs);
// From src to dst.
TransformRequest RequestOf(const World& world);

// Rank by rank, by the rule table of relayout/convert/contents.h.
std::map<int64_t, ExpectedFile> ExpectedTarget(const World& world);
// Payload bytes that the conversion of all ranks has to read and to write.
struct Traffic {
  int64_t read_bytes = 0;
  int64_t written_bytes = 0;
};
Traffic ExpectedTraffic(const World& world, const std::map<int64_t, ExpectedFile>& expected);

// Reads a checkpoint file back.
std::map<std::string, ExpectedValue> ContentsOf(const std::string& path, const std::string& bytes);

// Everything that is wrong with the files under `directory`; empty when they are as expected:
// the ranks, the names, types, shapes and bytes, nothing else there, nothing left behind.
std::string CompareTarget(const MemoryFileSystem& fs, const std::string& directory,
                          const std::string& prefix, FileFormat format,
                          const std::map<int64_t, ExpectedFile>& expected);

// Checks on recorded accesses: every byte of every staged file was written exactly once.
std::string CheckWrittenOnce(const std::vector<Access>& accesses);

// All of the above: writes the source, converts, compares. Empty, or what went wrong.
std::string RunWorld(const World& world, int thread_count);
// Converts one target rank from no more files than RanksForTransform lists.
std::string RunFromRankList(const World& world, int64_t rank);

// Any world: 1-12 devices a stage, 1-4 stages on each side, tied and carried values, 0-4 dims, all
// types, empty tensors, uneven rows, null sides, both formats.
World RandomWorld(uint64_t seed);
// RandomWorld(seed), converted in every way it can be. Empty, or what went wrong, the seed and
// the world included.
std::string RunSeed(uint64_t seed);

// For failure reports.
std::string Describe(const World& world);

}  // namespace relayout::oracle
