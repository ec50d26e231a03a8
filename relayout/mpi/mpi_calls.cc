// SPDX-License-Identifier: Apache-2.0
#include "relayout/mpi/mpi_calls.h"

#include <mpi.h>

#include <algorithm>

#include "relayout/base/text.h"

namespace relayout {
namespace {

const char* ThreadLevelName(int level) {
  if (level == MPI_THREAD_SINGLE) return "MPI_THREAD_SINGLE";
  if (level == MPI_THREAD_FUNNELED) return "MPI_THREAD_FUNNELED";
  return "a thread level that MPI does not define";
}

}  // namespace

Status MpiStatus(int return_code, const char* function) {
  if (return_code == MPI_SUCCESS) return OkStatus();
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  if (MPI_Error_string(return_code, text, &length) != MPI_SUCCESS) {
    return IoError(Format("{}: MPI error {}", function, return_code));
  }
  return IoError(Format("{}: {}", function, std::string_view(text, static_cast<size_t>(length))));
}

Status CheckThreadLevel(int provided) {
  if (provided >= MPI_THREAD_SERIALIZED) return OkStatus();
  return Unsupported(
      Format("the MPI library ({}) gives {}, and relayout needs at least MPI_THREAD_SERIALIZED; "
             "use an MPI that is built with thread support",
             MpiLibrary(), ThreadLevelName(provided)));
}

std::string MpiLibrary() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  if (MPI_Get_library_version(text, &length) != MPI_SUCCESS) return "of unknown version";
  // The rest is about the build; some libraries count the closing zero as well.
  const std::string_view whole(text, static_cast<size_t>(length));
  return std::string(whole.substr(0, whole.find_first_of(std::string_view(",\n\0", 3))));
}

std::vector<int> CountsInWindow(const std::vector<int64_t>& sizes, int64_t begin, int64_t end) {
  std::vector<int> counts;
  counts.reserve(sizes.size());
  int64_t rank_begin = 0;
  for (const int64_t size : sizes) {
    const int64_t rank_end = rank_begin + size;
    const int64_t common = std::min(end, rank_end) - std::max(begin, rank_begin);
    counts.push_back(static_cast<int>(std::max<int64_t>(0, common)));
    rank_begin = rank_end;
  }
  return counts;
}

}  // namespace relayout
