// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/target_names.h"

#include <algorithm>

#include "relayout/base/text.h"
#include "relayout/io/file_system.h"

namespace relayout {
namespace {

constexpr std::string_view kPart = "part";

bool StaysInItsFolder(const std::string& text) {
  const bool is_safe = std::none_of(text.begin(), text.end(), [](char c) {
    return c == '/' || static_cast<unsigned char>(c) < ' ';
  });
  return is_safe && text.find("..") == std::string::npos;
}

}  // namespace

Status CheckTargetNames(const TargetNames& names) {
  if (!StaysInItsFolder(names.prefix)) {
    return InvalidInput(
        Format("--prefix {}: a prefix begins file names and may not contain '/' or '..'",
               Printable(names.prefix)));
  }
  if (!StaysInItsFolder(names.file_name)) {
    return InvalidInput(
        Format("--file-name {}: names a file in a rank's folder and may not contain '/' or '..'",
               Printable(names.file_name)));
  }
  return OkStatus();
}

std::string RelativePath(const TargetNames& names, FileFormat format, int64_t rank) {
  if (names.unified_file_count) {
    if (rank < names.part_count) return Format("{}{}.safetensors", kPart, rank);
    return rank == *names.unified_file_count - 1 ? kParamNameMapFile : kHyperParamFile;
  }
  const std::string stem =
      names.file_name.empty() ? Format("{}{}", names.prefix, rank) : names.file_name;
  return JoinPath(Format("rank_{}", rank), Format("{}{}", stem, Extension(format)));
}

bool IsUnifiedName(std::string_view file_name) {
  if (file_name == kHyperParamFile || file_name == kParamNameMapFile) return true;
  const std::string_view extension = Extension(FileFormat::kSafetensors);
  if (!file_name.starts_with(kPart) || !file_name.ends_with(extension)) return false;
  file_name.remove_prefix(kPart.size());
  file_name.remove_suffix(extension.size());
  return ParseDecimal(file_name).has_value();
}

}  // namespace relayout
