# SPDX-License-Identifier: Apache-2.0
"""Folders and files as they are in practice: links, odd names, permissions, several processes."""

import os
import pathlib
import shutil
import subprocess
import unittest

import files
from cli import TUTORIAL, CliTest, everything, hashes, program, retrain
from layouts import Layout, Strategy

RETRAIN = TUTORIAL / "retrain"


class SameBytes(CliTest):
    """The output does not depend on how the work is done."""

    def setUp(self) -> None:
        super().setUp()
        self.ok("transform", *retrain(), self.folder / "dst")
        self.want = hashes(self.folder / "dst")

    def test_threads(self) -> None:
        for threads in (1, 2, 8):
            dst = self.folder / f"threads-{threads}"
            self.ok("transform", *retrain(), dst, "--threads", threads)
            self.assertEqual(hashes(dst), self.want)

    def test_memory(self) -> None:
        self.ok("transform", *retrain(), self.folder / "small", "--memory", "64MiB", "--threads", 1)
        self.assertEqual(hashes(self.folder / "small"), self.want)

    def test_without_sync(self) -> None:
        self.ok("transform", *retrain(), self.folder / "fast", "--no-sync")
        self.assertEqual(hashes(self.folder / "fast"), self.want)

    def test_a_process_a_rank_into_one_folder(self) -> None:
        dst = self.folder / "by-rank"
        for attempt in range(5):
            command = [program(), "transform", *map(str, retrain()), str(dst), "--rank"]
            running = [subprocess.Popen([*command, str(rank)], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True) for rank in range(4)]  # fmt: skip
            for process in running:
                _, errors = process.communicate(timeout=120)
                self.assertEqual((process.returncode, errors), (0, ""), f"attempt {attempt}")
            self.assertEqual(hashes(dst), self.want)
            self.assertEqual([p.name for p in (dst / ".relayout").glob("staging*")], [])
            self.ok("verify", *retrain(), dst)
            shutil.rmtree(dst)

    def test_rank_of_another_set_is_not_mixed_in(self) -> None:
        """The result of a run under another strategy does not become part of this one."""
        source, *strategies = retrain()
        message = self.refused(1, "transform", source, self.folder / "dst", *strategies[:2],
                               "--rank", 0)  # fmt: skip
        self.assertIn("rank_1", message)
        self.assertEqual(hashes(self.folder / "dst"), self.want)

    def test_the_listed_ranks_suffice(self) -> None:
        """Only the folders that `ranks` lists are copied to where a target rank is made."""
        source, *strategies = retrain()
        for rank in range(4):
            part = self.folder / f"part-{rank}"
            for needed in self.ok("ranks", rank, *strategies).split():
                shutil.copytree(source / f"rank_{needed}", part / f"rank_{needed}")
            self.ok("transform", part, self.folder / "joined", *strategies, "--rank", rank)
        self.assertEqual(hashes(self.folder / "joined"), self.want)


class Names(CliTest):
    def test_odd_names(self) -> None:
        for name in ["two words", "glob[0-9]*?", "ünï/çødé-检查点", "-dash", "tab\there", "a..b", "~"]:
            with self.subTest(name):
                base = self.folder / name
                base.mkdir(parents=True)
                src = shutil.copytree(RETRAIN / "src_checkpoints", base / "src [a]*")
                strategies = [shutil.copy(RETRAIN / f"{side}_strategy.ckpt", base / f"{side} s.ckpt")
                              for side in ("src", "dst")]  # fmt: skip
                case = [src, base / "dst *", "--src-strategy", strategies[0],
                        "--dst-strategy", strategies[1]]  # fmt: skip
                self.ok("transform", *case, "--prefix", "model [x] ü ")
                self.ok("verify", *case)
                self.assertTrue((base / "dst *" / "rank_3" / "model [x] ü 3.ckpt").is_file())

    def test_relative_paths_and_trailing_slashes(self) -> None:
        shutil.copytree(RETRAIN, self.folder / "case")
        case = ["src_checkpoints/", "./dst//", "--src-strategy", "src_strategy.ckpt",
                "--dst-strategy", "../case/dst_strategy.ckpt"]  # fmt: skip
        self.ok("transform", *case, cwd=self.folder / "case")
        self.ok("verify", *case, cwd=self.folder / "case")
        case[0:2] = ["./", "."]
        case[3] = "../src_strategy.ckpt"
        case[5] = "../dst_strategy.ckpt"
        message = self.refused(1, "transform", *case, cwd=self.folder / "case" / "src_checkpoints")
        self.assertIn("the target is the source", message)

    def test_leading_zeros_in_rank_folders(self) -> None:
        src = self.folder / "src"
        for rank in range(8):
            shutil.copytree(RETRAIN / "src_checkpoints" / f"rank_{rank}", src / f"rank_{rank:02}")
        self.ok("transform", *retrain(src), self.folder / "dst")

    def test_steps_are_compared_as_numbers(self) -> None:
        """MindSpore takes 9_5 rather than 10_5: the last name in the alphabet."""
        strategy = Strategy([{"w": Layout([2], [[0]])}])
        files.write_strategy(self.folder / "s.ckpt", strategy)
        for step, salt in {"9_5": 1, "10_5": 2, "10_4": 3}.items():
            for rank in range(2):
                part = files.rank_values({"w": files.counting("Int32", [8], salt)}, strategy, rank)
                files.write_ckpt(files.rank_path(self.folder / "src", rank, f"net-{step}"), part)
        for options, salt in [([], 2), (["--step", "9_5"], 1)]:
            dst = self.folder / f"dst-{salt}"
            report = self.ok_json("transform", self.folder / "src", dst, "--src-strategy",
                                  self.folder / "s.ckpt", *options)  # fmt: skip
            files.write_ckpt(self.folder / "want.ckpt", {"w": files.counting("Int32", [8], salt)})
            self.assertEqual((dst / "rank_0" / "checkpoint_0.ckpt").read_bytes(),
                             (self.folder / "want.ckpt").read_bytes())  # fmt: skip
        self.assertEqual(report["step"], {"epoch": 9, "step": 5})


class Links(CliTest):
    def test_symlinked_inputs(self) -> None:
        """Folders, files and strategies may be links; links stay links."""
        self.ok("transform", *retrain(), self.folder / "want")
        src = self.folder / "src"
        src.mkdir()
        for rank in range(8):
            real = RETRAIN / "src_checkpoints" / f"rank_{rank}"
            if rank % 2:
                (src / f"rank_{rank}").symlink_to(real)
            else:
                (src / f"rank_{rank}").mkdir()
                (src / f"rank_{rank}" / "x.ckpt").symlink_to(real / f"checkpoint_{rank}.ckpt")
        (self.folder / "link").symlink_to(src)
        (self.folder / "s.ckpt").symlink_to(RETRAIN / "src_strategy.ckpt")
        self.ok("transform", self.folder / "link", self.folder / "dst", "--src-strategy",
                self.folder / "s.ckpt", "--dst-strategy", RETRAIN / "dst_strategy.ckpt")  # fmt: skip
        self.assertEqual(hashes(self.folder / "dst"), hashes(self.folder / "want"))
        self.assertTrue((self.folder / "link").is_symlink())

    def test_target_through_a_link(self) -> None:
        (self.folder / "real").mkdir()
        (self.folder / "link").symlink_to("real")
        self.ok("transform", *retrain(), self.folder / "link")
        self.assertEqual(len(hashes(self.folder / "real")), 4)
        self.assertTrue((self.folder / "link").is_symlink())

    def test_target_is_the_source(self) -> None:
        src = shutil.copytree(RETRAIN / "src_checkpoints", self.folder / "src")
        before = hashes(src)
        (self.folder / "link").symlink_to(src)
        for dst in [src, self.folder / "link", src / "." / "", src / "rank_0"]:
            with self.subTest(dst=dst):
                message = self.refused(1, "transform", *retrain(src), dst, "--overwrite")
                self.assertIn("source", message)
        self.assertEqual(hashes(src), before)
        file = src / "rank_0" / "checkpoint_0.ckpt"
        message = self.refused(1, "transform", *retrain(src), "--output", file, "--rank", 0,
                               "--overwrite")  # fmt: skip
        self.assertIn(str(file), message)
        self.assertEqual(hashes(src), before)
        self.assertEqual(everything(src), everything(RETRAIN / "src_checkpoints"))


class Permissions(CliTest):
    def test_umask_is_respected(self) -> None:
        for umask in (0o022, 0o077, 0o027):
            dst = self.folder / f"new-{umask:o}" / "dst"
            self.ok("transform", *retrain(), dst, umask=umask)
            for path in [dst.parent, *dst.rglob("*"), dst]:
                mode = path.stat().st_mode & 0o777
                self.assertEqual(mode, (0o777 if path.is_dir() else 0o666) & ~umask, path)
            out = self.folder / f"merged-{umask:o}.ckpt"
            self.ok("merge-strategies", TUTORIAL / "pipeline" / "src_strategys", out, umask=umask)
            self.assertEqual(out.stat().st_mode & 0o777, 0o666 & ~umask)

    def test_target_in_a_read_only_place(self) -> None:
        place = self.folder / "read-only"
        place.mkdir(mode=0o555)
        user = self.as_mere_user()
        for dst in [place, place / "dst"]:
            message = self.refused(3, "transform", *self.readable_case(), dst, **user)
            self.assertIn(str(place), message)
            self.assertIn("ermission", message)
        shutil.copytree(TUTORIAL / "pipeline" / "src_strategys", self.folder / "stages")
        message = self.refused(3, "merge-strategies", self.folder / "stages", place / "x.ckpt", **user)
        self.assertIn(str(place), message)
        self.assertEqual(everything(place), set())

    def test_unreadable_input(self) -> None:
        case = self.readable_case()
        user = self.as_mere_user()
        src = pathlib.Path(str(case[0]))
        for path in [src / "rank_5", src / "rank_3" / "checkpoint_3.ckpt", case[2], src]:
            with self.subTest(path=path):
                mode = path.stat().st_mode
                path.chmod(0)
                message = self.refused(3, "transform", *case, self.writable() / "dst", **user)
                path.chmod(mode)
                self.assertIn(str(path), message)
                self.assertIn("ermission", message)
                self.assertEqual(everything(self.writable()), set())
        self.ok("transform", *case, self.writable() / "dst", **user)

    def test_read_only_files_as_mindspore_leaves_them(self) -> None:
        """MindSpore makes its files 0400; replacing such a result works."""
        dst = self.folder / "dst"
        self.ok("transform", *retrain(), dst)
        for path in dst.glob("rank_*/*"):
            path.chmod(0o400)
        self.ok("transform", *retrain(), dst, "--overwrite")

    def readable_case(self) -> list[object]:
        """The retrain case in a place that any user can read."""
        self.folder.chmod(0o755)
        case = self.folder / "case"
        if not case.exists():
            shutil.copytree(RETRAIN, case)
        return [case / "src_checkpoints", "--src-strategy", case / "src_strategy.ckpt",
                "--dst-strategy", case / "dst_strategy.ckpt"]  # fmt: skip

    def writable(self) -> pathlib.Path:
        folder = self.folder / "writable"
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o777)
        return folder


class Targets(CliTest):
    def test_existing_empty_folder(self) -> None:
        (self.folder / "dst").mkdir()
        self.ok("transform", *retrain(), self.folder / "dst")

    def test_folder_with_other_things_keeps_them(self) -> None:
        dst = self.folder / "dst"
        (dst / "rank_0").mkdir(parents=True)
        (dst / "notes.txt").write_text("mine")
        (dst / "rank_0" / "log.txt").write_text("mine too")
        self.ok("transform", *retrain(), dst)
        self.ok("transform", *retrain(), dst, "--overwrite")
        self.assertEqual((dst / "notes.txt").read_text(), "mine")
        self.assertEqual((dst / "rank_0" / "log.txt").read_text(), "mine too")

    def test_target_is_a_file(self) -> None:
        (self.folder / "dst").write_text("a file")
        for dst in [self.folder / "dst", self.folder / "dst" / "below"]:
            done = self.run_cli("transform", *retrain(), dst)
            self.assertIn(done.returncode, (1, 3))
            self.assertIn(str(self.folder / "dst"), done.stderr)
        self.assertEqual((self.folder / "dst").read_text(), "a file")

    def test_several_new_levels(self) -> None:
        self.ok("transform", *retrain(), self.folder / "a" / "b" / "c")

    def test_a_failure_leaves_nothing(self) -> None:
        """New folders go again when nothing came into them; old ones stay as they were."""
        source, *strategies = retrain()
        (self.folder / "old").mkdir()
        for dst in [self.folder / "new" / "dst", self.folder / "old"]:
            self.refused(1, "transform", source, dst, "--src-strategy", strategies[3],
                         "--dst-strategy", strategies[1])  # fmt: skip
            self.refused(1, "transform", *retrain(), dst, "--prefix", "a/b")
        self.assertEqual(everything(self.folder), {"old"})


if __name__ == "__main__":
    os.umask(0o022)
    unittest.main()
