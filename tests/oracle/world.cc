// SPDX-License-Identifier: Apache-2.0
#include "tests/oracle/world.h"

#include <algorithm>
#include <span>

#include "relayout/base/check.h"
#include "relayout/base/hash.h"
#include "relayout/base/text.h"
#include "relayout/convert/rank_list.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/format/mindspore/checkpoint.h"
#include "relayout/format/strategy_file.h"
#include "relayout/io/memory_file.h"
#include "relayout/layout/notation.h"

namespace relayout::oracle {
namespace {

constexpr char kSourceDirectory[] = "src";
constexpr char kTargetDirectory[] = "dst";
constexpr size_t kCrcBytes = 17;

std::string StrategyPath(const std::string& path, StrategyForm form) {
  switch (form) {
    case StrategyForm::kProtobuf:
      return path + ".ckpt";
    case StrategyForm::kJson:
      return path + ".json";
    case StrategyForm::kFolder:
      break;
  }
  return path;
}

const WorldTensor* FindTensor(const World& world, const std::string& name) {
  const auto found = std::find_if(world.tensors.begin(), world.tensors.end(),
                                  [&](const WorldTensor& tensor) { return tensor.name == name; });
  return found == world.tensors.end() ? nullptr : &*found;
}

bool IsIn(const std::optional<WorldSide>& side, const std::string& name) {
  return side && std::any_of(side->begin(), side->end(),
                             [&](const WorldStage& stage) { return stage.Find(name) != nullptr; });
}

std::string WholeBytes(const WorldTensor& tensor, int64_t rank) {
  const uint64_t content =
      tensor.content + (tensor.differs_by_rank ? Mix(static_cast<uint64_t>(rank)) : 0);
  return Content(content, Product(tensor.shape), ElementSize(tensor.dtype));
}

ExpectedValue WholeValue(const WorldTensor& tensor, int64_t rank) {
  return {tensor.kind, tensor.dtype, tensor.shape, WholeBytes(tensor, rank)};
}

// The slices that the ranks of a stage hold.
std::vector<ExpectedValue> Slices(const WorldTensor& tensor, const std::string& whole,
                                  const LayoutSpec& spec) {
  const auto regions = RegionsOfRanks(spec, tensor.shape);
  RELAYOUT_CHECK(regions.has_value());
  std::vector<ExpectedValue> slices;
  for (const Region& region : *regions) {
    slices.push_back({tensor.kind, tensor.dtype, region.shape(),
                      Cut(whole, tensor.shape, ElementSize(tensor.dtype), region)});
  }
  return slices;
}

// The lowest rank that holds a tensor of no source strategy: its copy counts.
int64_t LowestHolder(const WorldTensor& tensor) {
  return tensor.held_by.empty() ? 0 : *tensor.held_by.begin();
}

bool IsScratchName(const std::string& name) { return name.rfind("accu_grads.", 0) == 0; }

std::string Differences(const std::string& path, const ExpectedFile& expected,
                        const ExpectedFile& found) {
  for (const auto& [name, value] : expected) {
    const auto other = found.find(name);
    if (other == found.end()) return Format("{}: lacks {}", path, name);
    const auto& [other_name, got] = *other;
    if (got.kind != value.kind || got.dtype != value.dtype || got.shape != value.shape) {
      return Format("{}: {} is {}{}, not {}{}", path, name, ShortName(got.dtype),
                    ToText(ToDims(got.shape)), ShortName(value.dtype), ToText(ToDims(value.shape)));
    }
    if (got.bytes != value.bytes) {
      size_t at = 0;
      while (at < got.bytes.size() && got.bytes[at] == value.bytes[at]) ++at;
      return Format("{}: {} {}{} differs from byte {} on", path, name, ShortName(value.dtype),
                    ToText(ToDims(value.shape)), at);
    }
  }
  for (const auto& [name, value] : found) {
    if (!expected.contains(name)) return Format("{}: should not hold {}", path, name);
  }
  return "";
}

std::string CrcTrailer(const std::string& bytes) {
  const uint32_t crc = Crc32(0, std::as_bytes(std::span(bytes)));
  std::string trailer = "crc_num";
  trailer.append(6, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) trailer += static_cast<char>(crc >> shift & 0xFF);
  return trailer;
}

}  // namespace

const LayoutSpec* WorldStage::Find(const std::string& name) const {
  for (const auto& [other, spec] : layouts) {
    if (other == name) return &spec;
  }
  return nullptr;
}

int64_t RankCount(const WorldSide& side) {
  int64_t count = 0;
  for (const WorldStage& stage : side) count += stage.device_count;
  return count;
}

std::string FileOf(FileFormat format,
                   const std::vector<std::pair<std::string, ExpectedValue>>& values,
                   int64_t slice_bytes, bool crc) {
  std::vector<StoredValue> stored;
  for (const auto& [name, value] : values) {
    stored.push_back({.name = name,
                      .kind = value.kind,
                      .dtype = value.dtype,
                      .shape = ToDims(value.shape),
                      .extents = {}});
  }
  const auto image = format == FileFormat::kMindSporeCheckpoint
                         ? LayOutMindSporeCheckpoint(stored, slice_bytes)
                         : LayOutFile(format, stored);
  RELAYOUT_CHECK(image.ok());
  std::string file(static_cast<size_t>(image->size_bytes), '?');
  for (const FileImage::Segment& header : image->headers) {
    file.replace(static_cast<size_t>(header.offset_bytes), header.bytes.size(), header.bytes);
  }
  for (size_t i = 0; i < values.size(); ++i) {
    size_t done = 0;
    for (const Extent& extent : image->extents[i]) {
      const auto size = static_cast<size_t>(extent.size_bytes);
      file.replace(static_cast<size_t>(extent.offset_bytes), size,
                   values[i].second.bytes.substr(done, size));
      done += size;
    }
    RELAYOUT_CHECK(done == values[i].second.bytes.size());
  }
  return crc ? file + CrcTrailer(file) : file;
}

std::string WriteStrategy(const World& world, const WorldSide& side, StrategyForm form,
                          const std::string& path, MemoryFileSystem& fs) {
  const std::string full_path = StrategyPath(path, form);
  StrategyFile merged;
  merged.merged = side.size() > 1 || form == StrategyForm::kJson;
  for (size_t s = 0; s < side.size(); ++s) {
    StrategyFile::StageLayouts stage{.stage = static_cast<int64_t>(s), .layouts = {}};
    for (const auto& [name, spec] : side[s].layouts) {
      auto layout = Layout::Create(spec);
      RELAYOUT_CHECK(layout.ok());
      ParameterLayout parameter{.name = name, .layout = *layout, .whole_shape = {}};
      const WorldTensor* tensor = FindTensor(world, name);
      if (world.states_shapes && tensor != nullptr) parameter.whole_shape = ToDims(tensor->shape);
      stage.layouts.parameters.push_back(std::move(parameter));
    }
    const StrategyFile::Operator op{
        .name = Format("MatMul_{}", s), .stage = static_cast<int64_t>(s), .strategy = {{1, 1}}};
    if (form == StrategyForm::kFolder) {
      const StrategyFile file{
          .merged = false, .current_stage = 2, .operators = {op}, .stages = {std::move(stage)}};
      fs.SetFile(Format("{}/stage_{}.ckpt", full_path, s), SerializeStrategyProtobuf(file));
      continue;
    }
    merged.operators.push_back(op);
    merged.stages.push_back(std::move(stage));
  }
  if (form == StrategyForm::kProtobuf) fs.SetFile(full_path, SerializeStrategyProtobuf(merged));
  if (form == StrategyForm::kJson) fs.SetFile(full_path, SerializeStrategyJson(merged));
  return full_path;
}

void WriteSource(const World& world, MemoryFileSystem& fs) {
  const int64_t rank_count = world.source ? RankCount(*world.source) : 1;
  std::vector<std::vector<std::pair<std::string, ExpectedValue>>> files(
      static_cast<size_t>(rank_count));
  for (const WorldTensor& tensor : world.tensors) {
    const bool is_cut = IsIn(world.source, tensor.name);
    int64_t first_rank = 0;
    const std::string whole = WholeBytes(tensor, 0);
    const size_t stage_count = is_cut ? world.source->size() : 0;
    for (size_t s = 0; s < stage_count; ++s) {
      const WorldStage& stage = (*world.source)[s];
      if (const LayoutSpec* spec = stage.Find(tensor.name)) {
        const auto slices = Slices(tensor, whole, *spec);
        for (size_t local = 0; local < slices.size(); ++local) {
          if (world.drops_empty && slices[local].bytes.empty() && !whole.empty()) continue;
          files[static_cast<size_t>(first_rank) + local].emplace_back(tensor.name, slices[local]);
        }
      }
      first_rank += stage.device_count;
    }
    for (int64_t rank = 0; rank < rank_count && !is_cut; ++rank) {
      if (!tensor.held_by.empty() && !tensor.held_by.contains(rank)) continue;
      files[static_cast<size_t>(rank)].emplace_back(tensor.name, WholeValue(tensor, rank));
    }
  }
  for (int64_t rank = 0; rank < rank_count; ++rank) {
    auto& values = files[static_cast<size_t>(rank)];
    // No checkpoint is without any value.
    if (values.empty())
      values.emplace_back("accu_grads.filler", ExpectedValue{.shape = {}, .bytes = "fill"});
    fs.SetFile(
        Format("{}/rank_{}/net_{}{}", kSourceDirectory, rank, rank, Extension(world.source_format)),
        FileOf(world.source_format, values, world.slice_bytes,
               world.source_crc && world.source_format == FileFormat::kMindSporeCheckpoint));
  }
  if (world.source) WriteStrategy(world, *world.source, world.source_form, "src_strategy", fs);
  if (world.target) WriteStrategy(world, *world.target, world.target_form, "dst_strategy", fs);
}

TransformRequest RequestOf(const World& world) {
  TransformRequest request;
  request.source.path = kSourceDirectory;
  if (world.source) request.source.strategy_path = StrategyPath("src_strategy", world.source_form);
  if (world.target) request.target_strategy_path = StrategyPath("dst_strategy", world.target_form);
  request.target_directory = kTargetDirectory;
  request.contents.keep_extra = world.keep_extra;
  if (world.source_format != world.target_format) request.format = world.target_format;
  request.crc_trailer = world.target_crc && world.target_format == FileFormat::kMindSporeCheckpoint;
  request.ranks = world.ranks;
  request.memory_bytes = kMinMemoryBytes;
  return request;
}

std::map<int64_t, ExpectedFile> ExpectedTarget(const World& world) {
  const int64_t rank_count = world.target ? RankCount(*world.target) : 1;
  std::map<int64_t, ExpectedFile> files;
  for (int64_t rank = 0; rank < rank_count; ++rank) files[rank];
  for (const WorldTensor& tensor : world.tensors) {
    if (IsScratchName(tensor.name)) continue;
    const bool in_source = IsIn(world.source, tensor.name);
    if (!IsIn(world.target, tensor.name)) {
      if (in_source && world.target && !world.keep_extra) continue;
      const int64_t holder = in_source ? 0 : LowestHolder(tensor);
      for (auto& [rank, file] : files) file[tensor.name] = WholeValue(tensor, holder);
      continue;
    }
    const std::string whole = WholeBytes(tensor, 0);
    int64_t first_rank = 0;
    for (const WorldStage& stage : *world.target) {
      if (const LayoutSpec* spec = stage.Find(tensor.name)) {
        const auto slices = Slices(tensor, whole, *spec);
        for (size_t local = 0; local < slices.size(); ++local) {
          files[first_rank + static_cast<int64_t>(local)][tensor.name] = slices[local];
        }
      }
      first_rank += stage.device_count;
    }
  }
  if (world.ranks.empty()) return files;
  std::map<int64_t, ExpectedFile> wanted;
  for (const int64_t rank : world.ranks) wanted[rank] = files.at(rank);
  return wanted;
}

Traffic ExpectedTraffic(const World& world, const std::map<int64_t, ExpectedFile>& expected) {
  Traffic traffic;
  std::set<std::string> names;
  for (const auto& [rank, file] : expected) {
    for (const auto& [name, value] : file) {
      traffic.written_bytes += std::ssize(value.bytes);
      names.insert(name);
    }
  }
  for (const std::string& name : names) {
    const WorldTensor& tensor = *FindTensor(world, name);
    traffic.read_bytes += Product(tensor.shape) * ElementSize(tensor.dtype);
  }
  return traffic;
}

std::map<std::string, ExpectedValue> ContentsOf(const std::string& path, const std::string& bytes) {
  const auto index = ReadFileIndex(MemoryFile(path, bytes));
  std::map<std::string, ExpectedValue> values;
  if (!index.ok()) return {{index.status().message(), {}}};
  for (const StoredValue& value : index->values) {
    ExpectedValue& found = values[value.name];
    found = {value.kind, value.dtype, ToInts(value.shape), ""};
    for (const Extent& extent : value.extents) {
      found.bytes += bytes.substr(static_cast<size_t>(extent.offset_bytes),
                                  static_cast<size_t>(extent.size_bytes));
    }
  }
  return values;
}

std::string CompareTarget(const MemoryFileSystem& fs, const std::string& directory,
                          const std::string& prefix, FileFormat format,
                          const std::map<int64_t, ExpectedFile>& expected) {
  auto& mutable_fs = const_cast<MemoryFileSystem&>(fs);  // List is not const in FileSystem.
  std::set<std::string> paths;
  for (const auto& [rank, file] : expected) {
    const std::string path =
        Format("{}/rank_{}/{}{}{}", directory, rank, prefix, rank, Extension(format));
    paths.insert(path);
    const auto bytes = fs.FileBytes(path);
    if (!bytes) return Format("{}: is not there", path);
    // A rank without any value: .ckpt has no header, and readers refuse what is empty.
    const bool no_records =
        bytes->empty() || (bytes->size() == kCrcBytes && bytes->starts_with("crc_num"));
    if (file.empty() && no_records && format == FileFormat::kMindSporeCheckpoint) continue;
    if (std::string difference = Differences(path, file, ContentsOf(path, *bytes));
        !difference.empty()) {
      return difference;
    }
  }
  const auto folders = mutable_fs.List(directory);
  if (!folders.ok()) return folders.status().message();
  for (const DirectoryEntry& folder : *folders) {
    const auto files = mutable_fs.List(JoinPath(directory, folder.name));
    if (!files.ok()) return files.status().message();
    for (const DirectoryEntry& file : *files) {
      const std::string path = JoinPath(JoinPath(directory, folder.name), file.name);
      const bool is_state = folder.name == ".relayout" && file.kind == FileKind::kFile;
      if (!is_state && !paths.contains(path)) return Format("{}: should not be there", path);
    }
  }
  return "";
}

std::string CheckWrittenOnce(const std::vector<Access>& accesses) {
  std::map<std::string, std::vector<std::pair<int64_t, int64_t>>> writes;
  for (const Access& access : accesses) {
    if (access.kind != Access::kWrite || access.size_bytes == 0) continue;
    writes[access.path].emplace_back(access.offset_bytes, access.size_bytes);
  }
  for (auto& [path, ranges] : writes) {
    std::sort(ranges.begin(), ranges.end());
    int64_t position = 0;
    for (const auto& [offset, size] : ranges) {
      if (offset < position) return Format("{}: byte {} was written twice", path, offset);
      if (offset > position) return Format("{}: byte {} was not written", path, position);
      position = offset + size;
    }
  }
  return "";
}

std::string RunWorld(const World& world, int thread_count) {
  MemoryFileSystem fs;
  WriteSource(world, fs);
  TransformRequest request = RequestOf(world);
  request.thread_count = thread_count;
  const auto report = TransformCheckpoints(fs, request);
  if (!report.ok()) return "failed: " + report.status().message();
  const auto expected = ExpectedTarget(world);
  std::string wrong =
      CompareTarget(fs, kTargetDirectory, request.prefix, world.target_format, expected);
  if (wrong.empty()) wrong = CheckWrittenOnce(fs.accesses());
  if (!wrong.empty()) return wrong;
  const Traffic traffic = ExpectedTraffic(world, expected);
  if (report->written_bytes != traffic.written_bytes) {
    return Format("{} bytes were written, not {}", report->written_bytes, traffic.written_bytes);
  }
  if (world.ranks.empty() && report->read_bytes != traffic.read_bytes) {
    return Format("{} bytes were read, not {}", report->read_bytes, traffic.read_bytes);
  }
  return "";
}

std::string RunFromRankList(const World& world, int64_t rank) {
  MemoryFileSystem fs;
  WriteSource(world, fs);
  TransformRequest request = RequestOf(world);
  const auto list = RanksForTransform(fs, {.source_strategy_path = request.source.strategy_path,
                                           .target_strategy_path = request.target_strategy_path,
                                           .rank = rank});
  if (!list.ok()) return "RanksForTransform: " + list.status().message();
  for (const int64_t source_rank : list->ranks) {
    request.source.files[source_rank] = Format("{}/rank_{}/net_{}{}", kSourceDirectory, source_rank,
                                               source_rank, Extension(world.source_format));
  }
  request.source.path.clear();
  request.ranks = {rank};
  const auto report = TransformCheckpoints(fs, request);
  if (!report.ok()) {
    return Format("from ranks {}: {}", RankRuns(list->ranks), report.status().message());
  }
  World one = world;
  one.ranks = {rank};
  auto expected = ExpectedTarget(one);
  // Values that no source strategy knows come from the ranks that are there.
  for (auto value = expected[rank].begin(); value != expected[rank].end();) {
    const WorldTensor& tensor = *FindTensor(world, value->first);
    const bool is_cut = IsIn(world.source, tensor.name);
    const auto holds = [&](int64_t r) {
      return tensor.held_by.empty() || tensor.held_by.contains(r);
    };
    const auto holder = std::find_if(list->ranks.begin(), list->ranks.end(), holds);
    if (!is_cut && holder == list->ranks.end()) {
      value = expected[rank].erase(value);
      continue;
    }
    if (!is_cut && tensor.differs_by_rank) value->second = WholeValue(tensor, *holder);
    ++value;
  }
  return CompareTarget(fs, kTargetDirectory, request.prefix, world.target_format, expected);
}

std::string Describe(const World& world) {
  std::string text;
  const auto side = [&](const char* name, const std::optional<WorldSide>& stages) {
    if (!stages) {
      text += Format("{}: whole\n", name);
      return;
    }
    for (size_t s = 0; s < stages->size(); ++s) {
      text += Format("{} stage {} of {} devices:\n", name, s, (*stages)[s].device_count);
      for (const auto& [parameter, spec] : (*stages)[s].layouts) {
        const auto layout = Layout::Create(spec);
        text += Format("  {} {}\n", Printable(parameter), layout.ok() ? ToText(*layout) : "?");
      }
    }
  };
  side("source", world.source);
  side("target", world.target);
  for (const WorldTensor& tensor : world.tensors) {
    text += Format("{}{} {}{}\n", tensor.kind == ValueKind::kString ? "string " : "",
                   Printable(tensor.name), ShortName(tensor.dtype), ToText(ToDims(tensor.shape)));
  }
  return text + Format("{} -> {}, ranks {}\n", Extension(world.source_format),
                       Extension(world.target_format),
                       world.ranks.empty() ? "all" : RankRuns(world.ranks));
}

}  // namespace relayout::oracle
