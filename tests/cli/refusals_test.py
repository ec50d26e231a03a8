# SPDX-License-Identifier: Apache-2.0
"""Bad input: each is refused, nothing is written, and the message says what, where, both sides.

VERBOSE=1 prints every message, for judging them by eye.
"""

import os
import pathlib
import shutil
import unittest
from collections.abc import Callable

import files
from cli import TUTORIAL, CliTest, everything
from layouts import Layout, Strategy

ROWS = Layout([4], [[0], []])
COLUMNS = Layout([2], [[], [0]])
WHOLE = {"layer1.weight": files.counting("Float32", [8, 6]),
         "layer1.bias": files.counting("Float32", [8], 1),
         "layer2.weight": files.counting("Float16", [8, 6], 2)}  # fmt: skip
SOURCE = Strategy([{"layer1.weight": ROWS, "layer1.bias": Layout([4], [[]]), "layer2.weight": ROWS}])
TARGET = Strategy([{"layer1.weight": COLUMNS, "layer1.bias": Layout([2], [[0]]),
                    "layer2.weight": COLUMNS}])  # fmt: skip
EXTRA = {"global_step": files.counting("Int32", [], 3)}


class RefusalTest(CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.src = self.folder / "src"
        self.dst = self.folder / "dst"
        self.src_strategy = self.folder / "src_strategy.ckpt"
        self.dst_strategy = self.folder / "dst_strategy.ckpt"
        files.write_set(self.src, WHOLE, SOURCE, EXTRA)
        files.write_strategy(self.src_strategy, SOURCE)
        files.write_strategy(self.dst_strategy, TARGET)

    def file(self, rank: int) -> pathlib.Path:
        return files.rank_path(self.src, rank)

    def case(self) -> list[object]:
        return [self.src, self.dst, "--src-strategy", self.src_strategy,
                "--dst-strategy", self.dst_strategy]  # fmt: skip

    def rewrite(self, rank: int, **changed: files.Tensor | None) -> None:
        """Writes a rank's file anew with values replaced, added, or (None) left out."""
        names = {name.replace("__", "."): value for name, value in changed.items()}
        values = files.rank_values(WHOLE, SOURCE, rank) | EXTRA | names
        files.write_ckpt(self.file(rank), {n: v for n, v in values.items() if v is not None})

    def refuses(self, *words: str, exit_code: int = 1, more: tuple[object, ...] = ()) -> None:
        before = everything(self.folder)
        message = self.refused(exit_code, "transform", *self.case(), *more)
        if os.environ.get("VERBOSE"):
            print(f"\n{self.id().rsplit('.', 1)[1]}:\n  {message}", end="")
        for word in words:
            self.assertIn(word, message)
        self.assertEqual(everything(self.folder), before)


class Baseline(RefusalTest):
    def test_without_a_defect_it_works(self) -> None:
        """Or the refusals below would prove nothing."""
        self.ok("transform", *self.case())
        self.ok("verify", *self.case())


class Folders(RefusalTest):
    def test_source_is_missing(self) -> None:
        shutil.rmtree(self.src)
        self.refuses(str(self.src), "No such file or directory")

    def test_source_is_empty(self) -> None:
        shutil.rmtree(self.src)
        self.src.mkdir()
        self.refuses(str(self.src), "rank_0/")

    def test_rank_folder_is_missing(self) -> None:
        shutil.rmtree(self.src / "rank_2")
        self.refuses(str(self.src), "4 ranks", "rank 2", str(self.src_strategy), "--allow-missing")

    def test_rank_folder_is_missing_and_no_replica_has_it(self) -> None:
        shutil.rmtree(self.src / "rank_2")
        self.refuses("layer1.weight", "rank 2", more=("--allow-missing",))

    def test_rank_file_is_missing(self) -> None:
        self.file(2).unlink()
        self.refuses(str(self.src / "rank_2"), ".ckpt")

    def test_two_files_without_steps(self) -> None:
        shutil.copy(self.file(1), self.src / "rank_1" / "other.ckpt")
        self.refuses(str(self.src / "rank_1"), "net.ckpt", "other.ckpt", "leave one")

    def test_two_files_in_one_folder_and_no_step_in_another(self) -> None:
        self.file(1).rename(self.src / "rank_1" / "net-1_7.ckpt")
        shutil.copy(self.src / "rank_1" / "net-1_7.ckpt", self.src / "rank_1" / "net-2_7.ckpt")
        self.refuses(str(self.file(0)), "-<epoch>_<step>")

    def test_no_common_step(self) -> None:
        for rank in range(4):
            self.file(rank).rename(self.src / f"rank_{rank}" / f"net-{rank // 2}_7.ckpt")
        self.refuses("rank_0/net-0_7.ckpt", "rank_2/net-1_7.ckpt")

    def test_two_files_and_no_common_step(self) -> None:
        for rank in range(4):
            self.file(rank).rename(self.src / f"rank_{rank}" / f"net-{rank}_7.ckpt")
        shutil.copy(self.src / "rank_1" / "net-1_7.ckpt", self.src / "rank_1" / "net-9_7.ckpt")
        self.refuses("0_7", "9_7", "all rank folders")

    def test_step_that_is_not_there(self) -> None:
        for rank in range(4):
            self.file(rank).rename(self.src / f"rank_{rank}" / "net-3_7.ckpt")
        self.refuses("--step 4_7", "3_7", more=("--step", "4_7"))

    def test_both_formats(self) -> None:
        self.file(1).rename(self.src / "rank_1" / "net.safetensors")
        self.refuses("rank_0/net.ckpt", "rank_1/net.safetensors")

    def test_two_folders_of_one_rank(self) -> None:
        shutil.copytree(self.src / "rank_1", self.src / "rank_01")
        self.refuses(str(self.src / "rank_1"), str(self.src / "rank_01"), "both rank 1")

    def test_prefix_with_slash_or_dots(self) -> None:
        for prefix in ("a/b", "/etc/x", "..", "../x"):
            with self.subTest(prefix):
                self.refuses("--prefix", prefix, more=("--prefix", prefix))

    def test_target_rank_that_does_not_exist(self) -> None:
        self.refuses("--rank 2", "ranks 0-1", str(self.dst_strategy), more=("--rank", "2"))


class Files(RefusalTest):
    """What does not look like a checkpoint, or is damaged."""

    def test_empty_file(self) -> None:
        self.file(1).write_bytes(b"")
        self.refuses(str(self.file(1)), "empty")

    def test_not_a_checkpoint(self) -> None:
        for contents in (b"hello, world\n" * 9, b"\x89PNG\r\n\x1a\n" + bytes(99), bytes(64), b"\xff" * 64):
            self.file(1).write_bytes(contents)
            self.refuses(str(self.file(1)))

    def test_truncated_anywhere(self) -> None:
        """Cut at each byte: refused, but for the ends of records, where values are missing."""
        data = self.file(1).read_bytes()
        for size in [*range(1, 60), *range(60, len(data), 7), len(data) - 1]:
            self.file(1).write_bytes(data[:size])
            self.refuses(exit_code=1)
        self.file(1).write_bytes(data[: len(data) // 2])
        self.refuses(str(self.file(1)))

    def test_cut_between_records(self) -> None:
        """MindSpore calls such a file whole."""
        self.rewrite(1, layer2__weight=None, global_step=None)
        self.refuses("layer2.weight", "rank 1")

    def test_bits_flipped_in_headers(self) -> None:
        """Never a crash; whatever is accepted is right by its own words."""
        data = self.file(1).read_bytes()
        for at in range(0, 60):
            for bit in (0x01, 0x08, 0x80):
                changed = bytearray(data)
                changed[at] ^= bit
                self.file(1).write_bytes(changed)
                done = self.run_cli("transform", *self.case(), "--no-sync")
                self.assertIn(done.returncode, (0, 1), (at, bit, done))
                if done.returncode:
                    self.assertIn("relayout: error: ", done.stderr)
                    self.assertFalse(self.dst.exists())
                else:
                    shutil.rmtree(self.dst)

    def test_bit_flipped_in_the_data_of_a_file_with_crc(self) -> None:
        values = files.rank_values(WHOLE, SOURCE, 1) | EXTRA
        files.write_ckpt(self.file(1), values, crc=True)
        self.ok("transform", *self.case())
        shutil.rmtree(self.dst)
        data = bytearray(self.file(1).read_bytes())
        data[60] ^= 1
        self.file(1).write_bytes(data)
        self.refuses(str(self.file(1)), "crc_num", "damaged")

    def test_bit_flipped_in_a_replica(self) -> None:
        """Without CRC only replicas tell: --check-replicas compares them."""
        bias = files.Tensor("Float32", [8], b"\1" + WHOLE["layer1.bias"].contents[1:])
        self.rewrite(3, layer1__bias=bias)
        self.refuses("layer1.bias", "rank 0", "rank 3", more=("--check-replicas",))

    def test_contents_and_shape_disagree(self) -> None:
        """MindSpore overruns its heap on the longer one."""
        for extra in (-4, -1, 1, 4, 4096):
            contents = bytes(8 * 6 // 4 * 4 + extra)
            self.rewrite(1, layer1__weight=files.Tensor("Float32", [2, 6], contents))
            self.refuses(str(self.file(1)), "layer1.weight", "[2,6]", "48")

    def test_huge_claims(self) -> None:
        for shape in ([1 << 62, 6], [1 << 40, 1 << 40], [-1, 6], [-(1 << 63)]):
            self.rewrite(1, layer1__weight=files.Tensor("Float32", shape, bytes(48)))
            self.refuses(str(self.file(1)), "layer1.weight")

    def test_type_that_nobody_knows(self) -> None:
        self.rewrite(1, layer1__weight=files.Tensor("Float31", [2, 6], bytes(48)))
        self.refuses(str(self.file(1)), "layer1.weight", "Float31")

    def test_encrypted(self) -> None:
        shutil.copy(TUTORIAL.parent / "mindspore" / "encrypted_gcm.ckpt", self.file(1))
        self.refuses(str(self.file(1)), "encrypted")

    def test_strategy_given_as_checkpoint(self) -> None:
        shutil.copy(self.src_strategy, self.file(1))
        self.refuses(str(self.file(1)))


class Values(RefusalTest):
    """Files and strategies that contradict each other."""

    def test_shape_of_one_rank_disagrees(self) -> None:
        self.rewrite(1, layer1__weight=files.counting("Float32", [3, 6]))
        self.refuses("layer1.weight", str(self.file(0)), "[2,6]", str(self.file(1)), "[3,6]")

    def test_number_of_dimensions_disagrees(self) -> None:
        for rank in range(4):
            self.rewrite(rank, layer1__weight=files.counting("Float32", [12]))
        self.refuses("layer1.weight", str(self.file(0)), "[12]", str(self.src_strategy))

    def test_whole_tensors_where_slices_should_be(self) -> None:
        """integrated_save=True: MindSpore makes tensors four times too large of these."""
        layouts = {name: Layout(layout.mesh, layout.cuts, 0, WHOLE[name].shape)
                   for name, layout in SOURCE.stages[0].items()}  # fmt: skip
        self.src_strategy = self.folder / "src_strategy.json"
        files.write_strategy(self.src_strategy, Strategy([layouts]))
        self.ok("transform", *self.case())
        shutil.rmtree(self.dst)
        for rank in range(4):
            self.rewrite(rank, layer1__weight=WHOLE["layer1.weight"])
        self.refuses("layer1.weight", "[8,6]", str(self.src_strategy), "integrated_save")

    def test_types_of_replicas_differ(self) -> None:
        self.rewrite(2, layer1__bias=files.counting("Float16", [8]))
        self.refuses("layer1.bias", "f32", str(self.file(0)), "f16", str(self.file(2)))

    def test_shapes_of_replicas_differ(self) -> None:
        self.rewrite(2, layer1__bias=files.counting("Float32", [16]))
        self.refuses("layer1.bias", str(self.file(0)), "[8]", str(self.file(2)), "[16]")

    def test_value_outside_the_strategies_with_two_shapes(self) -> None:
        self.rewrite(2, global_step=files.counting("Int32", [2]))
        self.refuses("global_step", str(self.file(0)), str(self.file(2)), "[2]", "strategy")

    def test_string_where_a_tensor_should_be(self) -> None:
        for rank in range(4):
            self.rewrite(rank, layer1__bias=files.string("oops"))
        self.refuses("layer1.bias", "a string", str(self.file(0)), str(self.src_strategy))

    def test_map_tensor(self) -> None:
        part = files.numbers(1, [2]) + files.message(2, b"int32") + files.message(3, bytes(8))
        table = files.message(1, files.message(1, b"table") + files.message(3, files.message(1, part) * 3))
        self.file(0).write_bytes(self.file(0).read_bytes() + table)
        self.refuses("table", "MapTensor", str(self.file(0)))

    def test_value_that_no_file_holds(self) -> None:
        for rank in range(4):
            self.rewrite(rank, layer2__weight=None)
        self.refuses("layer2.weight", str(self.src), "strateg", "--allow-missing")
        report = self.ok_json("transform", *self.case(), "--allow-missing")
        notes = {note["kind"]: note["message"] for note in report["notes"]}
        self.assertIn("layer2.weight", notes["missing"])

    def test_value_in_no_strategy_is_kept_and_reported(self) -> None:
        for rank in range(4):
            self.rewrite(rank, notes=files.counting("UInt8", [5]), author=files.string("me"))
        report = self.ok_json("transform", *self.case())
        notes = {note["kind"]: note["message"] for note in report["notes"]}
        for name in ("notes", "author", "global_step"):
            self.assertIn(name, notes["carried"])
        self.ok("verify", *self.case())

    def test_ranks_that_disagree_about_a_step_are_reported(self) -> None:
        self.rewrite(2, global_step=files.counting("Int32", [], 8))
        report = self.ok_json("transform", *self.case())
        notes = {note["kind"]: note["message"] for note in report["notes"]}
        self.assertIn("global_step", notes["disagreement"])
        self.assertIn("rank 2", notes["disagreement"])

    def test_value_that_only_the_source_strategy_knows(self) -> None:
        self.use_target({n: l for n, l in TARGET.stages[0].items() if n != "layer1.bias"})
        report = self.ok_json("transform", *self.case())
        notes = {note["kind"]: note["message"] for note in report["notes"]}
        self.assertIn("layer1.bias", notes["left_out"])
        shutil.rmtree(self.dst)
        self.refuses("layer1.bias", str(self.dst_strategy), "--strict", more=("--strict",))
        self.ok("transform", *self.case(), "--keep-extra")
        self.ok("verify", *self.case(), "--keep-extra")

    def use_target(self, layouts: dict[str, Layout]) -> None:
        files.write_strategy(self.dst_strategy, Strategy([layouts]))


class Strategies(RefusalTest):
    def test_missing(self) -> None:
        self.src_strategy.unlink()
        self.refuses(str(self.src_strategy), "No such file or directory")

    def test_empty(self) -> None:
        for path in (self.src_strategy, self.folder / "s.json"):
            path.write_bytes(b"")
            self.src_strategy = path
            self.refuses(str(path), "empty")

    def test_not_a_strategy(self) -> None:
        for name, contents in {"a.ckpt": b"hello, world\n", "b.json": b"{", "c.json": b"[]",
                               "d.json": b"{}", "e.ckpt": b"\xff" * 40,
                               "f.ckpt": self.file(0).read_bytes()}.items():  # fmt: skip
            with self.subTest(name):
                self.src_strategy = self.folder / name
                self.src_strategy.write_bytes(contents)
                self.refuses(str(self.src_strategy))

    def test_for_another_network(self) -> None:
        other = Strategy([{"encoder.weight": ROWS}])
        files.write_strategy(self.src_strategy, other)
        files.write_strategy(self.dst_strategy, Strategy([{"encoder.weight": COLUMNS}]))
        self.refuses("encoder.weight", str(self.src), "right strategy")

    def test_for_fewer_ranks(self) -> None:
        """MindSpore silently takes the first ranks' slices."""
        files.write_strategy(self.src_strategy, Strategy([{n: Layout([2], [[0], []][:len(l.cuts)])
                                                           for n, l in SOURCE.stages[0].items()}]))  # fmt: skip
        self.refuses(str(self.src_strategy), "2 ranks", "no place", str(self.file(3)))

    def test_for_more_ranks(self) -> None:
        files.write_strategy(self.src_strategy, Strategy([{n: Layout([8], [[0], []][:len(l.cuts)])
                                                           for n, l in SOURCE.stages[0].items()}]))  # fmt: skip
        self.refuses(str(self.src_strategy), "8 ranks", "4-7", str(self.src))

    def test_dimension_that_does_not_divide(self) -> None:
        self.set_target("layer1.weight", Layout([4], [[], [0]]))
        self.refuses("layer1.weight", "dim 1", "6", "4", str(self.dst_strategy))

    def test_optimizer_split_that_does_not_divide(self) -> None:
        self.set_target("layer1.bias", Layout([4, 4], [[0]], -1))
        self.refuses("layer1.bias", "dim 0", "8", str(self.dst_strategy))

    def test_more_dimensions_than_the_tensor(self) -> None:
        self.set_target("layer1.bias", Layout([2], [[], [0]]))
        self.refuses("layer1.bias", str(self.dst_strategy))

    def test_axis_used_twice(self) -> None:
        self.set_target("layer1.weight", Layout([2], [[0], [0]]))
        self.refuses("layer1.weight", str(self.dst_strategy))

    def test_axis_that_does_not_exist(self) -> None:
        text = files.layout_json(COLUMNS) | {"tensor_map": [7, -1]}
        self.set_json(text)
        self.refuses("layer1.weight", "7", str(self.dst_strategy))

    def test_meshes_of_different_size(self) -> None:
        files.write_strategy(self.dst_strategy, Strategy([TARGET.stages[0] | {
            "layer1.bias": Layout([4], [[]])}]))  # fmt: skip
        self.refuses("layer1.bias", "4", "2", str(self.dst_strategy))

    def test_huge_mesh(self) -> None:
        self.set_json({"dev_matrix": [1 << 31, 1 << 31, 1 << 31], "tensor_map": [-1, -1],
                       "tensor_shape": [8, 6], "field": 0, "opt_weight_shard_step": 0,
                       "opt_weight_shard_size": 0})  # fmt: skip
        self.refuses("layer1.weight", str(self.dst_strategy))

    def test_stated_shape_disagrees(self) -> None:
        self.set_json(files.layout_json(COLUMNS) | {"tensor_shape": [8, 12]})
        self.refuses("layer1.weight", "[8,6]", "[8,12]", str(self.dst_strategy))

    def test_uneven_split(self) -> None:
        """param_split_shape: MindSpore's transforms ignore it and write wrong shapes."""
        self.set_json(files.layout_json(COLUMNS) | {"tensor_map": [0, -1], "param_split_shape": [5, 3],
                                                    "indices_offset": [0, 5]})  # fmt: skip
        done = self.run_cli("transform", *self.case())
        if done.returncode == 0:
            self.assertEqual(self.ok_json("inspect", self.dst)["values"][0]["stored_shape"], [5, 6])
        else:
            self.assertIn("layer1.weight", done.stderr)

    def set_target(self, name: str, layout: Layout) -> None:
        count = layout.device_count()
        rest = {n: Layout([count], [[] for _ in tensor.shape]) for n, tensor in WHOLE.items()}
        files.write_strategy(self.dst_strategy, Strategy([rest | {name: layout}]))

    def set_json(self, layout: dict) -> None:
        import json  # pylint: disable=import-outside-toplevel

        self.dst_strategy = self.folder / "dst_strategy.json"
        item = {"MatMul": {"stage": 0, "parallel_strategy": [[1]]}}
        self.dst_strategy.write_text(json.dumps({"current_stage": 1, "parallel_strategy_item": item,
                                                 "parallel_layout_item": {"layer1.weight": layout}}))  # fmt: skip


class OtherVerbs(RefusalTest):
    """verify, diff, inspect and ranks name the culprit, too, and write nothing."""

    def test_verify(self) -> None:
        self.ok("transform", *self.case())
        file = self.dst / "rank_1" / "checkpoint_1.ckpt"
        whole = file.read_bytes()
        for contents, word in {b"": "empty", whole[:-1]: "truncated"}.items():
            file.write_bytes(contents)
            message = self.refused(1, "verify", *self.case())
            self.assertIn(str(file), message)
            self.assertIn(word, message)
        file.unlink()
        self.assertIn(str(file.parent), self.refused(1, "verify", *self.case()))
        file.parent.rmdir()
        done = self.run_cli("verify", *self.case())
        self.assertEqual(done.returncode, 1)
        self.assertIn("rank 1", done.stdout)
        self.ok("verify", *self.case(), "--rank", 0)

    def test_verify_finds_what_is_missing_superfluous_or_of_another_kind(self) -> None:
        self.ok("transform", *self.case())
        right = files.rank_values(WHOLE, TARGET, 1) | EXTRA
        bias = right["layer1.bias"]
        for change in ({"layer1.bias": None}, {"more": bias},
                       {"layer1.bias": files.Tensor("Int32", bias.shape, bias.contents)},
                       {"layer1.bias": files.Tensor("Float32", [2, 2], bias.contents)},
                       {"layer1.bias": files.Tensor("Float32", [4], bias.contents[::-1])}):  # fmt: skip
            values = {n: v for n, v in (right | change).items() if v is not None}
            files.write_ckpt(self.dst / "rank_1" / "checkpoint_1.ckpt", values)
            done = self.run_cli("verify", *self.case())
            self.assertEqual((done.returncode, done.stderr), (1, ""))
            self.assertIn(f"rank 1: {next(iter(change))}", done.stdout)
            self.assertIn("1 problem: ", done.stdout)
        files.write_ckpt(self.dst / "rank_1" / "checkpoint_1.ckpt", right)
        self.ok("verify", *self.case())

    def test_diff_finds_each_kind(self) -> None:
        whole = self.folder / "whole" / "w.ckpt"
        for change, text in (({}, ""), ({"layer1.bias": None}, "only in"), ({"more": EXTRA["global_step"]}, "only in"),
                             ({"layer1.bias": files.counting("Float16", [8])}, "f16[8]"),
                             ({"layer1.bias": files.counting("Float32", [8])}, "differ")):  # fmt: skip
            values = {n: v for n, v in (WHOLE | EXTRA | change).items() if v is not None}
            files.write_ckpt(whole, values)
            done = self.run_cli("diff", self.src, whole, "--a-strategy", self.src_strategy)
            self.assertEqual((done.returncode, done.stderr), (1 if change else 0, ""), done)
            self.assertIn(text, done.stdout)
            for name in change:
                self.assertIn(f"{name}: ", done.stdout)

    def test_inspect(self) -> None:
        self.file(2).write_bytes(b"")
        for path in (self.src, self.file(2)):
            self.assertIn(str(self.file(2)), self.refused(1, "inspect", path))
        self.assertIn("nothing", self.refused(1, "inspect", self.folder / "nothing"))

    def test_ranks(self) -> None:
        strategies = self.case()[2:]
        self.assertIn("0-1", self.refused(1, "ranks", 2, *strategies))
        self.assertIn("strategy", self.refused(1, "ranks", 0))
        self.src_strategy.write_bytes(b"")
        self.assertIn(str(self.src_strategy), self.refused(1, "ranks", 0, *strategies))


class Merging(CliTest):
    STAGES = Strategy([{"a": Layout([2], [[0]])}, {"b": Layout([2], [[0]])}, {"c": Layout([2], [[]])}])

    def merge_refuses(self, change: Callable[[pathlib.Path], object], *words: str) -> None:
        stages = self.folder / "stages"
        files.write_stage_files(stages, self.STAGES)
        change(stages)
        message = self.refused(1, "merge-strategies", stages, self.folder / "out.ckpt")
        if os.environ.get("VERBOSE"):
            print(f"\n{self.id().rsplit('.', 1)[1]}:\n  {message}", end="")
        for word in words:
            self.assertIn(word, message)
        self.assertFalse((self.folder / "out.ckpt").exists())

    def test_without_a_defect_it_works(self) -> None:
        files.write_stage_files(self.folder / "stages", self.STAGES)
        self.ok("merge-strategies", self.folder / "stages", self.folder / "out.ckpt")

    def test_both_kinds(self) -> None:
        self.merge_refuses(lambda d: (d / "x.json").write_text("{}"), "stages", ".ckpt and .json")

    def test_stage_missing(self) -> None:
        def remove(folder: pathlib.Path) -> None:
            for rank in (2, 3):
                (folder / f"src_strategy_{rank}.ckpt").unlink()

        self.merge_refuses(remove, "stage 1", "stage 2")

    def test_stage_twice_and_different(self) -> None:
        other = Strategy([{"a": Layout([2], [[]])}])
        self.merge_refuses(lambda d: files.write_strategy(d / "src_strategy_1.ckpt", other), "stage 0",
                           "src_strategy_0.ckpt", "src_strategy_1.ckpt", "twice", "a is")  # fmt: skip

    def test_merged_file_among_them(self) -> None:
        self.merge_refuses(lambda d: files.write_strategy(d / "all.ckpt", self.STAGES), "all.ckpt",
                           "merged already")  # fmt: skip

    def test_empty_folder(self) -> None:
        """MindSpore writes an empty JSON text into the .ckpt here."""
        self.merge_refuses(lambda d: [path.unlink() for path in d.iterdir()], "stages", "no .ckpt")

    def test_damaged_file(self) -> None:
        self.merge_refuses(lambda d: (d / "src_strategy_1.ckpt").write_bytes(b"\xff\xff\xff"),
                           "src_strategy_1.ckpt")  # fmt: skip

    def test_no_folder(self) -> None:
        self.merge_refuses(lambda d: d.rename(self.folder / "elsewhere"), "stages", "No such file")

    def test_twice_into_the_same_folder(self) -> None:
        """MindSpore merges its own output the second time."""
        stages = self.folder / "stages"
        files.write_stage_files(stages, self.STAGES)
        self.ok("merge-strategies", stages, stages / "all.ckpt")
        first = (stages / "all.ckpt").read_bytes()
        self.ok("merge-strategies", stages, stages / "all.ckpt", "--overwrite")
        self.assertEqual((stages / "all.ckpt").read_bytes(), first)


if __name__ == "__main__":
    unittest.main()
