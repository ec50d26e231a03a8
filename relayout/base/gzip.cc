// SPDX-License-Identifier: Apache-2.0
#include "relayout/base/gzip.h"

#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace relayout {
namespace {

// What is compressed as one member.
constexpr size_t kMemberBytes = size_t{1} << 22;

// The library counts in 32 bits.
uint32_t Limited(size_t size) {
  return static_cast<uint32_t>(std::min<size_t>(size, size_t{1} << 30));
}

// It takes pointers to what it does not write, too.
uint8_t* Input(std::span<const std::byte> bytes) {
  return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(bytes.data()));
}

const char* WhatIsWrong(int error) {
  switch (error) {
    case ISAL_INCORRECT_CHECKSUM:
      return "its bytes do not add up to its checksum";
    default:
      return "its compressed data is damaged";
  }
}

// In one call, so that nothing has to be kept between calls. @pre at most kMemberBytes
void AppendMember(std::span<const std::byte> bytes, std::string& file) {
  std::vector<uint8_t> work(ISAL_DEF_LVL1_DEFAULT);
  std::vector<uint8_t> member(bytes.size() + bytes.size() / 1000 + 1024);
  isal_zstream stream = {};
  isal_deflate_stateless_init(&stream);
  stream.gzip_flag = IGZIP_GZIP;
  stream.level = 1;
  stream.level_buf = work.data();
  stream.level_buf_size = static_cast<uint32_t>(work.size());
  stream.end_of_stream = 1;
  stream.next_in = Input(bytes);
  stream.avail_in = static_cast<uint32_t>(bytes.size());
  stream.next_out = member.data();
  stream.avail_out = static_cast<uint32_t>(member.size());
  RELAYOUT_CHECK(isal_deflate_stateless(&stream) == COMP_OK && stream.avail_in == 0);
  file.append(reinterpret_cast<const char*>(member.data()), stream.total_out);
}

// What stands before the compressed data of a member, passed over byte by byte. The library has a
// reader of its own (2.30), which forgets what the header said where that is cut between two calls.
class Header {
 public:
  bool ended() const { return field_ == Field::kEnd; }

  // Takes the header's bytes off the front of `input`.
  Status Skip(std::span<const std::byte>& input) {
    while (!ended() && !input.empty()) {
      RELAYOUT_RETURN_IF_ERROR(Take(static_cast<uint8_t>(input[0])));
      input = input.subspan(1);
      while (!ended() && IsOver()) {
        field_ = static_cast<Field>(static_cast<int>(field_) + 1);
        taken_ = 0;
      }
    }
    return OkStatus();
  }

 private:
  // In the order in which they come; each but the first only where a flag says so.
  enum class Field { kFixed, kExtraSize, kExtra, kName, kComment, kChecksum, kEnd };

  Status Take(uint8_t byte) {
    const size_t position = taken_++;
    last_ = byte;
    if (field_ == Field::kExtraSize) extra_size_ += size_t{byte} << 8 * position;
    if (field_ != Field::kFixed) return OkStatus();
    if (position < 2 && byte != (position == 0 ? 0x1F : 0x8B)) {
      return InvalidInput("no gzip header where one should be");
    }
    if (position == 2 && byte != 8) {
      return InvalidInput("its gzip header names a method that is not deflate");
    }
    if (position == 3) flags_ = byte;
    return OkStatus();
  }

  bool Has(int flag) const { return (flags_ & flag) != 0; }

  bool IsOver() const {
    switch (field_) {
      case Field::kFixed:
        return taken_ == 10;
      case Field::kExtraSize:
        return !Has(4) || taken_ == 2;
      case Field::kExtra:
        return taken_ == extra_size_;
      case Field::kName:
        return !Has(8) || (taken_ > 0 && last_ == 0);
      case Field::kComment:
        return !Has(16) || (taken_ > 0 && last_ == 0);
      case Field::kChecksum:
        return !Has(2) || taken_ == 2;
      case Field::kEnd:
        return false;
    }
    return false;
  }

  Field field_ = Field::kFixed;
  size_t taken_ = 0;  // Bytes of the field.
  uint8_t last_ = 0;
  uint8_t flags_ = 0;
  size_t extra_size_ = 0;
};

}  // namespace

bool IsGzip(std::span<const std::byte> first_bytes) {
  return first_bytes.size() >= 2 && first_bytes[0] == std::byte{0x1F} &&
         first_bytes[1] == std::byte{0x8B};
}

struct GzipInflater::State {
  inflate_state library;
  Header header;
  bool between_members = true;

  void BeginMember() {
    isal_inflate_init(&library);
    library.crc_flag = ISAL_GZIP_NO_HDR_VER;
    header = Header();
    between_members = false;
  }
};

GzipInflater::GzipInflater() : state_(std::make_unique<State>()) {}
GzipInflater::~GzipInflater() = default;
GzipInflater::GzipInflater(GzipInflater&& other) noexcept = default;
GzipInflater& GzipInflater::operator=(GzipInflater&& other) noexcept = default;

Result<GzipInflater::Step> GzipInflater::Inflate(std::span<const std::byte> input,
                                                 std::span<std::byte> output) {
  if (state_->between_members) state_->BeginMember();
  const size_t input_size = input.size();
  RELAYOUT_RETURN_IF_ERROR(state_->header.Skip(input));
  if (!state_->header.ended()) return Step{input_size, 0, false};
  inflate_state& library = state_->library;
  library.next_in = Input(input);
  library.avail_in = Limited(input.size());
  library.next_out = reinterpret_cast<uint8_t*>(output.data());
  library.avail_out = Limited(output.size());
  const int error = isal_inflate(&library);
  if (error < 0 || error == ISAL_NEED_DICT) return InvalidInput(WhatIsWrong(error));
  Step step;
  step.consumed = input_size - input.size() + Limited(input.size()) - library.avail_in;
  step.produced = Limited(output.size()) - library.avail_out;
  step.member_ended = library.block_state == ISAL_BLOCK_FINISH;
  state_->between_members = step.member_ended;
  return step;
}

std::string GzipCompress(std::span<const std::byte> bytes) {
  std::string file;
  do {
    const auto piece = bytes.first(std::min(bytes.size(), kMemberBytes));
    AppendMember(piece, file);
    bytes = bytes.subspan(piece.size());
  } while (!bytes.empty());
  return file;
}

}  // namespace relayout
