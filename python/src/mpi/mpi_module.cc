// SPDX-License-Identifier: Apache-2.0
//
// The extension module relayout._mpi: the processes of mpirun or srun as a capsule that
// relayout._core takes. A module of its own, so that the package works where no MPI library is: it
// is imported only in a process that was started as one of many.
#include <nanobind/nanobind.h>

#include <memory>

#include "python/src/comm_capsule.h"
#include "python/src/errors.h"
#include "relayout/comm/launch.h"
#include "relayout/mpi/mpi_comm.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

// Never destroyed by itself: MPI ends when Leave() is called, or with the process.
std::unique_ptr<Comm>& World() {
  static auto& world = *new std::unique_ptr<Comm>;
  return world;
}

// Waits for the other processes, which join too.
nb::capsule Join() {
  Status status;
  {
    const nb::gil_scoped_release unlocked;
    Result<std::unique_ptr<Comm>> world = InitMpi(DetectLaunch());
    status = world.status();
    if (world.ok()) World() = std::move(world).value();
  }
  ThrowIfFailed(status);
  return {World().get(), kCommCapsuleName};
}

// Waits for the other processes, which leave too. After a failure of a collective this may be the
// end of the process.
void Leave() {
  const nb::gil_scoped_release unlocked;
  World().reset();
}

}  // namespace
}  // namespace relayout::python

NB_MODULE(_mpi, module) {
  module.doc() = "The processes of mpirun. Use the package relayout instead.";
  relayout::python::RegisterErrors();
  module.def("join", &relayout::python::Join);
  module.def("leave", &relayout::python::Leave);
}
