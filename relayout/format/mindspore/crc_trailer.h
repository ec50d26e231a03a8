// SPDX-License-Identifier: Apache-2.0
//
// MindSpore's CRC trailer, what save_checkpoint(crc_check=True) appends to a .ckpt file: "crc_num"
// and the CRC-32 of everything before, as a ten-byte big-endian number.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "relayout/base/status.h"
#include "relayout/io/file_system.h"

namespace relayout {

inline constexpr int64_t kCrcTrailerBytes = 17;

std::string SerializeCrcTrailer(uint32_t crc);

// The number in the trailer that `file` ends in; nothing when it has none. Fails when the number
// has more than 32 bits.
Result<std::optional<uint32_t>> ReadCrcTrailer(const ReadableFile& file);

// The CRC-32 of the first `size_bytes` bytes of `file`, read in pieces.
Result<uint32_t> CrcOfFile(const ReadableFile& file, int64_t size_bytes);

}  // namespace relayout
