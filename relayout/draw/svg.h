// SPDX-License-Identifier: Apache-2.0
//
// Small pictures of one tensor as SVG, for notebooks and documents: no script, no style sheet, no
// id, so that many of them may stand in one page. Text outside the coloured cells takes the colour
// of the text around it, on light pages and on dark ones.
//
//   WriteFile("layout.svg", LayoutSvg(ParseLayout("{a:2,b:4} (b,-) opt:2").value()));
//
// A cell of the device grid shows a device: its rank, and with # the shard it holds. The same
// colour is the same shard. Beside it the tensor, cut into those shards.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "relayout/layout/layout.h"
#include "relayout/plan/transfer.h"

namespace relayout {

struct LayoutSvgOptions {
  std::string title = {};  // Above the picture, e.g. the parameter's name; escaped here.
  std::optional<Dims> shape = std::nullopt;  // Of the whole tensor: its proportions and lengths.
  int64_t first_rank = 0;                    // Of the stage.
};

// A whole <svg> element that says in <title> and <desc> what it shows, for those who do not see it.
// With more than `kMaxSvgDevices` devices the layout is only described.
std::string LayoutSvg(const Layout& layout, const LayoutSvgOptions& options = {});

struct TransferSvgOptions {
  std::string title = {};
  bool is_stand_in = false;  // The shape is not the tensor's own (stand_in.h): not written.
};

// The devices of the source, the tensor with the cuts of both sides, and the devices of the
// (first) target; the tensor says which rank each part is read from and which ranks store it.
std::string TransferSvg(const Transfer& transfer, const TransferSvgOptions& options = {});

inline constexpr int64_t kMaxSvgDevices = 4096;

}  // namespace relayout
