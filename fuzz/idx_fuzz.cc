// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as an IDX file, plain or gzip: an error that names the file, or an array that can be
// written and read again. Compressed by us the bytes read as they do plain. The bytes are tried,
// too, as what follows a gzip header, which gets to the inflater more often.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/base/gzip.h"
#include "relayout/io/memory_file.h"
#include "relayout/train/idx_file.h"

namespace relayout {
namespace {

Result<IdxArray> Read(std::string bytes, size_t dim_count) {
  auto array = ReadIdx(MemoryFile("fuzz.idx", std::move(bytes)), dim_count);
  if (!array.ok()) {
    RELAYOUT_CHECK(array.status().code() == StatusCode::kInvalidInput);
    RELAYOUT_CHECK(array.status().message().starts_with("fuzz.idx: "));
  }
  return array;
}

void Try(const std::string& bytes, size_t dim_count) {
  const auto array = Read(bytes, dim_count);
  if (!array.ok()) return;
  RELAYOUT_CHECK(array->shape.size() == dim_count);
  const std::string plain = IdxBytes(*array);
  const bool gzip = IsGzip(std::as_bytes(std::span(bytes)));
  RELAYOUT_CHECK(gzip || plain == bytes);
  const auto again = Read(plain, dim_count);
  RELAYOUT_CHECK(again.ok() && *again == *array);
}

// A file and its compressed form have the same array or none.
void TryCompressed(const std::string& bytes, size_t dim_count) {
  const auto packed = std::as_bytes(std::span(bytes));
  if (IsGzip(packed)) return;  // Gzip of gzip is no IDX file.
  const auto plain = Read(bytes, dim_count);
  const auto inflated = Read(GzipCompress(packed), dim_count);
  RELAYOUT_CHECK(plain.ok() == inflated.ok());
  RELAYOUT_CHECK(!plain.ok() || *plain == *inflated);
}

}  // namespace
}  // namespace relayout

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const std::string header("\x1f\x8b\x08\0\0\0\0\0\0\x03", 10);
  for (const size_t dim_count : {1, 3}) {
    relayout::Try(bytes, dim_count);
    relayout::Try(header + bytes, dim_count);
    relayout::TryCompressed(bytes, dim_count);
  }
  return 0;
}
