# SPDX-License-Identifier: Apache-2.0
"""mpirun python script.py: the processes share a conversion, or each converts a rank of its own.
Skipped (77) without mpirun or MPI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
import unittest

from case import Case, everything, hashes, large_set, retrain

import relayout

SKIPPED = 77


def launcher() -> list[str] | None:
    mpirun = shutil.which("mpirun")
    if mpirun is None:
        return None
    version = subprocess.run([mpirun, "--version"], capture_output=True, text=True, check=False)
    if not re.search("Open MPI|OpenRTE", version.stdout):
        return None  # The scripts below ask Open MPI which process they are.
    return [mpirun, "--allow-run-as-root", "--oversubscribe", "-n"]


def has_mpi() -> bool:
    folder = os.path.dirname(relayout.__file__)
    return any(name.startswith("_mpi.") and name.endswith(".so") for name in os.listdir(folder))


class Mpi(Case):
    def setUp(self) -> None:
        super().setUp()
        relayout.convert(**retrain(), target=self.folder / "want")
        self.want = hashes(self.folder / "want")
        self.dst = self.folder / "dst"

    def mpirun(self, count: int, script: str, **environment: str) -> subprocess.CompletedProcess:
        """Runs a script in so many processes. It has `me`, its number, `case`, the arguments for
        converting, and `say`, which prints lines whole."""
        head = f"""
            import os, sys, relayout
            me = int(os.environ["OMPI_COMM_WORLD_RANK"])
            case = { ({key: str(path) for key, path in retrain().items()})!r}
            dst = {str(self.dst)!r}
            def say(*words): os.write(1, (" ".join(map(str, words)) + "\\n").encode())
            """
        text = textwrap.dedent(head) + textwrap.dedent(script)
        return subprocess.run(
            [*launcher(), str(count), sys.executable, "-c", text],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env={**os.environ, **environment},
        )

    def test_shared(self) -> None:
        """Same bytes as one process; everybody has the report."""
        for count in (2, 4):
            self.dst = self.folder / f"dst{count}"
            done = self.mpirun(
                count,
                """
                report = relayout.convert(**case, target=dst)
                say(report.value_count, sorted(report.files), report.written_bytes)
                """,
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            lines = done.stdout.splitlines()
            self.assertEqual(len(lines), count, done)
            self.assertEqual(len(set(lines)), 1, done)
            self.assertRegex(lines[0], r"^21 \[0, 1, 2, 3\] 673328$")
            self.assertEqual(hashes(self.dst), self.want)
            self.assertFalse(list(self.dst.glob(".relayout/staging*")))

    def test_a_rank_each(self) -> None:
        """With target_file each process is alone, also if some do more than others."""
        done = self.mpirun(
            3,
            """
            source = case["source"]
            for rank in range(me, 4, 3):
                path = f"{dst}/rank_{rank}/checkpoint_{rank}.ckpt"
                needed = relayout.ranks_for(rank, source_strategy=case["source_strategy"],
                                            target_strategy=case["target_strategy"])
                files = {r: f"{source}/rank_{r}/checkpoint_{r}.ckpt" for r in needed}
                case["source"] = files
                say(sorted(relayout.convert(**case, target_file=path, ranks=[rank]).files))
            """,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(done.stdout.splitlines()), ["[0]", "[1]", "[2]", "[3]"])
        self.assertEqual(hashes(self.dst), self.want)

    def test_ranks_of_their_own(self) -> None:
        """Different ranks of one folder: each process writes its own and says so."""
        done = self.mpirun(
            4,
            """
            say(sorted(relayout.convert(**case, target=dst, ranks=[me]).files))
            """,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(done.stdout.splitlines()), ["[0]", "[1]", "[2]", "[3]"])
        self.assertEqual(hashes(self.dst), self.want)

    def test_alone(self) -> None:
        """One process converts while others do something else and never join."""
        done = self.mpirun(
            3,
            """
            if me == 1:
                relayout.convert(**case, target=dst, alone=True)
            """,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(hashes(self.dst), self.want)

    def test_failure(self) -> None:
        """All raise the same, all may go on, and the next conversion is shared again."""
        done = self.mpirun(
            3,
            """
            try:
                relayout.convert(**{**case, "source": "no-such-folder"}, target=dst)
            except relayout.InputError as error:
                say(error.code, error)
            relayout.convert(**case, target=dst)
            """,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual((len(lines), len(set(lines))), (3, 1), done)
        self.assertRegex(lines[0], "^not_found .*no-such-folder")
        self.assertEqual(hashes(self.dst), self.want)

    def test_uncaught_failure(self) -> None:
        """Tracebacks, exit status 1, nothing left."""
        done = self.mpirun(2, """relayout.convert(**{**case, "source": "no-such"}, target=dst)""")
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("relayout.InputError: ", done.stderr)
        self.assertFalse(self.dst.exists())

    def test_progress_raises_in_one(self) -> None:
        """One process stops: it raises what its function raised, the others that they were
        stopped."""
        large = large_set(self.folder / "set")
        done = self.mpirun(
            2,
            f"""
            large = { ({key: str(path) for key, path in large.items()})!r}
            class Stop(Exception): pass
            def progress(written, total):
                if me == 1: raise Stop
            try:
                relayout.convert(**large, target=dst, progress=progress, threads=1)
            except BaseException as error:
                say(me, type(error).__name__)
            """,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(done.stdout.splitlines()), ["0 KeyboardInterrupt", "1 Stop"])
        self.assertEqual(everything(self.dst), set())

    def test_one_ends_early(self) -> None:
        """A process that ends before the others are done with their conversions does not hang
        them."""
        done = self.mpirun(
            2,
            """
            relayout.convert(**case, target=dst)
            if me == 0:
                try:
                    relayout.convert(**case, target=dst + "-again")
                except relayout.MachineError as error:
                    say(error)
            """,
        )
        self.assertRegex(done.stdout, "process 1")
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(hashes(self.dst), self.want)

    def test_program_with_its_own_mpi(self) -> None:
        """It is told what to do, and can do it."""
        done = self.mpirun(
            2,
            """
            import ctypes
            mpi = ctypes.CDLL("libmpi.so.40", mode=ctypes.RTLD_GLOBAL)
            mpi.MPI_Init(None, None)
            try:
                relayout.convert(**case, target=dst)
            except relayout.InputError as error:
                say(error.code, error)
            if me == 0:
                relayout.convert(**case, target=dst, alone=True)
            mpi.MPI_Finalize()
            """,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 2, done)
        for line in lines:
            self.assertRegex(line, "^unsupported .*initialised MPI before; .*alone=True")
        self.assertEqual(hashes(self.dst), self.want)

    def test_without_mpi(self) -> None:
        """A package without _mpi refuses to do everything several times."""
        package = self.folder / "package" / "relayout"
        shutil.copytree(
            os.path.dirname(relayout.__file__),
            package,
            ignore=shutil.ignore_patterns("_mpi.*", "__pycache__", "mindspore"),
        )
        done = self.mpirun(
            2,
            """
            try:
                relayout.convert(**case, target=dst)
            except relayout.InputError as error:
                say(error.code, error)
            """,
            PYTHONPATH=str(package.parent),
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 2)
        for line in done.stdout.splitlines():
            self.assertRegex(line, "^unsupported .*one of 2 processes.*alone=True")
        self.assertFalse(self.dst.exists())


if __name__ == "__main__":
    if launcher() is None or not has_mpi():
        print("skipped: no Open MPI, or the package was built without MPI")
        sys.exit(SKIPPED)
    unittest.main()
