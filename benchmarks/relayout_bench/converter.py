# SPDX-License-Identifier: Apache-2.0
"""The command lines that are compared: relayout, and cp of as many bytes."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .workplace import CheckpointSet


@dataclass(frozen=True)
class Crew:
    """How many processes convert, with how many threads each."""

    processes: int
    threads: int

    @property
    def label(self) -> str:
        return f"{self.processes} x {self.threads}"


def has_mpi(relayout: Path) -> bool:
    """Whether the program can be one of several processes, and there is a launcher."""
    version = subprocess.run([relayout, "--version"], capture_output=True, text=True, check=False)
    return "(with MPI)" in version.stdout and shutil.which("mpirun") is not None


def convert(
    relayout: Path, work: CheckpointSet, target: Path, crew: Crew, durable: bool
) -> list[str]:
    """relayout; durable: every file and folder is on disk when it ends."""
    launcher = []
    if crew.processes > 1:
        launcher = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", str(crew.processes)]
    command = [
        *launcher,
        str(relayout),
        "transform",
        str(work.source),
        str(target),
        "--src-strategy",
        str(work.source_strategy),
        "--dst-strategy",
        str(work.target_strategy),
        "--threads",
        str(crew.threads),
    ]
    return command if durable else [*command, "--no-sync"]


def copy(source: Path, target: Path, durable: bool) -> list[str]:
    """cp; durable: followed by an fsync of each file and folder that it made."""
    if not durable:
        return ["cp", "-r", str(source), str(target)]
    script = 'cp -r "$1" "$2" && find "$2" -exec sync {} +'
    return ["sh", "-c", script, "sh", str(source), str(target)]
