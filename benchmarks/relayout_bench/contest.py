# SPDX-License-Identifier: Apache-2.0
"""Commands that do comparable work and take turns, so that what else the machine does and the heat
of the moment hit all of them alike."""

import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .measure import CommandFailed, Measurement, Stopwatch


@dataclass
class Entry:
    """One command of a contest and its runs."""

    label: str
    command: Sequence[str]
    output: Path  # Removed after each run.
    environment: Mapping[str, str] | None = None
    runs: list[Measurement] = field(default_factory=list)
    failure: str = ""

    @property
    def seconds(self) -> float:
        return statistics.median(run.seconds for run in self.runs)

    @property
    def cpu_seconds(self) -> float:
        return statistics.median(run.cpu_seconds for run in self.runs)

    @property
    def peak_bytes(self) -> int:
        return max(run.peak_bytes for run in self.runs)

    def io(self, counter: str) -> float | None:
        values = [run.io[counter] for run in self.runs if counter in run.io]
        return statistics.median(values) if values else None

    def ratio_to(self, other: "Entry") -> float:
        """The median of the rounds' ratios: a slow moment of the machine hits both sides of one."""
        pairs = zip(self.runs, other.runs, strict=True)
        return statistics.median(mine.seconds / its.seconds for mine, its in pairs)

    def best_ratio_to(self, other: "Entry") -> float:
        """Of the fastest runs: those that others disturbed least."""
        return min(run.seconds for run in self.runs) / min(run.seconds for run in other.runs)

    def cpu_ratio_to(self, other: "Entry") -> float:
        """Less than the time does this depend on who else uses the machine."""
        return self.cpu_seconds / max(other.cpu_seconds, 1e-9)


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _take_turn(
    entry: Entry, stopwatch: Stopwatch, prepare: Callable[[], object], keep: bool
) -> None:
    prepare()
    try:
        run = stopwatch.measure(entry.command, entry.environment)
        if keep:
            entry.runs.append(run)
    except CommandFailed as error:
        entry.failure = str(error)
    finally:
        remove(entry.output)


def compete(
    entries: Sequence[Entry],
    stopwatch: Stopwatch,
    rounds: int,
    prepare: Callable[[], object],
    warm_up: bool,
) -> None:
    """`rounds` times each entry once, in an order that turns; `prepare` before each. An entry that
    fails is out. The warm-up is one more round that does not count."""
    for number in range(-1 if warm_up else 0, rounds):
        shift = max(number, 0) % len(entries)
        for entry in [*entries[shift:], *entries[:shift]]:
            if not entry.failure:
                _take_turn(entry, stopwatch, prepare, keep=number >= 0)
