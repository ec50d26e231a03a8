// SPDX-License-Identifier: Apache-2.0
#include "relayout/io/memory_file.h"

#include <cstring>
#include <utility>

#include "relayout/io/io_errors.h"

namespace relayout {
namespace {

std::string ToString(std::span<const std::byte> bytes) {
  std::string text(bytes.size(), '\0');
  if (!bytes.empty()) std::memcpy(text.data(), bytes.data(), bytes.size());
  return text;
}

}  // namespace

MemoryFile::MemoryFile(std::string path, std::string bytes)
    : path_(std::move(path)), bytes_(std::move(bytes)) {}

MemoryFile::MemoryFile(std::string path, std::span<const std::byte> bytes)
    : path_(std::move(path)), bytes_(ToString(bytes)) {}

Status MemoryFile::ReadAt(int64_t offset_bytes, std::span<std::byte> buffer) const {
  return ReadFromMemory(path_, std::as_bytes(std::span(bytes_)), offset_bytes, buffer);
}

Status ReadFromMemory(const std::string& path, std::span<const std::byte> bytes,
                      int64_t offset_bytes, std::span<std::byte> buffer) {
  if (buffer.empty()) return OkStatus();
  const auto file_size_bytes = static_cast<int64_t>(bytes.size());
  const auto size_bytes = static_cast<int64_t>(buffer.size());
  // Compared without a sum, which could overflow.
  if (offset_bytes < 0 || offset_bytes > file_size_bytes ||
      size_bytes > file_size_bytes - offset_bytes) {
    return EndOfFile(path, offset_bytes, size_bytes, file_size_bytes);
  }
  std::memcpy(buffer.data(), bytes.data() + offset_bytes, buffer.size());
  return OkStatus();
}

}  // namespace relayout
