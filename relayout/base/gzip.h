// SPDX-License-Identifier: Apache-2.0
//
// Gzip (RFC 1952): bytes inflated piece by piece, and compressed in memory.
//
//   GzipInflater inflater;
//   inflater.Inflate(first_4096_bytes, buffer)
//       // {consumed 4096, produced 65536, member_ended false}: all eaten, and the buffer is full
//   inflater.Inflate({}, buffer)         // what the last call had no room for
//   inflater.Inflate(next_bytes, buffer)
//
// A gzip file is one or more members, one after the other; the whole is what they hold, joined.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "relayout/base/status.h"

namespace relayout {

// What a gzip file begins with: no other format that we read does.
bool IsGzip(std::span<const std::byte> first_bytes);

// Not for two threads at once. Takes about 100 KiB, whatever is inflated.
class GzipInflater {
 public:
  struct Step {
    size_t consumed = 0;  // Bytes of the input, from its front.
    size_t produced = 0;  // Bytes of the output, from its front.
    // The member is over, and its length and CRC-32 are right. What was not consumed lies behind
    // it; the next call begins another member.
    bool member_ended = false;
  };

  GzipInflater();
  ~GzipInflater();
  GzipInflater(GzipInflater&& other) noexcept;
  GzipInflater& operator=(GzipInflater&& other) noexcept;

  // Goes on until the input is eaten, the output is full or the member is over. Fails, as
  // kInvalidInput, when the bytes are no gzip or were damaged: "its bytes do not add up to its
  // checksum". After a failure the inflater may only be destroyed.
  Result<Step> Inflate(std::span<const std::byte> input, std::span<std::byte> output);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// `bytes` as a gzip file, a member for each 4 MiB. What it looks like may differ from one processor
// to another; what it inflates to does not.
std::string GzipCompress(std::span<const std::byte> bytes);

}  // namespace relayout
