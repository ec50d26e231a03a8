// SPDX-License-Identifier: Apache-2.0
//
// page.html, page.css and page.js as they are in the source tree; CMake writes the source file.
#pragma once

#include <string_view>

namespace relayout {

extern const std::string_view kPageHtml;
extern const std::string_view kPageCss;
extern const std::string_view kPageJs;

}  // namespace relayout
