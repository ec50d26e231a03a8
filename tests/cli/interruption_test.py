# SPDX-License-Identifier: Apache-2.0
"""Runs that do not end well: killed, interrupted, out of space. No half file has a final name."""

import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import time
import unittest

import files
from cli import CliTest, everything, hashes, program, retrain
from layouts import Layout, Strategy

MIB = 1 << 20
SEED = int(os.environ.get("SEED", 1))


class LargeSet(CliTest):
    """200 MiB on 4 ranks, cut in rows; the target is cut in columns on 2."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.case_folder = CliTest("run")
        cls.case_folder.setUp()
        folder = cls.case_folder.folder
        names = [f"layer{i}.weight" for i in range(10)]
        source = Strategy([{name: Layout([4], [[0], []]) for name in names}])
        target = Strategy([{name: Layout([2], [[], [0]]) for name in names}])
        files.write_strategy(folder / "src.ckpt", source)
        files.write_strategy(folder / "dst.ckpt", target)
        block = random.Random(1).randbytes(5 * MIB)
        for rank in range(4):
            values = {}
            for i, name in enumerate(names):
                at = (rank * 10 + i) * 4096
                contents = block[at:] + block[:at]
                values[name] = files.Tensor("Float32", [320, 4096], contents)
            files.write_ckpt(files.rank_path(folder / "src", rank), values)
        cls.case = [folder / "src", "--src-strategy", folder / "src.ckpt",
                    "--dst-strategy", folder / "dst.ckpt"]  # fmt: skip
        begin = time.monotonic()
        cls.case_folder.ok("transform", *cls.case, folder / "want")
        cls.seconds = time.monotonic() - begin
        cls.want = hashes(folder / "want")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.case_folder.doCleanups()

    def start(self, *arguments: object) -> subprocess.Popen:
        return subprocess.Popen([program(), "transform", *map(str, [*self.case, *arguments])],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip

    def check_whole(self, dst: pathlib.Path) -> int:
        """Whatever has a final name is whole and right."""
        there = hashes(dst)
        for path, digest in there.items():
            self.assertEqual(digest, self.want.get(path), f"{path} (SEED={SEED})")
        return len(there)

    def test_killed_at_any_moment(self) -> None:
        rng = random.Random(SEED)
        killed = 0
        # About as long as a run takes, which changes while the test runs.
        longest = self.seconds
        for attempt in range(100):
            if killed == 12:
                break
            dst = self.folder / f"dst-{attempt}"
            with self.start(dst) as process:
                time.sleep(rng.uniform(0, longest))
                process.kill()
                process.communicate()
            was_killed = process.returncode == -signal.SIGKILL
            killed += was_killed
            longest *= 1.1 if was_killed else 0.7
            count = self.check_whole(dst) if dst.exists() else 0
            # The next run cleans up. It is told to replace what a kill between renames has left.
            self.ok("transform", *self.case, dst, *(["--overwrite"] if count else []))
            self.assertEqual(hashes(dst), self.want)
            state = sorted(p.name for p in (dst / ".relayout").iterdir())
            self.assertEqual(state, ["lock", "rank_0", "rank_1"])
            shutil.rmtree(dst)
        self.assertEqual(killed, 12)

    def test_killed_while_replacing(self) -> None:
        """An existing set: either it or parts of the new one are visible, never half a file."""
        rng = random.Random(SEED + 1)
        old = self.folder / "dst"
        self.ok("transform", *self.case, old, "--prefix", "old_")
        before = hashes(old)
        for _ in range(6):
            with self.start(old, "--overwrite") as process:
                time.sleep(rng.uniform(0, self.seconds * 1.1))
                process.kill()
                process.communicate()
            there = hashes(old)
            if any(path in before for path in there):
                self.assertLessEqual(set(there.items()), set(before.items()))
            else:
                self.check_whole(old)
        self.ok("transform", *self.case, old, "--overwrite")
        self.assertEqual(hashes(old), self.want)

    def test_interrupted(self) -> None:
        """Ctrl-C and SIGTERM: exit code 130, and nothing is left."""
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            stopped = 0
            for attempt in range(4):
                dst = self.folder / "new" / "dst"
                with self.start(dst) as process:
                    self.wait_for_staging(dst)
                    time.sleep(self.seconds * 0.15 * attempt)
                    process.send_signal(signal_number)
                    output, errors = process.communicate(timeout=60)
                if process.returncode == 0:  # It was faster.
                    self.assertEqual(hashes(dst), self.want)
                    shutil.rmtree(dst.parent)
                    continue
                stopped += 1
                self.assertEqual((process.returncode, output), (130, ""), errors)
                self.assertRegex(errors, "^relayout: error: .*(interrupted|cancel|stopped)")
                self.assertEqual(everything(self.folder), set())
            self.assertGreater(stopped, 0)

    def wait_for_staging(self, dst: pathlib.Path) -> None:
        deadline = time.monotonic() + 30
        while not list(dst.glob(".relayout/staging-*/rank_*")):
            self.assertLess(time.monotonic(), deadline, "no staging folder appeared")
            time.sleep(0.0005)

    def test_file_size_limit(self) -> None:
        """ulimit -f: the machine refuses to write; exit code 3."""

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (50 * MIB, 50 * MIB))

        dst = self.folder / "dst"
        message = self.refused(3, "transform", *self.case, dst, preexec_fn=limit)
        self.assertIn(str(dst), message)
        self.assertIn("File too large", message)
        self.assertEqual(everything(self.folder), set())


class Siblings(CliTest):
    def test_some_fail(self) -> None:
        """Four processes write a rank each; as many others fail beside them and clean up."""
        self.ok("transform", *retrain(), self.folder / "want")
        want = hashes(self.folder / "want")

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

        for attempt in range(15):
            dst = self.folder / f"dst-{attempt}"
            command = [program(), "transform", *map(str, retrain()), str(dst), "--rank"]
            running = []
            for rank in range(4):
                for setup in (None, limit):
                    process = subprocess.Popen([*command, str(rank)], stdout=subprocess.PIPE,
                                               stderr=subprocess.PIPE, text=True, preexec_fn=setup)  # fmt: skip
                    running.append((process, setup is None))
            for process, should_succeed in running:
                _, errors = process.communicate(timeout=120)
                if should_succeed:
                    self.assertEqual((process.returncode, errors), (0, ""))
                else:
                    self.assertNotEqual(process.returncode, 0)
            self.assertEqual(hashes(dst), want)
            self.assertEqual([path.name for path in (dst / ".relayout").glob("staging*")], [])


class FullDisk(CliTest):
    """A tmpfs of 1 MiB, in a mount namespace of its own."""

    def in_full_disk(self, script: str, *arguments: object) -> subprocess.CompletedProcess:
        """Runs `script` with $1 = a folder on the small disk and `arguments` after it."""
        disk = self.folder / "disk"
        disk.mkdir(exist_ok=True)
        shell = 'mount -t tmpfs -o size=1m tmpfs "$1" || exit 99\n' + script
        command = ["unshare", "--mount", "--map-root-user", "sh", "-c", shell, "sh", disk, *arguments]
        try:
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        except FileNotFoundError:
            self.skipTest("no unshare")
        if done.returncode == 99 or done.stderr.startswith("unshare:"):
            self.skipTest(f"no mount namespaces here: {done.stderr.strip()}")
        return done

    def test_transform(self) -> None:
        script = """
          disk=$1; shift
          "$@" "$disk/dst"; code=$?
          find "$disk" -mindepth 1 >&2
          exit $code"""
        case = retrain()[:3]  # Whole: a good 0.6 MiB.
        done = self.in_full_disk(script, program(), "transform", *case)
        self.assertEqual(done.returncode, 0, done)
        done = self.in_full_disk(script.replace("disk=$1; shift", """disk=$1; shift
          head -c 600k /dev/zero > "$disk/ballast" """), program(), "transform", *case)  # fmt: skip
        self.assertEqual((done.returncode, done.stdout), (3, ""), done)
        message, *left = done.stderr.splitlines()
        self.assertRegex(message, "^relayout: error: .*dst.*no space left")
        self.assertEqual(left, [str(self.folder / "disk" / "ballast")])


if __name__ == "__main__":
    print(f"SEED={SEED}")
    unittest.main()
