// SPDX-License-Identifier: Apache-2.0
#include "relayout/comm/all_reduce.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "relayout/base/text.h"

namespace relayout {
namespace {

// Up to this length one exchange of everything is faster than two of parts.
constexpr size_t kWholeLength = 4096;

std::string_view BytesOf(std::span<const float> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

// The part of `values` that member `i` of `count` adds up.
template <typename T>
std::span<T> PartOf(std::span<T> values, size_t i, size_t count) {
  const size_t begin = values.size() * i / count;
  return values.subspan(begin, values.size() * (i + 1) / count - begin);
}

Status WrongLength(std::span<const int> group, size_t member, size_t bytes, int rank,
                   size_t expected_bytes) {
  return InvalidInput(Format(
      "rank {} brings {} bytes to a sum where rank {} expects {}; all ranks of the group ({} of "
      "them) must bring equally many values",
      group[member], bytes, rank, expected_bytes, group.size()));
}

// Gives `give`, and adds up what comes into `sum`.
Status AddUp(Comm& comm, std::span<const int> group, std::span<const std::string_view> give,
             std::span<float> sum) {
  Status length;
  RELAYOUT_RETURN_IF_ERROR(comm.Exchange(group, give, [&](size_t member, std::string_view bytes) {
    if (bytes.size() != sum.size_bytes()) {
      if (length.ok()) {
        length = WrongLength(group, member, bytes.size(), comm.rank(), sum.size_bytes());
      }
    } else if (member == 0) {
      std::copy_n(bytes.data(), bytes.size(), reinterpret_cast<char*>(sum.data()));
    } else {
      AddFloats(bytes, sum);
    }
  }));
  return length;
}

// Gives the sums of this rank's part, and takes those of the others into `values`.
Status ShareSums(Comm& comm, std::span<const int> group, std::span<const float> sum,
                 std::span<float> values) {
  const std::vector<std::string_view> give(group.size(), BytesOf(sum));
  Status length;
  RELAYOUT_RETURN_IF_ERROR(comm.Exchange(group, give, [&](size_t member, std::string_view bytes) {
    const std::span<float> part = PartOf(values, member, group.size());
    if (bytes.size() == part.size_bytes()) {
      std::copy_n(bytes.data(), bytes.size(), reinterpret_cast<char*>(part.data()));
    } else if (length.ok()) {
      length = WrongLength(group, member, bytes.size(), comm.rank(), part.size_bytes());
    }
  }));
  return length;
}

}  // namespace

void AddFloats(std::string_view bytes, std::span<float> sum) {
  const char* from = bytes.data();
  for (float& one : sum) {
    float value;
    std::memcpy(&value, from, sizeof(value));
    one += value;
    from += sizeof(value);
  }
}

Status AllReduceSum(Comm& comm, std::span<const int> group, std::span<float> values) {
  const size_t mine = MemberOf(group, comm.rank());
  if (group.size() == 1) return OkStatus();
  const bool whole = values.size() <= kWholeLength;
  const size_t sum_count = whole ? values.size() : PartOf(values, mine, group.size()).size();
  const auto memory = std::make_unique_for_overwrite<float[]>(sum_count);
  const std::span<float> sum(memory.get(), sum_count);
  std::vector<std::string_view> give;
  for (size_t i = 0; i < group.size(); ++i) {
    give.push_back(BytesOf(whole ? values : PartOf(values, i, group.size())));
  }
  RELAYOUT_RETURN_IF_ERROR(AddUp(comm, group, give, sum));
  if (!whole) return ShareSums(comm, group, sum, values);
  std::ranges::copy(sum, values.begin());
  return OkStatus();
}

}  // namespace relayout
