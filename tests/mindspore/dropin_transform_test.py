# SPDX-License-Identifier: Apache-2.0
"""relayout.mindspore against MindSpore: whole sets, single ranks, rank lists, strategies.

Random worlds keep to what MindSpore gets right; there the contents of all files must be equal. What
it gets wrong or refuses is in dropin_differences_test.py. SEED=n gives other cases, CASES=n more.
"""

import contextlib
import io
import json
import os
import pathlib
import random
import shutil
import unittest

import ms  # First: it sets MindSpore up.
import check_hashes
import files
import mindspore
import mindspore.parallel
import safetensors
import worlds
from cli import ROOT, TUTORIAL, CliTest
from layouts import Layout, Strategy

import relayout.mindspore

CASES = int(os.environ.get("CASES", 60))
DTYPES = tuple(dtype for dtype in files.ITEM_BYTES if dtype != "Int4")  # MindSpore makes it Int8.
OPTIONS = worlds.Options(mindspore=True, strings=False, dtypes=DTYPES)
Paths = list  # The strategies of source and target: pathlib.Path or None.


def text(path: pathlib.Path | None) -> str | None:
    return None if path is None else str(path)


def read(path: pathlib.Path) -> dict[str, check_hashes.Tensor]:
    return check_hashes.read_file(path)


def fill(message: object, layouts: relayout.mindspore.ParallelLayouts) -> None:
    """Into MindSpore's message."""
    for name in ("dev_matrix", "tensor_map", "param_split_shape", "indices_offset"):
        for part in getattr(layouts, name):
            getattr(message, name).add().dim.extend(part.dim)
    for name in ("field", "opt_weight_shard_step", "opt_weight_shard_size"):
        setattr(message, name, getattr(layouts, name))


def stages_of(path: pathlib.Path) -> dict[str, int]:
    items = json.loads(path.read_text())["parallel_strategy_item"]
    return {name: item["stage"] for name, item in items.items()}


class Worlds(CliTest):
    """`mine` and `theirs` are folders of rank folders with the same file names."""

    def setUp(self) -> None:
        super().setUp()
        self.src, self.mine, self.theirs = (
            self.folder / name for name in ("src", "mine", "theirs")
        )

    def write_world(
        self, seed: int, form: str = "ckpt", options: worlds.Options = OPTIONS
    ) -> tuple[worlds.World, Paths]:
        world = worlds.random_world(seed, options)
        for rank in range(world.rank_count(world.source)):
            path = self.src / f"rank_{rank}" / f"net.{form}"
            ms.save(path, world.held(world.source, rank), format=form)
        return world, worlds.write_strategies(random.Random(seed), world, self.folder)

    def as_protobuf(self, path: pathlib.Path | None) -> pathlib.Path | None:
        """Row `merged json`: MindSpore's transform of safetensors reads merged files only so."""
        if path is None or path.suffix != ".json":
            return path
        layouts = relayout.mindspore.build_searched_strategy(path)
        message = mindspore.train.node_strategy_pb2.ParallelStrategyMap(current_stage=1)
        for name, layout in layouts.items():
            item = message.parallel_layout_item.add()
            item.param_name = name
            fill(item.parallel_layouts, layout)
        for name, stage in stages_of(path).items():
            item = message.parallel_strategy_item.add()
            item.node_name = name
            item.parallel_strategys.stage = stage
        path.with_suffix(".ckpt").write_bytes(message.SerializeToString())
        return path.with_suffix(".ckpt")

    def empty_folder(self) -> None:
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def both(self, function: str, *arguments: object) -> None:
        """Calls both sides; the one argument that names a target differs."""
        for target, side in ((self.mine, relayout.mindspore), (self.theirs, mindspore.parallel)):
            with contextlib.redirect_stdout(io.StringIO()):
                getattr(side, function)(*[str(target) if a is TARGET else a for a in arguments])

    def names(self, folder: pathlib.Path) -> set[str]:
        return {str(path.relative_to(folder)) for path in folder.glob("rank_*/*")}

    def check_same(self) -> None:
        """Both wrote the same files with the same contents."""
        self.assertEqual(self.names(self.mine), self.names(self.theirs))
        for name in self.names(self.theirs):
            mine, theirs = read(self.mine / name), read(self.theirs / name)
            self.assertEqual(set(mine), set(theirs), name)
            for value in theirs:
                self.assertEqual(mine[value], theirs[value], f"{name}: {value}")

    def check_right(self, world: worlds.World, form: str) -> None:
        """Mine hold what the definition says, for MindSpore and for safetensors too."""
        for rank in range(world.rank_count(world.target)):
            path = self.mine / f"rank_{rank}" / f"net{rank}.{form}"
            want = world.held(world.target, rank)
            options = {"format": form} if form == "safetensors" else {}
            self.assertEqual(ms.differences(ms.load(path, **options), want), [], f"rank {rank}")
            if form == "safetensors":
                self.check_hugging_face(path, want)

    def check_hugging_face(self, path: pathlib.Path, want: worlds.Rank) -> None:
        got = {
            name: (entry["dtype"], list(entry["shape"]), bytes(entry["data"]))
            for name, entry in safetensors.deserialize(path.read_bytes())
        }
        for name, value in want.items():
            dtype, shape, contents = value.stored()
            name_of_dtype = files.SAFETENSORS_NAMES[dtype]
            self.assertEqual(got.pop(name), (name_of_dtype, shape, contents), name)
        self.assertEqual(got, {})


TARGET = object()


class WholeSets(Worlds):
    def test_checkpoints(self) -> None:
        count = 0
        for seed in range(ms.SEED, ms.SEED + CASES):
            world, strategies = self.write_world(seed)
            if strategies != [None, None]:
                with self.subTest(seed=seed):
                    name = random.Random(seed).choice(
                        ["transform_checkpoints", "convert_checkpoints"]
                    )
                    self.both(
                        name, str(self.src), TARGET, "net", *map(text, strategies), 1 + seed % 3
                    )
                    self.check_same()
                    self.check_right(world, "ckpt")
                    count += 1
            self.empty_folder()
        print(f"{count} sets, SEED={ms.SEED}")

    def test_safetensors(self) -> None:
        """Row `column cuts`: where the sides differ MindSpore is the wrong one, since mine are
        right."""
        same = wrong = 0
        options = worlds.Options(
            mindspore=True, strings=False, dtypes=tuple(d for d in DTYPES if d != "BFloat16")
        )
        for seed in range(ms.SEED + 10**4, ms.SEED + 10**4 + CASES // 2):
            world, strategies = self.write_world(seed, "safetensors", options)
            strategies = [self.as_protobuf(path) for path in strategies]
            if strategies != [None, None]:
                form = random.Random(seed).choice(["ckpt", "safetensors", "safetensors"])
                with self.subTest(seed=seed):
                    self.both(
                        "transform_checkpoints",
                        str(self.src),
                        TARGET,
                        "net",
                        *map(text, strategies),
                        1,
                        form,
                    )
                    self.check_right(world, form)
                    try:
                        self.check_same()
                        same += 1
                    except AssertionError:
                        wrong += 1
            self.empty_folder()
        print(f"{same} sets equal, MindSpore wrong in {wrong}, SEED={ms.SEED}")
        self.assertGreater(same, CASES // 8)

    def test_formats_are_changed_on_the_way(self) -> None:
        """Row `formats`: ckpt to safetensors is refused by MindSpore."""
        for seed in range(ms.SEED + 2 * 10**4, ms.SEED + 2 * 10**4 + CASES // 4):
            options = worlds.Options(strings=False)
            world, strategies = self.write_world(seed, "ckpt", options)
            if strategies != [None, None]:
                with self.subTest(seed=seed):
                    arguments = (
                        str(self.src),
                        str(self.mine),
                        "net",
                        *map(text, strategies),
                        2,
                        "safetensors",
                    )
                    relayout.mindspore.transform_checkpoints(*arguments)
                    self.check_right(world, "safetensors")
            self.empty_folder()

    def test_tutorial(self) -> None:
        """Both cases of the tutorial; want.json is what MindSpore makes of them."""
        for case in ("retrain", "pipeline"):
            folder = TUTORIAL / case
            relayout.mindspore.transform_checkpoints(
                str(folder / "src_checkpoints"),
                str(self.mine),
                "transformed",
                str(folder / "src_strategy.ckpt"),
                str(folder / "dst_strategy.ckpt"),
            )
            want = json.loads((folder / "want.json").read_text())
            self.assertEqual(check_hashes.check(self.mine, want)[0], [])
            self.empty_folder()


class MissingRanks(Worlds):
    def test_ranks_that_nobody_needs_may_be_missing(self) -> None:
        """What MindSpore would not read is taken away: the results are the same."""
        whole = {"w": files.counting("Float32", [4, 4])}
        cases = [
            (Layout([4], [[], []]), Layout([2], [[0], []]), 2),
            (Layout([2, 2], [[1], []]), Layout([2], [[], [0]]), 2),
            (Layout([8], [[], []]), Layout([1], [[], []]), 7),
            (Layout([2, 4], [[1], []]), None, 4),
        ]
        for source, target, want_removed in cases:
            with self.subTest(source=source, target=target):
                files.write_set(self.src, whole, Strategy([{"w": source}]))
                files.write_strategy(self.folder / "src.ckpt", Strategy([{"w": source}]))
                strategies: Paths = [self.folder / "src.ckpt", None]
                if target is not None:
                    strategies[1] = self.folder / "dst.ckpt"
                    files.write_strategy(strategies[1], Strategy([{"w": target}]))
                count = 1 if target is None else target.device_count()
                removed = self.remove_unneeded(source.device_count(), count, strategies)
                self.assertEqual(removed, want_removed)
                arguments = (str(self.src), TARGET, "net", *map(text, strategies))
                self.both("transform_checkpoints", *arguments)
                self.check_same()
            self.empty_folder()

    def remove_unneeded(self, source_count: int, target_count: int, strategies: Paths) -> int:
        needed: set[int] = set()
        for rank in range(target_count):
            needed |= set(mindspore.parallel.rank_list_for_transform(rank, *map(text, strategies)))
        unneeded = set(range(source_count)) - needed
        for rank in unneeded:
            shutil.rmtree(self.src / f"rank_{rank}")
        return len(unneeded)


class SingleRanks(Worlds):
    def test_rank_lists_and_files(self) -> None:
        """Row `fewest`: our lists are never longer, suffice, and are in MindSpore's order."""
        shorter = ranks = 0
        for seed in range(ms.SEED + 10**6, ms.SEED + 10**6 + CASES // 2):
            world, strategies = self.write_world(seed)
            for rank in range(world.rank_count(world.target)) if strategies != [None, None] else ():
                with self.subTest(seed=seed, rank=rank):
                    lists = self.rank_lists(rank, strategies)
                    self.assertLessEqual(len(lists[0]), len(lists[1]))
                    self.assertEqual(lists[0], sorted(lists[0], reverse=True))
                    for list_, target, side in zip(
                        lists, (self.mine, self.theirs), (relayout.mindspore, mindspore.parallel)
                    ):
                        self.make(side, rank, list_, target, strategies)
                    # More files than needed do no harm.
                    self.make(relayout.mindspore, rank, lists[1], self.mine, strategies)
                    ranks, shorter = ranks + 1, shorter + (len(lists[0]) < len(lists[1]))
            if self.theirs.exists():
                self.check_same()
                self.check_right(world, "ckpt")
            self.empty_folder()
        print(
            f"{ranks} ranks of {CASES // 2} sets, SEED={ms.SEED}; our list is shorter for {shorter}"
        )

    def rank_lists(self, rank: int, strategies: Paths) -> list[list[int]]:
        paths = list(map(text, strategies))
        ours = relayout.mindspore.rank_list_for_transform(rank, *paths)
        self.assertEqual(ours, relayout.mindspore.rank_list_for_convert(rank, *paths))
        return [ours, mindspore.parallel.rank_list_for_transform(rank, *paths)]

    def make(
        self, side: object, rank: int, list_: list[int], target: pathlib.Path, strategies: Paths
    ) -> None:
        path = files.rank_path(target, rank, f"net{rank}")
        path.parent.mkdir(parents=True, exist_ok=True)
        sources = {int(source): str(files.rank_path(self.src, source)) for source in list_}
        make = side.transform_checkpoint_by_rank if rank % 2 else side.convert_checkpoint_by_rank
        make(rank, sources, str(path), *map(text, strategies))


def attributes(layouts: object) -> tuple:
    """What a message, or our object in its place, says."""
    lists = [
        [list(part.dim) for part in getattr(layouts, name)]
        for name in ("dev_matrix", "tensor_map", "param_split_shape", "indices_offset")
    ]
    return *lists, layouts.field, layouts.opt_weight_shard_step, layouts.opt_weight_shard_size


class Strategies(Worlds):
    def check_searched(self, path: pathlib.Path) -> None:
        """Row `layout objects`: other types, the same attributes."""
        ours, theirs = (
            side.build_searched_strategy(str(path))
            for side in (relayout.mindspore, mindspore.parallel)
        )
        self.assertEqual(list(ours), list(theirs), path)
        for name in theirs:
            self.assertEqual(attributes(ours[name]), attributes(theirs[name]), f"{path}: {name}")

    def test_build_searched_strategy(self) -> None:
        found = sorted((ROOT / "tests/data").rglob("*strategy*.ckpt"))
        self.assertGreater(len(found), 10)
        for path in found:
            self.check_searched(path)
        for seed in range(ms.SEED, ms.SEED + CASES):
            world = worlds.random_world(seed, OPTIONS)
            for path in worlds.write_strategies(random.Random(seed), world, self.folder):
                if path is not None:
                    self.check_searched(path)

    def test_build_searched_strategy_of_uneven_pieces(self) -> None:
        layout = files.layout_json(Layout([2], [[0]])) | {
            "param_split_shape": [5, 3],
            "indices_offset": [0, 5],
        }
        path = self.folder / "s.json"
        path.write_text(json.dumps({"parallel_layout_item": {"w": layout}}))
        self.check_searched(path)

    def test_merge_pipeline_strategys(self) -> None:
        count = 0
        for seed in range(ms.SEED, ms.SEED + CASES):
            world = worlds.random_world(seed, OPTIONS)
            for number, strategy in enumerate((world.source, world.target)):
                if strategy is None or len(strategy.stages) == 1:
                    continue
                stages = self.folder / "stages"
                files.write_stage_files(stages, strategy)
                merged = []
                for side in (relayout.mindspore, mindspore.parallel):
                    path = self.folder / "new" / f"{side.__name__}_{number}.ckpt"
                    self.assertIsNone(side.merge_pipeline_strategys(str(stages), str(path)))
                    merged.append(mindspore.parallel.build_searched_strategy(str(path)))
                ours, theirs = ({n: attributes(l) for n, l in m.items()} for m in merged)
                self.assertEqual(ours, theirs, f"seed {seed}")
                count += 1
                self.empty_folder()
        self.assertGreater(count, CASES // 4)

    def test_restore_group_info_list(self) -> None:
        for ranks in ([0], [3, 1, 300], list(range(0, 4096, 8))):
            message = mindspore.train.node_strategy_pb2.ParallelGroupMap()
            group = message.parallel_group_item.add()
            group.group_name = "hccl_world_group"
            group.parallel_group_ranks.dim.extend(range(4096))
            message.ckpt_restore_rank_list.dim.extend(ranks)
            path = self.folder / "group.pb"
            path.write_bytes(message.SerializeToString())
            for side in (relayout.mindspore, mindspore.parallel):
                self.assertEqual(side.restore_group_info_list(str(path)), ranks)


if __name__ == "__main__":
    print(f"SEED={ms.SEED}")
    unittest.main()
