# SPDX-License-Identifier: Apache-2.0
"""mpirun relayout transform: the bytes do not depend on the number of processes, and a process that
fails or dies is one message and a failure of all. Skipped (77) without mpirun or MPI."""

import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
import unittest

import files
from cli import CliTest, everything, has_mpi, hashes, launcher, program, retrain
from layouts import Layout, Strategy

KIB = 1 << 10
RANK = "$OMPI_COMM_WORLD_RANK"


class MpiTest(CliTest):
    """11 MiB in 50 tensors on 4 ranks, cut in rows; the target is cut in columns on 2."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.case_folder = CliTest("run")
        cls.case_folder.setUp()
        folder = cls.case_folder.folder
        names = [f"layer{i}.weight" for i in range(50)]
        source = Strategy([{name: Layout([4], [[0], []]) for name in names}])
        target = Strategy([{name: Layout([2], [[], [0]]) for name in names}])
        files.write_strategy(folder / "src.ckpt", source)
        files.write_strategy(folder / "dst.ckpt", target)
        block = random.Random(1).randbytes(56 * KIB)
        for rank in range(4):
            values = {}
            for i, name in enumerate(names):
                at = (rank * 50 + i) * 256
                values[name] = files.Tensor("Float32", [56, 256], block[at:] + block[:at])
            files.write_ckpt(files.rank_path(folder / "src", rank), values)
        cls.case = [folder / "src", "--src-strategy", folder / "src.ckpt",
                    "--dst-strategy", folder / "dst.ckpt"]  # fmt: skip
        cls.case_folder.ok("transform", *cls.case, folder / "want", "--threads", "1")
        cls.want = hashes(folder / "want")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.case_folder.doCleanups()

    def start(self, count: int, *command: object) -> subprocess.Popen:
        return subprocess.Popen([*launcher(), str(count), *map(str, command)],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip

    def mpirun(self, count: int, *command: object) -> subprocess.CompletedProcess:
        with self.start(count, *command) as process:
            try:
                output, errors = process.communicate(timeout=120)
            except subprocess.TimeoutExpired:
                process.terminate()
                output, errors = process.communicate(timeout=20)
                self.fail(f"it hangs:\n{output}\n{errors}")
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def script(self, on_process: str, *arguments: object, case: list[object] | None = None) -> list[str]:
        """`sh -c`: relayout transform CASE ARGUMENTS, after the lines of `on_process`."""
        command = [program(), "transform", *map(str, self.case if case is None else case)]
        line = shlex.join(command) + " " + " ".join(map(str, arguments))
        return ["sh", "-c", f"{on_process}\nexec {line}"]

    def errors_of(self, done: subprocess.CompletedProcess) -> list[str]:
        """Messages of relayout, without what mpirun says."""
        return [line for line in done.stderr.splitlines() if line.startswith("relayout: ")]


class Transform(MpiTest):
    def test_the_same_bytes_for_any_number(self) -> None:
        for threads in (1, 2, 3, 8):
            dst = self.folder / f"threads-{threads}"
            self.ok("transform", *self.case, dst, "--threads", threads)
            self.assertEqual(hashes(dst), self.want, f"{threads} threads")
        for count in (1, 2, 3, 4):
            dst = self.folder / f"processes-{count}"
            done = self.mpirun(count, program(), "transform", *self.case, dst, "--threads", 2)
            self.assertEqual((done.returncode, done.stderr), (0, ""), done)
            self.assertEqual(done.stdout.count("4 ranks -> 2 ranks"), 1, "one process tells")
            self.assertEqual(hashes(dst), self.want, f"{count} processes")
            self.ok("verify", dst)

    def test_one_target_rank_a_process(self) -> None:
        """As MindSpore's tutorial starts transform_checkpoint_by_rank."""
        self.ok("transform", *retrain(), self.folder / "want")
        dst = self.folder / "dst"
        done = self.mpirun(4, *self.script("", shlex.quote(str(dst)), "--rank", RANK, case=retrain()))
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        self.assertEqual(done.stdout.count("8 ranks -> 4 ranks"), 4, "each tells of its own")
        self.assertEqual(hashes(dst), hashes(self.folder / "want"))
        self.ok("verify", dst)

    def test_one_target_rank_a_process_and_one_that_is_not_there(self) -> None:
        dst = self.folder / "dst"
        script = self.script("", shlex.quote(str(dst)), "--rank", RANK, case=retrain())
        done = self.mpirun(5, *script)
        self.assertEqual(done.returncode, 1, done)
        self.assertEqual(len(self.errors_of(done)), 1, done.stderr)
        self.assertIn("--rank 4", done.stderr)

    def test_different_conversions(self) -> None:
        script = self.script("", shlex.quote(str(self.folder)) + f"/dst-{RANK}")
        done = self.mpirun(2, *script)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done)
        self.assertEqual(len(self.errors_of(done)), 1, done.stderr)
        self.assertIn("asked for another conversion", done.stderr)
        self.assertEqual(everything(self.folder), set())

    def test_a_wrong_command_line(self) -> None:
        done = self.mpirun(2, program(), "transform", *self.case, "--no-such-option", self.folder / "d")
        self.assertEqual(done.returncode, 2, done)


class Failure(MpiTest):
    def fails(self, code: int, count: int, on_process: str, *arguments: str) -> str:
        """All end, with this status, one message, and nothing left."""
        dst = self.folder / "dst"
        done = self.mpirun(count, *self.script(on_process, shlex.quote(str(dst)), *arguments))
        self.assertEqual((done.returncode, done.stdout), (code, ""), done)
        self.assertEqual(len(self.errors_of(done)), 1, done.stderr)
        self.assertEqual(everything(self.folder), set())
        return done.stderr

    def test_a_process_that_cannot_write(self) -> None:
        """A full disk on one machine, played by `ulimit -f` (blocks of 512 bytes)."""
        for process in (0, 2):
            with self.subTest(process):
                limit = f'if [ "{RANK}" = {process} ]; then ulimit -f 64; fi'
                message = self.fails(3, 3, limit)
                self.assertIn(f"process {process}", message)
                self.assertIn("File too large", message)

    def test_a_process_without_descriptors(self) -> None:
        limit = f'if [ "{RANK}" = 1 ]; then ulimit -n 20; fi'
        done = self.mpirun(3, *self.script(limit, shlex.quote(str(self.folder / "dst"))))
        if done.returncode == 0:  # They were enough for it, or MPI itself did without.
            self.assertEqual(hashes(self.folder / "dst"), self.want)
        else:
            self.assertEqual(hashes(self.folder / "dst"), {})

    def test_what_is_wrong_everywhere_is_said_once(self) -> None:
        message = self.fails(1, 3, "", "--format", "safetensors", "--crc")
        self.assertIn("--crc: only .ckpt", message)


class Killed(MpiTest):
    def test_a_killed_process(self) -> None:
        """mpirun ends and says so, nothing is published, and --resume goes on."""
        killed = 0
        for attempt in range(3):
            dst = self.folder / "dst"
            pids = self.folder / "pids"
            pids.mkdir()
            script = self.script(f"echo $$ > {shlex.quote(str(pids))}/{RANK}.tmp; "
                                 f"mv {shlex.quote(str(pids))}/{RANK}.tmp {shlex.quote(str(pids))}/{RANK}",
                                 shlex.quote(str(dst)), "--threads", 1)  # fmt: skip
            with self.start(3, *script) as process:
                self.wait_for(lambda: list(dst.glob(".relayout/staging-*/journal-*")), process)
                pid = int((pids / str(attempt)).read_text())
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                process.communicate(timeout=60)
            there = hashes(dst)
            if process.returncode != 0:
                killed += 1
                self.assertLessEqual(there.items(), self.want.items())
                time.sleep(0.2)  # mpirun need not wait for those that it ends.
            else:
                self.assertEqual(there, self.want)
            done = self.mpirun(2, program(), "transform", *self.case, dst, "--resume")
            self.assertEqual((done.returncode, done.stderr), (0, ""), done)
            self.assertEqual(hashes(dst), self.want)
            self.ok("verify", dst)
            shutil.rmtree(dst)
            shutil.rmtree(pids)
        self.assertGreater(killed, 0)

    def wait_for(self, condition: object, process: subprocess.Popen) -> None:
        deadline = time.monotonic() + 30
        while not condition() and process.poll() is None:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.0005)

    def test_interrupted(self) -> None:
        """Ctrl-C goes to mpirun, which passes it on: nothing is left, or the work with --resume."""
        for options in ([], ["--resume"]):
            dst = self.folder / "dst"
            with self.start(3, program(), "transform", *self.case, dst, "--threads", 1, *options) as process:
                self.wait_for(lambda: list(dst.glob(".relayout/staging-*/journal-*")), process)
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=60)
            if process.returncode != 0:
                self.assertLessEqual(hashes(dst).items(), self.want.items())
            self.ok("transform", *self.case, dst, "--resume")
            self.assertEqual(hashes(dst), self.want)
            shutil.rmtree(dst)


if __name__ == "__main__":
    if launcher() is None or not has_mpi():
        print("skipped: no Open MPI here, or a relayout without MPI")
        sys.exit(77)
    unittest.main()
