// SPDX-License-Identifier: Apache-2.0
//
// The loss over the steps of trainings that go on from each other, as one picture: each part in a
// colour of its own, and where it takes over from the one before.
//
//   LossCurveSvg({{"8 ranks", first_losses}, {"4 ranks, converted", second_losses}}, {"Tutorial"})
//
// As svg.h's pictures: no script, no style sheet, text in the colour of the text around it.
#pragma once

#include <string>
#include <vector>

namespace relayout {

struct LossCurvePart {
  std::string label;
  std::vector<float> losses;  // Of each step, going on from the part before.
};

struct LossCurveOptions {
  std::string title = {};
  std::string x_label = "step";
  std::string y_label = "loss";
};

// A whole <svg> element. Losses that are not finite are gaps. The loss axis begins at 0.
std::string LossCurveSvg(const std::vector<LossCurvePart>& parts,
                         const LossCurveOptions& options = {});

}  // namespace relayout
