// SPDX-License-Identifier: Apache-2.0
//
// MemoryFile: bytes in memory as a ReadableFile, for tests of readers.
//
//   const MemoryFile file("a.ckpt", std::string("\x0a\x03", 2));
//   file.size_bytes()   // 2
//
// Immutable, so safe for any number of threads.
#pragma once

#include <string>

#include "relayout/io/file_system.h"

namespace relayout {

class MemoryFile final : public ReadableFile {
 public:
  MemoryFile(std::string path, std::string bytes);
  MemoryFile(std::string path, std::span<const std::byte> bytes);

  int64_t size_bytes() const override { return static_cast<int64_t>(bytes_.size()); }
  const std::string& path() const override { return path_; }
  Status ReadAt(int64_t offset_bytes, std::span<std::byte> buffer) const override;

 private:
  std::string path_;
  std::string bytes_;
};

// Fills `buffer` from `bytes`, the content of `path`; the ReadAt of every file held in memory.
Status ReadFromMemory(const std::string& path, std::span<const std::byte> bytes,
                      int64_t offset_bytes, std::span<std::byte> buffer);

}  // namespace relayout
