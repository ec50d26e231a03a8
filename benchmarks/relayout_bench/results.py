# SPDX-License-Identifier: Apache-2.0
"""What a run of the benchmark found, and its form as JSON."""

import dataclasses
import json
from dataclasses import dataclass, field

from .contest import Entry
from .scenario import Scenario


@dataclass
class Row:
    """relayout beside cp in one scenario, one state of the cache, with one crew."""

    scenario: Scenario
    cache: str  # "warm" or "cold"
    crew: str
    is_main: bool  # The crew that goals are set for and the chart shows.
    model_bytes: int
    ours: Entry
    copy: Entry

    @property
    def target_bytes(self) -> int:
        return self.model_bytes * self.scenario.copies_of_target

    @property
    def wanted(self) -> float | None:
        if self.scenario.wanted is None or not self.is_main:
            return None
        return self.scenario.wanted[self.cache == "cold"]

    @property
    def failure(self) -> str:
        return self.ours.failure or self.copy.failure

    @property
    def ratio(self) -> float:
        return self.ours.ratio_to(self.copy)

    @property
    def misses(self) -> bool:
        return self.wanted is not None and self.ratio > self.wanted


@dataclass
class PeerRow:
    """Another converter beside relayout and cp, page cache warm, no fsync."""

    tool: str
    work: str
    model_bytes: int
    peer: Entry | None = None  # None: not run; `missing` says why.
    ours: Entry | None = None
    copy: Entry | None = None
    missing: str = ""

    @property
    def failure(self) -> str:
        if self.missing:
            return self.missing
        entries = [entry for entry in (self.peer, self.ours, self.copy) if entry]
        unfinished = not entries or not all(entry.runs for entry in entries)
        return next(
            (entry.failure for entry in entries if entry.failure),
            "interrupted" if unfinished else "",
        )


@dataclass
class Results:
    machine: dict[str, str]
    memcpy_bytes_per_second: float
    settings: dict[str, str]
    cold_method: str = ""
    rows: list[Row] = field(default_factory=list)
    peers: list[PeerRow] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    is_complete: bool = True  # False: a scenario could not be measured; a remark says why.

    def copy_bytes_per_second(self, cache: str) -> float | None:
        """What cp reached in the first scenario that it was timed in."""
        rows = (row for row in self.rows if row.cache == cache and not row.failure)
        row = next(rows, None)
        return row.target_bytes / row.copy.seconds if row else None


def to_json(results: Results) -> str:
    """Everything, each run by itself."""
    return json.dumps(dataclasses.asdict(results), indent=1, default=str) + "\n"
