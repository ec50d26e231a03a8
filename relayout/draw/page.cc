// SPDX-License-Identifier: Apache-2.0
#include "relayout/draw/page.h"

#include <string_view>

#include "relayout/base/check.h"
#include "relayout/draw/markup.h"
#include "relayout/draw/page_files.h"

namespace relayout {
namespace {

// What page.html has in these places.
struct Part {
  std::string_view placeholder;
  std::string_view content;
};

// The template with every part in its place. One pass: what a part holds is never looked at.
std::string Fill(std::string_view page, const std::initializer_list<Part> parts) {
  std::string filled;
  for (const Part& part : parts) {
    const size_t at = page.find(part.placeholder);
    RELAYOUT_CHECK(at != std::string_view::npos);
    filled += page.substr(0, at);
    filled += part.content;
    page.remove_prefix(at + part.placeholder.size());
  }
  filled += page;
  return filled;
}

}  // namespace

Result<std::string> LayoutPage(const PageInput& input) {
  RELAYOUT_ASSIGN_OR_RETURN(const std::string data, PageData(input));
  std::string title = EscapeMarkup(input.source.file);
  if (input.target) title += " to " + EscapeMarkup(input.target->file);
  return Fill(kPageHtml, {{"{{title}}", title},
                          {"{{css}}", kPageCss},
                          {"{{data}}", EscapeScriptJson(data)},
                          {"{{js}}", kPageJs}});
}

}  // namespace relayout
