# SPDX-License-Identifier: Apache-2.0
"""The rows of the table in docs/mindspore.md: what MindSpore does, and what relayout.mindspore does.

A test that fails because MindSpore does better now takes its row with it.
"""

import contextlib
import io
import json
import os
import pathlib
import re
import shutil
import unittest
import unittest.mock

import ms  # First: it sets MindSpore up.
import check_hashes
import files
import mindspore
import mindspore.parallel
import safetensors
from cli import ROOT, CliTest
from layouts import Layout, Strategy

import relayout
import relayout.mindspore

THEIRS = mindspore.parallel
WHOLE = Layout([1], [[], []])
ROWS = Layout([2], [[0], []])
COLUMNS = Layout([2], [[], [0]])
Values = dict[str, files.Tensor]


def strategy(**layouts: Layout) -> Strategy:
    return Strategy([layouts])


class Differences(CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.src, self.mine, self.theirs = (
            self.folder / name for name in ("src", "mine", "theirs")
        )
        self.src_strategy, self.dst_strategy = self.folder / "src.ckpt", self.folder / "dst.ckpt"

    def write(
        self,
        whole: Values,
        source: Strategy,
        target: Strategy,
        extra: Values | None = None,
        form: str = "ckpt",
    ) -> None:
        """A set saved under `source`, and both strategies."""
        for rank in range(source.rank_count()):
            values = files.rank_values(whole, source, rank) | (extra or {})
            path = self.src / f"rank_{rank}" / f"net.{form}"
            (files.write_ckpt if form == "ckpt" else files.write_safetensors)(path, values)
        files.write_strategy(self.src_strategy, source)
        files.write_strategy(self.dst_strategy, target)

    def transform(self, side: object, form: str = "ckpt") -> None:
        target = self.mine if side is relayout.mindspore else self.theirs
        with contextlib.redirect_stdout(io.StringIO()):
            side.transform_checkpoints(
                str(self.src),
                str(target),
                "net",
                str(self.src_strategy),
                str(self.dst_strategy),
                1,
                form,
            )

    def read(
        self, folder: pathlib.Path, rank: int, form: str = "ckpt"
    ) -> dict[str, check_hashes.Tensor]:
        return check_hashes.read_file(folder / f"rank_{rank}" / f"net{rank}.{form}")

    def check_right(self, whole: Values, target: Strategy, form: str = "ckpt") -> None:
        for rank in range(target.rank_count()):
            want = files.rank_values(whole, target, rank)
            got = self.read(self.mine, rank, form)
            self.assertEqual(got, {n: (v.dtype, v.shape, v.contents) for n, v in want.items()})

    def refused_by_mindspore(self, error: type[Exception], words: str, form: str = "ckpt") -> None:
        with self.assertRaisesRegex(error, words):
            self.transform(THEIRS, form)

    def refused_by_relayout(self, words: str) -> None:
        with self.assertRaisesRegex(relayout.InputError, words):
            self.transform(relayout.mindspore)
        self.assertFalse(self.mine.exists())


class RightWhereMindSporeIsNot(Differences):
    def test_counts(self) -> None:
        """Row `counts`."""
        whole = {"w": files.counting("Int32", [24, 12])}
        for source, target in ((8, 6), (3, 4), (2, 3)):
            strategies = [strategy(w=Layout([n], [[0], []])) for n in (source, target)]
            self.write(whole, *strategies)
            self.refused_by_mindspore(ValueError, f"{source} to {target}")
            self.transform(relayout.mindspore)
            self.check_right(whole, strategies[1])
            shutil.rmtree(self.src)

    def test_optimizer_groups(self) -> None:
        """Row `optimizer groups`."""
        whole = {"w": files.counting("Int32", [6, 4])}
        target = strategy(w=ROWS)
        self.write(whole, strategy(w=Layout([2, 3, 2], [[], [0]], 3)), target)
        self.refused_by_mindspore(ValueError, "")
        self.transform(relayout.mindspore)
        self.check_right(whole, target)

    def test_permuted(self) -> None:
        """Row `permuted`."""
        whole = {"w": files.counting("Int32", [8, 4])}
        target = strategy(w=Layout([2, 2, 2], [[2], [1]], 2))
        self.write(whole, strategy(w=WHOLE), target)
        self.transform(THEIRS)
        self.transform(relayout.mindspore)
        self.check_right(whole, target)
        wrong = [r for r in range(8) if self.read(self.mine, r) != self.read(self.theirs, r)]
        self.assertEqual(wrong, [1, 2, 5, 6])

    def test_single_devices(self) -> None:
        """Row `single devices`."""
        whole = {name: files.counting("Int32", [4, 4], salt) for salt, name in enumerate("uvw")}
        target = Strategy([{"u": WHOLE}, {"v": WHOLE}, {"w": WHOLE}])
        self.write(whole, strategy(u=ROWS, v=ROWS, w=COLUMNS), target)
        self.refused_by_mindspore(
            (ValueError, RuntimeError), "rank 0 is missing|not in the current"
        )
        self.transform(relayout.mindspore)
        self.check_right(whole, target)

    def test_column_cuts(self) -> None:
        """Row `column cuts`."""
        whole = {"w": files.counting("Float32", [4, 8])}
        target = strategy(w=Layout([4], [[], [0]]))
        self.write(whole, strategy(w=Layout([4], [[], []])), target, form="safetensors")
        self.transform(THEIRS, "safetensors")
        self.transform(relayout.mindspore, "safetensors")
        self.check_right(whole, target, "safetensors")
        same = self.read(self.mine, 1, "safetensors") == self.read(self.theirs, 1, "safetensors")
        self.assertEqual(same, int(safetensors.__version__.split(".")[1]) < 8)

    def test_merged_json(self) -> None:
        """Row `merged json`."""
        whole = {name: files.counting("Int32", [4, 4], salt) for salt, name in enumerate("vw")}
        self.write(
            whole,
            Strategy([{"v": ROWS}, {"w": ROWS}]),
            strategy(v=ROWS, w=ROWS),
            form="safetensors",
        )
        self.src_strategy = self.folder / "src.json"
        files.write_strategy(self.src_strategy, Strategy([{"v": ROWS}, {"w": ROWS}]))
        self.refused_by_mindspore(TypeError, "json or protobuf", "safetensors")
        self.transform(relayout.mindspore, "safetensors")
        self.check_right(whole, strategy(v=ROWS, w=ROWS), "safetensors")

    def test_bits(self) -> None:
        """Row `bits`."""
        nans = files.Tensor("BFloat16", [4, 2], bytes.fromhex("817f82ff0100807fc07fff7f0180803f"))
        packed = files.Tensor("Int4", [4, 2], bytes(range(8)))
        nothing = files.Tensor("Float32", [0, 2], b"")
        target = strategy(nans=COLUMNS, packed=COLUMNS)
        self.write(
            {"nans": nans, "packed": packed},
            strategy(nans=ROWS, packed=ROWS),
            target,
            {"nothing": nothing},
        )
        self.transform(THEIRS)
        self.transform(relayout.mindspore)
        mine, theirs = self.read(self.mine, 0), self.read(self.theirs, 0)
        self.assertNotEqual(mine["nans"], theirs["nans"])
        self.assertEqual((mine["packed"][0], theirs["packed"][0]), ("Int4", "Int8"))
        self.assertEqual(mine.pop("nothing"), ("Float32", [0, 2], b""))
        self.assertNotIn("nothing", theirs)
        want = files.rank_values({"nans": nans, "packed": packed}, target, 0)
        self.assertEqual(mine, {n: (v.dtype, v.shape, v.contents) for n, v in want.items()})

    def test_strings(self) -> None:
        """Row `strings`."""
        self.write(
            {"w": files.counting("Int32", [4, 4])},
            strategy(w=ROWS),
            strategy(w=COLUMNS),
            {"who": files.string("me")},
        )
        self.refused_by_mindspore(AttributeError, "'str' object")
        self.transform(relayout.mindspore)
        self.assertEqual(self.read(self.mine, 1)["who"], ("str", [], "me".encode("utf-32-le")))
        with self.assertRaisesRegex(relayout.InputError, "who"):
            self.transform(relayout.mindspore, "safetensors")

    def test_dashes(self) -> None:
        """Row `dashes`."""
        whole = {"my-w": files.counting("Int32", [4, 4])}
        self.write(whole, Strategy([{"my-w": ROWS}]), Strategy([{"my-w": COLUMNS}]))
        self.refused_by_mindspore(ValueError, "invalid literal for int")
        self.transform(relayout.mindspore)
        self.check_right(whole, Strategy([{"my-w": COLUMNS}]))

    def test_accumulators(self) -> None:
        """Row `accumulators`."""
        w = files.counting("Int32", [4, 4])
        split = Layout([2], [[], []], -1)
        self.write(
            {"w": w, "accu_grads.w": w},
            Strategy([{"w": split, "accu_grads.w": split}]),
            Strategy([{"w": WHOLE, "accu_grads.w": WHOLE}]),
        )
        for rank in range(2):  # Training saves them without the split that the strategy claims.
            part = files.rank_values({"w": w}, strategy(w=split), rank)
            files.write_ckpt(files.rank_path(self.src, rank), part | {"accu_grads.w": w})
        self.transform(THEIRS)
        self.transform(relayout.mindspore)
        self.assertEqual(self.read(self.theirs, 0)["accu_grads.w"][1], [8, 4])
        self.check_right({"w": w}, strategy(w=WHOLE))


class WhatGoesIntoTheTarget(Differences):
    def test_one_side_only(self) -> None:
        """Row `one side only`."""
        whole = {name: files.counting("Int32", [4, 4], salt) for salt, name in enumerate("vw")}
        self.write(whole, strategy(v=ROWS, w=ROWS), strategy(w=COLUMNS))
        self.transform(THEIRS)
        self.transform(relayout.mindspore)
        self.assertEqual(self.read(self.theirs, 0)["v"][1], [2, 4])
        self.check_right({"w": whole["w"]}, strategy(w=COLUMNS))

    def test_target_only(self) -> None:
        """Row `target only`."""
        w, v = files.counting("Int32", [4, 4]), files.counting("Int32", [4, 4], 1)
        self.write({"w": w}, strategy(w=ROWS), strategy(v=ROWS, w=COLUMNS), {"v": v})
        self.transform(THEIRS)
        self.transform(relayout.mindspore)
        self.assertEqual(os.listdir(self.theirs / "rank_0"), ["net0_part0.ckpt"])
        self.check_right({"v": v, "w": w}, strategy(v=ROWS, w=COLUMNS))

    def test_stage_by_stage(self) -> None:
        """Row `stage by stage`."""
        source = Strategy([{"v": ROWS}, {"w": ROWS}])
        whole = {name: files.counting("Int32", [4, 4], salt) for salt, name in enumerate("vw")}
        self.write(whole, source, strategy(v=ROWS, w=ROWS))
        files.write_strategy(self.src_strategy, strategy(w=ROWS), first_stage=1)
        self.transform(THEIRS)
        self.assertEqual(os.listdir(self.theirs / "rank_0"), ["net0_part1.ckpt"])
        self.refused_by_relayout("merge")

    def test_latest_file(self) -> None:
        """Row `latest file`."""
        old, new = files.counting("Int32", [4, 4]), files.counting("Int32", [4, 4], 1)
        self.write({"w": new}, strategy(w=ROWS), strategy(w=COLUMNS))
        for rank in range(2):
            folder = self.src / f"rank_{rank}"
            (folder / "net.ckpt").rename(folder / "net-10_5.ckpt")
            files.write_ckpt(
                folder / "net-9_5.ckpt", files.rank_values({"w": old}, strategy(w=ROWS), rank)
            )
        self.transform(THEIRS)
        self.transform(relayout.mindspore)
        self.check_right({"w": new}, strategy(w=COLUMNS))
        self.assertEqual(
            self.read(self.theirs, 0)["w"][2], old.part((slice(0, 4), slice(0, 2))).contents
        )

    def test_partial_a_value_that_is_missing(self) -> None:
        """Row `partial`."""
        self.write(
            {"w": files.counting("Int32", [4, 4])},
            strategy(v=ROWS, w=ROWS),
            strategy(v=ROWS, w=ROWS),
        )
        self.transform(THEIRS)
        self.assertEqual(set(self.read(self.theirs, 0)), {"w"})
        self.refused_by_relayout("v")

    def test_partial_whole_tensors(self) -> None:
        """Row `partial`."""
        w = files.counting("Float32", [64, 64])
        self.write({}, strategy(w=ROWS), strategy(w=COLUMNS), {"w": w})
        self.transform(THEIRS)
        self.assertEqual(self.read(self.theirs, 0)["w"][1], [128, 32])
        self.refused_by_relayout("w")

    def test_partial_steps(self) -> None:
        """Row `partial`."""
        self.write({"w": files.counting("Int32", [4, 4])}, strategy(w=ROWS), strategy(w=COLUMNS))
        for rank in range(2):
            folder = self.src / f"rank_{rank}"
            (folder / "net.ckpt").rename(folder / f"net-1_{rank}.ckpt")
        self.transform(THEIRS)
        self.refused_by_relayout("rank")

    def test_redundancy(self) -> None:
        """Row `redundancy`."""
        whole = {name: files.counting("Int32", [4, 4], salt) for salt, name in enumerate("vw")}
        copies = Layout([2], [[], []])
        self.write(whole, strategy(v=copies, w=copies), strategy(v=WHOLE, w=WHOLE))
        for rank, kept in enumerate("vw"):
            files.write_ckpt(files.rank_path(self.src, rank), {kept: whole[kept]})
        self.transform(THEIRS)
        self.assertEqual(len(self.read(self.theirs, 0)), 1)
        self.transform(relayout.mindspore)
        self.check_right(whole, strategy(v=WHOLE, w=WHOLE))


class Files(Differences):
    def write_simple(self) -> None:
        self.write({"w": files.counting("Int32", [4, 4])}, strategy(w=ROWS), strategy(w=COLUMNS))

    def test_files(self) -> None:
        """Row `files`."""
        self.write_simple()
        self.transform(THEIRS)
        self.transform(relayout.mindspore)
        umask = os.umask(0)
        os.umask(umask)
        modes = [
            (folder / "rank_0/net0.ckpt").stat().st_mode & 0o777
            for folder in (self.mine, self.theirs)
        ]
        self.assertEqual(modes, [0o666 & ~umask, 0o400])

    def test_files_are_replaced(self) -> None:
        """By both sides, also those that the other one wrote."""
        self.write_simple()
        for target, first, second in (
            (self.mine, THEIRS, relayout.mindspore),
            (self.mine, relayout.mindspore, THEIRS),
        ):
            for side in (first, second, second):
                side.transform_checkpoints(
                    str(self.src),
                    str(target),
                    "net",
                    str(self.src_strategy),
                    str(self.dst_strategy),
                )
            self.check_right({"w": files.counting("Int32", [4, 4])}, strategy(w=COLUMNS))
            shutil.rmtree(target)

    def test_old_files(self) -> None:
        """Rows `old files` and `manifest`."""
        self.write_simple()
        wide = self.folder / "wide.ckpt"
        files.write_strategy(wide, strategy(w=Layout([4], [[0], []])))
        for target, side in ((self.mine, relayout.mindspore), (self.theirs, THEIRS)):
            for to in (wide, self.dst_strategy):
                side.transform_checkpoints(
                    str(self.src), str(target), "net", str(self.src_strategy), str(to)
                )
        self.assertEqual(
            sorted(p.name for p in self.theirs.iterdir()), [f"rank_{r}" for r in range(4)]
        )
        self.assertEqual(
            sorted(p.name for p in self.mine.iterdir()), [".relayout", "rank_0", "rank_1"]
        )
        self.assertTrue(relayout.verify(None, self.mine))

    def test_other_files_stay(self) -> None:
        """Of another prefix, or put there by somebody else; as with MindSpore."""
        self.write_simple()
        for target, side in ((self.mine, relayout.mindspore), (self.theirs, THEIRS)):
            files.write_ckpt(target / "rank_0" / "trained-3_7.ckpt", {})
            for prefix in ("a", "b", "a"):
                side.transform_checkpoints(
                    str(self.src),
                    str(target),
                    prefix,
                    str(self.src_strategy),
                    str(self.dst_strategy),
                )
            there = sorted(str(path.relative_to(target)) for path in target.glob("rank_*/*"))
            self.assertEqual(
                there,
                [
                    "rank_0/a0.ckpt",
                    "rank_0/b0.ckpt",
                    "rank_0/trained-3_7.ckpt",
                    "rank_1/a1.ckpt",
                    "rank_1/b1.ckpt",
                ],
            )

    def test_in_place(self) -> None:
        """Row `in place`."""
        self.write_simple()
        before = {path: path.read_bytes() for path in self.src.glob("*/*")}
        self.mine = self.src
        with self.assertRaisesRegex(relayout.InputError, "the target is the source"):
            self.transform(relayout.mindspore)
        self.assertEqual({path: path.read_bytes() for path in self.src.glob("*/*")}, before)
        self.theirs = self.src
        self.transform(THEIRS)
        self.assertNotEqual({path: path.read_bytes() for path in self.src.glob("*/*")}, before)

    def test_paths(self) -> None:
        """Row `paths`: brackets in the source."""
        self.write_simple()
        self.src = self.src.rename(self.folder / "src[1]")
        self.refused_by_mindspore(ValueError, "empty")
        self.transform(relayout.mindspore)
        self.check_right({"w": files.counting("Int32", [4, 4])}, strategy(w=COLUMNS))

    def test_damage(self) -> None:
        """Row `damage`."""
        self.write_simple()
        values = files.rank_values({"w": files.counting("Int32", [4, 4])}, strategy(w=ROWS), 1)
        path = files.rank_path(self.src, 1)
        files.write_ckpt(path, values, crc=True)
        data = bytearray(path.read_bytes())
        data[-20] ^= 1
        path.write_bytes(data)
        self.transform(THEIRS)
        self.refused_by_relayout("crc_num")

    def test_strategy_folder(self) -> None:
        """Row `strategy folder`."""
        source = Strategy([{"v": ROWS}, {"w": ROWS}])
        whole = {name: files.counting("Int32", [4, 4], salt) for salt, name in enumerate("vw")}
        self.write(whole, source, strategy(v=ROWS, w=COLUMNS))
        self.src_strategy = self.folder / "stages"
        files.write_stage_files(self.src_strategy, source)
        self.refused_by_mindspore(ValueError, "no such strategy file")
        self.transform(relayout.mindspore)
        self.check_right(whole, strategy(v=ROWS, w=COLUMNS))


class Merging(Differences):
    """Row `merge`."""

    STAGES = Strategy([{"v": ROWS}, {"w": ROWS}])

    def merge(self, side: object, name: str = "merged.ckpt") -> pathlib.Path:
        path = self.folder / "stages" / name
        side.merge_pipeline_strategys(str(self.folder / "stages"), str(path))
        return path

    def names(self, path: pathlib.Path) -> list[str]:
        return sorted(relayout.mindspore.build_searched_strategy(path))

    def test_twice(self) -> None:
        files.write_stage_files(self.folder / "stages", self.STAGES)
        self.merge(relayout.mindspore)
        self.assertEqual(self.names(self.merge(relayout.mindspore)), ["0-v", "1-w"])

    def test_different_files_of_a_stage(self) -> None:
        files.write_stage_files(self.folder / "stages", self.STAGES)
        files.write_strategy(self.folder / "stages" / "src_strategy_1.ckpt", strategy(v=COLUMNS))
        self.merge(THEIRS).unlink()
        with self.assertRaisesRegex(relayout.InputError, "v"):
            self.merge(relayout.mindspore)

    def test_a_missing_stage(self) -> None:
        files.write_strategy(self.folder / "stages" / "s.ckpt", strategy(v=ROWS), first_stage=1)
        self.merge(THEIRS).unlink()
        with self.assertRaisesRegex(relayout.InputError, "stage"):
            self.merge(relayout.mindspore)

    def test_json_by_another_name(self) -> None:
        files.write_stage_files(self.folder / "stages", self.STAGES, ".json")
        path = self.merge(THEIRS)
        self.assertEqual(json.loads(path.read_text())["current_stage"], 1)
        path.unlink()
        self.assertEqual(self.names(self.merge(relayout.mindspore)), ["0-v", "1-w"])


class Threads(Differences):
    def threads_of(self, function: str, *arguments: object, **options: object) -> int:
        """The number of threads with which the engine is called."""
        with unittest.mock.patch("relayout.convert") as convert:
            convert.return_value.notes = []
            getattr(relayout.mindspore, function)(*arguments, **options)
        return convert.call_args.kwargs["threads"]

    def test_process_num(self) -> None:
        """Rows `process_num` and `max_process_num`."""
        processors = os.cpu_count() or 1
        for number in (1, 3, 40):
            self.assertEqual(
                self.threads_of("transform_checkpoints", "src", "dst", "net", process_num=number),
                number,
            )
            self.assertEqual(
                self.threads_of("unified_safetensors", "src", None, "dst", max_process_num=number),
                min(number, processors),
            )

    def test_memory(self) -> None:
        """Row `memory`: MindSpore lets its process run on all processors."""
        if (os.cpu_count() or 1) == 1:
            self.skipTest("there is one processor only")
        self.write(
            {"w": files.counting("Float32", [4, 4])},
            strategy(w=ROWS),
            strategy(w=ROWS),
            form="safetensors",
        )
        before = os.sched_getaffinity(0)
        self.addCleanup(os.sched_setaffinity, 0, before)
        one = {min(before)}
        os.sched_setaffinity(0, one)
        relayout.mindspore.unified_safetensors(self.src, self.src_strategy, self.mine)
        self.assertEqual(os.sched_getaffinity(0), one)
        with contextlib.redirect_stdout(io.StringIO()):
            THEIRS.unified_safetensors(str(self.src), str(self.src_strategy), str(self.theirs))
        self.assertNotEqual(os.sched_getaffinity(0), one)


class TheTable(unittest.TestCase):
    def test_every_row_is_tested(self) -> None:
        text = (ROOT / "docs" / "mindspore.md").read_text(encoding="utf-8")
        rows = re.findall(r"^\| `([a-z_ ]+)` \|", text.split("## What differs")[1], re.M)
        tests = "".join(
            path.read_text(encoding="utf-8")
            for path in sorted(pathlib.Path(__file__).parent.glob("dropin_*.py"))
        )
        untested = [row for row in rows if f'"{row}"' not in tests and f"`{row}`" not in tests]
        self.assertEqual(untested, [])
        self.assertEqual(len(rows), len(set(rows)))


if __name__ == "__main__":
    unittest.main()
