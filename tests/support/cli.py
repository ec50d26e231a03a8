# SPDX-License-Identifier: Apache-2.0
"""Runs the real program in a real, temporary folder."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "tests" / "data" / "tutorial"
NOBODY = 65534


def program() -> str:
    return os.environ["RELAYOUT"]


def launcher() -> list[str] | None:
    """mpirun up to the number of processes; None without it. Open MPI's, because the scripts of
    tests ask it which process they are."""
    mpirun = shutil.which("mpirun")
    if mpirun is None:
        return None
    version = subprocess.run([mpirun, "--version"], capture_output=True, text=True, check=False)
    if not re.search("Open MPI|OpenRTE", version.stdout):
        return None
    return [mpirun, "--allow-run-as-root", "--oversubscribe", "-n"]


def has_mpi() -> bool:
    done = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True)
    return "with MPI" in done.stdout


class CliTest(unittest.TestCase):
    """self.folder is an empty folder, removed after the test."""

    maxDiff = None

    def setUp(self) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="relayout-"))
        self.addCleanup(self._remove_folder)

    def _remove_folder(self) -> None:
        for folder, _, _ in os.walk(self.folder):
            if not os.access(folder, os.W_OK | os.X_OK):
                os.chmod(folder, 0o755)
        shutil.rmtree(self.folder)

    def run_cli(self, *arguments: object, **options) -> subprocess.CompletedProcess:
        command = [program(), *map(str, arguments)]
        options = {"capture_output": True, "text": True, "timeout": 120} | options
        return subprocess.run(command, check=False, **options)

    def ok(self, *arguments: object, **options) -> str:
        """Runs a command that must succeed, silently on stderr. Returns stdout."""
        done = self.run_cli(*arguments, **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        return done.stdout

    def ok_json(self, *arguments: object, **options) -> dict:
        result = json.loads(self.ok(*arguments, "--json", **options))
        self.assertIs(result["ok"], True)
        return result

    def refused(self, exit_code: int, *arguments: object, **options) -> str:
        """Runs a command that must fail so, silently on stdout. Returns its message."""
        done = self.run_cli(*arguments, **options)
        self.assertEqual((done.returncode, done.stdout), (exit_code, ""), done)
        self.assertTrue(done.stderr.startswith("relayout: error: "), done.stderr)
        return done.stderr

    def as_mere_user(self) -> dict:
        """Options for run_cli under which permissions count, also when the tests run as root."""
        if os.getuid() != 0:
            return {}
        # Others may not reach the build folder: the program is copied to where they can.
        self.folder.chmod(0o755)
        copy = self.folder / "relayout-copy"
        if not copy.exists():
            shutil.copy(program(), copy)
            copy.chmod(0o755)
        return {"user": NOBODY, "group": NOBODY, "extra_groups": [], "executable": str(copy)}


def hashes(folder: pathlib.Path) -> dict[str, str]:
    """SHA-256 of every file below the rank folders, by its path."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.glob("rank_*/*"))}  # fmt: skip


def everything(folder: pathlib.Path) -> set[str]:
    """All paths below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def retrain(source: pathlib.Path = TUTORIAL / "retrain" / "src_checkpoints") -> list[object]:
    """SRC and the strategies of the 8 -> 4 case: transform, verify DST placed between."""
    case = TUTORIAL / "retrain"
    return [source, "--src-strategy", case / "src_strategy.ckpt",
            "--dst-strategy", case / "dst_strategy.ckpt"]  # fmt: skip
