# SPDX-License-Identifier: Apache-2.0
"""The one door to the engine: convert(), with MindSpore's exceptions and a log of its notes."""

from __future__ import annotations

import logging
from typing import Any

import relayout
from relayout.mindspore import _errors

_LOG = logging.getLogger("relayout.mindspore")
# What tells that the target has less than somebody might expect; other notes are information.
_WARNINGS = ("left_out", "missing", "unplaced", "disagreement", "missing_rank", "empty")


def convert(
    source: Any,
    target: str | None = None,
    *,
    source_strategy: str | None = None,
    target_strategy: str | None = None,
    rank: int | None = None,
    **options: Any,
) -> None:
    """relayout.convert() with `ranks` [rank], or all; replaces what is there.

    Only files that have the names of the new ones are replaced: MindSpore's users keep several
    conversions, by prefix, and trainings in the same folders.

    Each process works for itself, also under mpirun, as with MindSpore: scripts convert in one
    process while the others wait, and would wait for ever if these had a part in it.

    Raises:
        StrategyFileError, RankError: see _errors.
        InputError, MachineError: as relayout.convert().
    """
    options |= {
        "source_strategy": source_strategy,
        "target_strategy": target_strategy,
        "ranks": () if rank is None else [rank],
        "overwrite": True,
        "keep_others": True,
        "alone": True,
    }
    with _errors.translated(source_strategy, target_strategy, rank=rank):
        try:
            report = relayout.convert(source, target, **options)
        except relayout.InputError as error:
            files = _files_there(error, source, source_strategy, options.pop("file_suffix", None))
            if not files:
                raise
            report = relayout.convert(files, target, **options)
    for note in report.notes:
        level = logging.WARNING if note.kind in _WARNINGS else logging.INFO
        _LOG.log(level, "%s", note.message)


def _files_there(
    error: relayout.InputError, source: Any, strategy: str | None, file_suffix: str | None
) -> dict[int, str]:
    """The files of a folder when it was refused because ranks are missing; else nothing.

    MindSpore does not mind missing folders of ranks that hold the same as others. Of files that are
    named one by one, convert() does not ask for all either, only that every slice is there.
    """
    if error.code != "not_found" or not isinstance(source, str) or strategy is None:
        return {}
    checkpoint = relayout.open(source, strategy=strategy, file_suffix=file_suffix)
    return checkpoint.files if checkpoint.missing_ranks else {}
