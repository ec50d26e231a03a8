// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/catalog.h"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <utility>

#include "relayout/base/parallel.h"
#include "relayout/base/text.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/format/mindspore/crc_trailer.h"

namespace relayout {
namespace {

size_t ThreadsOf(int thread_count) { return static_cast<size_t>(std::max(1, thread_count)); }

Status ReadRankFile(FileSystem& fs, RankFile& file, FileValuesBuilder& values) {
  RELAYOUT_ASSIGN_OR_RETURN(file.info, fs.Stat(file.path));
  RELAYOUT_ASSIGN_OR_RETURN(const auto opened, fs.OpenForRead(file.path));
  RELAYOUT_ASSIGN_OR_RETURN(const FileIndex index, ReadFileIndex(*opened, values));
  file.crc32 = index.crc32;
  file.crc_covers_bytes = index.crc_covers_bytes;
  values.Finish();
  return OkStatus();
}

void WriteFile(ByteWriter& writer, const RankFile& file) {
  writer.Int(file.rank);
  writer.Text(file.path);
  writer.Int(static_cast<int64_t>(file.info.kind));
  writer.Int(file.info.size_bytes);
  writer.Int(file.info.modified_ns);
  writer.Int(static_cast<int64_t>(file.info.device));
  writer.Int(static_cast<int64_t>(file.info.inode));
  writer.Int(file.crc32 ? int64_t{*file.crc32} : -1);
  writer.Int(file.crc_covers_bytes);
}

RankFile ReadFile(ByteReader& reader) {
  RankFile file;
  file.rank = reader.Int();
  file.path = std::string(reader.Text());
  file.info.kind = static_cast<FileKind>(reader.IntIn(0, static_cast<int64_t>(FileKind::kOther)));
  file.info.size_bytes = reader.IntIn(0, std::numeric_limits<int64_t>::max());
  file.info.modified_ns = reader.Int();
  file.info.device = static_cast<uint64_t>(reader.Int());
  file.info.inode = static_cast<uint64_t>(reader.Int());
  const int64_t crc = reader.IntIn(-1, std::numeric_limits<uint32_t>::max());
  if (crc >= 0) file.crc32 = static_cast<uint32_t>(crc);
  file.crc_covers_bytes = reader.IntIn(0, std::numeric_limits<int64_t>::max());
  return file;
}

Status CheckTrailer(FileSystem& fs, const RankFile& file) {
  if (!file.crc32) return OkStatus();
  RELAYOUT_ASSIGN_OR_RETURN(const auto opened, fs.OpenForRead(file.path));
  RELAYOUT_ASSIGN_OR_RETURN(const uint32_t crc, CrcOfFile(*opened, file.crc_covers_bytes));
  if (crc == *file.crc32) return OkStatus();
  return InvalidInput(
      Format("{}: damaged: the crc_num trailer says {:08x}, the contents give {:08x}; restore the "
             "file from a backup",
             file.path, *file.crc32, crc));
}

}  // namespace

Result<Catalog> Catalog::Open(FileSystem& fs, const std::map<int64_t, std::string>& path_of_rank,
                              int thread_count, std::shared_ptr<NameTable> names) {
  Catalog catalog(names ? std::move(names) : std::make_shared<NameTable>());
  for (const auto& [rank, path] : path_of_rank) {
    RankFile& file = catalog.files_.emplace_back();
    file.rank = rank;
    file.path = path;
  }
  RELAYOUT_RETURN_IF_ERROR(catalog.ReadFiles(fs, thread_count));
  catalog.FillPlaces();
  return catalog;
}

// In waves of one file a thread, so that within a wave nothing that threads share changes. The
// first wave is one file: its values are the guess of the next ones, which then need no memory.
Status Catalog::ReadFiles(FileSystem& fs, int thread_count) {
  std::unordered_multimap<size_t, size_t> class_of_hash;
  size_t wave_size = 1;
  for (size_t begin = 0; begin < files_.size();
       begin += std::exchange(wave_size, ThreadsOf(thread_count))) {
    const size_t count = std::min(wave_size, files_.size() - begin);
    const size_t guess = begin == 0 ? 0 : class_of_file_[begin - 1];
    std::deque<FileValuesBuilder> wave;
    for (size_t i = 0; i < count; ++i) {
      wave.emplace_back(*table_, begin == 0 ? nullptr : &classes_[guess].values);
    }
    RELAYOUT_RETURN_IF_ERROR(ParallelFor(thread_count, std::ssize(wave), [&](int64_t i) {
      const auto in_wave = static_cast<size_t>(i);
      return ReadRankFile(fs, files_[begin + in_wave], wave[in_wave]);
    }));
    for (size_t i = 0; i < count; ++i) {
      AddToClass(begin + i,
                 wave[i].is_guess() ? guess : ClassOf(wave[i].Take(*table_), class_of_hash));
    }
  }
  return OkStatus();
}

// The class of files with these values, a new one if need be.
size_t Catalog::ClassOf(FileValues values, std::unordered_multimap<size_t, size_t>& class_of_hash) {
  const size_t hash = values.Hash();
  const auto [begin, end] = class_of_hash.equal_range(hash);
  const auto found = std::find_if(
      begin, end, [&](const auto& entry) { return classes_[entry.second].values == values; });
  if (found != end) return found->second;
  classes_.emplace_back(std::move(values));
  class_of_hash.emplace(hash, classes_.size() - 1);
  return classes_.size() - 1;
}

void Catalog::AddToClass(size_t file, size_t file_class) {
  files_[file].values = &classes_[file_class].values;
  class_of_file_.push_back(static_cast<uint32_t>(file_class));
  classes_[file_class].files.push_back(static_cast<uint32_t>(file));
}

void Catalog::FillPlaces() {
  place_begins_.assign(table_->size() + 1, 0);
  for (const FileClass& file_class : classes_) {
    for (size_t i = 0; i < file_class.values.size(); ++i) {
      const uint32_t name = file_class.values.NameNumber(i);
      if (place_begins_[name + size_t{1}]++ == 0) names_.push_back(name);
    }
  }
  for (size_t i = 1; i < place_begins_.size(); ++i) place_begins_[i] += place_begins_[i - 1];
  places_.resize(place_begins_.back());
  std::vector<uint32_t> next(place_begins_.begin(), place_begins_.end() - 1);
  for (size_t c = 0; c < classes_.size(); ++c) {
    const FileValues& values = classes_[c].values;
    for (size_t i = 0; i < values.size(); ++i) {
      places_[next[values.NameNumber(i)]++] = {static_cast<uint32_t>(c), static_cast<uint32_t>(i)};
    }
  }
  names_.shrink_to_fit();
}

std::vector<int64_t> Catalog::Ranks() const {
  std::vector<int64_t> ranks;
  for (const RankFile& file : files_) ranks.push_back(file.rank);
  return ranks;
}

const RankFile* Catalog::FileOf(int64_t rank) const {
  const auto found =
      std::lower_bound(files_.begin(), files_.end(), rank,
                       [](const RankFile& file, int64_t r) { return file.rank < r; });
  return found != files_.end() && found->rank == rank ? &*found : nullptr;
}

std::span<const Catalog::Place> Catalog::PlacesOf(std::string_view name) const {
  const auto number = table_->Find(name);
  // A shared table may have grown since.
  if (!number || *number + size_t{1} >= place_begins_.size()) return {};
  const uint32_t begin = place_begins_[*number];
  return std::span(places_).subspan(begin, place_begins_[*number + size_t{1}] - begin);
}

std::vector<HeldValue> Catalog::Holders(std::string_view name) const {
  std::vector<std::pair<uint32_t, Place>> holders;  // By position in files_.
  for (const Place& place : PlacesOf(name)) {
    for (const uint32_t file : classes_[place.file_class].files) holders.emplace_back(file, place);
  }
  const auto by_file = [](const auto& a, const auto& b) { return a.first < b.first; };
  if (!std::is_sorted(holders.begin(), holders.end(), by_file)) {
    std::sort(holders.begin(), holders.end(), by_file);
  }
  std::vector<HeldValue> held;
  held.reserve(holders.size());
  for (const auto& [file, place] : holders) {
    held.push_back({&files_[file], classes_[place.file_class].values[place.position]});
  }
  return held;
}

int64_t Catalog::HolderCount(std::string_view name) const {
  int64_t count = 0;
  for (const Place& place : PlacesOf(name)) count += std::ssize(classes_[place.file_class].files);
  return count;
}

std::optional<HeldValue> Catalog::FirstHolder(std::string_view name) const {
  // Classes are in the order of their first files.
  const auto places = PlacesOf(name);
  if (places.empty()) return std::nullopt;
  const FileClass& first = classes_[places[0].file_class];
  return HeldValue{&files_[first.files[0]], first.values[places[0].position]};
}

std::optional<ValueView> Catalog::FindAt(int64_t rank, std::span<const Place> places) const {
  const RankFile* const file = FileOf(rank);
  if (file == nullptr) return std::nullopt;
  const uint32_t file_class = class_of_file_[static_cast<size_t>(file - files_.data())];
  const auto place =
      std::lower_bound(places.begin(), places.end(), file_class,
                       [](const Place& p, uint32_t wanted) { return p.file_class < wanted; });
  if (place == places.end() || place->file_class != file_class) return std::nullopt;
  return classes_[file_class].values[place->position];
}

std::string Catalog::Serialize() const {
  ByteWriter writer;
  table_->Write(writer);
  Write(writer);
  return writer.Take();
}

Result<Catalog> Catalog::Deserialize(std::string_view bytes) {
  ByteReader reader(bytes);
  auto names = std::make_shared<NameTable>(NameTable::Read(reader));
  RELAYOUT_ASSIGN_OR_RETURN(Catalog catalog, Read(reader, std::move(names)));
  if (!reader.AtEnd()) return InvalidInput("the bytes are no catalog");
  return catalog;
}

void Catalog::Write(ByteWriter& writer) const {
  writer.Int(std::ssize(classes_));
  for (const FileClass& file_class : classes_) file_class.values.Write(writer);
  writer.Int(std::ssize(files_));
  for (size_t i = 0; i < files_.size(); ++i) {
    WriteFile(writer, files_[i]);
    writer.Int(class_of_file_[i]);
  }
}

Result<Catalog> Catalog::Read(ByteReader& reader, std::shared_ptr<NameTable> names) {
  Catalog catalog(std::move(names));
  for (size_t left = reader.Count(2); left > 0 && reader.ok(); --left) {
    catalog.classes_.emplace_back(FileValues::Read(reader, *catalog.table_));
  }
  int64_t last_rank = -1;
  size_t used_classes = 0;
  for (size_t left = reader.Count(2); left > 0; --left) {
    RankFile file = ReadFile(reader);
    // Classes are numbered by their first files; each has one.
    const int64_t most =
        std::min(std::ssize(catalog.classes_) - 1, static_cast<int64_t>(used_classes));
    const int64_t file_class = reader.IntIn(0, most);
    if (!reader.ok() || file.rank <= last_rank) {
      reader.Fail();
      break;
    }
    last_rank = file.rank;
    used_classes = std::max(used_classes, static_cast<size_t>(file_class) + 1);
    catalog.files_.push_back(std::move(file));
    catalog.AddToClass(catalog.files_.size() - 1, static_cast<size_t>(file_class));
  }
  if (!reader.ok() || used_classes != catalog.classes_.size()) {
    reader.Fail();
    return InvalidInput("the bytes are no catalog");
  }
  catalog.FillPlaces();
  return catalog;
}

Status CheckTrailers(FileSystem& fs, const Catalog& catalog, int thread_count,
                     const WorkShare& share) {
  return ParallelFor(thread_count, std::ssize(catalog.files()), [&](int64_t i) {
    if (!share.Has(i)) return OkStatus();
    return CheckTrailer(fs, catalog.files()[static_cast<size_t>(i)]);
  });
}

Result<std::string> ReadSmallValue(FileSystem& fs, const HeldValue& held) {
  const int64_t size = SizeBytes(held.value);
  RELAYOUT_CHECK(size <= (int64_t{1} << 20));
  RELAYOUT_ASSIGN_OR_RETURN(const auto file, fs.OpenForRead(held.file->path));
  std::string bytes(static_cast<size_t>(size), '\0');
  auto rest = std::as_writable_bytes(std::span(bytes));
  for (const Extent& extent : held.value.extents) {
    const auto piece = static_cast<size_t>(extent.size_bytes);
    RELAYOUT_RETURN_IF_ERROR(file->ReadAt(extent.offset_bytes, rest.first(piece)));
    rest = rest.subspan(piece);
  }
  return bytes;
}

}  // namespace relayout
