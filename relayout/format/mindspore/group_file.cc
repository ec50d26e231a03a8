// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/mindspore/group_file.h"

#include <limits>
#include <memory>
#include <string_view>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/format/mindspore/wire.h"
#include "relayout/format/value_name.h"

namespace relayout {
namespace {

constexpr int64_t kWindowBytes = int64_t{64} << 10;
// Bounds on what a hostile file can make us allocate. 10,000 ranks in 1,000 groups are 30 MB.
constexpr int64_t kMaxFileBytes = int64_t{256} << 20;
constexpr size_t kMaxGroups = size_t{1} << 20;
constexpr size_t kMaxRanks = size_t{1} << 24;  // Of all lists of the file.

// ParallelGroupMap
constexpr int kGroupItem = 1;
constexpr int kRestoreRanks = 2;
// ParallelGroupItem
constexpr int kGroupName = 1;
constexpr int kGroupRanks = 2;
// ParallelGroupRanks
constexpr int kDim = 1;

class Parser {
 public:
  explicit Parser(const ReadableFile& file)
      : window_(file, kWindowBytes), size_(file.size_bytes()) {}

  Result<GroupFile> Run() {
    GroupFile file;
    FieldsSeen seen;
    WireCursor root(window_, {0, size_}, "the file");
    for (WireField field;;) {
      RELAYOUT_ASSIGN_OR_RETURN(const bool more, root.Next(field));
      if (!more) break;
      if (field.number == kGroupItem) {
        RELAYOUT_RETURN_IF_ERROR(AddGroup(field, file));
      } else if (field.number == kRestoreRanks) {
        RELAYOUT_RETURN_IF_ERROR(seen.Add(field, "ckpt_restore_rank_list"));
        RELAYOUT_ASSIGN_OR_RETURN(file.restore_ranks, ReadRanks(field, "ckpt_restore_rank_list"));
      }
    }
    if (seen.Has(kRestoreRanks)) return file;
    return InvalidInput(
        "there is no ckpt_restore_rank_list: this is not a whole group file. MindSpore writes one "
        "where the environment variable GROUP_INFO_FILE names it");
  }

 private:
  Status AddGroup(const WireField& message, GroupFile& file) {
    RELAYOUT_RETURN_IF_ERROR(ExpectType(message, WireType::kLength, "parallel_group_item"));
    if (file.groups.size() == kMaxGroups) return InvalidInput("too many groups");
    GroupFile::Group& group = file.groups.emplace_back();
    FieldsSeen seen;
    WireCursor cursor(window_, message.payload, "the group");
    for (WireField field;;) {
      RELAYOUT_ASSIGN_OR_RETURN(const bool more, cursor.Next(field));
      if (!more) return OkStatus();
      if (field.number == kGroupName) {
        RELAYOUT_RETURN_IF_ERROR(seen.Add(field, "group_name"));
        RELAYOUT_ASSIGN_OR_RETURN(group.name,
                                  ReadText(window_, field, "group_name", kMaxNameBytes));
      } else if (field.number == kGroupRanks) {
        RELAYOUT_RETURN_IF_ERROR(seen.Add(field, "parallel_group_ranks"));
        RELAYOUT_ASSIGN_OR_RETURN(group.ranks, ReadRanks(field, "parallel_group_ranks"));
      }
    }
  }

  Result<std::vector<int64_t>> ReadRanks(const WireField& message, std::string_view name) {
    RELAYOUT_RETURN_IF_ERROR(ExpectType(message, WireType::kLength, name));
    std::vector<int64_t> ranks;
    WireCursor cursor(window_, message.payload, name);
    for (WireField field;;) {
      RELAYOUT_ASSIGN_OR_RETURN(const bool more, cursor.Next(field));
      if (!more) break;
      if (field.number != kDim) continue;
      RELAYOUT_RETURN_IF_ERROR(AppendIntegers(window_, field, name, ranks_left_, ranks));
    }
    for (const int64_t rank : ranks) {
      if (rank >= 0 && rank <= std::numeric_limits<int32_t>::max()) continue;
      return InvalidInput(Format("the {} at byte {} has the rank {}; ranks are 0 to {}", name,
                                 message.offset_bytes, rank, std::numeric_limits<int32_t>::max()));
    }
    ranks_left_ -= ranks.size();
    return ranks;
  }

  WireWindow window_;
  int64_t size_;
  size_t ranks_left_ = kMaxRanks;
};

Result<GroupFile> Read(const ReadableFile& file) {
  if (file.size_bytes() == 0) return InvalidInput("the group file is empty");
  if (file.size_bytes() > kMaxFileBytes) {
    return InvalidInput(Format("{} is too large for a group file; at most {} are accepted",
                               HumanBytes(file.size_bytes()), HumanBytes(kMaxFileBytes)));
  }
  return Parser(file).Run();
}

std::string Ranks(const std::vector<int64_t>& ranks) {
  std::string bytes;
  for (const int64_t rank : ranks) AppendNumber(bytes, kDim, rank);
  return bytes;
}

}  // namespace

Result<GroupFile> ReadGroupFile(FileSystem& fs, const std::string& path) {
  RELAYOUT_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, fs.OpenForRead(path));
  Result<GroupFile> groups = Read(*file);
  if (!groups.ok()) return groups.status().WithContext(path);
  return groups;
}

std::string SerializeGroupFile(const GroupFile& file) {
  std::string bytes;
  for (const GroupFile::Group& group : file.groups) {
    std::string item;
    AppendBytes(item, kGroupName, group.name);
    AppendBytes(item, kGroupRanks, Ranks(group.ranks));
    AppendBytes(bytes, kGroupItem, item);
  }
  AppendBytes(bytes, kRestoreRanks, Ranks(file.restore_ranks));
  return bytes;
}

}  // namespace relayout
