# SPDX-License-Identifier: Apache-2.0
"""The one door to the engine: convert(), with MindSpore's exceptions and a log of its notes."""

from __future__ import annotations

import logging
from typing import Any

import relayout
from relayout.mindspore import _errors

_LOG = logging.getLogger("relayout.mindspore")
# What tells that the target has less than somebody might expect; other notes are information.
_WARNINGS = ("left_out", "missing", "scratch", "unplaced", "disagreement", "missing_rank")


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

    Each process works for itself, also under mpirun, as with MindSpore: scripts convert in one
    process while the others wait, and would wait for ever if these had a part in it.

    Raises:
        StrategyFileError, RankError: see _errors.
        InputError, MachineError: as relayout.convert().
    """
    with _errors.translated(source_strategy, target_strategy, rank=rank):
        report = relayout.convert(
            source,
            target,
            source_strategy=source_strategy,
            target_strategy=target_strategy,
            ranks=() if rank is None else [rank],
            overwrite=True,
            alone=True,
            **options,
        )
    for note in report.notes:
        level = logging.WARNING if note.kind in _WARNINGS else logging.INFO
        _LOG.log(level, "%s", note.message)
