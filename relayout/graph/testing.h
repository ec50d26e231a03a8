// SPDX-License-Identifier: Apache-2.0
//
// For tests: types of tensors as text, "f32[4,8]".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/graph/graph.h"

namespace relayout::testing {

// @pre well formed
inline TensorType TypeOf(std::string_view text) {
  const size_t open = text.find('[');
  RELAYOUT_CHECK(open != std::string_view::npos && text.back() == ']');
  TensorType type = {*DTypeFromShortName(text.substr(0, open)), {}};
  std::string_view dims = text.substr(open + 1, text.size() - open - 2);
  while (!dims.empty()) {
    const size_t comma = std::min(dims.find(','), dims.size());
    type.shape.push_back(*ParseDecimal(dims.substr(0, comma)));
    dims.remove_prefix(std::min(comma + 1, dims.size()));
  }
  return type;
}

// Several, with blanks between them.
inline std::vector<TensorType> TypesOf(std::string_view text) {
  std::vector<TensorType> types;
  if (text.empty()) return types;
  for (const std::string_view word : SplitWords(text)) types.push_back(TypeOf(word));
  return types;
}

inline std::string TextOf(const std::vector<TensorType>& types) {
  std::string text;
  for (const TensorType& type : types) {
    text += Format("{}{}{}", text.empty() ? "" : " ", ShortName(type.dtype), ToText(type.shape));
  }
  return text;
}

}  // namespace relayout::testing
