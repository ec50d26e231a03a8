# SPDX-License-Identifier: Apache-2.0
"""Runs one command and says what it took."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


class CommandFailed(Exception):
    """The command line, its exit status and the last line that it said."""


@dataclass(frozen=True)
class Measurement:
    seconds: float
    cpu_seconds: float  # All threads and processes, in the kernel and outside.
    peak_bytes: int  # Of the largest process of the command's tree (ru_maxrss).
    io: dict[str, int]  # /proc/PID/io of the tree: rchar, wchar, read_bytes, write_bytes, ...
    said: str  # The last line of the output.


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


def _finish(process: subprocess.Popen[bytes]) -> int:
    """Waits; interrupted, ends the command with all its processes first."""
    try:
        return process.wait()
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


@dataclass(frozen=True)
class Stopwatch:
    program: Path  # See stopwatch.cc.

    def measure(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> Measurement:
        with tempfile.TemporaryDirectory(prefix="relayout-bench-") as folder:
            report, output = Path(folder, "report"), Path(folder, "output")
            with output.open("wb") as sink:
                status = _finish(
                    subprocess.Popen(
                        [self.program, report, *command],
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=sink,
                        stderr=sink,
                        start_new_session=True,
                    )
                )
            said = _last_line(output)
            if status != 0:
                raise CommandFailed(f"{' '.join(command)}: exit status {status}: {said}")
            values = dict(line.split() for line in report.read_text().splitlines())
        return Measurement(
            seconds=float(values.pop("seconds")),
            cpu_seconds=float(values.pop("cpu_seconds")),
            peak_bytes=int(values.pop("peak_bytes")),
            io={name: int(value) for name, value in values.items()},
            said=said,
        )
