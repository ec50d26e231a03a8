# SPDX-License-Identifier: Apache-2.0
"""Arguments as users give them -> as the engine wants them."""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, SupportsIndex, Union

from relayout import _core
from relayout._errors import InputError

StrPath = Union[str, "os.PathLike[str]"]
# A folder of rank folders, one file, or the file of each rank.
Source = Union[StrPath, Mapping[int, StrPath]]

# Called with (done_bytes, total_bytes).
ProgressFunction = Callable[[int, int], Any]

MAX_THREADS = 1024


class Step(NamedTuple):
    """Where in its training a checkpoint was saved, as file names say it: ``net-10_5.ckpt``."""

    epoch: int
    step: int


# Step(10, 5), (10, 5) or "10_5".
StepLike = Union[str, "tuple[int, int]"]


def int64_of(name: str, value: SupportsIndex) -> int:
    """Checks that an integer is one that the engine can take."""
    number = operator.index(value)
    if not -(1 << 63) <= number < 1 << 63:
        raise InputError(f"{name}={number} is out of range")
    return number


def step_of(step: StepLike | None) -> Step | None:
    """Checks a step."""
    if step is None:
        return None
    if isinstance(step, str):
        match = re.fullmatch(r"([0-9]+)_([0-9]+)", step)
        if match is None:
            raise InputError(f"step {step!r}: give 'EPOCH_STEP', e.g. '10_5', or (10, 5)")
        return Step(int64_of("step", int(match[1])), int64_of("step", int(match[2])))
    epoch, number = step
    return Step(int64_of("step", epoch), int64_of("step", number))


def set_of(
    source: Source,
    strategy: StrPath | None,
    step: StepLike | None = None,
    file_suffix: str | None = None,
) -> _core.SetSpec:
    """A checkpoint set."""
    if isinstance(source, Mapping):
        if not source:
            raise InputError("the source is an empty mapping; give the file of each rank")
        files = {rank_of(rank): path for rank, path in source.items()}
        return _core.SetSpec(None, files, strategy, step_of(step), file_suffix or "")
    if not os.fspath(source):
        raise InputError("the path of the checkpoint is empty")
    return _core.SetSpec(source, {}, strategy, step_of(step), file_suffix or "")


def path_of(name: str, path: StrPath) -> StrPath:
    """Checks a path that is to be written."""
    if not os.fspath(path):
        raise InputError(f"{name} is an empty path")
    return path


def progress_of(progress: ProgressFunction | None) -> None:
    """Checks a progress function before anything depends on it."""
    if progress is not None and not callable(progress):
        raise TypeError(f"progress={progress!r} is not a function of two numbers")


def rank_of(rank: int) -> int:
    """Checks a rank's number."""
    number = int64_of("rank", rank)
    if number < 0:
        raise InputError(f"rank {number}: ranks are counted from 0")
    return number


def ranks_of(ranks: Iterable[int]) -> list[int]:
    """Checks the numbers of ranks."""
    return [rank_of(rank) for rank in ranks]


def threads_of(threads: int) -> int:
    """Checks a number of threads; 0 = one for each processor."""
    number = operator.index(threads)
    if not 0 <= number <= MAX_THREADS:
        raise InputError(f"threads={number}: give 1 to {MAX_THREADS}, or 0 for one a processor")
    return number


def bytes_of(size: int | str, name: str = "memory") -> int:
    """268435456 or "256MiB" as bytes."""
    if not isinstance(size, str):
        return int64_of(name, size)
    number = _core.parse_bytes(size)
    if number is None:
        raise InputError(f"{name}={size!r} is not a size; write e.g. '256MiB' or '1GiB'")
    return number
