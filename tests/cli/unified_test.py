# SPDX-License-Identifier: Apache-2.0
"""Unified sets, other names and other formats, as a user types them."""

import json
import pathlib
import shutil
import unittest

import check_hashes
from cli import TUTORIAL, CliTest, retrain

RETRAIN = TUTORIAL / "retrain"
SOURCE, DST = RETRAIN / "src_checkpoints", RETRAIN / "dst_strategy.ckpt"
SRC_STRATEGY = ("--src-strategy", RETRAIN / "src_strategy.ckpt")


def contents(folder: pathlib.Path) -> dict:
    """All values of all files below a folder."""
    values = {}
    for path in sorted(folder.rglob("*.safetensors")) + sorted(folder.rglob("*.ckpt")):
        for name, value in check_hashes.read_file(path).items():
            assert name not in values, name
            values[name] = value
    return values


class Unified(CliTest):
    def test_there_and_back(self) -> None:
        """8 ranks -> unified -> 4 ranks is 8 -> 4."""
        model, whole = self.folder / "model", self.folder / "whole"
        self.ok("transform", SOURCE, model, *SRC_STRATEGY, "--unified", "--part-size", "64KiB")
        self.ok("transform", SOURCE, whole, *SRC_STRATEGY)
        self.assertEqual(contents(model), contents(whole))
        index = json.loads((model / "param_name_map.json").read_text())["weight_map"]
        for name, file in index.items():
            self.assertIn(name, check_hashes.read_file(model / file))
        self.assertGreater(len(set(index.values())), 1)
        self.ok("verify", model)
        self.ok("verify", SOURCE, model, *SRC_STRATEGY)
        self.assertIn("equal", self.ok("diff", whole, model))

        target = ("--dst-strategy", DST, "--format", "ckpt")
        self.ok("transform", model, self.folder / "again", *target)
        self.ok("transform", SOURCE, self.folder / "direct", *SRC_STRATEGY, *target)
        self.ok("diff", self.folder / "again", self.folder / "direct", "--a-strategy", DST,
                "--b-strategy", DST)  # fmt: skip

    def test_tasks(self) -> None:
        options = (*SRC_STRATEGY, "--unified", "--part-size", "64KiB")
        self.ok("transform", SOURCE, self.folder / "one", *options)
        for task in (3, 1, 2):
            self.ok("transform", SOURCE, self.folder / "many", *options, "--task", f"{task}/3")
        self.assertEqual(contents(self.folder / "many"), contents(self.folder / "one"))
        self.assertEqual(*((self.folder / name / "param_name_map.json").read_bytes()
                           for name in ("many", "one")))  # fmt: skip
        self.ok("verify", self.folder / "many")

    def test_inspect(self) -> None:
        model = self.folder / "model"
        self.ok("transform", SOURCE, model, *SRC_STRATEGY, "--unified", "--part-size", "64KiB")
        shown = self.ok("inspect", model)
        self.assertRegex(shown, r"model: 12 files, 21 values")
        self.assertRegex(shown, r"\nlearning_rate +f32 +\[\] +hyper_param.safetensors\n")

    def test_a_part_is_lost(self) -> None:
        model = self.folder / "model"
        self.ok("transform", SOURCE, model, *SRC_STRATEGY, "--unified", "--part-size", "64KiB")
        (model / "part1.safetensors").unlink()
        message = self.refused(1, "transform", model, self.folder / "dst", "--dst-strategy", DST)
        self.assertRegex(message, r"param_name_map.json: \S+ is in \S+part1.safetensors, which is not")
        self.assertIn("part1.safetensors: is missing", self.run_cli("verify", model).stdout)

    def test_usage(self) -> None:
        for options in (("--part-size", "1GiB"), ("--unified", "--task", "x"), ("--rename", "a"),
                        ("--leave-out", "a", "--rename", "a=b"), ("--task", "1/2")):  # fmt: skip
            done = self.run_cli("transform", SOURCE, self.folder / "dst", *SRC_STRATEGY, *options)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done)
        for options in (("--unified", "--task", "3/2"), ("--unified", "--rank", "0"),
                        ("--unified", "--part-size", "0")):  # fmt: skip
            self.refused(1, "transform", SOURCE, self.folder / "dst", *SRC_STRATEGY, *options)
        self.assertFalse((self.folder / "dst").exists())


class Names(CliTest):
    def test_rename_and_leave_out(self) -> None:
        self.ok("transform", SOURCE, self.folder / "plain", *SRC_STRATEGY)
        self.ok("transform", SOURCE, self.folder / "dst", *SRC_STRATEGY, "--rename", "layer1.weight=w",
                "--leave-out", "layer2.weight", "--file-name", "net")  # fmt: skip
        want = contents(self.folder / "plain")
        want["w"] = want.pop("layer1.weight")
        del want["layer2.weight"]
        self.assertEqual(contents(self.folder / "dst"), want)
        self.assertTrue((self.folder / "dst" / "rank_0" / "net.ckpt").is_file())

    def test_format_alone(self) -> None:
        """ckpt -> safetensors -> ckpt of one file, names and bits kept."""
        self.ok("transform", SOURCE, self.folder / "a", *SRC_STRATEGY)
        whole = self.folder / "a" / "rank_0" / "checkpoint_0.ckpt"
        self.ok("transform", whole, self.folder / "b", "--format", "safetensors")
        self.ok("transform", self.folder / "b" / "rank_0" / "checkpoint_0.safetensors",
                self.folder / "c", "--format", "ckpt")  # fmt: skip
        self.assertEqual(contents(self.folder / "c"), contents(self.folder / "a"))
        self.assertIn("nothing to convert", self.refused(1, "transform", whole, self.folder / "d"))

    def test_file_suffix(self) -> None:
        src = self.folder / "src"
        for rank in range(8):
            (src / f"rank_{rank}").mkdir(parents=True)
            (old,) = (SOURCE / f"rank_{rank}").iterdir()
            for name in (f"net_rank_{rank}-1_10", f"net_rank_{rank}_1-1_10"):
                shutil.copy(old, src / f"rank_{rank}" / f"{name}.ckpt")
        message = self.refused(1, "transform", src, self.folder / "dst", *SRC_STRATEGY)
        self.assertIn("are both epoch 1, step 10", message)
        self.ok("transform", src, self.folder / "dst", *SRC_STRATEGY, "--file-suffix", "1_10")
        self.ok("transform", src, self.folder / "dst2", *SRC_STRATEGY, "--file-suffix", "1-1_10")


class KeepOthers(CliTest):
    def test_two_prefixes_in_one_folder(self) -> None:
        dst = self.folder / "dst"
        self.ok("transform", *retrain(), dst, "--prefix", "a_")
        self.refused(1, "transform", *retrain(), dst, "--prefix", "b_")
        self.ok("transform", *retrain(), dst, "--prefix", "b_", "--keep-others")
        self.assertEqual(sorted(path.name for path in (dst / "rank_1").iterdir()),
                         ["a_1.ckpt", "b_1.ckpt"])  # fmt: skip


class Redundancy(CliTest):
    def test_removed(self) -> None:
        self.ok("transform", *retrain(), self.folder / "full")
        self.ok("transform", *retrain(), self.folder / "less", "--remove-redundancy")
        self.ok("verify", *retrain(), self.folder / "less", "--remove-redundancy")
        self.ok("verify", self.folder / "less")
        self.ok("diff", self.folder / "full", self.folder / "less", "--a-strategy", DST,
                "--b-strategy", DST)  # fmt: skip
        self.assertLess(sum(p.stat().st_size for p in (self.folder / "less").rglob("*.ckpt")),
                        sum(p.stat().st_size for p in (self.folder / "full").rglob("*.ckpt")))  # fmt: skip


if __name__ == "__main__":
    unittest.main()
