# SPDX-License-Identifier: Apache-2.0
"""Checks: is a conversion right, do two checkpoints hold the same?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from relayout import _core
from relayout._arguments import (
    ProgressFunction,
    Source,
    StepLike,
    StrPath,
    progress_of,
    ranks_of,
    set_of,
    threads_of,
)
from relayout._errors import InputError


@dataclass(frozen=True)
class VerifyReport:
    """What verify() found. True in a condition if the target is right."""

    file_count: int
    value_count: int
    """Tensors (and strings) of all files."""
    compared_bytes: int
    problems: list[str]
    """What is wrong, one line each, the first 100 of `problem_count`."""
    problem_count: int

    def __bool__(self) -> bool:
        return self.problem_count == 0


def verify(
    source: Source | None,
    target: Source,
    *,
    source_strategy: StrPath | None = None,
    target_strategy: StrPath | None = None,
    ranks: Iterable[int] = (),
    keep_extra: bool = False,
    remove_redundancy: bool = False,
    step: StepLike | None = None,
    file_suffix: str | None = None,
    threads: int = 0,
    progress: ProgressFunction | None = None,
) -> VerifyReport:
    """Checks a converted checkpoint element by element against its source, without the planner.

    With ``source=None`` files are held against the manifest that convert() left in ``target``
    instead. This finds damage, not a wrong conversion, and takes no strategies.

    Args:
        source: What was converted, as for convert().
        target: The result: a folder, or a file, or ``{rank: file}``.
        source_strategy: How the source is sharded.
        target_strategy: How the target is sharded.
        ranks: Check only these target ranks.
        keep_extra: The target was made with ``keep_extra``.
        remove_redundancy: It was made with ``remove_redundancy``.
        step: Which files of the source, as for convert().
        file_suffix: Likewise.
        threads: 0: one for each processor.
        progress: As for convert(), of bytes compared.

    Returns:
        A report; what is wrong with the target is in it and raises nothing.

    Raises:
        InputError: Something cannot be read, or there is no manifest.
        MachineError: The machine failed.
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    wanted, thread_count = ranks_of(ranks), threads_of(threads)
    progress_of(progress)
    _core.raise_open_file_limit()
    if source is None:
        if (
            source_strategy is not None
            or target_strategy is not None
            or keep_extra
            or step
            or file_suffix
        ):
            raise InputError(
                "without a source the target is held against its manifest: leave out strategies, "
                "step, file_suffix and keep_extra, or give the source"
            )
        if isinstance(target, Mapping):
            raise InputError("a manifest belongs to a folder: give the folder, or the source")
        return VerifyReport(**_core.verify_manifest(target, wanted, thread_count, progress))
    return VerifyReport(
        **_core.verify(
            set_of(source, source_strategy, step, file_suffix),
            set_of(target, target_strategy),
            wanted,
            keep_extra,
            remove_redundancy,
            thread_count,
            progress,
        )
    )


class Difference(NamedTuple):
    """A tensor that is not the same in two checkpoints."""

    name: str
    text: str
    """E.g. "only in a" or "12 of 32 elements differ, the first at [0,3]"."""


@dataclass(frozen=True)
class DiffReport:
    """What diff() found. True in a condition if there are differences."""

    equal_count: int
    compared_bytes: int
    differences: list[Difference]

    def __bool__(self) -> bool:
        return bool(self.differences)


def diff(
    a: Source,
    b: Source,
    *,
    a_strategy: StrPath | None = None,
    b_strategy: StrPath | None = None,
    threads: int = 0,
    progress: ProgressFunction | None = None,
) -> DiffReport:
    """Compares two checkpoints tensor by tensor, whatever their shardings.

    Args:
        a: A checkpoint: a folder, a file, or ``{rank: file}``.
        b: Another.
        a_strategy: How `a` is sharded; None: whole on one rank.
        b_strategy: How `b` is sharded.
        threads: 0: one for each processor.
        progress: As for convert(), of bytes compared.

    Raises:
        InputError: Something cannot be read.
        MachineError: The machine failed.
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    thread_count = threads_of(threads)
    progress_of(progress)
    _core.raise_open_file_limit()
    report = _core.diff(set_of(a, a_strategy), set_of(b, b_strategy), thread_count, progress)
    report["differences"] = [Difference(*difference) for difference in report["differences"]]
    return DiffReport(**report)
