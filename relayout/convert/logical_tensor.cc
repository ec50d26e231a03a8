// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/logical_tensor.h"

#include <algorithm>
#include <utility>

#include "relayout/base/checked_math.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr int64_t kWindowBytes = int64_t{64} << 10;

int64_t DevicesOf(const LayoutSpec& spec) {
  int64_t devices = 1;
  for (const int64_t size : spec.mesh) devices *= size;
  return devices;
}

std::vector<int64_t> MeshPieces(const LayoutSpec& spec, int64_t local_rank) {
  std::vector<int64_t> coordinates(spec.mesh.size());
  for (size_t axis = spec.mesh.size(); axis-- > 0;) {
    coordinates[axis] = local_rank % spec.mesh[axis];
    local_rank /= spec.mesh[axis];
  }
  std::vector<int64_t> pieces;
  for (const auto& axes : spec.dim_axes) {
    int64_t piece = 0;
    for (const int axis : axes) {
      piece = piece * spec.mesh[static_cast<size_t>(axis)] + coordinates[static_cast<size_t>(axis)];
    }
    pieces.push_back(piece);
  }
  return pieces;
}

int64_t MeshCount(const LayoutSpec& spec, size_t d) {
  int64_t count = 1;
  for (const int axis : spec.dim_axes[d]) count *= spec.mesh[static_cast<size_t>(axis)];
  return count;
}

// Members of an optimizer group; 1 = none.
int64_t GroupSize(const LayoutSpec& spec) {
  if (spec.optimizer_group != LayoutSpec::kAllReplicas) return spec.optimizer_group;
  int64_t slices = 1;
  for (size_t d = 0; d < spec.dim_axes.size(); ++d) slices *= MeshCount(spec, d);
  return DevicesOf(spec) / slices;
}

int64_t PiecesWithElements(const std::vector<int64_t>& cuts) {
  int64_t count = 0;
  for (size_t i = 1; i < cuts.size(); ++i) count += cuts[i] > cuts[i - 1] ? 1 : 0;
  return count;
}

}  // namespace

std::vector<int64_t> PiecesByDefinition(const LayoutSpec& spec, int64_t local_rank) {
  std::vector<int64_t> pieces = MeshPieces(spec, local_rank);
  if (const int64_t group = GroupSize(spec); group > 1) {
    int64_t before = 0;
    for (int64_t other = 0; other < local_rank; ++other) {
      if (MeshPieces(spec, other) == pieces) ++before;
    }
    pieces[0] = pieces[0] * group + before % group;
  }
  return pieces;
}

Result<std::vector<int64_t>> CutsByDefinition(const LayoutSpec& spec, size_t d, int64_t length) {
  std::vector<int64_t> cuts = {0};
  if (d == 0 && !spec.uneven_rows.empty()) {
    for (const int64_t rows : spec.uneven_rows) cuts.push_back(cuts.back() + rows);
    if (cuts.back() != length) {
      return InvalidInput(Format("dim 0 = {}, but its pieces add up to {}", length, cuts.back()));
    }
    return cuts;
  }
  const int64_t count = MeshCount(spec, d) * (d == 0 ? GroupSize(spec) : 1);
  if (length % count != 0) {
    return InvalidInput(Format("dim {} = {} is not divisible by {}", d, length, count));
  }
  for (int64_t piece = 1; piece <= count; ++piece) cuts.push_back(length / count * piece);
  return cuts;
}

Result<std::span<const std::byte>> ValueReader::Read(int64_t begin_bytes, int64_t size_bytes) {
  const int64_t window_end = window_begin_ + std::ssize(window_);
  if (begin_bytes < window_begin_ || begin_bytes >= window_end) {
    const int64_t size = std::min(kWindowBytes, TotalBytes(extents_) - begin_bytes);
    window_.resize(static_cast<size_t>(size));
    window_begin_ = begin_bytes;
    auto rest = std::span(window_);
    for (const Extent& extent : MapRange(extents_, begin_bytes, size)) {
      const auto piece = static_cast<size_t>(extent.size_bytes);
      RELAYOUT_RETURN_IF_ERROR(file_->ReadAt(extent.offset_bytes, rest.first(piece)));
      rest = rest.subspan(piece);
    }
  }
  const auto bytes =
      std::span<const std::byte>(window_).subspan(static_cast<size_t>(begin_bytes - window_begin_));
  return bytes.first(std::min(bytes.size(), static_cast<size_t>(size_bytes)));
}

Result<LogicalTensor> LogicalTensor::Open(FileSystem& fs, const CheckpointSet& set,
                                          std::string_view name) {
  const std::vector<HeldValue> holders = set.catalog.Holders(name);
  if (holders.empty()) return NotFound(Format("{}: in no file of {}", name, set.spec.text()));
  LogicalTensor tensor;
  tensor.kind_ = holders[0].value.kind;
  tensor.dtype_ = holders[0].value.dtype;
  const std::vector<Placement> placements = set.strategy.Find(name);
  if (placements.empty()) {
    RELAYOUT_RETURN_IF_ERROR(tensor.UseWholeCopies(fs, holders).WithContext(Printable(name)));
    return tensor;
  }
  // Of a tied tensor's stages the first that is complete.
  Status first_failure;
  for (const Placement& placement : placements) {
    const Status status = tensor.UseSlices(fs, holders, placement);
    if (status.ok()) return tensor;
    if (first_failure.ok()) first_failure = status;
  }
  return first_failure.WithContext(Printable(name));
}

Status LogicalTensor::UseWholeCopies(FileSystem& fs, const std::vector<HeldValue>& holders) {
  shape_ = holders[0].value.shape;
  for (size_t d = 0; d < shape_.size(); ++d) cuts_.push_back({0, shape_[d]});
  RELAYOUT_ASSIGN_OR_RETURN(auto file, fs.OpenForRead(holders[0].file->path));
  reader_of_piece_.emplace(std::vector<int64_t>(shape_.size(), 0),
                           ValueReader(std::move(file), holders[0].value.extents));
  return OkStatus();
}

// The whole tensor's shape and cuts, from one slice of it.
Status LogicalTensor::CutWhole(const LayoutSpec& spec, const Dims& slice) {
  shape_ = slice;
  cuts_.clear();
  for (size_t d = 0; d < slice.size(); ++d) {
    if (d == 0 && !spec.uneven_rows.empty()) {
      shape_[0] = 0;
      for (const int64_t rows : spec.uneven_rows) shape_[0] += rows;
    } else {
      // A slice without elements may state any length.
      const int64_t pieces = MeshCount(spec, d) * (d == 0 ? GroupSize(spec) : 1);
      const auto length = CheckedMul(slice[d], pieces);
      if (!length) {
        return InvalidInput(Format("dim {} = {} of a slice, times {}, overflows", d, slice[d],
                                   Count(pieces, "piece")));
      }
      shape_[d] = *length;
    }
    RELAYOUT_ASSIGN_OR_RETURN(Cuts cuts, CutsByDefinition(spec, d, shape_[d]));
    cuts_.push_back(std::move(cuts));
  }
  return OkStatus();
}

bool LogicalTensor::HasElements(const std::vector<int64_t>& pieces) const {
  for (size_t d = 0; d < cuts_.size(); ++d) {
    const auto piece = static_cast<size_t>(pieces[d]);
    if (cuts_[d][piece] == cuts_[d][piece + 1]) return false;
  }
  return true;
}

Status LogicalTensor::UseSlices(FileSystem& fs, const std::vector<HeldValue>& holders,
                                const Placement& placement) {
  const LayoutSpec& spec = placement.layout().spec();
  reader_of_piece_.clear();
  for (const HeldValue& held : holders) {
    const int64_t local = held.rank() - placement.first_rank;
    if (local < 0 || local >= DevicesOf(spec)) continue;
    const Dims& stored = held.value.shape;
    if (stored.size() != spec.dim_axes.size()) {
      return InvalidInput(Format("rank {} stores {}, but the layout has {} dims", held.rank(),
                                 ToText(stored), spec.dim_axes.size()));
    }
    const std::vector<int64_t> pieces = PiecesByDefinition(spec, local);
    if (reader_of_piece_.empty()) RELAYOUT_RETURN_IF_ERROR(CutWhole(spec, stored));
    for (size_t d = 0; d < stored.size(); ++d) {
      const auto piece = static_cast<size_t>(pieces[d]);
      if (stored[d] != cuts_[d][piece + 1] - cuts_[d][piece]) {
        return InvalidInput(Format("rank {} stores {}, which does not fit the other slices",
                                   held.rank(), ToText(stored)));
      }
    }
    if (reader_of_piece_.contains(pieces)) continue;
    RELAYOUT_ASSIGN_OR_RETURN(auto file, fs.OpenForRead(held.file->path));
    reader_of_piece_.emplace(pieces, ValueReader(std::move(file), held.value.extents));
  }
  if (reader_of_piece_.empty()) return NotFound("no slice is in the files");
  // Nobody misses a slice without elements, and MindSpore does not save it.
  int64_t needed_count = 1;
  for (const Cuts& cuts : cuts_) needed_count *= PiecesWithElements(cuts);
  const int64_t held_count =
      std::count_if(reader_of_piece_.begin(), reader_of_piece_.end(),
                    [this](const auto& entry) { return HasElements(entry.first); });
  if (held_count != needed_count) {
    return NotFound(Format("only {} of {} slices are in the files", held_count, needed_count));
  }
  return OkStatus();
}

Result<std::span<const std::byte>> LogicalTensor::Read(const Dims& index, int64_t max_elements) {
  std::vector<int64_t> pieces;
  int64_t offset = 0;  // Elements before `index` in the slice.
  int64_t in_row = 1;  // Elements from `index` to the end of the slice's row.
  for (size_t d = 0; d < index.size(); ++d) {
    const auto after = std::upper_bound(cuts_[d].begin(), cuts_[d].end(), index[d]);
    const int64_t begin = *(after - 1);
    pieces.push_back(after - cuts_[d].begin() - 1);
    offset = offset * (*after - begin) + (index[d] - begin);
    in_row = *after - index[d];
  }
  const int64_t element_size = ElementSize(dtype_);
  const auto reader = reader_of_piece_.find(pieces);
  RELAYOUT_CHECK(reader != reader_of_piece_.end());
  const int64_t wanted = std::min(in_row, max_elements) * element_size;
  RELAYOUT_ASSIGN_OR_RETURN(auto bytes, reader->second.Read(offset * element_size, wanted));
  // Windows begin at elements and are a multiple of every element size.
  RELAYOUT_CHECK(std::ssize(bytes) % element_size == 0);
  return bytes;
}

}  // namespace relayout
