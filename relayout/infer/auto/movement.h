// SPDX-License-Identifier: Apache-2.0
//
// Movement: what has to travel so that a tensor lies in another way on the same devices.
//
//   {a:4} (a,-) -> (-,-)   all-gather   each device lacks 3/4 of the tensor, from 3 others
//   {a:4} (-,-) -> (a,-)   slice        nothing
//   {a:4} (a,-) -> (-,a)   all-to-all   each lacks 1/4 - 1/16
//   {a:2,b:2} (a) -> (b)   exchange     half of the devices have their half already, the others
//                                       lack 1/2; a step takes as long as its slowest device: 1/2
//
// # How it is computed
//
// Both meshes are cut into common *atoms*: a device's number in mixed radix whose places both
// meshes respect ({2,4} and {4,2}: places 2,2,2). Each dim is then cut by a list of atoms on either
// side. Where one list begins with the other, the finer piece lies within the coarser. Where they
// differ at some place, there is a device whose two pieces of the dim have nothing in common. So
// with f and t the fractions of the tensor that a device has and needs,
//
//   busiest device lacks   t - overlap,  overlap = 0 when any dim differs, else the product over
//                                        the dims of the smaller of both fractions.
//
// Meshes without common atoms ({2,3} and {3,2}) are compared rank by rank.
#pragma once

#include <cstdint>

#include "relayout/layout/layout.h"

namespace relayout {

struct Movement {
  // What the busiest device lacks, as a fraction of the whole tensor. 0: nothing travels.
  double fraction = 0;
  // Devices that exchange pieces with each other, itself included.
  int64_t group_size = 1;
  // Some of them are on different nodes, when a node is `devices_per_node` consecutive ranks.
  bool crosses_nodes = false;
};

// From what a device has under `from` to what it needs under `to`. The pieces are taken as equal:
// uneven rows are not looked at.
// @pre the same device and dim counts.
Movement MovementBetween(const Layout& from, const Layout& to, int64_t devices_per_node);

// True if the devices that differ only in these mesh axes are not all on one node.
bool CrossesNodes(const std::vector<int64_t>& mesh, const std::vector<int>& mesh_axes,
                  int64_t devices_per_node);

}  // namespace relayout
