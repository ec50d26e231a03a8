// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "relayout/base/text.h"
#include "tests/oracle/layouts.h"
#include "tests/oracle/world.h"

namespace relayout::oracle {
namespace {

constexpr int64_t kMaxElements = 6000;

// Builds one random world, tensor by tensor.
class WorldMaker {
 public:
  explicit WorldMaker(uint64_t seed) : random_(seed) {}

  World Make() {
    MakeFormats();
    if (!random_.OneIn(10)) world_.source = MakeSide();
    if (!world_.source || !random_.OneIn(10)) world_.target = MakeSide();
    const int64_t count = random_.Between(1, 5);
    for (int64_t i = 0; i < count; ++i) AddTensor();
    FillEmptySide(world_.source);
    FillEmptySide(world_.target);
    if (random_.OneIn(2)) AddCarried();
    MakeRanks();
    return std::move(world_);
  }

 private:
  FileFormat AnyFormat() {
    return random_.OneIn(3) ? FileFormat::kSafetensors : FileFormat::kMindSporeCheckpoint;
  }

  void MakeFormats() {
    world_.source_format = AnyFormat();
    world_.target_format = random_.OneIn(3) ? AnyFormat() : world_.source_format;
    const std::array forms = {StrategyForm::kProtobuf, StrategyForm::kJson, StrategyForm::kFolder};
    world_.source_form = forms[static_cast<size_t>(random_.Below(3))];
    world_.target_form = forms[static_cast<size_t>(random_.Below(3))];
    world_.states_shapes = random_.OneIn(3);
    if (random_.OneIn(2)) world_.slice_bytes = random_.Between(1, 64);
    world_.drops_empty = random_.OneIn(3);
    world_.source_crc = random_.OneIn(3);
    world_.target_crc = random_.OneIn(3);
    world_.keep_extra = random_.OneIn(4);
  }

  WorldSide MakeSide() {
    const int64_t stage_count = random_.OneIn(2) ? 1 : random_.Between(2, 4);
    const bool equal = !random_.OneIn(3);
    WorldSide side;
    int64_t devices = random_.Between(1, 12);
    for (int64_t s = 0; s < stage_count; ++s) {
      side.push_back({.device_count = devices, .layouts = {}});
      if (!equal) devices = random_.Between(1, 12);
    }
    return side;
  }

  bool BothAreCheckpoints() const {
    return world_.source_format == FileFormat::kMindSporeCheckpoint &&
           world_.target_format == FileFormat::kMindSporeCheckpoint;
  }

  DType AnyType() {
    while (true) {
      const auto dtype = static_cast<DType>(random_.Below(kDTypeCount));
      const bool everywhere =
          dtype != DType::kHiFloat8 && dtype != DType::kComplex64 && dtype != DType::kComplex128;
      if (everywhere || BothAreCheckpoints()) return dtype;
    }
  }

  std::string NewName(const char* stem) {
    constexpr std::array kForms = {"{}{}.weight", "layers.{}-{}", "moment1.{}{}",
                                   "\xE5\xB1\x82 {}{}", "a/b \"{}\" {}"};
    return fmt::format(fmt::runtime(kForms[static_cast<size_t>(random_.Below(kForms.size()))]),
                       stem, next_name_++);
  }

  // The stages of a side that own a tensor; none = not in the strategy.
  std::vector<size_t> StagesFor(const std::optional<WorldSide>& side) {
    if (!side || random_.OneIn(10)) return {};
    std::vector<size_t> stages = {static_cast<size_t>(random_.Below(std::ssize(*side)))};
    if (!random_.OneIn(3)) return stages;
    for (size_t s = 0; s < side->size(); ++s) {
      if (s != stages[0] && random_.OneIn(2)) stages.push_back(s);
    }
    return stages;
  }

  void AddTensor() {
    while (!TryTensor(StagesFor(world_.source), StagesFor(world_.target), "w")) {
    }
  }

  // False when the layouts ask for too many elements.
  bool TryTensor(const std::vector<size_t>& from, const std::vector<size_t>& to, const char* stem) {
    const auto dim_count = static_cast<size_t>(random_.OneIn(8) ? 0 : random_.Between(1, 4));
    std::vector<LayoutSpec> specs;
    for (const size_t s : from) {
      specs.push_back(RandomLayout(random_, (*world_.source)[s].device_count, dim_count));
    }
    for (const size_t s : to) {
      specs.push_back(RandomLayout(random_, (*world_.target)[s].device_count, dim_count));
    }
    // Layouts whose rows will be cut unevenly do not ask for divisible rows.
    std::vector<bool> uneven(specs.size(), false);
    std::vector<LayoutSpec> even;
    for (size_t i = 0; i < specs.size(); ++i) {
      uneven[i] = dim_count > 0 && specs[i].optimizer_group == 1 && random_.OneIn(6);
      if (uneven[i]) {
        LayoutSpec rest = specs[i];
        rest.uneven_rows = {1};  // Marks it for CommonShape.
        even.push_back(rest);
      } else {
        even.push_back(specs[i]);
      }
    }
    WorldTensor tensor{
        .name = NewName(stem), .dtype = AnyType(), .shape = CommonShape(even, dim_count)};
    if (Product(tensor.shape) > kMaxElements) return false;
    for (int64_t& length : tensor.shape) {
      const int64_t factor = random_.OneIn(12) ? 0 : random_.Between(1, 5);
      if (Product(tensor.shape) * std::max<int64_t>(factor, 1) <= kMaxElements) length *= factor;
    }
    for (size_t i = 0; i < specs.size(); ++i) {
      if (uneven[i]) MakeUneven(random_, specs[i], tensor.shape[0]);
    }
    tensor.content = random_.Next();
    for (size_t i = 0; i < specs.size(); ++i) {
      WorldStage& stage =
          i < from.size() ? (*world_.source)[from[i]] : (*world_.target)[to[i - from.size()]];
      stage.layouts.emplace_back(tensor.name, specs[i]);
    }
    if (from.empty()) MakeHolders(tensor);
    world_.tensors.push_back(std::move(tensor));
    return true;
  }

  // Ranks that hold a value of no source strategy.
  void MakeHolders(WorldTensor& tensor) {
    const int64_t ranks = world_.source ? RankCount(*world_.source) : 1;
    if (ranks == 1 || random_.OneIn(2)) return;
    const int64_t count = random_.Between(1, 3);
    for (int64_t i = 0; i < count; ++i) tensor.held_by.insert(random_.Below(ranks));
  }

  void AddCarried() {
    const int64_t count = random_.Between(1, 3);
    for (int64_t i = 0; i < count; ++i) {
      WorldTensor tensor{.name = NewName("global_step"), .dtype = AnyType(), .shape = {}};
      if (random_.OneIn(3)) tensor.shape = {random_.Between(0, 5), 2};
      if (random_.OneIn(3) && BothAreCheckpoints()) {
        tensor.kind = ValueKind::kString;
        tensor.dtype = DType::kUInt8;
        tensor.shape = {random_.Between(0, 4) * 4};
      }
      tensor.content = random_.Next();
      tensor.differs_by_rank = random_.OneIn(3);
      MakeHolders(tensor);
      world_.tensors.push_back(std::move(tensor));
    }
    if (random_.OneIn(3)) {
      world_.tensors.push_back({.name = "accu_grads.w", .shape = {2}, .content = 1});
    }
  }

  // A strategy names at least one parameter, and stages of different sizes at least one each.
  void FillEmptySide(std::optional<WorldSide>& side) {
    if (!side) return;
    const bool is_source = &side == &world_.source;
    const bool equal = std::all_of(side->begin(), side->end(), [&](const WorldStage& stage) {
      return stage.device_count == side->front().device_count;
    });
    const bool all_empty = std::all_of(
        side->begin(), side->end(), [](const WorldStage& stage) { return stage.layouts.empty(); });
    for (size_t s = 0; s < side->size(); ++s) {
      if (!(*side)[s].layouts.empty()) continue;
      if (equal && !(all_empty && s == 0) && random_.OneIn(2)) continue;
      const std::vector<size_t> here = {s};
      const std::vector<size_t> none;
      while (!TryTensor(is_source ? here : none, is_source ? none : here, "filler")) {
      }
    }
  }

  void MakeRanks() {
    if (!world_.target || !random_.OneIn(3)) return;
    const int64_t ranks = RankCount(*world_.target);
    std::set<int64_t> chosen;
    const int64_t count = random_.Between(1, std::min<int64_t>(ranks, 3));
    for (int64_t i = 0; i < count; ++i) chosen.insert(random_.Below(ranks));
    world_.ranks.assign(chosen.begin(), chosen.end());
  }

  Random random_;
  World world_;
  int next_name_ = 0;
};

}  // namespace

World RandomWorld(uint64_t seed) { return WorldMaker(seed).Make(); }

std::string RunSeed(uint64_t seed) {
  const World world = RandomWorld(seed);
  Random random(Mix(seed));
  const int threads = static_cast<int>(random.Between(1, 4));
  std::string wrong = RunWorld(world, threads);
  // The list is for what the target strategy names; --keep-extra wants more.
  if (wrong.empty() && world.source && !world.keep_extra) {
    const int64_t ranks = world.target ? RankCount(*world.target) : 1;
    wrong = RunFromRankList(world, random.Below(ranks));
  }
  if (wrong.empty()) return wrong;
  return Format("{}\nseed {}, {} threads\n{}", wrong, seed, threads, Describe(world));
}

}  // namespace relayout::oracle
