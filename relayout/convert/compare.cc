// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/compare.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <set>
#include <utility>

#include "relayout/base/parallel.h"
#include "relayout/base/text.h"
#include "relayout/convert/contents.h"
#include "relayout/convert/load_strategy.h"
#include "relayout/convert/logical_tensor.h"

namespace relayout {
namespace {

int ThreadsOf(int requested) { return requested > 0 ? requested : DefaultThreadCount(); }

std::string Describe(ValueKind kind, DType dtype, const Dims& shape) {
  if (kind == ValueKind::kString) return Format("string of {} bytes", shape[0]);
  return Format("{}{}", ShortName(dtype), ToText(shape));
}

// Elements that differ and the first of them.
struct Mismatch {
  int64_t count = 0;
  Dims first;

  void Add(const Dims& row_index, int64_t column_offset, int64_t elements) {
    if (count == 0) {
      first = row_index;
      if (!first.empty()) first[first.size() - 1] += column_offset;
    }
    count += elements;
  }
};

// Counts differing elements of two equally long stretches that begin at `index`.
void CompareStretch(std::span<const std::byte> a, std::span<const std::byte> b, const Dims& index,
                    int64_t element_size, Mismatch& mismatch) {
  if (std::memcmp(a.data(), b.data(), a.size()) == 0) return;
  const auto size = static_cast<size_t>(element_size);
  for (size_t at = 0; at < a.size(); at += size) {
    if (std::memcmp(a.data() + at, b.data() + at, size) != 0) {
      mismatch.Add(index, static_cast<int64_t>(at / size), 1);
    }
  }
}

// Compares the elements of [begin, end) of `a` (whole-tensor coordinates) with what `read_b`
// delivers for the same index and count.
template <typename ReadB>
Result<Mismatch> CompareElements(LogicalTensor& a, const Dims& begin, const Dims& end,
                                 const Progress* progress, ReadB&& read_b) {
  Mismatch mismatch;
  for (size_t d = 0; d < begin.size(); ++d) {
    if (begin[d] == end[d]) return mismatch;
  }
  const int64_t element_size = ElementSize(a.dtype());
  // Rows are stepped through; the last dimension is walked in stretches.
  Dims row_end = end;
  if (!row_end.empty()) row_end[row_end.size() - 1] = begin[begin.size() - 1] + 1;
  Dims row = begin;
  do {
    if (IsCancelled(progress)) return Cancelled("stopped on request");
    Dims index = row;
    int64_t left = index.empty() ? 1 : end[end.size() - 1] - index[index.size() - 1];
    while (left > 0) {
      RELAYOUT_ASSIGN_OR_RETURN(const auto from_a, a.Read(index, left));
      RELAYOUT_ASSIGN_OR_RETURN(const auto from_b,
                                read_b(index, std::ssize(from_a) / element_size));
      const size_t common = std::min(from_a.size(), from_b.size());
      CompareStretch(from_a.first(common), from_b.first(common), index, element_size, mismatch);
      const int64_t elements = static_cast<int64_t>(common) / element_size;
      left -= elements;
      if (!index.empty()) index[index.size() - 1] += elements;
    }
  } while (NextIndex(begin, row_end, row));
  return mismatch;
}

// ------------------------------------------------------------------------------------------ verify

// One target rank's file, checked value by value.
class Verifier {
 public:
  Verifier(FileSystem& fs, const VerifyRequest& request, const CheckpointSet& source,
           const CheckpointSet& target)
      : fs_(fs), request_(request), source_(source), target_(target) {}

  // @pre the target has a file of `rank`
  Status CheckRank(int64_t rank) {
    if (!is_unified() && !request_.remove_redundancy) CheckNames(rank);
    const RankFile& file = *target_.catalog.FileOf(rank);
    for (const ValueView& value : *file.values) {
      if (!source_.catalog.Contains(value.name)) {
        Problem(Format("rank {}: {} is in no source file", rank, Printable(value.name)));
      } else if (IsExpected(value.name, rank)) {
        RELAYOUT_RETURN_IF_ERROR(CheckValue(file, value));
      } else if (is_unified()) {
        Problem(Format("{} should not be in {}", Printable(value.name), file.path));
      }
    }
    return OkStatus();
  }

  // Of a model in several files: is everything in one of them? (Opening it saw that nothing is in
  // two.)
  void CheckUnified() {
    if (!is_unified()) return;
    for (const std::string_view name : source_.catalog.names()) {
      if (!IsExpected(name, 0) || target_.catalog.Contains(name)) continue;
      Problem(Format("{} is in no file of {}", Printable(name), target_.spec.text()));
    }
  }

  // Of a set without redundancy: is each slice of everything somewhere?
  Status CheckDeduplicated() {
    for (const std::string_view name : source_.catalog.names()) {
      if (!IsExpectedSomewhere(name)) continue;
      if (!target_.catalog.Contains(name)) {
        Problem(Format("{} is in no file of {}", Printable(name), target_.spec.text()));
        continue;
      }
      Status whole = LogicalTensor::Open(fs_, target_, name).status();
      if (whole.code() == StatusCode::kIoError) return whole;
      if (!whole.ok()) Problem(whole.message());
    }
    return OkStatus();
  }

  VerifyReport TakeReport() { return std::move(report_); }

 private:
  bool is_unified() const { return !target_.has_strategy && target_.catalog.files().size() > 1; }

  void CheckNames(int64_t rank) {
    for (const std::string_view name : source_.catalog.names()) {
      const bool is_there = target_.catalog.Find(rank, name).has_value();
      if (is_there == IsExpected(name, rank)) continue;
      Problem(Format("rank {}: {} {}", rank, Printable(name),
                     is_there ? "should not be in the file" : "is missing from the file"));
    }
  }

  // Should the file of `rank` hold the source's value `name`?
  bool IsExpected(std::string_view name, int64_t rank) const {
    if (IsScratch(name)) return false;
    const bool in_source = source_.strategy.Contains(name);
    if (!target_.has_strategy) return true;
    const std::vector<Placement> placements = target_.strategy.Find(name);
    if (placements.empty()) return !in_source || request_.keep_extra;
    return std::any_of(placements.begin(), placements.end(), [&](const Placement& placement) {
      return placement.stage == target_.strategy.StageOf(rank);
    });
  }

  bool IsExpectedSomewhere(std::string_view name) const {
    for (int64_t stage = 0; stage < target_.strategy.stage_count(); ++stage) {
      if (IsExpected(name, target_.strategy.first_rank(stage))) return true;
    }
    return false;
  }

  Status CheckValue(const RankFile& file, const ValueView& value) {
    RELAYOUT_ASSIGN_OR_RETURN(LogicalTensor whole, LogicalTensor::Open(fs_, source_, value.name));
    const std::string where = Format("rank {}: {}", file.rank, Printable(value.name));
    RELAYOUT_ASSIGN_OR_RETURN(const Box box, ExpectedBox(value.name, file.rank, whole.shape()));
    if (value.kind != whole.kind() || value.dtype != whole.dtype() || value.shape != box.shape()) {
      Problem(Format("{} is {}, but should be {}", where,
                     Describe(value.kind, value.dtype, value.shape),
                     Describe(whole.kind(), whole.dtype(), box.shape())));
      return OkStatus();
    }
    RELAYOUT_ASSIGN_OR_RETURN(auto opened, fs_.OpenForRead(file.path));
    ValueReader reader(std::move(opened), value.extents);
    const int64_t element_size = ElementSize(value.dtype);
    // A shard is stored densely: its elements come in the order in which they are asked for.
    int64_t next = 0;
    RELAYOUT_ASSIGN_OR_RETURN(const Mismatch mismatch,
                              CompareElements(whole, box.begin, box.end, request_.progress,
                                              [&](const Dims&, int64_t count) {
                                                auto bytes =
                                                    reader.Read(next, count * element_size);
                                                if (bytes.ok()) next += std::ssize(*bytes);
                                                return bytes;
                                              }));
    if (mismatch.count > 0) {
      Problem(Format("{}: {} of {} elements are wrong, the first at {} of the whole tensor", where,
                     mismatch.count, box.volume(), ToText(mismatch.first)));
    }
    Count(next);
    return OkStatus();
  }

  // The part of the whole tensor that `rank` should hold.
  Result<Box> ExpectedBox(std::string_view name, int64_t rank, const Dims& shape) const {
    const int64_t stage = target_.strategy.StageOf(rank);
    for (const Placement& placement : target_.strategy.Find(name)) {
      if (placement.stage != stage) continue;
      const LayoutSpec& spec = placement.layout().spec();
      if (spec.dim_axes.size() != shape.size()) break;
      const auto pieces = PiecesByDefinition(spec, rank - placement.first_rank);
      Box box;
      for (size_t d = 0; d < shape.size(); ++d) {
        auto cuts = CutsByDefinition(spec, d, shape[d]);
        if (!cuts.ok()) return cuts.status().WithContext(Printable(name));
        const auto piece = static_cast<size_t>(pieces[d]);
        box.begin.push_back((*cuts)[piece]);
        box.end.push_back((*cuts)[piece + 1]);
      }
      return box;
    }
    return Box::Whole(shape);
  }

  void Problem(std::string line) {
    const std::lock_guard lock(mutex_);
    ++report_.problem_count;
    if (report_.problems.size() < kMaxProblems) report_.problems.push_back(std::move(line));
  }

  void Count(int64_t bytes) {
    const std::lock_guard lock(mutex_);
    ++report_.value_count;
    report_.compared_bytes += bytes;
    if (request_.progress != nullptr) request_.progress->written_bytes += bytes;
  }

  FileSystem& fs_;
  const VerifyRequest& request_;
  const CheckpointSet& source_;
  const CheckpointSet& target_;
  std::mutex mutex_;
  VerifyReport report_;
};

std::vector<int64_t> RanksToVerify(const VerifyRequest& request, const CheckpointSet& target) {
  if (!request.ranks.empty()) return request.ranks;
  std::vector<int64_t> ranks;
  for (int64_t rank = 0; rank < target.strategy.rank_count(); ++rank) ranks.push_back(rank);
  return ranks;
}

void AnnounceTotal(Progress* progress, const CheckpointSet& set) {
  if (progress == nullptr) return;
  int64_t total = 0;
  for (const RankFile& file : set.catalog.files()) total += file.info.size_bytes;
  progress->total_bytes = total;
}

// -------------------------------------------------------------------------------------------- diff

Result<std::string> DiffValue(FileSystem& fs, std::string_view name, const CheckpointSet& set_a,
                              const CheckpointSet& set_b, const Progress* progress,
                              std::atomic<int64_t>& compared_bytes) {
  RELAYOUT_ASSIGN_OR_RETURN(LogicalTensor a, LogicalTensor::Open(fs, set_a, name));
  RELAYOUT_ASSIGN_OR_RETURN(LogicalTensor b, LogicalTensor::Open(fs, set_b, name));
  if (a.kind() != b.kind() || a.dtype() != b.dtype() || a.shape() != b.shape()) {
    return Format("{} and {}", Describe(a.kind(), a.dtype(), a.shape()),
                  Describe(b.kind(), b.dtype(), b.shape()));
  }
  const Box whole = Box::Whole(a.shape());
  RELAYOUT_ASSIGN_OR_RETURN(
      const Mismatch mismatch,
      CompareElements(a, whole.begin, whole.end, progress,
                      [&](const Dims& index, int64_t count) { return b.Read(index, count); }));
  compared_bytes += whole.volume() * ElementSize(a.dtype());
  if (mismatch.count == 0) return std::string();
  return Format("{} of {} elements differ, the first at {}", mismatch.count, whole.volume(),
                ToText(mismatch.first));
}

}  // namespace

Result<VerifyReport> VerifyTransform(FileSystem& fs, const VerifyRequest& request) {
  const int threads = ThreadsOf(request.thread_count);
  RELAYOUT_ASSIGN_OR_RETURN(const CheckpointSet source,
                            OpenCheckpointSet(fs, request.source, threads));
  RELAYOUT_ASSIGN_OR_RETURN(const CheckpointSet target,
                            OpenCheckpointSet(fs, request.target, threads));
  AnnounceTotal(request.progress, target);
  const std::vector<int64_t> ranks = RanksToVerify(request, target);
  Verifier verifier(fs, request, source, target);
  std::vector<std::string> missing;
  std::vector<int64_t> present;
  for (const int64_t rank : ranks) {
    if (target.catalog.HasRank(rank)) {
      present.push_back(rank);
    } else {
      missing.push_back(Format("rank {}: there is no file", rank));
    }
  }
  RELAYOUT_RETURN_IF_ERROR(ParallelFor(threads, std::ssize(present), [&](int64_t i) {
    return verifier.CheckRank(present[static_cast<size_t>(i)]);
  }));
  if (request.ranks.empty()) {
    verifier.CheckUnified();
    if (request.remove_redundancy) RELAYOUT_RETURN_IF_ERROR(verifier.CheckDeduplicated());
  }
  VerifyReport report = verifier.TakeReport();
  report.file_count = std::ssize(present);
  report.problem_count += std::ssize(missing);
  report.problems.insert(report.problems.begin(), missing.begin(), missing.end());
  return report;
}

Result<DiffReport> DiffCheckpoints(FileSystem& fs, const DiffRequest& request) {
  const int threads = ThreadsOf(request.thread_count);
  RELAYOUT_ASSIGN_OR_RETURN(const CheckpointSet a, OpenCheckpointSet(fs, request.a, threads));
  RELAYOUT_ASSIGN_OR_RETURN(const CheckpointSet b, OpenCheckpointSet(fs, request.b, threads));
  AnnounceTotal(request.progress, a);
  std::vector<std::string_view> names;
  for (const std::string_view name : a.catalog.names()) names.push_back(name);
  for (const std::string_view name : b.catalog.names()) {
    if (!a.catalog.Contains(name)) names.push_back(name);
  }
  std::vector<std::string> texts(names.size());
  std::atomic<int64_t> compared_bytes = 0;
  RELAYOUT_RETURN_IF_ERROR(ParallelFor(threads, std::ssize(names), [&](int64_t i) -> Status {
    const std::string_view name = names[static_cast<size_t>(i)];
    std::string& text = texts[static_cast<size_t>(i)];
    if (!b.catalog.Contains(name)) {
      text = "only in " + a.spec.text();
    } else if (!a.catalog.Contains(name)) {
      text = "only in " + b.spec.text();
    } else {
      RELAYOUT_ASSIGN_OR_RETURN(text, DiffValue(fs, name, a, b, request.progress, compared_bytes));
    }
    if (request.progress != nullptr) request.progress->written_bytes = compared_bytes.load();
    return OkStatus();
  }));
  DiffReport report;
  report.compared_bytes = compared_bytes;
  for (size_t i = 0; i < names.size(); ++i) {
    if (texts[i].empty()) {
      ++report.equal_count;
    } else {
      report.differences.push_back({.name = std::string(names[i]), .text = std::move(texts[i])});
    }
  }
  return report;
}

}  // namespace relayout
