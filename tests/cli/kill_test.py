# SPDX-License-Identifier: Apache-2.0
"""Runs that are killed or interrupted and gone on with by --resume: not a byte differs."""

import os
import pathlib
import random
import shutil
import signal
import subprocess
import time
import unittest

import files
from cli import CliTest, everything, hashes, program
from layouts import Layout, Strategy

KIB = 1 << 10
SEED = int(os.environ.get("SEED", 1))
KILLS = int(os.environ.get("KILLS", 200))


def manifest(folder: pathlib.Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (folder / ".relayout").glob("rank_*")}


class Resumed(CliTest):
    """3 MiB in 250 tensors from 4 ranks to 2, of which each file is about 1.5 MiB."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.case_folder = CliTest("run")
        cls.case_folder.setUp()
        folder = cls.case_folder.folder
        names = [f"layer{i}.weight" for i in range(250)]
        source = Strategy([{name: Layout([4], [[0], []]) for name in names}])
        target = Strategy([{name: Layout([2], [[], [0]]) for name in names}])
        files.write_strategy(folder / "src.ckpt", source)
        files.write_strategy(folder / "dst.ckpt", target)
        block = random.Random(1).randbytes(3 * KIB)
        for rank in range(4):
            values = {}
            for i, name in enumerate(names):
                at = (rank * 250 + i) % (3 * KIB)
                values[name] = files.Tensor("Float32", [12, 64], block[at:] + block[:at])
            files.write_ckpt(files.rank_path(folder / "src", rank), values)
        cls.case = [folder / "src", "--src-strategy", folder / "src.ckpt",
                    "--dst-strategy", folder / "dst.ckpt", "--threads", "1"]  # fmt: skip
        cls.seconds = 0
        for attempt in range(3):
            begin = time.monotonic()
            cls.case_folder.ok("transform", *cls.case, folder / f"want{attempt}")
            cls.seconds = max(cls.seconds, time.monotonic() - begin)
        cls.want = hashes(folder / "want0")
        cls.want_manifest = manifest(folder / "want0")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.case_folder.doCleanups()

    def start(self, *arguments: object) -> subprocess.Popen:
        return subprocess.Popen([program(), "transform", *map(str, [*self.case, *arguments])],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip

    def kill_after(self, seconds: float, *arguments: object) -> bool:
        """Was it still running?"""
        with self.start(*arguments) as process:
            time.sleep(seconds)
            process.kill()
            process.communicate()
        return process.returncode == -signal.SIGKILL

    def check_finished(self, dst: pathlib.Path, where: str) -> None:
        self.assertEqual(hashes(dst), self.want, where)
        self.assertEqual(manifest(dst), self.want_manifest, where)
        state = sorted(path.name for path in (dst / ".relayout").iterdir())
        self.assertEqual(state, ["lock", "rank_0", "rank_1"], where)

    def test_killed_at_any_moment(self) -> None:
        rng = random.Random(SEED)
        killed = went_on = published = 0
        # About as long as a run takes, which changes while the test runs.
        longest = self.seconds
        for attempt in range(KILLS * 10):
            if killed == KILLS:
                break
            dst = self.folder / f"dst-{attempt}"
            where = f"kill {attempt} of SEED={SEED}"
            # One in two after a run that was to be gone on with from the start; one in four twice.
            options = ["--resume"] if attempt % 2 else []
            was_killed = self.kill_after(rng.uniform(0, longest), dst, *options)
            longest *= 1.02 if was_killed else 0.9
            killed += was_killed
            published += was_killed and any(dst.glob("rank_*/*"))
            if attempt % 4 == 3:
                self.kill_after(rng.uniform(0, longest), dst, "--resume")
            result = self.ok_json("transform", *self.case, dst, "--resume")
            went_on += was_killed and result["resumed_bytes"] > 0
            self.check_finished(dst, where)
            shutil.rmtree(dst)
        print(f"{killed} killed, {went_on} gone on with, {published} while publishing")
        self.assertEqual(killed, KILLS)
        self.assertGreater(went_on, 0)

    def stop(self, dst: pathlib.Path, signal_number: int, *options: str) -> bool:
        """Interrupted when files are staged; False if it was faster."""
        with self.start(dst, *options) as process:
            deadline = time.monotonic() + 30
            while not list(dst.glob(".relayout/staging-*/journal-*")):
                self.assertLess(time.monotonic(), deadline)
                if process.poll() is not None:
                    break
            process.send_signal(signal_number)
            output, errors = process.communicate(timeout=60)
        if process.returncode == 0:
            return False
        self.assertEqual((process.returncode, output), (130, ""), errors)
        self.assertRegex(errors, "^relayout: error: .*(interrupted|cancel|stopped)")
        return True

    def test_an_interrupted_run_keeps_its_work_if_told_to(self) -> None:
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            stopped = 0
            for attempt in range(5):
                dst = self.folder / "dst"
                if self.stop(dst, signal_number, "--resume"):
                    stopped += 1
                    self.assertEqual(len(list(dst.glob(".relayout/staging-*/plan"))), 1)
                    self.assertEqual(hashes(dst), {})
                    self.ok("transform", *self.case, dst, "--resume")
                self.check_finished(dst, f"attempt {attempt}")
                shutil.rmtree(dst)
            if not stopped:
                self.skipTest("it was always faster")

    def test_an_interrupted_run_leaves_nothing_otherwise(self) -> None:
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            stopped = 0
            for _ in range(5):
                dst = self.folder / "dst"
                if self.stop(dst, signal_number):
                    stopped += 1
                    self.assertEqual(everything(self.folder), set())
                shutil.rmtree(dst, ignore_errors=True)
            if not stopped:
                self.skipTest("it was always faster")

    def test_a_changed_source_is_refused(self) -> None:
        dst = self.folder / "dst"
        src = self.folder / "src"
        shutil.copytree(self.case[0], src)
        case = [src, *self.case[1:]]
        staged = None
        for delay in range(40):
            with subprocess.Popen([program(), "transform", *map(str, case), str(dst)],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # fmt: skip
                time.sleep(self.seconds * delay / 40)
                process.kill()
            staged = list(dst.glob(".relayout/staging-*/plan"))
            if staged and not hashes(dst):
                break
            shutil.rmtree(dst, ignore_errors=True)
        self.assertTrue(staged, "no run was killed in between")
        os.utime(files.rank_path(src, 2))
        message = self.refused(1, "transform", *case, dst, "--resume")
        self.assertIn("the source file of rank 2", message)
        self.assertIn("without --resume", message)
        self.ok("transform", *case, dst)
        self.check_finished(dst, "started anew")


if __name__ == "__main__":
    print(f"SEED={SEED}")
    unittest.main()
