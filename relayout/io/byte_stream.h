// SPDX-License-Identifier: Apache-2.0
//
// ByteStream: a file from its first byte to its last, inflated on the way where it is gzip. What a
// file is, its bytes say, not its name.
//
//   ByteStream stream(*file);
//   stream.Read(header)       // 16: that many bytes came
//   stream.Read(buffer)       // 1000 of 4096: the end
//   stream.Read(buffer)       // 0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "relayout/base/gzip.h"
#include "relayout/base/status.h"
#include "relayout/io/file_system.h"

namespace relayout {

// Not for two threads at once. Holds about 400 KiB for gzip, whatever the file's size.
class ByteStream {
 public:
  // The file must outlive the stream.
  explicit ByteStream(const ReadableFile& file) : file_(file) {}

  // Fills `buffer` from its front and returns the number of bytes: fewer than asked for only at the
  // end. Fails as the file does, and as kInvalidInput where gzip is damaged, ends before its
  // end, or is followed by something else; the message names the file. After a failure the stream
  // may only be destroyed.
  Result<size_t> Read(std::span<std::byte> buffer);

  // The bytes still to come, where that is known before they are read: not for gzip.
  Result<std::optional<int64_t>> BytesLeft();

 private:
  Status Begin();
  Result<size_t> ReadPlain(std::span<std::byte> buffer);
  Result<size_t> ReadGzip(std::span<std::byte> buffer);
  Status FillInput();

  const ReadableFile& file_;
  bool begun_ = false;
  int64_t position_ = 0;  // In the file.
  std::optional<GzipInflater> inflater_;
  std::vector<std::byte> input_;          // What was read from the file last,
  std::span<const std::byte> remaining_;  // and what of it is not inflated.
  bool inside_member_ = false;
};

}  // namespace relayout
