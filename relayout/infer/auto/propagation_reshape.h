// SPDX-License-Identifier: Apache-2.0
//
// What a Reshape may be in a propagation: a pair of layouts, of its input and of its result.
//
//   its own                 any layout of the input, and the result whole on the same mesh
//   its neighbours'         any that its maker may give, and any that one of its users may want
//
// Of the pairs that fit the side that has been chosen it takes one without communication and with
// the least computation, else one with the least communication.
#pragma once

#include "relayout/layout/layout.h"

namespace relayout {

class PropagationNetwork;
struct PropagationNode;

// Gives all Reshapes of a network their pairs; once all other nodes have their choices.
void OfferPairs(PropagationNetwork& network);

// A Reshape chooses. `in` and `out`: what its input and its result must be; null: anything.
// Returns whether there was a pair.
bool ChoosePair(const PropagationNetwork& network, const Layout* in, const Layout* out,
                PropagationNode& reshape);

}  // namespace relayout
