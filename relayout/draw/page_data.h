// SPDX-License-Identifier: Apache-2.0
//
// What the page of page.h knows, as JSON. Everything that is arithmetic on layouts is done here, so
// that the page's script only draws.
//
// A *form* is how a parameter lies on both sides: thousands of parameters share a few, and forms
// share layouts, so a parameter costs its name and two numbers.
//
//   {"sides": [{"role": "Source", "file": "src.ckpt", "ranks": 8, "stages": [[0, 0, 8]]}, ...],
//    "layouts": [{"text": "{a:2,b:4} (b,-) opt:2", "words": ["8 devices, ...", ...],
//                 "grid": [8, 1],            pieces of each dim, the optimizer split included
//                 "parts": 2,                the optimizer split
//                 "copies": 1,               holders of each shard
//                 "rows": [5, 3],            only uneven: lengths of dim 0's pieces
//                 "dims": ["rows", "columns"],
//                 "view": [0, 1, []],        dims drawn down and across (null: none), cut and
//                 hidden "columns": 4, "down": [[1, ["a=0", "a=1"]]], "across": [[1, ["b=0",
//                 ...]]], "shards": [0, 2, ...],     of each device, by its rank in the stage
//                 "colors": ["#cfe6ff", ...]}, ...],   of each shard
//    "forms": [{"sides": [[[0, 2]], [[0, 5]]],    of each side: stage (an index) and layout
//               "note": "",                  why there are no copies, if there are none
//               "view": [0, 1, []],          of the copies
//               "chosen": [0, 1, ...],       of each source shard the rank that is read
//               "reads": [[[[0, 1], ...], ...]]}, ...],
//                 of each target layout, dim and piece: the source's pieces [begin, end)
//    "tensors": [{"shape": [784, 512], "type": "f32", "item_bytes": 4}, ...],
//    "names": [...], "form": [0, 0, 1, ...], "tensor": [0, -1, ...]}
//
// "down" and "across" are bands of axes, outermost first: how many cells a position covers, and the
// labels of the positions, repeated to the edge's end. "reads" holds because pieces overlap if and
// only if they overlap in every dimension.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "relayout/base/dtype.h"
#include "relayout/base/status.h"
#include "relayout/layout/strategy.h"

namespace relayout {

// What is known of a tensor beside its layout.
struct TensorFacts {
  Dims shape;
  std::optional<DType> dtype;

  friend bool operator==(const TensorFacts&, const TensorFacts&) = default;
};

struct DrawnStrategy {
  std::string file = {};  // As the page calls it.
  const Strategy* strategy = nullptr;
  int64_t first_stage = 0;  // The number of the strategy's first stage, where it is one of several.
};

struct PageInput {
  DrawnStrategy source = {};
  std::optional<DrawnStrategy> target = std::nullopt;
  // More than the strategies say, e.g. from a checkpoint's headers; may be null.
  std::function<std::optional<TensorFacts>(std::string_view name)> facts_of = nullptr;
};

// Devices of a stage, and devices of all different layouts together, that a page can hold.
inline constexpr int64_t kMaxDrawnDevices = 16384;
inline constexpr int64_t kMaxDrawnCells = int64_t{1} << 22;

// Fails when there is more to draw than a page can hold; the message names the file and the number.
// The same input gives the same bytes.
Result<std::string> PageData(const PageInput& input);

}  // namespace relayout
