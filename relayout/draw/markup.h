// SPDX-License-Identifier: Apache-2.0
//
// Text as it may stand in HTML and SVG.
#pragma once

#include <string>
#include <string_view>

namespace relayout {

// `text` with & < > " ' as entities; control characters and bytes that are not UTF-8 made visible,
// as they are not allowed. Safe between tags and in quoted attributes.
std::string EscapeMarkup(std::string_view text);

// JSON as it may stand in a <script> element: no < in it, which could end the element.
std::string EscapeScriptJson(std::string_view json);

}  // namespace relayout
