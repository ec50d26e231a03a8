// SPDX-License-Identifier: Apache-2.0
//
// The one notation for layouts, printed and parsed: in tests, the CLI, errors and docs.
//
//   {a:2,b:2,c:2} (-,b) opt:4          mesh, cuts of each dim, optimizer split
//   {a:2,b:4} (b*a,-)                  dim 0 cut by b, each piece again by a
//   {a:2} (a) rows:5+3                 uneven pieces of dim 0
//   {a:8} ()                           a 0-d tensor on 8 devices
//   {a:2,b:4} f32[4096,1024] @ (b,-)   a tensor with its layout
//
// Axes are named a, b, c ... z, a1, b1 ... from the outermost when printed; any names are accepted
// when parsed. `opt:all` is accepted for a group of all replicas and printed as it was given.
#pragma once

#include <string>
#include <string_view>

#include "relayout/base/dims.h"
#include "relayout/base/dtype.h"
#include "relayout/base/status.h"
#include "relayout/layout/layout.h"

namespace relayout {

// How mesh axis `axis`, counted from the outermost, is called: "a" ... "z", "a1", "b1" ...
std::string AxisName(size_t axis);

// "{a:2,b:2,c:2} (-,b) opt:4".
std::string ToText(const Layout& layout);

// "{a:2,b:4} f32[4096,1024] @ (b,-)", with the whole tensor's shape.
std::string ToText(const Layout& layout, DType dtype, const Dims& shape);

// @post ToText(ParseLayout(ToText(layout)).value()) == ToText(layout)
Result<Layout> ParseLayout(std::string_view text);

struct TensorNotation {
  Layout layout;
  DType dtype;
  Dims shape;
};
// Parses the form with dtype and shape.
Result<TensorNotation> ParseTensor(std::string_view text);

}  // namespace relayout
