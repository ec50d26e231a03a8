// SPDX-License-Identifier: Apache-2.0
//
// Catalogs, strategies and checkpoint sets as bytes for other processes: they come back as they
// were, and damaged bytes are refused or give something that is whole.
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/convert/checkpoint_set.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/format/strategy_file.h"
#include "relayout/io/memory_file_system.h"
#include "relayout/layout/notation.h"
#include "tests/oracle/random.h"

namespace relayout {
namespace {

using oracle::Random;

constexpr uint64_t kSeeds = 60;

std::string TextOf(const Strategy& strategy) {
  std::string text;
  for (int64_t stage = 0; stage < strategy.stage_count(); ++stage) {
    text += Format("stage {} from rank {}:\n", stage, strategy.first_rank(stage));
    for (const Strategy::Parameter& parameter : strategy.parameters(stage)) {
      text += Format("  {} {} {}\n", parameter.name, ToText(parameter.layout),
                     parameter.whole_shape ? ToText(*parameter.whole_shape) : "");
    }
  }
  for (const std::string_view name : strategy.Names()) {
    text += std::string(name);
    for (const Placement& p : strategy.Find(name)) {
      text += Format(" {}:{}:{}", p.stage, p.first_rank, ToText(p.layout()));
    }
    text += "\n";
  }
  return text + Format("{} ranks\n", strategy.rank_count());
}

std::string TextOf(const ValueView& value) {
  std::string text = Format("{} {} {}{}", value.name, static_cast<int>(value.kind),
                            ShortName(value.dtype), ToText(value.shape));
  for (const Extent& extent : value.extents) {
    text += Format(" {}+{}", extent.offset_bytes, extent.size_bytes);
  }
  return text + "\n";
}

std::string TextOf(const Catalog& catalog) {
  std::string text;
  for (const RankFile& file : catalog.files()) {
    text += Format("{} {} {} {} {} {} {} {} {}\n", file.rank, file.path,
                   static_cast<int>(file.info.kind), file.info.size_bytes, file.info.modified_ns,
                   file.info.device, file.info.inode, file.crc32 ? int64_t{*file.crc32} : -1,
                   file.crc_covers_bytes);
    for (const ValueView& value : *file.values) text += TextOf(value);
  }
  for (const std::string_view name : catalog.names()) {
    text += Format("{}:", name);
    for (const HeldValue& held : catalog.Holders(name)) {
      text += Format(" {} {}", held.rank(), TextOf(held.value));
    }
  }
  return text + Format("{} different\n", catalog.distinct_file_count());
}

// A stage's layouts, few different ones.
StageStrategy RandomStage(Random& random, int64_t stage, int64_t devices) {
  const std::vector<std::string> layouts = {
      Format("{{a:{}}} (a,-)", devices), Format("{{a:{}}} (-,a)", devices),
      Format("{{a:{}}} (-,-) opt:all", devices), Format("{{a:{}}} (-)", devices)};
  StageStrategy made;
  const int64_t count = random.Between(1, 6);
  for (int64_t i = 0; i < count; ++i) {
    // Some names are in several stages.
    std::string name = random.OneIn(4) ? Format("tied.{}", i) : Format("layer.{}.{}", stage, i);
    ParameterLayout parameter{
        .name = std::move(name), .layout = *ParseLayout(random.Pick(layouts)), .whole_shape = {}};
    if (random.OneIn(3)) parameter.whole_shape = Dims({8, random.Between(0, 9)});
    made.parameters.push_back(std::move(parameter));
  }
  return made;
}

Result<Strategy> RandomStrategy(Random& random, std::shared_ptr<NameTable> names) {
  std::vector<StageStrategy> stages;
  const int64_t count = random.Between(1, 4);
  const int64_t devices = random.Between(1, 4);
  for (int64_t s = 0; s < count; ++s) stages.push_back(RandomStage(random, s, devices));
  return Strategy::Create(std::move(stages), std::move(names));
}

// A file of some values; files of one kind are equal but for their payload.
std::string FileOf(uint64_t kind, char fill) {
  Random random(kind);
  std::vector<StoredValue> values;
  const int64_t count = random.Between(1, 8);
  for (int64_t i = 0; i < count; ++i) {
    const bool text = random.OneIn(5);
    values.push_back(
        {.name = Format("{}.{}", random.OneIn(2) ? "shared" : Format("kind{}", kind), i),
         .kind = text ? ValueKind::kString : ValueKind::kTensor,
         .dtype = text ? DType::kUInt8 : DType::kFloat32,
         .shape = text ? Dims({4 * random.Between(0, 3)}) : Dims({random.Between(0, 3), 2}),
         .extents = {}});
  }
  const auto image = LayOutFile(FileFormat::kMindSporeCheckpoint, values);
  std::string bytes(static_cast<size_t>(image->size_bytes), fill);
  for (const FileImage::Segment& header : image->headers) {
    bytes.replace(static_cast<size_t>(header.offset_bytes), header.bytes.size(), header.bytes);
  }
  return bytes;
}

// The files of `rank_count` ranks, of three kinds, and how many kinds there are.
std::map<int64_t, std::string> RandomFiles(Random& random, MemoryFileSystem& fs, int64_t rank_count,
                                           size_t& kind_count) {
  std::map<int64_t, std::string> paths;
  std::set<std::string> kinds;
  const auto base = static_cast<uint64_t>(random.Below(1000)) * 8;
  for (int64_t rank = 0; rank < rank_count; ++rank) {
    const uint64_t kind = base + static_cast<uint64_t>(random.Below(3));
    kinds.insert(FileOf(kind, 'x'));
    paths[rank] = Format("ckpt/rank_{0}/c_{0}.ckpt", rank);
    fs.SetFile(paths[rank], FileOf(kind, static_cast<char>('a' + rank)));
  }
  kind_count = kinds.size();
  return paths;
}

// Calls `read` with parts of `bytes` and with single bytes changed: nothing may crash.
template <typename Read>
void TryDamaged(Random& random, const std::string& bytes, const Read& read) {
  for (int i = 0; i < 40; ++i) {
    EXPECT_FALSE(read(bytes.substr(0, static_cast<size_t>(random.Below(std::ssize(bytes))))));
    std::string changed = bytes;
    changed[static_cast<size_t>(random.Below(std::ssize(bytes)))] =
        static_cast<char>(random.Below(256));
    static_cast<void>(read(changed));
  }
  EXPECT_FALSE(read(bytes + '\0'));
}

TEST(MessagesTest, StrategiesComeBack) {
  size_t round_trips = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Random random(seed);
    const auto strategy = RandomStrategy(random, nullptr);
    ASSERT_TRUE(strategy.ok()) << "seed " << seed << ": " << strategy.status().message();
    const std::string bytes = strategy->Serialize();
    const auto back = Strategy::Deserialize(bytes);
    ASSERT_TRUE(back.ok()) << "seed " << seed << ": " << back.status().message();
    EXPECT_EQ(TextOf(*back), TextOf(*strategy)) << "seed " << seed;
    EXPECT_EQ(back->Serialize(), bytes) << "seed " << seed;
    TryDamaged(random, bytes, [](const std::string& damaged) {
      const auto read = Strategy::Deserialize(damaged);
      return read.ok() && !TextOf(*read).empty();
    });
    ++round_trips;
  }
  EXPECT_EQ(round_trips, kSeeds);
  const auto empty = Strategy::Deserialize(Strategy::Empty(7).Serialize());
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(empty->rank_count(), 7);
  EXPECT_EQ(empty->stage_count(), 1);
}

TEST(MessagesTest, CatalogsComeBackAndShareEqualFiles) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Random random(seed);
    MemoryFileSystem fs;
    size_t kinds = 0;
    const auto paths = RandomFiles(random, fs, random.Between(1, 12), kinds);
    std::string first_text;
    for (const int threads : {1, 3}) {
      const auto catalog = Catalog::Open(fs, paths, threads);
      ASSERT_TRUE(catalog.ok()) << "seed " << seed << ": " << catalog.status().message();
      EXPECT_EQ(catalog->distinct_file_count(), static_cast<int64_t>(kinds)) << "seed " << seed;
      const std::string text = TextOf(*catalog);
      if (first_text.empty()) first_text = text;
      EXPECT_EQ(text, first_text) << "seed " << seed << ", threads " << threads;
      const std::string bytes = catalog->Serialize();
      const auto back = Catalog::Deserialize(bytes);
      ASSERT_TRUE(back.ok()) << "seed " << seed << ": " << back.status().message();
      EXPECT_EQ(TextOf(*back), text) << "seed " << seed;
      TryDamaged(random, bytes, [](const std::string& damaged) {
        const auto read = Catalog::Deserialize(damaged);
        return read.ok() && !TextOf(*read).empty();
      });
    }
  }
}

TEST(MessagesTest, ThousandRanksCostPathsAndNumbers) {
  MemoryFileSystem fs;
  std::map<int64_t, std::string> paths;
  for (int64_t rank = 0; rank < 1000; ++rank) {
    paths[rank] = Format("ckpt/rank_{}.ckpt", rank);
    fs.SetFile(paths[rank], FileOf(5, 'x'));
  }
  const auto catalog = Catalog::Open(fs, paths, 2);
  ASSERT_TRUE(catalog.ok());
  EXPECT_EQ(catalog->distinct_file_count(), 1);
  const auto one = Catalog::Open(fs, {{0, paths[0]}}, 1);
  const size_t values = one->Serialize().size();
  EXPECT_LT(catalog->Serialize().size(), values + 1000 * 64);
}

TEST(MessagesTest, SetsComeBack) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Random random(seed);
    const auto names = std::make_shared<NameTable>();
    auto strategy = RandomStrategy(random, names);
    MemoryFileSystem fs;
    size_t kinds = 0;
    const auto paths = RandomFiles(random, fs, strategy->rank_count(), kinds);
    auto catalog = Catalog::Open(fs, paths, 2, names);
    CheckpointSet set{.spec = {.path = "ckpt", .files = {}, .strategy_path = "s.ckpt", .step = {}},
                      .catalog = *std::move(catalog),
                      .has_strategy = true,
                      .strategy = *std::move(strategy),
                      .format = FileFormat::kSafetensors,
                      .step = {},
                      .notes = {"first", "second"},
                      .missing_ranks = {1, 5}};
    if (random.OneIn(2)) set.step = TrainingStep{.epoch = 3, .step = random.Below(100)};
    const std::string bytes = SerializeCheckpointSet(set);
    const auto back = DeserializeCheckpointSet(bytes, set.spec);
    ASSERT_TRUE(back.ok()) << "seed " << seed << ": " << back.status().message();
    EXPECT_EQ(TextOf(back->catalog), TextOf(set.catalog)) << "seed " << seed;
    EXPECT_EQ(TextOf(back->strategy), TextOf(set.strategy)) << "seed " << seed;
    EXPECT_EQ(back->spec.path, "ckpt");
    EXPECT_EQ(back->has_strategy, set.has_strategy);
    EXPECT_EQ(back->format, set.format);
    EXPECT_EQ(back->step, set.step);
    EXPECT_EQ(back->notes, set.notes);
    EXPECT_EQ(back->missing_ranks, set.missing_ranks);
    TryDamaged(random, bytes, [&](const std::string& damaged) {
      const auto read = DeserializeCheckpointSet(damaged, set.spec);
      return read.ok() && !TextOf(read->catalog).empty();
    });
  }
}

}  // namespace
}  // namespace relayout
