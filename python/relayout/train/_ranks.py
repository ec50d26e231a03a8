# SPDX-License-Identifier: Apache-2.0
"""Ranks: threads of this process, or the processes of mpirun."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from relayout import _train, _world
from relayout._arguments import int64_of
from relayout._errors import InputError

T = TypeVar("T")


class Comm:
    """A rank and its connection to the others. From run_ranks(); ends when its function returns.
    ``Comm()`` is a rank that is alone."""

    __slots__ = ("_comm",)

    def __init__(self) -> None:
        self._comm = _train.Comm()

    @classmethod
    def _of(cls, comm: _train.Comm) -> Comm:
        self = cls.__new__(cls)
        self._comm = comm
        return self

    @property
    def rank(self) -> int:
        """This rank, from 0 (MindSpore: get_rank())."""
        return self._comm.rank

    @property
    def size(self) -> int:
        """How many ranks there are (MindSpore: get_group_size())."""
        return self._comm.size

    def barrier(self) -> None:
        """Waits until all ranks have called it.

        Raises:
            MachineError: A rank has ended, or cannot be reached.
        """
        self._comm.barrier()

    def __repr__(self) -> str:
        return f"<relayout.train.Comm: rank {self.rank} of {self.size}>"


def run_ranks(count: int, main: Callable[[Comm], T], *, threads: int = 0) -> dict[int, T]:
    """Runs ``main(comm)`` on `count` ranks, and waits for them.

    In a program that mpirun or srun started as several processes, each process is one rank, and
    calls this. Otherwise the ranks are threads of this process; they calculate side by side, and
    take turns where they run Python code.

    An exception in a rank stops the others: within seconds, where they wait for one another. With
    threads, the first one is raised here once all have ended, and Ctrl-C stops all ranks. A process
    of mpirun raises its own; the others fail when it ends.

    Args:
        count: Of all ranks; under mpirun the number of processes.
        main: Called with each rank's Comm. What it is given and what it returns is shared by
            threads.
        threads: That each rank calculates with. 0: the processors are divided among the ranks.

    Returns:
        What `main` returned, by rank: of those in this process.

    Raises:
        InputError: `count` is not possible here.
    """
    number = int64_of("count", count)
    team = int64_of("threads", threads)
    if not callable(main):
        raise TypeError(f"main={main!r} is not a function of a Comm")

    def call(comm: _train.Comm) -> T:
        return main(Comm._of(comm))

    with _world.joined() as world:
        if world is not None:
            rank = _train.process_rank(world, team)
            if rank.size != number:
                raise InputError(
                    f"run_ranks({number}, ...) in a program that was started as {rank.size} "
                    f"processes; start it with mpirun -n {number}"
                )
            return {rank.rank: call(rank)}
    results: dict[int, Any] = _train.run_ranks(number, call, team)
    return results
