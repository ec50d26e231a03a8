// SPDX-License-Identifier: Apache-2.0
//
// Text over the border. Paths are bytes to Linux and go through the file system's encoding, as in
// the os module: any path that os.listdir() gives comes back unchanged. Messages are UTF-8 but for
// the paths in them.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <optional>
#include <string>

namespace relayout::python {

// str, bytes or os.PathLike -> bytes of the file system. Throws TypeError or ValueError.
std::string PathFromPython(nanobind::handle path);
// The same; None is nothing.
std::optional<std::string> OptionalPathFromPython(nanobind::handle path);
nanobind::str PathToPython(const std::string& path);

// What is not UTF-8 shows as \xNN.
nanobind::str TextFromMessage(const std::string& message);

// Dims, vector<int64_t> and the like as a tuple of int.
template <typename Integers>
nanobind::tuple TupleOf(const Integers& integers) {
  nanobind::list list;
  for (const int64_t integer : integers) list.append(integer);
  return nanobind::tuple(list);
}

}  // namespace relayout::python
