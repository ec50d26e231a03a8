// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>

#include <optional>
#include <string>

#include "python/src/bindings.h"
#include "python/src/comm_capsule.h"
#include "python/src/run.h"
#include "relayout/comm/comm.h"
#include "relayout/comm/launch.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

// How this process was started together with others, in words; None if it was not.
nb::object DescribeLaunch() {
  const Launch launch = DetectLaunch();
  if (!launch.needs_mpi()) return nb::none();
  return nb::str(Describe(launch).c_str());
}

// Collective. Gives everybody the bytes of process 0.
nb::bytes Broadcast(nb::handle world, const nb::bytes& bytes) {
  Comm& comm = *CommOf(world);
  const std::string mine(bytes.c_str(), bytes.size());
  const auto got = RunBriefly<std::string>([&]() -> Result<std::string> {
    std::string text = mine;
    RELAYOUT_RETURN_IF_ERROR(comm.Broadcast(text, 0));
    return text;
  });
  return nb::bytes(got.data(), got.size());
}

}  // namespace

Comm* CommOf(nb::handle world) {
  if (world.is_none()) return nullptr;
  void* const comm = PyCapsule_GetPointer(world.ptr(), kCommCapsuleName);
  if (comm == nullptr) throw nb::python_error();
  return static_cast<Comm*>(comm);
}

void BindWorld(nb::module_& module) {
  module.def("describe_launch", &DescribeLaunch);
  module.def("broadcast", &Broadcast, nb::arg("world"), nb::arg("bytes"));
  module.def("stop_all_runs", &StopAllRuns);
}

}  // namespace relayout::python
