# SPDX-License-Identifier: Apache-2.0
"""The temporary folder of a run, which is gone when the run ends, also by a signal."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .scenario import Scenario


class NoRoom(Exception):
    """The disk is too small for the set; says both sizes."""


@dataclass(frozen=True)
class CheckpointSet:
    """A generated source and the strategies to convert it by."""

    folder: Path
    model_bytes: int  # All tensors, each once.

    @property
    def source(self) -> Path:
        return self.folder / "src"

    @property
    def source_strategy(self) -> Path:
        return self.folder / "src_strategy.ckpt"

    @property
    def target_strategy(self) -> Path:
        return self.folder / "dst_strategy.ckpt"


def tree_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _interrupt(*_: object) -> None:
    for number in SIGNALS:  # A second one would cut the cleaning up short.
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def workplace(parent: Path | None) -> Iterator[Path]:
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    with tempfile.TemporaryDirectory(dir=parent, prefix="relayout-bench-") as folder:
        yield Path(folder)


def _need_room(folder: Path, scenario: Scenario, size_bytes: int) -> None:
    # The source, and a target that is either ours, a copy's, or both where cp copies the target.
    sets = 1 + scenario.copies_of_target * (2 if scenario.copies_of_target > 1 else 1)
    needed = sets * size_bytes + (1 << 28)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise NoRoom(
            f"{needed >> 20} MiB needed in {folder}, {free >> 20} MiB free; "
            "choose another --dir or a smaller --size"
        )


@contextmanager
def generated(
    place: Path, generator: Path, scenario: Scenario, size_bytes: int
) -> Iterator[CheckpointSet]:
    """The set of `scenario`, below `place` until the context ends."""
    _need_room(place, scenario, size_bytes)
    folder = place / scenario.name
    try:
        command = [
            str(generator),
            str(folder),
            "--size",
            str(size_bytes),
            "--source",
            scenario.source,
            "--target",
            scenario.target,
            "--columns",
            str(scenario.columns),
        ]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        subprocess.run(["sync", "-f", str(folder)], check=True)
        yield CheckpointSet(folder, int(printed))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
