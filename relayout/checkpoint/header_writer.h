// SPDX-License-Identifier: Apache-2.0
//
// HeaderWriter: writes the headers of a checkpoint file in few calls.
//
// A file of small tensors is a header, a few bytes of payload, a header, ... for a million times.
// One call each would take longer than the payload. In a new file whose payload is yet to come the
// gaps hold zeros, so headers and the small gaps between them are written together, zeros included:
//
//   headers 0+3 and 5+2 of a new file    one write of 0+7, of which bytes 3 and 4 are zeros
//   the same around payload              two writes, of 0+3 and of 5+2
//
// Writes end at multiples of 256 KiB in the file, or earlier where a large gap follows.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "relayout/base/status.h"
#include "relayout/io/file_system.h"

namespace relayout {

class HeaderWriter {
 public:
  enum class Gaps {
    kZeros,    // Nobody has written between the headers, or does before Finish.
    kPayload,  // There may be payload, which must stay.
  };

  // `file` must outlive this.
  HeaderWriter(WritableFile& file, Gaps gaps) : file_(file), gaps_(gaps) {}

  // @pre offset_bytes is not before the end of the last header
  Status Add(int64_t offset_bytes, std::string_view header);
  // After the last header.
  Status Finish() { return Flush(); }

 private:
  int64_t end_bytes() const { return begin_bytes_ + std::ssize(buffer_); }
  Status Append(std::string_view bytes);
  Status Flush();

  WritableFile& file_;
  const Gaps gaps_;
  std::string buffer_;  // Goes to begin_bytes_.
  int64_t begin_bytes_ = 0;
};

}  // namespace relayout
