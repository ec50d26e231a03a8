# SPDX-License-Identifier: Apache-2.0
"""The processes that mpirun or srun started together with this one."""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
from collections.abc import Iterator

from relayout import _core
from relayout._errors import InputError

# One thread at a time may talk to the other processes; within run_ranks it may also convert.
_lock = threading.RLock()
_world: object | None = None
_has_left = False


@contextlib.contextmanager
def joined() -> Iterator[object | None]:
    """All processes, to share a conversion with; None if this one is alone.

    Raises:
        InputError: There are others, but no MPI to reach them.
    """
    launch = _core.describe_launch()
    if launch is None:
        yield None
        return
    with _lock:
        yield _join(launch)


def _join(launch: str) -> object:
    """Joins the others, once a process; waits until they join."""
    global _world
    if _has_left:
        raise _unsupported(f"this process was started {launch}, and is about to end")
    if _world is None:
        try:
            from relayout import _mpi
        except ImportError as error:
            raise _unsupported(
                f"this process was started {launch}, but this relayout cannot use MPI ({error}): "
                "each process would do everything; install relayout again where an MPI library is, "
                "start one process, or convert in one of them with alone=True"
            ) from error
        try:
            _world = _mpi.join()
        except InputError as error:
            raise _unsupported(f"{error}; convert in one process, with alone=True") from None
        atexit.register(_leave)
    return _world


def _unsupported(message: str) -> InputError:
    error = InputError(message)
    error.code = "unsupported"
    return error


def _leave() -> None:
    """Ends MPI. After a failure that may be the end of all processes, so what was printed goes out
    before."""
    global _world, _has_left
    from relayout import _mpi

    _core.stop_all_runs()
    training = sys.modules.get("relayout._train")
    if training is not None:
        training.stop_all_runs()
    with _lock:
        _world, _has_left = None, True
        sys.stdout.flush()
        sys.stderr.flush()
        _mpi.leave()
