# SPDX-License-Identifier: Apache-2.0
"""MindSpore's and PyTorch's converters on work that relayout and cp do beside them."""

import dataclasses
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import cache, converter
from .bench import Bench, say
from .contest import Entry, compete
from .measure import CommandFailed
from .results import PeerRow
from .scenario import BY_NAME, Scenario
from .workplace import CheckpointSet

PROGRAMS = Path(__file__).parent / "peer_programs"
MINDSPORE = Path("build/msvenv")
TORCH = Path("build/torchvenv")

# A round of MindSpore's takes 20 to 30 copies; more rounds would not tell more.
ROUNDS = 3
MINDSPORE_WORK = ("rows-8-4", "columns-8-4", "to-one")
# Sets above this make MindSpore, which needs several times their size, too large for many machines.
MAX_SIZE_BYTES = 1 << 30


@dataclass(frozen=True)
class TorchTool:
    name: str
    kind: str  # As torch_merge.py says it; also the folder with the shards.


TORCH_TOOLS = (
    TorchTool("torch dcp_to_torch_save", "dcp"),
    TorchTool("torch consolidate_safetensors", "safetensors"),
)


def _is_complete(environment: Path) -> bool:
    return (environment / "complete").exists()


def _with_own_clock(entry: Entry) -> None:
    """Counts what a peer says that its call took, not the start of Python."""
    entry.runs = [dataclasses.replace(run, seconds=float(run.said)) for run in entry.runs]


@dataclass
class Peers:
    bench: Bench

    def run(self, place: Path) -> None:
        size_bytes = min(self.bench.settings.size_bytes, MAX_SIZE_BYTES)
        for name in MINDSPORE_WORK[:1] if self.bench.settings.is_quick else MINDSPORE_WORK:
            self.bench.with_set(place, BY_NAME[name], size_bytes, self._mindspore)
        self.bench.with_set(place, BY_NAME["to-one"], size_bytes, self._torch)

    def _row(self, tool: str, scenario: Scenario, work: CheckpointSet) -> PeerRow:
        row = PeerRow(tool, scenario.name, work.model_bytes)
        self.bench.results.peers.append(row)
        return row

    def _compete(self, row: PeerRow, work: CheckpointSet, command: list[str]) -> None:
        say(f"{row.tool}: {row.work}")
        folder = work.folder
        row.copy = Entry(
            "cp", converter.copy(work.source, folder / "copy", durable=False), folder / "copy"
        )
        row.ours = self.bench.entry(work, self.bench.settings.main_crew(), durable=False)
        row.peer = Entry(row.tool, command, folder / "peer", {**os.environ, "GLOG_v": "4"})
        cache.make_warm(folder)
        compete(
            [row.copy, row.ours, row.peer],
            self.bench.programs.stopwatch,
            ROUNDS,
            lambda: None,
            warm_up=False,
        )
        _with_own_clock(row.peer)

    def _mindspore(self, scenario: Scenario, work: CheckpointSet) -> None:
        row = self._row("MindSpore transform_checkpoints", scenario, work)
        if not _is_complete(MINDSPORE):
            row.missing = "MindSpore could not be installed: build/msvenv.log"
            return
        self._compete(
            row,
            work,
            [
                str(MINDSPORE / "bin/python"),
                str(PROGRAMS / "mindspore_transform.py"),
                str(work.source),
                str(work.folder / "peer"),
                str(work.source_strategy),
                str(work.target_strategy),
            ],
        )

    def _torch(self, scenario: Scenario, work: CheckpointSet) -> None:
        python = str(TORCH / "bin/python")
        shards = work.folder / "shards"
        missing = (
            "" if _is_complete(TORCH) else "PyTorch could not be installed: build/torchvenv.log"
        )
        if not missing:
            missing = self._save_shards(work, python, shards)
        for tool in TORCH_TOOLS:
            row = self._row(tool.name, scenario, work)
            row.missing = missing
            if not missing:
                self._compete(
                    row,
                    work,
                    [
                        python,
                        str(PROGRAMS / "torch_merge.py"),
                        tool.kind,
                        str(shards / tool.kind),
                        str(work.folder / "peer"),
                    ],
                )

    def _save_shards(self, work: CheckpointSet, python: str, shards: Path) -> str:
        """The same tensors as PyTorch saves them; says why not if that fails."""
        say("torch: saving the shards to merge")
        described = work.folder / "tensors.json"
        described.write_text(json.dumps(list(self._tensors_of(work))))
        ranks = len(list(work.source.iterdir()))
        try:
            self.bench.programs.stopwatch.measure(
                [
                    python,
                    str(PROGRAMS / "torch_save_shards.py"),
                    str(described),
                    str(shards),
                    str(ranks),
                ]
            )
        except CommandFailed as error:
            return str(error)
        return ""

    def _tensors_of(self, work: CheckpointSet) -> Iterator[tuple[str, str, list[int]]]:
        command = [
            str(self.bench.programs.relayout),
            "inspect",
            str(work.source),
            "--strategy",
            str(work.source_strategy),
            "--json",
        ]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        for value in json.loads(printed)["values"]:
            if value.get("whole_shape"):  # Not the step counter.
                yield value["name"], value["type"], value["whole_shape"]
