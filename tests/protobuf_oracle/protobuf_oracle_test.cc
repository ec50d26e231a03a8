// SPDX-License-Identifier: Apache-2.0
//
// Our wire reader against libprotobuf: on messages that it wrote, and on those same bytes damaged.
// Where we accept damaged bytes, libprotobuf must accept them too and see the same.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "checkpoint.pb.h"
#include "relayout/base/text.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/format/mindspore/group_file.h"
#include "relayout/format/mindspore/strategy_protobuf.h"
#include "relayout/format/testing.h"
#include "relayout/io/memory_file_system.h"
#include "strategy.pb.h"

namespace relayout {
namespace {

using Random = std::mt19937;

int64_t Pick(Random& random, int64_t lowest, int64_t highest) {
  return std::uniform_int_distribution<int64_t>(lowest, highest)(random);
}

std::string Damage(std::string bytes, Random& random) {
  for (int64_t i = Pick(random, 1, 3); i > 0 && !bytes.empty(); --i) {
    const auto at = static_cast<size_t>(Pick(random, 0, std::ssize(bytes) - 1));
    switch (Pick(random, 0, 3)) {
      case 0:
        bytes[at] = static_cast<char>(Pick(random, 0, 255));
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << Pick(random, 0, 7)));
        break;
      case 2:
        bytes.erase(at, 1);
        break;
      default:
        bytes.insert(at, 1, static_cast<char>(Pick(random, 0, 255)));
        break;
    }
  }
  return bytes;
}

// --- Checkpoints ---------------------------------------------------------------------------------

std::string RandomCheckpoint(Random& random) {
  relayout_oracle::Checkpoint file;
  for (int64_t i = Pick(random, 1, 4); i > 0; --i) {
    auto& value = *file.add_value();
    value.set_tag(Format("p{}", i));
    auto& tensor = *value.mutable_tensor();
    int64_t count = 1;
    for (int64_t d = Pick(random, 0, 3); d > 0; --d) {
      tensor.add_dims(Pick(random, 0, 200));
      count *= tensor.dims(tensor.dims_size() - 1);
    }
    if (count > 1000) {
      tensor.clear_dims();
      count = 1;
    }
    const bool wide = Pick(random, 0, 1) == 1;
    tensor.set_tensor_type(wide ? "Float32" : "Int8");
    tensor.set_tensor_content(std::string(static_cast<size_t>(wide ? 4 * count : count), 'x'));
  }
  return file.SerializeAsString();
}

// Contents by name as libprotobuf sees them, joined as MindSpore joins them.
std::map<std::string, std::string> Contents(const relayout_oracle::Checkpoint& file) {
  std::map<std::string, std::string> contents;
  for (const auto& value : file.value()) {
    if (value.has_tensor()) contents[value.tag()] += value.tensor().tensor_content();
  }
  return contents;
}

// True when we accepted the bytes.
bool CompareCheckpoint(const std::string& bytes) {
  const auto index = ReadFileIndex(MemoryFile("a.ckpt", bytes));
  if (!index.ok()) return false;
  std::map<std::string, std::string> ours;
  for (const StoredValue& value : index->values) {
    if (value.kind == ValueKind::kMapTensor) return false;  // We do not look into these.
    ours[value.name] = testing_support::Gather(bytes, value.extents);
  }
  relayout_oracle::Checkpoint file;
  EXPECT_TRUE(file.ParsePartialFromString(bytes)) << testing::PrintToString(bytes);
  EXPECT_EQ(ours, Contents(file)) << testing::PrintToString(bytes);
  return true;
}

TEST(ProtobufOracleTest, Checkpoints) {
  Random random(1);
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string bytes = RandomCheckpoint(random);
    ASSERT_TRUE(CompareCheckpoint(bytes));
    accepted += CompareCheckpoint(Damage(bytes, random)) ? 1 : 0;
  }
  EXPECT_GT(accepted, 1000);  // Damage to content is invisible; else the test would show nothing.
}

// --- Strategies ----------------------------------------------------------------------------------

std::string RandomStrategy(Random& random) {
  relayout_oracle::ParallelStrategyMap file;
  file.set_current_stage(static_cast<uint32_t>(Pick(random, 0, 300)));
  for (int64_t i = Pick(random, 0, 2); i > 0; --i) {
    auto& item = *file.add_parallel_strategy_item();
    item.set_node_name(Format("op{}", i));
    item.mutable_parallel_strategys()->set_stage(static_cast<uint32_t>(Pick(random, 0, 200)));
    auto& strategy = *item.mutable_parallel_strategys()->add_parallel_strategy();
    strategy.add_dim(static_cast<uint32_t>(Pick(random, 1, 1000)));
  }
  for (int64_t i = Pick(random, 0, 3); i > 0; --i) {
    auto& item = *file.add_parallel_layout_item();
    item.set_param_name(Format("p{}", i));
    auto& layouts = *item.mutable_parallel_layouts();
    auto& mesh = *layouts.add_dev_matrix();
    for (int64_t d = Pick(random, 0, 3); d > 0; --d) {
      mesh.add_dim(static_cast<uint32_t>(Pick(random, 1, 300)));
    }
    auto& map = *layouts.add_tensor_map();
    for (int64_t d = Pick(random, 0, 3); d > 0; --d) {
      map.add_dim(static_cast<int32_t>(Pick(random, -1, 3)));
    }
    layouts.add_param_split_shape()->add_dim(Pick(random, 0, int64_t{1} << 40));
    auto& offsets = *layouts.add_indices_offset();
    for (int64_t d = Pick(random, 0, 2); d > 0; --d) offsets.add_dim(Pick(random, 0, 1000));
    layouts.set_field(static_cast<int32_t>(Pick(random, -2, 2)));
    layouts.set_opt_weight_shard_step(static_cast<int32_t>(Pick(random, 0, 300)));
    layouts.set_opt_weight_shard_size(static_cast<int32_t>(Pick(random, -1, 300)));
  }
  return file.SerializeAsString();
}

template <typename Numbers>
std::vector<int64_t> ToVector(const Numbers& numbers) {
  return {numbers.begin(), numbers.end()};
}

void CompareLayout(const LayoutRecord& ours, const relayout_oracle::ParallelLayouts& theirs) {
  EXPECT_EQ(ours.dev_matrix, ToVector(theirs.dev_matrix(0).dim()));
  std::vector<std::vector<int64_t>> map;
  if (theirs.tensor_map_size() == 1) {
    for (const int64_t axis : theirs.tensor_map(0).dim()) map.push_back({axis});
  } else {
    for (const auto& row : theirs.tensor_map()) {
      if (row.dim_size() > 0) map.push_back(ToVector(row.dim()));
    }
  }
  EXPECT_EQ(ours.tensor_map, map);
  const bool has_split = theirs.param_split_shape_size() > 0;
  EXPECT_EQ(ours.param_split_shape,
            has_split ? ToVector(theirs.param_split_shape(0).dim()) : std::vector<int64_t>());
  const bool has_offsets = theirs.indices_offset_size() > 0;
  EXPECT_EQ(ours.indices_offset,
            has_offsets ? ToVector(theirs.indices_offset(0).dim()) : std::vector<int64_t>());
  EXPECT_EQ(ours.field, theirs.field());
  EXPECT_EQ(ours.opt_weight_shard_step, theirs.opt_weight_shard_step());
  EXPECT_EQ(ours.opt_weight_shard_size, theirs.opt_weight_shard_size());
}

bool CompareStrategy(const std::string& bytes) {
  const auto records = ParseStrategyProtobuf(MemoryFile("s.ckpt", bytes));
  if (!records.ok()) return false;
  relayout_oracle::ParallelStrategyMap file;
  EXPECT_TRUE(file.ParsePartialFromString(bytes)) << testing::PrintToString(bytes);
  EXPECT_EQ(records->current_stage, file.current_stage());
  EXPECT_EQ(std::ssize(records->operators), file.parallel_strategy_item_size());
  EXPECT_EQ(std::ssize(records->layouts), file.parallel_layout_item_size());
  if (::testing::Test::HasFailure()) return true;
  for (int i = 0; i < file.parallel_strategy_item_size(); ++i) {
    const auto& theirs = file.parallel_strategy_item(i);
    const auto& ours = records->operators[static_cast<size_t>(i)];
    EXPECT_EQ(ours.name, theirs.node_name());
    EXPECT_EQ(ours.stage, theirs.parallel_strategys().stage());
  }
  for (int i = 0; i < file.parallel_layout_item_size(); ++i) {
    const auto& layout = records->layouts[static_cast<size_t>(i)];
    EXPECT_EQ(layout.name, file.parallel_layout_item(i).param_name());
    CompareLayout(records->RecordOf(layout), file.parallel_layout_item(i).parallel_layouts());
  }
  return true;
}

TEST(ProtobufOracleTest, Strategies) {
  Random random(2);
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string bytes = RandomStrategy(random);
    ASSERT_TRUE(CompareStrategy(bytes));
    accepted += CompareStrategy(Damage(bytes, random)) ? 1 : 0;
    ASSERT_FALSE(HasFailure()) << i;
  }
  EXPECT_GT(accepted, 1000);
}

// --- Group files ---------------------------------------------------------------------------------

std::string RandomGroupFile(Random& random) {
  relayout_oracle::ParallelGroupMap file;
  for (int64_t i = Pick(random, 0, 3); i > 0; --i) {
    auto& group = *file.add_parallel_group_item();
    group.set_group_name(Format("group{}", i));
    for (int64_t r = Pick(random, 0, 4); r > 0; --r) {
      group.mutable_parallel_group_ranks()->add_dim(static_cast<uint32_t>(Pick(random, 0, 500)));
    }
  }
  file.mutable_ckpt_restore_rank_list()->add_dim(static_cast<uint32_t>(Pick(random, 0, 500)));
  return file.SerializePartialAsString();
}

bool CompareGroupFile(const std::string& bytes) {
  MemoryFileSystem fs;
  fs.SetFile("group.pb", bytes);
  const auto ours = ReadGroupFile(fs, "group.pb");
  if (!ours.ok()) return false;
  relayout_oracle::ParallelGroupMap theirs;
  EXPECT_TRUE(theirs.ParsePartialFromString(bytes)) << testing::PrintToString(bytes);
  EXPECT_EQ(ours->restore_ranks, ToVector(theirs.ckpt_restore_rank_list().dim()));
  EXPECT_EQ(std::ssize(ours->groups), theirs.parallel_group_item_size());
  if (::testing::Test::HasFailure()) return true;
  for (int i = 0; i < theirs.parallel_group_item_size(); ++i) {
    const auto& group = ours->groups[static_cast<size_t>(i)];
    EXPECT_EQ(group.name, theirs.parallel_group_item(i).group_name());
    EXPECT_EQ(group.ranks, ToVector(theirs.parallel_group_item(i).parallel_group_ranks().dim()));
  }
  return true;
}

TEST(ProtobufOracleTest, GroupFiles) {
  Random random(3);
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string bytes = RandomGroupFile(random);
    ASSERT_TRUE(CompareGroupFile(bytes)) << testing::PrintToString(bytes);
    accepted += CompareGroupFile(Damage(bytes, random)) ? 1 : 0;
    ASSERT_FALSE(HasFailure()) << i;
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace relayout
