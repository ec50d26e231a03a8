// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/value_name.h"

#include "relayout/base/text.h"

namespace relayout {

Status CheckName(std::string_view name) {
  if (name.empty()) return InvalidInput("a parameter has an empty name");
  if (std::ssize(name) > kMaxNameBytes) {
    return InvalidInput(Format("{}: the name is {} bytes long; at most {} are accepted",
                               Printable(name), name.size(), kMaxNameBytes));
  }
  if (!IsUtf8(name)) {
    return InvalidInput(Format("{}: the name is not well-formed UTF-8", Printable(name)));
  }
  return OkStatus();
}

}  // namespace relayout
