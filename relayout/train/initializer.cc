// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/initializer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numbers>
#include <vector>

#include "relayout/base/check.h"
#include "relayout/base/hash.h"
#include "relayout/base/philox.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

using Kind = Initializer::Kind;
using Arguments = std::array<double, 4>;  // In the order of the struct.

struct Entry {
  const char* name;   // As it is written,
  const char* plain;  // and as it is compared: MindSpore's class name.
  Kind kind;
  size_t argument_count;  // That may be given.
  Arguments defaults;
};

// The first with a kind is how that is written.
constexpr std::array<Entry, 12> kEntries = {{
    {"zeros", "zeros", Kind::kConstant, 0, {0}},
    {"zero", "zero", Kind::kConstant, 0, {0}},
    {"ones", "ones", Kind::kConstant, 0, {1}},
    {"one", "one", Kind::kConstant, 0, {1}},
    {"constant", "constant", Kind::kConstant, 1, {0}},
    {"uniform", "uniform", Kind::kUniform, 1, {0.07}},
    {"normal", "normal", Kind::kNormal, 2, {0.01, 0}},
    {"truncated_normal", "truncatednormal", Kind::kTruncatedNormal, 4, {0.01, 0, -2, 2}},
    {"he_uniform", "heuniform", Kind::kHeUniform, 1, {0}},
    {"he_normal", "henormal", Kind::kHeNormal, 1, {0}},
    {"xavier_uniform", "xavieruniform", Kind::kXavierUniform, 1, {1}},
    {"xavier_normal", "xaviernormal", Kind::kXavierNormal, 1, {1}},
}};

std::string Plain(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    if (c != '_') plain += 'A' <= c && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return plain;
}

std::string_view WithoutBlanks(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

Result<const Entry*> FindEntry(std::string_view name) {
  const std::string plain = Plain(name);
  std::vector<std::string> names;
  for (const Entry& entry : kEntries) {
    if (plain == entry.plain) return &entry;
    names.emplace_back(entry.name);
  }
  return InvalidInput(Format("no initializer is called '{}'; there are {}", Printable(name),
                             JoinLimited(names, names.size())));
}

Result<double> ParseNumber(std::string_view text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest != end || !std::isfinite(number)) {
    return InvalidInput(Format("'{}' is no number", Printable(text)));
  }
  return number;
}

// Reads "1, 2" over the first of `arguments`.
Status ParseArguments(std::string_view list, const Entry& entry, Arguments& arguments) {
  size_t count = 0;
  while (true) {
    if (count == entry.argument_count) {
      return InvalidInput(Format("{} takes {} at most", entry.name,
                                 Count(static_cast<int64_t>(entry.argument_count), "argument")));
    }
    const size_t comma = list.find(',');
    RELAYOUT_ASSIGN_OR_RETURN(arguments[count++],
                              ParseNumber(WithoutBlanks(list.substr(0, comma))));
    if (comma == std::string_view::npos) return OkStatus();
    list.remove_prefix(comma + 1);
  }
}

Status CheckArguments(const Initializer& initializer) {
  const bool is_spread = initializer.kind == Kind::kUniform || initializer.kind == Kind::kNormal ||
                         initializer.kind == Kind::kTruncatedNormal;
  if (is_spread && initializer.scale < 0) {
    return InvalidInput(Format("{} is negative, and it is how far numbers spread; take {}",
                               initializer.scale, -initializer.scale));
  }
  if (initializer.kind == Kind::kTruncatedNormal && initializer.low >= initializer.high) {
    return InvalidInput(Format("nothing lies between a = {} and b = {}; a has to be less",
                               initializer.low, initializer.high));
  }
  return OkStatus();
}

Result<Initializer> Parse(std::string_view text) {
  const size_t open = text.find('(');
  RELAYOUT_ASSIGN_OR_RETURN(const Entry* entry, FindEntry(WithoutBlanks(text.substr(0, open))));
  Arguments arguments = entry->defaults;
  if (open != std::string_view::npos) {
    if (!text.ends_with(')')) return InvalidInput("no ) at the end");
    const auto list = WithoutBlanks(text.substr(open + 1, text.size() - open - 2));
    if (!list.empty()) RELAYOUT_RETURN_IF_ERROR(ParseArguments(list, *entry, arguments));
  }
  const Initializer initializer = {entry->kind, arguments[0], arguments[1], arguments[2],
                                   arguments[3]};
  RELAYOUT_RETURN_IF_ERROR(CheckArguments(initializer));
  return initializer;
}

// What the elements of one tensor are, with its shape taken into account.
struct Distribution {
  enum class Kind { kConstant, kUniform, kNormal, kTruncated } kind = Kind::kConstant;
  double center = 0;
  double spread = 0;  // Half the width, or sigma.
  double low = 0;
  double high = 0;
};

struct Fans {
  double in = 1;
  double out = 1;
};

Result<Fans> FansOf(const Dims& shape) {
  if (shape.size() < 2) {
    return InvalidInput(
        Format("an initializer that counts inputs and outputs (he_, xavier_) needs "
               "two dims, and the shape is {}; take uniform or normal",
               ToText(shape)));
  }
  Fans fans = {static_cast<double>(shape[1]), static_cast<double>(shape[0])};
  for (size_t d = 2; d < shape.size(); ++d) {
    fans.in *= static_cast<double>(shape[d]);
    fans.out *= static_cast<double>(shape[d]);
  }
  return fans;
}

Distribution UniformWithin(double bound) { return {Distribution::Kind::kUniform, 0, bound, 0, 0}; }
Distribution NormalOf(double mean, double sigma) {
  return {Distribution::Kind::kNormal, mean, sigma, 0, 0};
}

Result<Distribution> OfFans(const Initializer& initializer, const Dims& shape) {
  RELAYOUT_ASSIGN_OR_RETURN(const Fans fans, FansOf(shape));
  const double slope = initializer.scale;
  const double he = std::sqrt(2 / (1 + slope * slope)) / std::sqrt(fans.in);
  const double xavier = initializer.scale * std::sqrt(2 / (fans.in + fans.out));
  switch (initializer.kind) {
    case Kind::kHeUniform:
      return UniformWithin(std::sqrt(3.0) * he);
    case Kind::kHeNormal:
      return NormalOf(0, he);
    case Kind::kXavierUniform:
      return UniformWithin(std::sqrt(3.0) * xavier);
    default:
      return NormalOf(0, xavier);
  }
}

Result<Distribution> TruncatedOf(const Initializer& initializer) {
  const auto below = [&](double x) {
    return std::erfc((initializer.mean - x) / (initializer.scale * std::numbers::sqrt2)) / 2;
  };
  const double part = below(initializer.high) - below(initializer.low);
  if (!(part >= 0.01)) {
    return Unsupported(
        Format("{}: {:.2g} of these numbers lie between {} and {}; below a hundredth "
               "they are not drawn",
               ToText(initializer), part, initializer.low, initializer.high));
  }
  return Distribution{Distribution::Kind::kTruncated, initializer.mean, initializer.scale,
                      initializer.low, initializer.high};
}

Result<Distribution> DistributionOf(const Initializer& initializer, const Dims& shape) {
  switch (initializer.kind) {
    case Kind::kConstant:
      return Distribution{Distribution::Kind::kConstant, initializer.scale, 0, 0, 0};
    case Kind::kUniform:
      return UniformWithin(initializer.scale);
    case Kind::kNormal:
      return NormalOf(initializer.mean, initializer.scale);
    case Kind::kTruncatedNormal:
      return TruncatedOf(initializer);
    default:
      return OfFans(initializer, shape);
  }
}

// The elements of a whole tensor, four by four.
class Elements {
 public:
  using Block = std::array<double, 4>;

  Elements(const Distribution& distribution, PhiloxKey key)
      : distribution_(distribution), key_(key) {}

  // Those from `index` on.
  void Fill(int64_t index, std::span<float> values) const {
    if (distribution_.kind == Distribution::Kind::kConstant) {
      std::fill(values.begin(), values.end(), static_cast<float>(distribution_.center));
      return;
    }
    while (!values.empty()) {
      const auto begin = static_cast<size_t>(index % 4);
      const size_t count = std::min(4 - begin, values.size());
      const Block block = BlockOf(static_cast<uint64_t>(index / 4));
      for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>(block[begin + i]);
      values = values.subspan(count);
      index += static_cast<int64_t>(count);
    }
  }

 private:
  Block BlockOf(uint64_t number) const {
    switch (distribution_.kind) {
      case Distribution::Kind::kUniform:
        return Uniform(number);
      case Distribution::Kind::kNormal:
        return Normal(number, 0);
      default:
        return Truncated(number);
    }
  }

  Block Uniform(uint64_t number) const {
    Block block = UnitOf(number, 0);
    for (double& x : block) x = distribution_.center + distribution_.spread * (2 * x - 1);
    return block;
  }

  Block Normal(uint64_t number, uint32_t attempt) const {
    const Block unit = UnitOf(number, attempt);
    Block block{};
    for (size_t i = 0; i < 4; i += 2) {
      const double radius = distribution_.spread * std::sqrt(-2 * std::log(unit[i]));
      const double angle = 2 * std::numbers::pi * unit[i + 1];
      block[i] = distribution_.center + radius * std::cos(angle);
      block[i + 1] = distribution_.center + radius * std::sin(angle);
    }
    return block;
  }

  // Each element is that of the first attempt in which it lies inside.
  Block Truncated(uint64_t number) const {
    Block block = Normal(number, 0);
    const auto is_outside = [&](double x) {
      return x < distribution_.low || x > distribution_.high;
    };
    for (uint32_t attempt = 1; std::any_of(block.begin(), block.end(), is_outside); ++attempt) {
      const Block next = Normal(number, attempt);
      for (size_t i = 0; i < 4; ++i) block[i] = is_outside(block[i]) ? next[i] : block[i];
    }
    return block;
  }

  // Four numbers in (0, 1).
  Block UnitOf(uint64_t number, uint32_t attempt) const {
    const auto low = static_cast<uint32_t>(number);
    const auto high = static_cast<uint32_t>(number >> 32);
    const PhiloxWords words = Philox(key_, {low, high, attempt, 0});
    Block block{};
    for (size_t i = 0; i < 4; ++i) block[i] = (words[i] + 0.5) * 0x1p-32;
    return block;
  }

  Distribution distribution_;
  PhiloxKey key_;
};

PhiloxKey KeyOf(uint64_t seed, std::string_view name) {
  std::string bytes;
  for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(seed >> shift & 0xFF);
  bytes += name;
  return PhiloxKeyOf(Hash64(std::as_bytes(std::span(bytes))));
}

void CheckBox(const Dims& whole, const Box& box, size_t value_count) {
  RELAYOUT_CHECK(box.begin.size() == whole.size() && box.end.size() == whole.size());
  for (size_t d = 0; d < whole.size(); ++d) {
    RELAYOUT_CHECK(0 <= box.begin[d] && box.begin[d] <= box.end[d] && box.end[d] <= whole[d]);
  }
  RELAYOUT_CHECK(box.volume() == static_cast<int64_t>(value_count));
}

}  // namespace

Result<Initializer> ParseInitializer(std::string_view text) {
  const auto initializer = Parse(WithoutBlanks(text));
  if (initializer.ok()) return initializer;
  return initializer.status().WithContext(Format("initializer '{}'", Printable(text)));
}

std::string ToText(const Initializer& initializer) {
  const Arguments arguments = {initializer.scale, initializer.mean, initializer.low,
                               initializer.high};
  for (const Entry& entry : kEntries) {
    if (entry.kind != initializer.kind) continue;
    if (entry.argument_count == 0 && entry.defaults[0] != initializer.scale) continue;
    std::string text = entry.name;
    for (size_t i = 0; i < entry.argument_count; ++i) {
      text += Format("{}{}", i == 0 ? "(" : ", ", arguments[i]);
    }
    return entry.argument_count == 0 ? text : text + ")";
  }
  return "";  // No kind is without an entry.
}

Status InitializeShard(const Initializer& initializer, uint64_t seed, std::string_view name,
                       const Dims& whole, const Box& box, std::span<float> values) {
  CheckBox(whole, box, values.size());
  const auto distribution = DistributionOf(initializer, whole);
  if (!distribution.ok()) return distribution.status().WithContext(Printable(name));
  if (values.empty()) return OkStatus();
  const Elements elements(*distribution, KeyOf(seed, name));
  // Row by row: what lies side by side in the box does so in the tensor.
  Box rows = box;
  if (!whole.empty()) rows.end[whole.size() - 1] = rows.begin[whole.size() - 1] + 1;
  const auto row_size = values.size() / static_cast<size_t>(rows.volume());
  Dims index = rows.begin;
  do {
    elements.Fill(OffsetIn(Box::Whole(whole), index), values.first(row_size));
    values = values.subspan(row_size);
  } while (NextIndex(rows.begin, rows.end, index));
  RELAYOUT_CHECK(values.empty());
  return OkStatus();
}

}  // namespace relayout
