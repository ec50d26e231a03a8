// SPDX-License-Identifier: Apache-2.0
//
// Initializers: what parameters are before they are trained. Those of mindspore.common.initializer,
// by their names, with their arguments in their order:
//
//   ParseInitializer("normal")              // sigma 0.01, mean 0, as MindSpore's Normal()
//   ParseInitializer("he_uniform(2.236)")   // HeUniform(negative_slope=2.236)
//
//   text                                    what an element is
//   zeros, ones, constant(value)            that
//   uniform(scale=0.07)                     uniform in (-scale, scale)
//   normal(sigma=0.01, mean=0)              normal
//   truncated_normal(sigma=0.01, mean=0, a=-2, b=2)
//                                           normal, drawn again until it lies in [a, b], which are
//                                           values and not multiples of sigma, as MindSpore has it
//   he_uniform(slope=0), he_normal(slope=0) with gain = sqrt(2 / (1 + slope^2)):
//                                           uniform within gain * sqrt(3 / fan_in), or normal with
//                                           sigma = gain / sqrt(fan_in)
//   xavier_uniform(gain=1), xavier_normal(gain=1)
//                                           uniform within gain * sqrt(6 / (fan_in + fan_out)), or
//                                           normal with sigma = gain * sqrt(2 / (fan_in + fan_out))
//
// fan_in is dim 1 times those behind it, fan_out dim 0 times those behind dim 1: of a weight
// [512,784] of nn.Dense they are 784 and 512. nn.Dense starts from he_uniform(2.2360679774997896),
// which is sqrt(5), and its bias from uniform(1 / sqrt(fan_in)).
//
// # Random numbers
//
// The distributions are MindSpore's; the numbers are not, and no seed makes them so. Start from a
// checkpoint where they must be.
//
// An element depends on the seed, the parameter's name and its index in the whole tensor in C
// order, and on nothing else. However a parameter is cut, ranks make the same numbers:
//
//   InitializeShard(normal, 1, "layer1.weight", {784,512}, {{0,0}, {784,256}}, left)
//   InitializeShard(normal, 1, "layer1.weight", {784,512}, {{0,256}, {784,512}}, right)
//   // left and right together are what one call for {{0,0}, {784,512}} makes, bit by bit
//
// Element i has word i % 4 of Philox(key, {low, high, attempt, 0}), where high and low are the
// halves of i / 4, and the key is XXH3-64 of the seed, as 8 bytes, little endian, with the name
// behind it. From a word w comes u = (w + 0.5) / 2^32, and uniform elements from that. Normal ones
// come in pairs, from words (0, 1) and (2, 3): sqrt(-2 ln u0) times cos and sin of 2 pi u1. All is
// double until the element is rounded to f32. attempt is 0; truncated_normal counts it up.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "relayout/base/dims.h"
#include "relayout/base/status.h"
#include "relayout/layout/box.h"

namespace relayout {

// A small value; the default is zeros.
struct Initializer {
  enum class Kind {
    kConstant,
    kUniform,
    kNormal,
    kTruncatedNormal,
    kHeUniform,
    kHeNormal,
    kXavierUniform,
    kXavierNormal,
  };
  Kind kind = Kind::kConstant;
  double scale = 0;  // The first argument: value, scale, sigma, slope or gain.
  double mean = 0;   // Of the normal ones with that argument; so are
  double low = 0;    // a
  double high = 0;   // and b.

  friend bool operator==(const Initializer&, const Initializer&) = default;
};

// Reads "name" or "name(number, ...)". Upper case and underscores do not matter, so that class
// names
// ("HeUniform", "TruncatedNormal") are read too; arguments may be left out from the right. Fails
// when there is no such initializer (the message lists them), with too many arguments or what are
// no finite numbers, and when a sigma or scale is negative or [a, b] is empty.
Result<Initializer> ParseInitializer(std::string_view text);

// As read by ParseInitializer: "normal(0.02, 0)"; numbers as short as they can be read back.
std::string ToText(const Initializer& initializer);

// Fills `values` with the elements of `box` in C order, of the parameter `name` of shape `whole`.
// Fails when he_ and xavier_ find fewer than two dims, and (kUnsupported) when less than a
// hundredth of normal numbers would lie in [a, b].
// @pre the box lies in the tensor, and values.size() == box.volume()
Status InitializeShard(const Initializer& initializer, uint64_t seed, std::string_view name,
                       const Dims& whole, const Box& box, std::span<float> values);

}  // namespace relayout
