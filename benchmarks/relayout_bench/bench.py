# SPDX-License-Identifier: Apache-2.0
"""One run of the benchmark: every scenario beside cp, then the other converters."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import cache, converter, workplace
from .contest import Entry, compete
from .converter import Crew
from .measure import CommandFailed, Stopwatch
from .results import Results, Row
from .scenario import Scenario
from .workplace import CheckpointSet


@dataclass(frozen=True)
class Programs:
    relayout: Path
    generator: Path
    memcpy_probe: Path
    stopwatch: Stopwatch


@dataclass(frozen=True)
class Settings:
    size_bytes: int
    rounds: int
    scenarios: Sequence[Scenario]
    caches: Sequence[str]
    cold_without_goal: bool  # Also scenarios for which no R is wanted.
    threads: Sequence[int]
    processes: Sequence[int]
    is_quick: bool

    def caches_of(self, scenario: Scenario) -> Sequence[str]:
        skips_cold = scenario.wanted is None and not self.cold_without_goal
        return [state for state in self.caches if state != "cold" or not skips_cold]

    def rounds_of(self, state: str) -> int:
        """The disk is slow and the same for everybody: three rounds tell enough."""
        return min(self.rounds, 3) if state == "cold" else self.rounds

    def main_crew(self) -> Crew:
        return Crew(1, max(self.threads))

    def crews(self, with_mpi: bool) -> list[Crew]:
        several = [Crew(count, 1) for count in self.processes if count > 1 and with_mpi]
        alone = [Crew(1, count) for count in self.threads] if 1 in self.processes else []
        return [*alone, *several]

    def described(self) -> dict[str, str]:
        return {
            "set": f"{self.size_bytes / 2**20:.0f} MiB",
            "rounds": f"{self.rounds_of('warm')} warm, {self.rounds_of('cold')} cold",
        }


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


@dataclass
class Bench:
    programs: Programs
    settings: Settings
    results: Results
    with_mpi: bool

    def run(self, place: Path) -> None:
        for scenario in self.settings.scenarios:
            say(f"{scenario.name}: {scenario.layouts}")
            self.with_set(place, scenario, self.settings.size_bytes, self._measure)
        if not self.with_mpi and any(count > 1 for count in self.settings.processes):
            self.results.remarks.append("several processes: skipped: built without MPI")

    def with_set(
        self,
        place: Path,
        scenario: Scenario,
        size_bytes: int,
        use: Callable[[Scenario, CheckpointSet], None],
    ) -> None:
        """Generates the set for `use`. What goes wrong concerns this set only, and is reported."""
        try:
            with workplace.generated(place, self.programs.generator, scenario, size_bytes) as work:
                use(scenario, work)
        except (workplace.NoRoom, CommandFailed, subprocess.CalledProcessError, OSError) as error:
            self.results.remarks.append(f"{scenario.name}: {error}")
            self.results.is_complete = False

    def _measure(self, scenario: Scenario, work: CheckpointSet) -> None:
        to_copy = work.source
        if scenario.copies_of_target > 1:
            to_copy = self._converted(work)
        for state in self.settings.caches_of(scenario):
            self._compare(scenario, work, to_copy, state)

    def _converted(self, work: CheckpointSet) -> Path:
        """The target as files for cp, where it is larger than the source."""
        path = work.folder / "reference"
        self.programs.stopwatch.measure(
            converter.convert(
                self.programs.relayout, work, path, self.settings.main_crew(), durable=True
            )
        )
        return path

    def _compare(self, scenario: Scenario, work: CheckpointSet, to_copy: Path, state: str) -> None:
        is_cold = state == "cold"
        main_crew = self.settings.main_crew()
        crews = [main_crew] if is_cold else self.settings.crews(self.with_mpi)
        target = work.folder / "copy"
        copy = Entry("cp", converter.copy(to_copy, target, durable=is_cold), target)
        ours = [self.entry(work, crew, durable=is_cold) for crew in crews]
        self._compete([copy, *ours], work, state)
        for crew, entry in zip(crews, ours, strict=True):
            row = Row(
                scenario=scenario,
                cache=state,
                crew=crew.label,
                is_main=crew == main_crew,
                model_bytes=work.model_bytes,
                ours=entry,
                copy=copy,
            )
            self.results.rows.append(row)

    def entry(self, work: CheckpointSet, crew: Crew, durable: bool) -> Entry:
        target = work.folder / "out"
        command = converter.convert(self.programs.relayout, work, target, crew, durable)
        return Entry(crew.label, command, target)

    def _compete(self, entries: Sequence[Entry], work: CheckpointSet, state: str) -> None:
        stopwatch, rounds = self.programs.stopwatch, self.settings.rounds_of(state)
        if state == "cold":
            compete(entries, stopwatch, rounds, lambda: self._chill(work), warm_up=False)
        else:
            cache.make_warm(work.folder)
            compete(entries, stopwatch, rounds, lambda: None, warm_up=True)

    def _chill(self, work: CheckpointSet) -> None:
        self.results.cold_method = cache.make_cold(work.folder)
