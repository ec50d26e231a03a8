# SPDX-License-Identifier: Apache-2.0
"""relayout.mindspore against MindSpore: formats, unified sets, and loading into networks.

SEED=n gives other cases, CASES=n more or fewer.
"""

import contextlib
import io
import json
import os
import pathlib
import random
import shutil
import threading
import time
import unittest
import unittest.mock
from collections.abc import Callable
from typing import Any

import ms  # First: it sets MindSpore up.
import check_hashes
import files
import mindspore
import mindspore.parallel
import safetensors
import worlds
from cli import TUTORIAL, CliTest
from layouts import Layout, Strategy

import relayout
import relayout.mindspore

CASES = int(os.environ.get("CASES", 40))
# MindSpore makes Int4 Int8, and one NaN of all in bf16.
DTYPES = tuple(dtype for dtype in files.ITEM_BYTES if dtype != "Int4")
OPTIONS = worlds.Options(mindspore=True, strings=False, dtypes=DTYPES)


class Quiet(io.StringIO):
    """Standard output that MindSpore's progress bar can reconfigure."""

    def reconfigure(self, **_: object) -> None:
        pass


def contents(folder: pathlib.Path) -> dict[str, dict[str, check_hashes.Tensor]]:
    """What all checkpoint files below a folder hold, by their paths."""
    return {
        str(path.relative_to(folder)): check_hashes.read_file(path)
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".ckpt", ".safetensors")
    }


class Formats(CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.src, self.mine, self.theirs = (
            self.folder / name for name in ("src", "mine", "theirs")
        )

    def empty_folder(self) -> None:
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def save_world(self, seed: int, form: str, options: worlds.Options = OPTIONS) -> worlds.World:
        world = worlds.random_world(seed, options)
        for rank in range(world.rank_count(world.source)):
            values = world.held(world.source, rank)
            ms.save(self.src / f"rank_{rank}" / f"net-1_{seed % 9}.{form}", values, format=form)
        return world

    def both(
        self, function: str, call: Callable[[Callable[..., object], str], object]
    ) -> list[object]:
        """`call` with either side's function and target folder."""
        results = []
        for side, target in ((relayout.mindspore, self.mine), (THEIRS, self.theirs)):
            with contextlib.redirect_stdout(Quiet()):
                results.append(call(getattr(side, function), str(target)))
        return results


class THEIRS:
    """MindSpore's functions, wherever it has them."""

    ckpt_to_safetensors = staticmethod(mindspore.ckpt_to_safetensors)
    safetensors_to_ckpt = staticmethod(mindspore.safetensors_to_ckpt)
    unified_safetensors = staticmethod(mindspore.parallel.unified_safetensors)
    load_distributed_checkpoint = staticmethod(mindspore.parallel.load_distributed_checkpoint)
    load_segmented_checkpoints = staticmethod(mindspore.parallel.load_segmented_checkpoints)
    merge_sliced_parameter = staticmethod(mindspore.parallel.merge_sliced_parameter)


class ChangeOfFormat(Formats):
    def test_folders(self) -> None:
        for seed in range(ms.SEED, ms.SEED + CASES // 2):
            rng = random.Random(seed)
            form, function = rng.choice(
                [("ckpt", "ckpt_to_safetensors"), ("safetensors", "safetensors_to_ckpt")]
            )
            world = self.save_world(seed, form)
            name_map = {name: f"new.{name}" for name in world.whole if rng.random() < 0.5} or None
            regex = rng.choice([None, "net-1", r"_\d+\."])
            with self.subTest(seed=seed):
                results = self.both(
                    function, lambda f, to: f(str(self.src), to, name_map, regex, 2)
                )
                self.assertEqual(results, [None, None])
                self.assertEqual(contents(self.mine), contents(self.theirs))
                self.assertEqual(len(contents(self.mine)), world.rank_count(world.source))
            self.empty_folder()

    def test_beside_the_sources(self) -> None:
        self.save_world(ms.SEED, "ckpt")
        before = contents(self.src)
        relayout.mindspore.ckpt_to_safetensors(self.src)
        for name, values in before.items():
            self.assertEqual(contents(self.src)[name.replace(".ckpt", ".safetensors")], values)
        first = sorted((self.src / "rank_0").glob("*.safetensors"))[0]
        relayout.mindspore.safetensors_to_ckpt(first)  # A single file, over the source.
        self.assertEqual(
            {n: v for n, v in contents(self.src).items() if n.endswith("ckpt")}, before
        )

    def test_all_types_there_and_back(self) -> None:
        """Bits that MindSpore loses too; MindSpore and Hugging Face's safetensors read the files."""
        world = worlds.random_world(ms.SEED, worlds.Options(strings=False))
        for number, dtype in enumerate(files.ITEM_BYTES):
            world.whole[f"t{dtype}"] = worlds.random_bits(
                worlds.np.random.default_rng(number), dtype, [3, 2], nan=True
            )
        path = self.folder / "a" / "x.ckpt"
        values = world.whole | world.extra
        ms.save(path, values)
        relayout.mindspore.ckpt_to_safetensors(path, self.folder / "b")
        middle = self.folder / "b" / "x.safetensors"
        self.assertEqual(ms.differences(ms.load(middle, format="safetensors"), values), [])
        got = {
            name: (list(entry["shape"]), bytes(entry["data"]))
            for name, entry in safetensors.deserialize(middle.read_bytes())
        }
        self.assertEqual(got, {name: value.stored()[1:] for name, value in values.items()})
        relayout.mindspore.safetensors_to_ckpt(middle, self.folder / "c")
        self.assertEqual(
            check_hashes.read_file(self.folder / "c" / "x.ckpt"), check_hashes.read_file(path)
        )

    def test_strings(self) -> None:
        """Row `strings`."""
        files.write_ckpt(self.src / "rank_0" / "a.ckpt", {"who": files.string("me")})
        with self.assertRaisesRegex(relayout.InputError, "who"):
            relayout.mindspore.ckpt_to_safetensors(self.src, self.mine)
        self.assertEqual(contents(self.folder / "mine") if self.mine.exists() else {}, {})

    def test_progress(self) -> None:
        """Row `progress`."""
        self.save_world(ms.SEED, "ckpt")
        printed = []
        for side, to in ((relayout.mindspore, self.mine), (THEIRS, self.theirs)):
            with contextlib.redirect_stdout(Quiet()) as out:
                side.ckpt_to_safetensors(str(self.src), str(to))
            printed.append(out.getvalue())
        self.assertEqual(printed[0], "")
        self.assertIn("100.0%", printed[1])


class Failures(Formats):
    """One file of several fails: the others stop, and the failure is told with its file."""

    def test_the_others_stop(self) -> None:
        for rank in range(3):
            path = self.src / f"rank_{rank}" / "a.ckpt"
            files.write_ckpt(path, {"w": files.counting("Int8", [4])})
        failing = str(self.src / "rank_1" / "a.ckpt")
        running = threading.Event()

        def convert(source: str, *_: object, **options: Any) -> None:
            if source == failing:
                self.assertTrue(running.wait(60))
                raise relayout.InputError("w: damaged")
            for written in range(6000):  # A minute.
                running.set()
                options["progress"](written, 6000)
                time.sleep(0.01)
            self.fail("was not stopped")

        with unittest.mock.patch("relayout.convert", convert):
            with self.assertRaisesRegex(relayout.InputError, f"{failing}: w: damaged"):
                relayout.mindspore.ckpt_to_safetensors(self.src, processes_num=2)


class Unified(Formats):
    def unify(self, seed: int, **options: object) -> tuple[worlds.World, pathlib.Path | None]:
        """Both sides' unified sets of a random world; None for a world without source strategy."""
        world = self.save_world(seed, "safetensors")
        strategy = worlds.write_strategies(random.Random(seed), world, self.folder)[0]
        if strategy is not None:
            self.both(
                "unified_safetensors", lambda f, to: f(str(self.src), str(strategy), to, **options)
            )
        return world, strategy

    def check_maps(self) -> None:
        """Each side's map says where its parameters are; sizes and names are the same."""
        maps = []
        for folder in (self.mine, self.theirs):
            maps.append(json.loads((folder / "param_name_map.json").read_text()))
            for name, part in maps[-1]["weight_map"].items():
                self.assertIn(name, check_hashes.read_file(folder / part))
        self.assertEqual(maps[0]["metadata"], maps[1]["metadata"])
        self.assertEqual(set(maps[0]["weight_map"]), set(maps[1]["weight_map"]))

    def test_sets(self) -> None:
        count = 0
        for seed in range(ms.SEED, ms.SEED + CASES):
            with self.subTest(seed=seed):
                world, strategy = self.unify(seed)
                if strategy is not None:
                    self.assertEqual(contents(self.mine), contents(self.theirs))
                    self.check_maps()
                    self.check_readable(self.mine)
                    self.assertEqual(
                        self.whole(self.mine),
                        {n: v.stored() for n, v in (world.whole | world.extra).items()},
                    )
                    count += 1
            self.empty_folder()
        self.assertGreater(count, CASES // 2)

    def check_readable(self, folder: pathlib.Path) -> None:
        """MindSpore and Hugging Face's safetensors read each file."""
        for path in folder.glob("*.safetensors"):
            want = check_hashes.read_file(path)
            loaded = ms.load(path, format="safetensors")
            self.assertEqual({name: value.stored() for name, value in loaded.items()}, want)
            with safetensors.safe_open(path, framework="numpy") as file:
                self.assertEqual(set(file.keys()), set(want))

    def whole(self, folder: pathlib.Path) -> dict[str, check_hashes.Tensor]:
        return {name: value for file in contents(folder).values() for name, value in file.items()}

    def test_choices(self) -> None:
        """Row `left out`: hyper_param.safetensors of MindSpore has rank 0's slices of these."""
        for seed in range(ms.SEED + 100, ms.SEED + 100 + CASES // 4):

            def choose(name: str, seed: int = seed) -> bool | str:
                return [True, False, f"new.{name}"][sum(map(ord, name + str(seed))) % 3]

            world, strategy = self.unify(seed, choice_func=choose)
            if strategy is not None and any(choose(name) for name in world.whole):
                with self.subTest(seed=seed):
                    self.check_maps()
                    mine, theirs = self.whole(self.mine), self.whole(self.theirs)
                    left_out = {name for name in world.whole if choose(name) is False}
                    self.assertEqual({n for n in theirs if n not in mine}, left_out & set(theirs))
                    for name in left_out:
                        theirs.pop(name, None)
                    self.assertEqual(mine, theirs)
            self.empty_folder()

    def test_left_out(self) -> None:
        """Row `left out`: a slice of each parameter left out, and of each accumulator."""
        layout = Strategy(
            [
                {
                    "w": Layout([2], [[0], []]),
                    "v": Layout([2], [[0], []]),
                    "accu_grads.w": Layout([2], [[0], []]),
                }
            ]
        )
        whole = {
            name: files.counting("Float32", [4, 2], salt)
            for salt, name in enumerate(layout.stages[0])
        }
        for rank in range(2):
            files.write_safetensors(
                self.src / f"rank_{rank}" / "a.safetensors", files.rank_values(whole, layout, rank)
            )
        files.write_strategy(self.folder / "s.ckpt", layout)
        self.both(
            "unified_safetensors",
            lambda f, to: f(
                str(self.src), str(self.folder / "s.ckpt"), to, choice_func=lambda name: name != "v"
            ),
        )
        theirs = check_hashes.read_file(self.theirs / "hyper_param.safetensors")
        self.assertEqual(
            {n: v[1] for n, v in theirs.items()}, {"v": [2, 2], "accu_grads.w": [2, 2]}
        )
        self.assertEqual(set(self.whole(self.mine)), {"w"})

    def test_file_suffix(self) -> None:
        """MindSpore's names of several tasks and steps in one folder."""
        layout = Strategy([{"w": Layout([2], [[0], []])}])
        names = ["net_rank_{}-1_2", "net_rank_{}-10_2", "net_rank_{}_1-1_2", "net_rank_{}_1-10_2"]
        for rank in range(2):
            for salt, name in enumerate(names):
                values = files.rank_values(
                    {"w": files.counting("Float32", [4, 2], salt)}, layout, rank
                )
                files.write_safetensors(
                    self.src / f"rank_{rank}" / f"{name.format(rank)}.safetensors", values
                )
        files.write_strategy(self.folder / "s.ckpt", layout)
        for suffix in ("1_2", "-10_2", "1-1_2", "_1-10_2", "_1-1_2"):
            with self.subTest(suffix):
                self.both(
                    "unified_safetensors",
                    lambda f, to, suffix=suffix: f(
                        str(self.src), str(self.folder / "s.ckpt"), to, file_suffix=suffix
                    ),
                )
                self.assertEqual(contents(self.mine), contents(self.theirs))
                for folder in (self.mine, self.theirs):
                    shutil.rmtree(folder)

    def test_redundancy(self) -> None:
        """Row `redundancy`: each replica keeps some parameters; either flag does here."""
        copies = Layout([2], [[], []])
        layout = Strategy([{"w": copies, "v": copies, "u": Layout([2], [[0], []])}])
        whole = {name: files.counting("Float32", [4, 2], salt) for salt, name in enumerate("uvw")}
        for rank, gone in enumerate("vw"):
            values = files.rank_values(whole, layout, rank)
            del values[gone]
            files.write_safetensors(
                self.src / f"rank_{rank}" / "a.safetensors", values, {"remove_redundancy": "True"}
            )
        files.write_strategy(self.folder / "s.ckpt", layout)
        self.both(
            "unified_safetensors",
            lambda f, to: f(
                str(self.src), str(self.folder / "s.ckpt"), to, merge_with_redundancy=False
            ),
        )
        self.assertEqual(contents(self.mine), contents(self.theirs))
        shutil.rmtree(self.mine)
        relayout.mindspore.unified_safetensors(self.src, self.folder / "s.ckpt", self.mine)
        self.assertEqual(contents(self.mine), contents(self.theirs))

    def test_split_dst_file(self) -> None:
        """Row `split_dst_file`: parts of several runs, also more runs than parts."""
        self.save_world(ms.SEED + 2, "safetensors")
        strategy = worlds.write_strategies(
            random.Random(1), worlds.random_world(ms.SEED + 2, OPTIONS), self.folder
        )[0]
        relayout.mindspore.unified_safetensors(self.src, strategy, self.mine)
        for task in (1, 2):
            relayout.mindspore.unified_safetensors(
                self.src, strategy, self.theirs, split_dst_file=(task, 2)
            )
        self.assertEqual(contents(self.mine), contents(self.theirs))

    def test_unify_whole(self) -> None:
        """Row `unify whole`."""
        values = {"w": files.counting("Float32", [4, 2])}
        files.write_ckpt(files.rank_path(self.src, 0), values)
        relayout.mindspore.unified_safetensors(self.src, None, self.mine)
        self.assertEqual(self.whole(self.mine)["w"][2], values["w"].contents)


class Loading(Formats):
    """load_distributed_checkpoint for format safetensors, files to files."""

    def unified(self, seed: int) -> tuple[worlds.World, pathlib.Path, pathlib.Path | None]:
        """A unified folder that MindSpore made, and the target's strategy."""
        world = self.save_world(seed, "safetensors")
        strategies = worlds.write_strategies(random.Random(seed), world, self.folder)
        folder = self.folder / "unified"
        if strategies[0] is not None:
            mindspore.parallel.unified_safetensors(str(self.src), str(strategies[0]), str(folder))
        return world, folder, strategies[1]

    def test_folders(self) -> None:
        for seed in range(ms.SEED + 200, ms.SEED + 200 + CASES // 2):
            world, folder, strategy = self.unified(seed)
            form = random.Random(seed).choice(["ckpt", "safetensors"])
            if folder.exists():
                with self.subTest(seed=seed):
                    self.check_loads(world, folder, strategy, form)
            self.empty_folder()

    def check_loads(
        self, world: worlds.World, folder: pathlib.Path, strategy: pathlib.Path | None, form: str
    ) -> None:
        ranks = [None, 0] if strategy is None else [None, world.rank_count(world.target) - 1]
        for rank in ranks[1:] if strategy is None else ranks:
            results = self.both(
                "load_distributed_checkpoint",
                lambda f, to, rank=rank: f(
                    None,
                    None,
                    strategy and str(strategy),
                    format="safetensors",
                    rank_id=rank,
                    unified_safetensors_dir=str(folder),
                    dst_safetensors_dir=to,
                    output_format=form,
                    max_process_num=2,
                ),
            )
            self.assertEqual(results, [True, True])
            self.assertEqual(contents(self.mine), contents(self.theirs))
            for written in contents(self.mine):
                self.assertRegex(written, rf"^rank_\d+/net\.{form}$")
            for target in (self.mine, self.theirs):
                shutil.rmtree(target)

    def test_name_map(self) -> None:
        """Row `name_map`: of one part MindSpore takes other names, of several not."""
        whole = {name: files.counting("Float32", [4, 2], salt) for salt, name in enumerate("vw")}
        folder = self.folder / "unified"
        files.write_safetensors(folder / "part0.safetensors", whole)
        files.write_strategy(
            self.folder / "s.ckpt",
            Strategy([{"x": Layout([2], [[0], []]), "v": Layout([2], [[], []])}]),
        )

        def call(f: Callable[..., object], to: str) -> object:
            return f(
                None,
                predict_strategy=str(self.folder / "s.ckpt"),
                format="safetensors",
                unified_safetensors_dir=str(folder),
                dst_safetensors_dir=to,
                name_map={"x": "w"},
            )

        self.assertEqual(self.both("load_distributed_checkpoint", call), [True, True])
        self.assertEqual(contents(self.mine), contents(self.theirs))
        files.write_safetensors(folder / "part0.safetensors", {"v": whole["v"]})
        files.write_safetensors(folder / "part1.safetensors", {"w": whole["w"]})
        weight_map = {"v": "part0.safetensors", "w": "part1.safetensors"}
        (folder / "param_name_map.json").write_text(json.dumps({"weight_map": weight_map}))
        before = contents(self.mine)
        self.both("load_distributed_checkpoint", call)
        self.assertEqual(contents(self.mine), before)
        self.assertEqual(set(contents(self.theirs)["rank_0/net.safetensors"]), {"v"})

    def test_unmapped(self) -> None:
        """Row `unmapped`."""
        files.write_safetensors(
            self.folder / "unified/part0.safetensors", {"v": files.counting("Float32", [4, 2])}
        )
        whole = Layout([1], [[], []])
        files.write_strategy(self.folder / "s.ckpt", Strategy([{"v": whole, "w": whole}]))
        arguments = {
            "predict_strategy": str(self.folder / "s.ckpt"),
            "format": "safetensors",
            "rank_id": 0,
            "unified_safetensors_dir": str(self.folder / "unified"),
        }
        with contextlib.redirect_stdout(Quiet()):
            THEIRS.load_distributed_checkpoint(
                None, dst_safetensors_dir=str(self.theirs), **arguments
            )
        self.assertEqual(set(contents(self.theirs)["rank_0/net.safetensors"]), {"v"})
        with self.assertLogs("relayout.mindspore", "WARNING") as log:
            relayout.mindspore.load_distributed_checkpoint(
                None, dst_safetensors_dir=str(self.mine), **arguments
            )
        self.assertRegex("".join(log.output), r"\bw\b")
        self.assertEqual(contents(self.mine), contents(self.theirs))


class Net(mindspore.nn.Cell):
    """Holds parameters; computes nothing."""

    def __init__(self, values: worlds.Rank) -> None:
        super().__init__()
        for number, (name, value) in enumerate(values.items()):
            zeros = worlds.Array(value.dtype, worlds.np.zeros_like(value.bits))
            setattr(self, f"p{number}", mindspore.Parameter(ms.tensor(zeros), name=name))

    def values(self) -> worlds.Rank:
        return {parameter.name: ms.array_of(parameter) for parameter in self.get_parameters()}


class Networks(Formats):
    def world(self, seed: int) -> worlds.World:
        """One whose source has one stage, as MindSpore's loading of ckpt files wants it."""
        layouts = {
            "w": Layout([2, 2], [[0], [1]]),
            "v": Layout([4], [[0]]),
            "u": Layout([2, 2], [[1], []]),
        }
        rng = worlds.np.random.default_rng(seed)
        whole = {
            name: worlds.random_bits(rng, dtype, [4, 8][: len(layouts[name].cuts)], nan=False)
            for name, dtype in zip(layouts, ("Float32", "Float16", "Int32"))
        }
        return worlds.World(whole, Strategy([layouts]), None, {}, set())

    def save(self, world: worlds.World, form: str) -> list[str]:
        files.write_strategy(self.folder / "s.ckpt", world.source)
        paths = []
        for rank in range(4):
            paths.append(str(self.src / f"rank_{rank}" / f"net.{form}"))
            ms.save(pathlib.Path(paths[-1]), world.held(world.source, rank), format=form)
        return paths

    def test_ckpt(self) -> None:
        world = self.world(1)
        paths = self.save(world, "ckpt")
        for side in (relayout.mindspore, THEIRS):
            net = Net(world.whole)
            result = side.load_distributed_checkpoint(net, paths, None, str(self.folder / "s.ckpt"))
            self.assertIs(result, True)
            self.assertEqual(ms.differences(net.values(), world.whole), [], side)

    def test_ckpt_for_a_layout(self) -> None:
        """What Model.infer_predict_layout returns; this process is rank 0."""
        world = self.world(2)
        paths = self.save(world, "ckpt")
        predict = {
            "w": ([2], [-1, 0], [4, 4], 0, True, ""),
            "v": ([2], [-1], [4], 0, True, ""),
            "u": ([2], [0, -1], [2, 8], 0, True, ""),
        }
        target = Strategy(
            [{"w": Layout([2], [[], [0]]), "v": Layout([2], [[]]), "u": Layout([2], [[0], []])}]
        )
        want = world.held(target, 0)
        net = Net(want)
        relayout.mindspore.load_distributed_checkpoint(
            net, paths, predict, str(self.folder / "s.ckpt")
        )
        self.assertEqual(ms.differences(net.values(), want), [])

    def test_optimizer_load(self) -> None:
        """Row `optimizer load`: an optimizer split among replicas on two mesh axes, made whole."""
        layouts = {"w": Layout([2, 2, 2], [[], [1]], -1)}
        whole = {
            "w": worlds.random_bits(worlds.np.random.default_rng(3), "Float32", [4, 8], nan=False)
        }
        world = worlds.World(whole, Strategy([layouts]), None, {}, set())
        files.write_strategy(self.folder / "s.ckpt", world.source)
        paths = []
        for rank in range(8):
            paths.append(str(self.src / f"rank_{rank}" / "net.ckpt"))
            ms.save(pathlib.Path(paths[-1]), world.held(world.source, rank))
        with self.assertRaisesRegex(RuntimeError, "should have the same shape"):
            THEIRS.load_distributed_checkpoint(Net(whole), paths, None, str(self.folder / "s.ckpt"))
        net = Net(whole)
        relayout.mindspore.load_distributed_checkpoint(
            net, paths, None, str(self.folder / "s.ckpt")
        )
        self.assertEqual(ms.differences(net.values(), whole), [])

    def test_outside(self) -> None:
        """Row `outside`: a parameter of the network that the training strategy does not name."""
        world = self.world(7)
        more = worlds.Array("Float32", worlds.np.array([0x3F800000], worlds.np.uint32))
        world.extra["more"] = more
        paths = self.save(world, "ckpt")
        loaded = []
        for side in (relayout.mindspore, THEIRS):
            net = Net(world.whole | {"more": more})
            side.load_distributed_checkpoint(net, paths, None, str(self.folder / "s.ckpt"))
            loaded.append(net.values()["more"].bits.tolist())
        self.assertEqual(loaded, [[0x3F800000], [0]])

    def test_encrypted(self) -> None:
        """Row `encrypted`."""
        world = self.world(4)
        paths = self.save(world, "ckpt")
        with self.assertRaisesRegex(ValueError, "decrypt"):
            relayout.mindspore.load_distributed_checkpoint(
                Net(world.whole),
                paths,
                None,
                str(self.folder / "s.ckpt"),
                dec_key=b"0123456789abcdef",
            )

    def test_safetensors(self) -> None:
        world = self.world(5)
        self.save(world, "safetensors")
        unified = str(self.folder / "unified")
        relayout.mindspore.unified_safetensors(self.src, self.folder / "s.ckpt", unified)
        outcomes = []
        for side in (relayout.mindspore, THEIRS):
            net, other = Net(world.whole | {"more": world.whole["w"]}), Net(world.whole)
            with contextlib.redirect_stdout(Quiet()):
                left = side.load_distributed_checkpoint(
                    net, format="safetensors", unified_safetensors_dir=unified
                )
                values = side.load_distributed_checkpoint(
                    other,
                    format="safetensors",
                    unified_safetensors_dir=unified,
                    return_param_dict=True,
                )
            outcomes.append(left)
            got = net.values()
            got.pop("more")
            self.assertEqual(ms.differences(got, world.whole), [])
            self.assertEqual(
                ms.differences({n: ms.array_of(v) for n, v in values.items()}, world.whole), []
            )
            self.assertTrue(all(not value.bits.any() for value in other.values().values()))
        self.assertEqual(outcomes[0], outcomes[1])

    def test_functions_that_are_mindspores_own(self) -> None:
        world = self.world(6)
        paths = self.save(world, "ckpt")
        loaded = relayout.mindspore.load_segmented_checkpoints(str(self.src / "rank_0"))
        self.assertEqual(
            ms.differences(
                {n: ms.array_of(v) for n, v in loaded.items()}, world.held(world.source, 0)
            ),
            [],
        )
        slices = [mindspore.load_checkpoint(path)["w"] for path in paths]
        merged = [
            merge(slices, side.build_searched_strategy(str(self.folder / "s.ckpt")))
            for side in (relayout.mindspore, mindspore.parallel)
            for merge in (relayout.mindspore.merge_sliced_parameter, THEIRS.merge_sliced_parameter)
        ]
        for parameter in merged:
            self.assertEqual(
                ms.differences({"w": ms.array_of(parameter)}, {"w": world.whole["w"]}), []
            )

    def test_the_tutorials_sets_load(self) -> None:
        for case in ("retrain", "pipeline"):
            folder = TUTORIAL / case
            relayout.mindspore.transform_checkpoints(
                folder / "src_checkpoints",
                self.mine,
                "net",
                folder / "src_strategy.ckpt",
                folder / "dst_strategy.ckpt",
                output_format="safetensors",
            )
            want = json.loads((folder / "want.json").read_text())
            self.assertEqual(check_hashes.check(self.mine, want)[0], [])
            for rank in range(4):
                path = self.mine / f"rank_{rank}" / f"net{rank}.safetensors"
                self.assertEqual(set(ms.load(path, format="safetensors")), set(want[str(rank)]))
            shutil.rmtree(self.mine)


if __name__ == "__main__":
    print(f"SEED={ms.SEED}")
    unittest.main()
