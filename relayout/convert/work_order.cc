// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/work_order.h"

#include <algorithm>
#include <utility>

#include "relayout/base/byte_io.h"
#include "relayout/base/hash.h"
#include "relayout/base/parallel.h"
#include "relayout/base/text.h"
#include "relayout/convert/conversion.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

constexpr int64_t kMib = int64_t{1} << 20;
constexpr std::string_view kJournalPrefix = "journal-";
constexpr int64_t kMaxCount = int64_t{1} << 62;

// Lines hashed together.
class LineHash {
 public:
  void Add(std::string_view line) {
    hash_.Update(std::as_bytes(std::span(line)));
    hash_.Update(std::as_bytes(std::span("\n", 1)));
  }
  std::string Hex() const { return ToHex(hash_.Digest()); }

 private:
  StreamHash hash_;
};

// A strategy as far as it shapes the output.
std::string HashStrategy(const Strategy& strategy) {
  LineHash hash;
  hash.Add(Format("strategy of {} ranks", strategy.rank_count()));
  for (int64_t stage = 0; stage < strategy.stage_count(); ++stage) {
    hash.Add("stage");
    for (const Strategy::Parameter& parameter : strategy.parameters(stage)) {
      hash.Add(Format("{} {}", parameter.name, ToText(parameter.layout)));
    }
  }
  return hash.Hex();
}

std::string HashOptions(const TransformRequest& request, const Conversion& conversion) {
  LineHash hash;
  hash.Add(Format("{} {} {} {}", Extension(conversion.format()), request.contents.keep_extra,
                  request.crc_trailer, request.prefix));
  if (!request.file_name.empty()) hash.Add("file name " + request.file_name);
  if (request.remove_redundancy) hash.Add("redundancy removed");
  if (request.unified) hash.Add(Format("parts of {}", request.unified->part_bytes));
  for (const auto& [name, new_name] : request.contents.renames) {
    hash.Add("name " + name);
    hash.Add(new_name ? "is " + *new_name : "is left out");
  }
  return hash.Hex();
}

const char* NameOf(ReplicaMode mode) {
  switch (mode) {
    case ReplicaMode::kCopy:
      return "copy";
    case ReplicaMode::kHardLink:
      return "hardlink";
    case ReplicaMode::kReflink:
      return "reflink";
  }
  return "";
}

}  // namespace

std::string WorkOrder::Serialize() const {
  ByteWriter writer;
  writer.Int(is_complete ? 1 : 0);
  writer.Text(staging_directory);
  writer.Int(std::ssize(paths));
  for (const std::string& path : paths) writer.Text(path);
  writer.Int(cut.chunk_bytes);
  writer.Int(cut.thread_memory_bytes);
  writer.Int(attempt);
  writer.Int(std::ssize(done_chunks));
  int64_t last = 0;
  for (const int64_t chunk : done_chunks) {
    writer.Int(chunk - last);
    last = chunk;
  }
  return writer.Take();
}

Result<WorkOrder> WorkOrder::Deserialize(std::string_view bytes) {
  ByteReader reader(bytes);
  WorkOrder order;
  order.is_complete = reader.IntIn(0, 1) == 1;
  order.staging_directory = reader.Text();
  for (size_t n = reader.Count(); n > 0; --n) order.paths.emplace_back(reader.Text());
  order.cut.chunk_bytes = reader.IntIn(0, kMaxCount);
  order.cut.thread_memory_bytes = reader.IntIn(0, kMaxCount);
  order.attempt = reader.IntIn(0, kMaxCount);
  int64_t chunk = 0;
  for (size_t n = reader.Count(); n > 0; --n) {
    chunk += reader.IntIn(0, kMaxCount);
    order.done_chunks.insert(chunk);
  }
  if (!reader.AtEnd()) return InvalidInput("process 0 sent an incomprehensible work order");
  return order;
}

Result<StagedPlan> MakePlan(FileSystem& fs, const TransformRequest& request,
                            const Conversion& conversion) {
  StagedPlan plan;
  plan.generation.source_strategy = HashStrategy(conversion.source().strategy);
  plan.generation.target_strategy = HashStrategy(conversion.target());
  plan.generation.options = HashOptions(request, conversion);
  plan.ranks = conversion.target_ranks();
  plan.replicas = NameOf(request.replica_mode);
  const std::vector<RankFile>& files = conversion.source().catalog.files();
  std::vector<std::string> fingerprints(files.size());
  RELAYOUT_RETURN_IF_ERROR(
      ParallelFor(conversion.thread_count(), std::ssize(files), [&](int64_t i) -> Status {
        const auto n = static_cast<size_t>(i);
        RELAYOUT_ASSIGN_OR_RETURN(const auto opened, fs.OpenForRead(files[n].path));
        RELAYOUT_ASSIGN_OR_RETURN(fingerprints[n], FingerprintFile(*opened));
        return OkStatus();
      }));
  for (size_t i = 0; i < files.size(); ++i) {
    plan.generation.source_of_rank[files[i].rank] = fingerprints[i];
    plan.change_of_source[files[i].rank] =
        Format("{} {}", files[i].info.size_bytes, files[i].info.modified_ns);
  }
  const WorkCut cut =
      ChooseWorkCut(conversion.written_bytes(), request.memory_bytes, conversion.thread_count());
  plan.chunk_bytes = cut.chunk_bytes;
  plan.thread_memory_bytes = cut.thread_memory_bytes;
  return plan;
}

CheckpointWriterOptions WriterOptionsOf(const TransformRequest& request,
                                        const Conversion& conversion) {
  return {.directory = request.target_directory,
          .names = conversion.names(),
          .format = conversion.format(),
          .single_file = request.target_file,
          .whole_set = !conversion.is_partial(),
          .overwrite = request.overwrite,
          .keep_others = request.keep_others,
          .sync = request.sync,
          .crc_trailer = request.crc_trailer,
          .resume = request.resume,
          .rank_count = conversion.target().rank_count(),
          .original_of_replica = conversion.original_of_replica(),
          .replica_mode = request.replica_mode};
}

Result<int> ThreadsFor(const WorkCut& cut, const TransformRequest& request, int thread_count) {
  const WorkCut one = ChooseWorkCut(1, request.memory_bytes, 1);
  if (one.thread_memory_bytes < cut.thread_memory_bytes) {
    // As the option takes it: whole, and rounded up.
    const int64_t needed_mib = (cut.thread_memory_bytes / 3 * 4 + 4) / kMib + 1;
    return InvalidInput(
        Format("--memory {}: the run that is gone on with used {} a thread; give at least --memory "
               "{}MiB, or convert without --resume to start anew",
               HumanBytes(request.memory_bytes), HumanBytes(cut.thread_memory_bytes), needed_mib));
  }
  return static_cast<int>(
      std::min<int64_t>(thread_count, one.thread_memory_bytes / cut.thread_memory_bytes));
}

std::string JournalName(int64_t attempt, int64_t process) {
  return Format("{}{}-{}", kJournalPrefix, attempt, process);
}

std::optional<int64_t> AttemptOfJournal(std::string_view name) {
  if (!name.starts_with(kJournalPrefix)) return std::nullopt;
  name.remove_prefix(kJournalPrefix.size());
  return ParseDecimal(name.substr(0, name.find('-')));
}

}  // namespace relayout
