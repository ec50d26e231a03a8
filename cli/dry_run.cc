// SPDX-License-Identifier: Apache-2.0
#include "cli/dry_run.h"

#include <algorithm>
#include <functional>

#include "cli/console.h"
#include "cli/table.h"
#include "relayout/base/json_writer.h"
#include "relayout/base/text.h"
#include "relayout/convert/dry_run.h"
#include "relayout/io/posix_file_system.h"
#include "relayout/layout/notation.h"
#include "relayout/plan/explain.h"

namespace relayout::cli {
namespace {

constexpr size_t kListedFiles = 16;  // More than these are summed up,
constexpr size_t kLargestFiles = 8;  // and so many listed.
constexpr int64_t kSmallPieceBytes = int64_t{128} << 10;
constexpr size_t kListedReplicas = 8;  // Groups of source ranks that hold the same.

// "1.5 MiB (1605632 bytes)".
std::string ExactBytes(int64_t bytes) {
  return bytes < 1024 ? Format("{} bytes", bytes)
                      : Format("{} ({} bytes)", HumanBytes(bytes), bytes);
}

// A line of a table of files, and what it is sorted by.
struct FileRow {
  int64_t bytes = 0;
  std::vector<std::string> cells;
};

// All of a few; of many the spread and the largest.
void PrintFiles(const std::string& what, std::vector<std::string> head, std::vector<FileRow> rows) {
  if (rows.empty()) return;
  Print("");
  const size_t count = rows.size();
  if (count > kListedFiles) {
    std::stable_sort(rows.begin(), rows.end(),
                     [](const FileRow& a, const FileRow& b) { return a.bytes > b.bytes; });
    Print(Format("{} of {} files: {} to {} each, median {}; the {} largest:", what, count,
                 HumanBytes(rows.back().bytes), HumanBytes(rows.front().bytes),
                 HumanBytes(rows[count / 2].bytes), kLargestFiles));
    rows.resize(kLargestFiles);
  }
  Table table(std::move(head));
  for (FileRow& row : rows) table.Add(std::move(row.cells));
  table.PrintAll();
  if (rows.size() < count) Print(Format("... and {} more; --json lists all", count - rows.size()));
}

void PrintSources(const DryRunReport& report) {
  std::vector<FileRow> rows;
  for (const DryRunSource& source : report.sources) {
    rows.push_back({source.read_bytes,
                    {std::to_string(source.rank), std::to_string(source.read_bytes),
                     std::to_string(source.size_bytes), source.path}});
  }
  PrintFiles("read", {"SOURCE RANK", "BYTES READ", "FILE BYTES", "FILE"}, std::move(rows));
}

void PrintTargets(const DryRunReport& report) {
  std::vector<FileRow> rows;
  for (const DryRunTarget& target : report.targets) {
    const int64_t written = target.original ? 0 : target.size_bytes;
    std::string remark = target.path;
    if (target.original) remark += Format(" (made from rank {}'s)", *target.original);
    rows.push_back({written,
                    {std::to_string(target.rank), std::to_string(written),
                     std::to_string(target.original ? 0 : target.payload_bytes), remark}});
  }
  PrintFiles("written", {"TARGET RANK", "BYTES WRITTEN", "PAYLOAD", "FILE"}, std::move(rows));
}

void PrintReplicas(const DryRunReport& report) {
  if (report.replicas.empty()) return;
  Print("");
  Print("source ranks that hold the same shards, and what is read of them:");
  const size_t listed = std::min(kListedReplicas, report.replicas.size());
  for (size_t i = 0; i < listed; ++i) {
    const DryRunReplicas& group = report.replicas[i];
    std::vector<std::string> read;
    for (const auto& [rank, bytes] : group.read_bytes) {
      read.push_back(Format("{} from {}", HumanBytes(bytes), rank));
    }
    Print(Format("  ranks {}: {}", ShortRanks(group.ranks, 40), JoinLimited(read, 5)));
  }
  if (listed < report.replicas.size()) {
    Print(Format("  ... and {} more groups; --json lists all", report.replicas.size() - listed));
  }
}

void PrintMemory(const DryRunMemory& memory) {
  Print(Format("memory   {} at most: {} held now, {} of buffers ({} x {}),",
               HumanBytes(memory.total_bytes()), HumanBytes(memory.held_bytes),
               HumanBytes(memory.thread_count * memory.buffer_bytes),
               Count(memory.thread_count, "thread"), HumanBytes(memory.buffer_bytes)));
  Print(Format("         {} for lists of work, {} for headers, {} for stacks and the heap's waste",
               HumanBytes(memory.work_bytes), HumanBytes(memory.headers_bytes),
               HumanBytes(memory.other_bytes)));
}

void PrintTime(const DryRunReport& report, bool sync) {
  if (!report.probe) return;
  const ProbeResult& probe = *report.probe;
  const double seconds = *report.estimated_seconds;
  Print(Format("time     {}: a probe copied {} at {} (read {}, written {})",
               seconds < 1 ? "below 1 s" : "about " + TimeText(seconds),
               HumanBytes(probe.copied_bytes), RateText(probe.copied_bytes, probe.seconds),
               RateText(probe.copied_bytes, probe.read_seconds),
               RateText(probe.copied_bytes, probe.write_seconds)));
  Print("         Source files that were read lately come from memory; reading others is slower.");
  const int64_t piece_bytes =
      (report.read_bytes + report.written_bytes) / std::max<int64_t>(1, report.piece_count);
  if (piece_bytes < kSmallPieceBytes) {
    Print(Format("         It moves {} of {} on average: so small ones take longer than that.",
                 Count(report.piece_count, "piece"), HumanBytes(piece_bytes)));
  }
  if (!sync) {
    Print(
        "         Without sync the probe wrote to memory; once that is full, the disk's pace "
        "counts.");
  }
}

void PrintTotals(const DryRunReport& report, bool sync) {
  std::vector<int64_t> ranks;
  for (const DryRunSource& source : report.sources) ranks.push_back(source.rank);
  Print(Format("dry run: {} -> {}, {}; nothing is written", Count(report.source_rank_count, "rank"),
               Count(report.target_rank_count, report.is_unified ? "file" : "rank"),
               Count(report.value_count, "value")));
  Print(Format("read     {} from {}: {} {}; and their headers", ExactBytes(report.read_bytes),
               Count(std::ssize(ranks), "file"), ranks.size() == 1 ? "rank" : "ranks",
               ShortRanks(ranks, 60)));
  if (report.checked_bytes > 0) {
    Print(Format("         and {} to check CRC trailers (--no-crc-check: not)",
                 ExactBytes(report.checked_bytes)));
  }
  const auto is_written = [](const DryRunTarget& target) { return !target.original; };
  const auto written = std::count_if(report.targets.begin(), report.targets.end(), is_written);
  Print(Format("write    {} to {}, {} of it payload", ExactBytes(report.written_bytes),
               Count(written, "file"), ExactBytes(report.payload_bytes)));
  if (written < std::ssize(report.targets)) {
    Print(Format("         {} made from these, without a byte",
                 Count(std::ssize(report.targets) - written, "replica")));
  }
  PrintMemory(report.memory);
  if (!report.disk_path.empty()) {
    Print(Format("disk     {} needed, {} of it for records; {} free in {}",
                 HumanBytes(report.disk_bytes()), HumanBytes(report.record_bytes),
                 HumanBytes(report.free_bytes), report.disk_path));
  }
  PrintTime(report, sync);
}

void PrintText(const DryRunReport& report, bool sync) {
  PrintTotals(report, sync);
  PrintSources(report);
  PrintTargets(report);
  PrintReplicas(report);
  for (const DryRunReport::Explained& tensor : report.explained) {
    Print("");
    for (const std::string& line :
         ExplainTransfer(tensor.name, tensor.dtype, tensor.transfer, tensor.unused_sources)) {
      Print(line);
    }
  }
  if (report.problems.empty() && report.notes.empty()) return;
  Print("");
  for (const Note& note : report.notes) Print("note: " + note.message);
  for (const Status& problem : report.problems) Print("it would fail: " + problem.message());
}

void WriteRanks(JsonWriter& json, const std::vector<int64_t>& ranks) {
  json.BeginArray();
  for (const int64_t rank : ranks) json.Int(rank);
  json.EndArray();
}

void WriteFiles(JsonWriter& json, const DryRunReport& report) {
  json.Key("sources").BeginArray();
  for (const DryRunSource& source : report.sources) {
    json.BeginObject().Key("rank").Int(source.rank).Key("path").String(source.path);
    json.Key("size_bytes").Int(source.size_bytes);
    json.Key("read_bytes").Int(source.read_bytes).EndObject();
  }
  json.EndArray().Key("targets").BeginArray();
  for (const DryRunTarget& target : report.targets) {
    json.BeginObject().Key("rank").Int(target.rank).Key("path").String(target.path);
    json.Key("size_bytes").Int(target.size_bytes);
    json.Key("payload_bytes").Int(target.payload_bytes);
    json.Key("written_bytes").Int(target.original ? 0 : target.size_bytes);
    if (target.original) json.Key("replica_of").Int(*target.original);
    json.EndObject();
  }
  json.EndArray().Key("source_replicas").BeginArray();
  for (const DryRunReplicas& group : report.replicas) {
    json.BeginObject().Key("ranks");
    WriteRanks(json, group.ranks);
    json.Key("read_bytes").BeginObject();
    for (const auto& [rank, bytes] : group.read_bytes) json.Key(std::to_string(rank)).Int(bytes);
    json.EndObject().EndObject();
  }
  json.EndArray();
}

void WriteNeeds(JsonWriter& json, const DryRunReport& report) {
  const DryRunMemory& memory = report.memory;
  json.Key("memory").BeginObject().Key("total_bytes").Int(memory.total_bytes());
  json.Key("held_bytes").Int(memory.held_bytes).Key("threads").Int(memory.thread_count);
  json.Key("buffer_bytes").Int(memory.buffer_bytes).Key("work_bytes").Int(memory.work_bytes);
  json.Key("headers_bytes").Int(memory.headers_bytes);
  json.Key("other_bytes").Int(memory.other_bytes).EndObject();
  json.Key("disk").BeginObject().Key("path").String(report.disk_path);
  json.Key("needed_bytes").Int(report.disk_bytes()).Key("record_bytes").Int(report.record_bytes);
  json.Key("free_bytes").Int(report.free_bytes).EndObject();
  if (!report.probe) return;
  json.Key("probe").BeginObject().Key("copied_bytes").Int(report.probe->copied_bytes);
  json.Key("seconds").Double(report.probe->seconds);
  json.Key("read_seconds").Double(report.probe->read_seconds);
  json.Key("write_seconds").Double(report.probe->write_seconds).EndObject();
  json.Key("estimated_seconds").Double(*report.estimated_seconds);
}

void WritePlace(JsonWriter& json, const PlacedTensor& placed) {
  json.BeginObject().Key("layout").String(ToText(placed.partition.layout()));
  json.Key("first_rank").Int(placed.first_rank);
  json.Key("rank_count").Int(placed.partition.layout().device_count()).EndObject();
}

void WriteCopies(JsonWriter& json, const Transfer& transfer) {
  json.Key("copies").BeginArray();
  for (size_t t = 0; t < transfer.targets.size(); ++t) {
    const TransferTarget& target = transfer.targets[t];
    for (size_t shard = 0; shard < target.ranks_of_shard.size(); ++shard) {
      if (target.ranks_of_shard[shard].empty()) continue;
      const Partition& partition = target.placed.partition;
      const Dims cell = partition.layout().CellOfShard(static_cast<int64_t>(shard));
      json.BeginObject().Key("target_ranks");
      WriteRanks(json, target.ranks_of_shard[shard]);
      json.Key("box").String(ToText(partition.BoxOf(cell))).Key("from").BeginArray();
      for (const ShardCopy& copy : CopiesInto(transfer, t, static_cast<int64_t>(shard))) {
        json.BeginObject().Key("rank").Int(copy.source_rank).Key("box").String(ToText(copy.box));
        json.Key("bytes").Int(copy.box.volume() * transfer.element_size_bytes).EndObject();
      }
      json.EndArray().EndObject();
    }
  }
  json.EndArray();
}

void WriteExplained(JsonWriter& json, const DryRunReport& report) {
  json.Key("explained").BeginArray();
  for (const DryRunReport::Explained& tensor : report.explained) {
    const Transfer& transfer = tensor.transfer;
    json.BeginObject().Key("name").String(tensor.name);
    json.Key("type").String(ShortName(tensor.dtype)).Key("shape").Array(transfer.shape());
    json.Key("source");
    WritePlace(json, transfer.source);
    json.Key("targets").BeginArray();
    for (const TransferTarget& target : transfer.targets) WritePlace(json, target.placed);
    json.EndArray();
    WriteCopies(json, transfer);
    json.EndObject();
  }
  json.EndArray();
}

void PrintJson(const DryRunReport& report) {
  JsonWriter json;
  json.BeginObject().Key("ok").Bool(report.problems.empty()).Key("dry_run").Bool(true);
  json.Key("source_ranks").Int(report.source_rank_count);
  json.Key("target_ranks").Int(report.target_rank_count).Key("values").Int(report.value_count);
  json.Key("read_bytes").Int(report.read_bytes).Key("checked_bytes").Int(report.checked_bytes);
  json.Key("written_bytes").Int(report.written_bytes);
  json.Key("payload_bytes").Int(report.payload_bytes).Key("pieces").Int(report.piece_count);
  WriteFiles(json, report);
  WriteNeeds(json, report);
  WriteExplained(json, report);
  json.Key("problems").BeginArray();
  for (const Status& problem : report.problems) {
    json.BeginObject().Key("code").String(StatusCodeName(problem.code()));
    json.Key("message").String(problem.message()).EndObject();
  }
  json.EndArray().Key("notes").BeginArray();
  for (const Note& note : report.notes) {
    json.BeginObject().Key("kind").String(note.kind);
    json.Key("message").String(note.message).EndObject();
  }
  Print(json.EndArray().EndObject().text());
}

}  // namespace

void AddDryRunOptions(CLI::App& command, DryRunFlags& flags) {
  command.add_flag("--dry-run", flags.dry_run,
                   "Write nothing; say what would be read and written, and what it would take");
  command
      .add_option("--explain", flags.explain,
                  "With --dry-run, which it implies: draw this tensor's copies (repeatable)")
      ->type_name("TENSOR")
      ->allow_extra_args(false);
  command.add_flag("--no-probe", flags.no_probe,
                   "With --dry-run: do not measure the disks to estimate the time");
}

int DryRun(TransformRequest request, const DryRunFlags& flags, bool json) {
  ProgressLine line("looking");
  request.progress = &line.progress();
  const auto fs = NewPosixFileSystem();
  const auto report =
      DryRunTransform(*fs, request, {.probe = !flags.no_probe, .explain = flags.explain});
  if (!report.ok()) return Fail(report.status(), json);
  json ? PrintJson(*report) : PrintText(*report, request.sync);
  return report->problems.empty() ? kExitOk : kExitWrong;
}

}  // namespace relayout::cli
