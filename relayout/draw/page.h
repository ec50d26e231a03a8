// SPDX-License-Identifier: Apache-2.0
//
// A page that shows how every tensor of a strategy lies on the devices, or of two strategies and
// the copies between them: one HTML file that needs no network, no server and no other file.
//
//   RELAYOUT_ASSIGN_OR_RETURN(const std::string html,
//                             LayoutPage({.source = {"src_strategy.ckpt", &strategy}}));
//
// It is put together from page.html, page.css, page.js and page_data.h. The data is inert text, and
// the script writes names as text only, so that a hostile name stays a name; the page forbids
// itself to load anything.
#pragma once

#include <string>

#include "relayout/base/status.h"
#include "relayout/draw/page_data.h"

namespace relayout {

// Fails as PageData does.
Result<std::string> LayoutPage(const PageInput& input);

}  // namespace relayout
