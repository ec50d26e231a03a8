# SPDX-License-Identifier: Apache-2.0
"""transform --dry-run and --explain: what they say is what happens, and nothing happens."""

import json
import os
import pathlib
import shutil
import subprocess
import unittest

import files
from cli import TUTORIAL, CliTest, everything, hashes, program, retrain
from layouts import Layout, Strategy

PIPELINE = TUTORIAL / "pipeline"


def pipeline() -> list[object]:
    return [PIPELINE / "src_checkpoints", "--src-strategy", PIPELINE / "src_strategys",
            "--dst-strategy", PIPELINE / "dst_strategy.ckpt"]  # fmt: skip


class DryRun(CliTest):
    def test_numbers_are_those_of_the_run(self) -> None:
        cases = [retrain(), pipeline(), [*retrain(), "--rank", 1], [*pipeline(), "--crc"],
                 [*retrain(), "--format", "safetensors", "--threads", 1]]  # fmt: skip
        for number, case in enumerate(cases):
            with self.subTest(case=case[1:]):
                dst = self.folder / f"dst-{number}"
                dry = self.ok_json("transform", *case, dst, "--dry-run")
                self.assertEqual(everything(self.folder), self.known)
                run = self.ok_json("transform", *case, dst)
                for key in ("read_bytes", "source_ranks", "target_ranks", "values"):
                    self.assertEqual(dry[key], run[key], key)
                self.assertEqual(dry["payload_bytes"], run["written_bytes"])
                self.assertEqual([s["rank"] for s in dry["sources"]], run["source_ranks_read"])
                self.assertEqual({t["path"] for t in dry["targets"]}, set(run["files"].values()))
                for target in dry["targets"]:
                    self.assertEqual(pathlib.Path(target["path"]).stat().st_size,
                                     target["written_bytes"])  # fmt: skip
                self.assertEqual(sum(s["read_bytes"] for s in dry["sources"]), dry["read_bytes"])
                self.assertGreater(dry["estimated_seconds"], 0)
                self.known = everything(self.folder)

    def test_nothing_is_left(self) -> None:
        (self.folder / "dst").mkdir()
        for options in ([], ["--no-sync"], ["--no-probe"], ["--explain", "layer1.weight"]):
            for dst in ("dst", "new/below"):
                self.ok("transform", *retrain(), self.folder / dst, "--dry-run", *options)
                self.assertEqual(everything(self.folder), {"dst"})

    def test_text(self) -> None:
        text = self.ok("transform", *retrain(), self.folder / "dst", "--dry-run")
        for part in ("dry run: 8 ranks -> 4 ranks", "(660620 bytes) from 8 files: ranks 0-7",
                     "(676432 bytes) to 4 files", "at most", "free in", "a probe copied",
                     "103740", "169108", "ranks 0,1,4,5: "):  # fmt: skip
            self.assertIn(part, text)
        text = self.ok("transform", *retrain(), self.folder / "dst", "--dry-run", "--no-probe")
        self.assertNotIn("probe", text)

    def test_target_that_is_there(self) -> None:
        dst = self.folder / "dst"
        self.ok("transform", *retrain(), dst)
        before = hashes(dst)
        done = self.run_cli("transform", *retrain(), dst, "--dry-run")
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertIn("it would fail: ", done.stdout)
        self.assertIn("use --overwrite", done.stdout)
        done = self.run_cli("transform", *retrain(), dst, "--dry-run", "--json")
        report = json.loads(done.stdout)
        self.assertEqual((done.returncode, report["ok"]), (1, False))
        self.assertEqual([p["code"] for p in report["problems"]], ["already_exists"])
        self.ok("transform", *retrain(), dst, "--dry-run", "--overwrite")
        self.assertEqual(hashes(dst), before)

    def test_target_that_cannot_be_written(self) -> None:
        place = self.folder / "read-only"
        place.mkdir(mode=0o555)
        case = shutil.copytree(TUTORIAL / "retrain", self.folder / "case")
        user = self.as_mere_user()
        self.folder.chmod(0o755)
        done = self.run_cli("transform", case / "src_checkpoints", place / "dst", "--src-strategy",
                            case / "src_strategy.ckpt", "--dst-strategy", case / "dst_strategy.ckpt",
                            "--dry-run", **user)  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertIn("ermission", done.stdout)
        self.assertEqual(everything(place), set())

    def test_bad_input_fails_as_the_run_does(self) -> None:
        case = retrain(self.folder / "nowhere")
        message = self.refused(1, "transform", *case, self.folder / "dst")
        self.assertEqual(self.refused(1, "transform", *case, self.folder / "dst", "--dry-run"),
                         message)  # fmt: skip

    def setUp(self) -> None:
        super().setUp()
        self.known: set[str] = set()


class Memory(CliTest):
    def test_bounds_what_the_run_takes(self) -> None:
        """Within reason: not below, and not far above."""
        strategies = [Strategy([{"w": Layout([8], [[], [0]]), "v": Layout([8], [[0], []])}]),
                      Strategy([{"w": Layout([4], [[0], []]), "v": Layout([4], [[], [0]])}])]  # fmt: skip
        whole = {name: files.Tensor("Float32", [1024, 4096], os.urandom(1024 * 4096 * 4))
                 for name in ("w", "v")}  # fmt: skip
        for rank in range(8):
            files.write_ckpt(files.rank_path(self.folder / "src", rank, "net"),
                             files.rank_values(whole, strategies[0], rank))  # fmt: skip
        for side, strategy in zip(("s", "d"), strategies, strict=True):
            files.write_strategy(self.folder / f"{side}.ckpt", strategy)
        case = [self.folder / "src", "--src-strategy", self.folder / "s.ckpt", "--dst-strategy",
                self.folder / "d.ckpt", "--no-sync"]  # fmt: skip
        for threads in (1, 4):
            dst = self.folder / f"dst-{threads}"
            dry = self.ok_json("transform", *case, dst, "--threads", threads, "--dry-run")
            taken = self.peak("transform", *case, dst, "--threads", threads)
            self.assertLessEqual(taken, dry["memory"]["total_bytes"])
            self.assertLessEqual(dry["memory"]["total_bytes"], 2.5 * taken)


    def peak(self, *arguments: object) -> int:
        """The most memory of a run. Not from getrusage, which counts the parent's as well."""
        command = [program(), *map(str, arguments)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
            peaks = [0]
            while running.poll() is None:
                status = pathlib.Path(f"/proc/{running.pid}/status").read_text()
                peaks += [int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line]
        self.assertEqual(running.returncode, 0)
        self.assertGreater(len(peaks), 10)
        return max(peaks[1:]) * 1024


class Explain(CliTest):
    def test_draws(self) -> None:
        text = self.ok("transform", *retrain(), self.folder / "dst", "--explain", "layer1.weight",
                       "--explain", "layer3.weight")  # fmt: skip
        self.assertIn("# 0 > 0 | 6 > 0 #", text)
        self.assertIn("target rank 0 [0:196,0:64] 49 KiB <- rank 0 [0:196,0:32] (24.5 KiB),", text)
        self.assertLess(text.index("layer1.weight: "), text.index("layer3.weight: "))
        self.assertEqual(everything(self.folder), set())

    def test_json(self) -> None:
        report = self.ok_json("transform", *retrain(), self.folder / "dst",
                              "--explain", "layer1.weight")  # fmt: skip
        (tensor,) = report["explained"]
        self.assertEqual((tensor["name"], tensor["shape"]), ("layer1.weight", [784, 64]))
        self.assertEqual(tensor["source"]["layout"], "{a:2,b:2,c:2} (-,b)")
        self.assertEqual(len(tensor["copies"]), 4)
        for copy in tensor["copies"]:
            self.assertEqual(sum(part["bytes"] for part in copy["from"]), 784 * 64)

    def test_unknown_name(self) -> None:
        message = self.refused(1, "transform", *retrain(), self.folder / "dst",
                               "--explain", "layer1.wieght")  # fmt: skip
        self.assertIn("--explain layer1.wieght: ", message)
        self.assertIn("near it: layer1.weight", message)


class Scale(CliTest):
    def test_a_page_for_many_ranks(self) -> None:
        count = 256
        strategy = Strategy([{"w": Layout([count], [[0], []])}])
        other = Strategy([{"w": Layout([count], [[], [0]])}])
        whole = {"w": files.counting("Int32", [count, count])}
        for rank in range(count):
            files.write_ckpt(files.rank_path(self.folder / "src", rank, "net"),
                             files.rank_values(whole, strategy, rank))  # fmt: skip
        files.write_strategy(self.folder / "s.ckpt", strategy)
        files.write_strategy(self.folder / "d.ckpt", other)
        case = [self.folder / "src", self.folder / "dst", "--src-strategy", self.folder / "s.ckpt",
                "--dst-strategy", self.folder / "d.ckpt", "--explain", "w"]  # fmt: skip
        text = self.ok("transform", *case)
        self.assertLess(len(text.splitlines()), 130)
        self.assertIn("and 248 more; --json lists all", text)
        report = self.ok_json("transform", *case)
        self.assertEqual((len(report["sources"]), len(report["targets"])), (count, count))


if __name__ == "__main__":
    unittest.main()
