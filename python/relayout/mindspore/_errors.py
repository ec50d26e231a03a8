# SPDX-License-Identifier: Apache-2.0
"""Errors that are caught both as relayout's and as the type that MindSpore raises."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import relayout


class StrategyFileError(relayout.InputError, TypeError):
    """A file that is no strategy: MindSpore raises TypeError for some, ValueError for others."""


class RankError(relayout.InputError, IndexError):
    """A rank that the target does not have."""


def _strategy_fault(path: str) -> str:
    """What is wrong with a strategy file by itself; empty when nothing is."""
    try:
        relayout.load_strategy(path)
    except relayout.InputError as error:
        return str(error)
    return ""


def _rank_count(target_strategy: str | None) -> int:
    return 1 if target_strategy is None else relayout.load_strategy(target_strategy).rank_count


@contextlib.contextmanager
def translated(*strategies: str | None, rank: int | None = None) -> Iterator[None]:
    """Gives errors of the engine MindSpore's types. The last of `strategies` is the target's.

    Whether a strategy or the rank is to blame is looked at after a failure only.
    """
    try:
        yield
    except relayout.InputError as error:
        for path in strategies:
            fault = _strategy_fault(path) if path is not None else ""
            if fault:
                raise made(StrategyFileError, fault) from error
        count = _rank_count(strategies[-1]) if rank is not None else 0
        if rank is not None and not 0 <= rank < count:
            ranks = f"the ranks 0 to {count - 1}" if count > 1 else "rank 0 only"
            raise made(RankError, f"rank {rank}: the target has {ranks}") from error
        raise


def made(kind: type[relayout.InputError], message: str) -> relayout.InputError:
    """An error with the code of bad input."""
    error = kind(message)
    error.code = "invalid_input"
    return error
