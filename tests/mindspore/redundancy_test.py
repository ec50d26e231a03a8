# SPDX-License-Identifier: Apache-2.0
"""Sets without redundancy: dealt as MindSpore deals, and unified by MindSpore as by us."""

import pathlib
import shutil
import unittest

import ms  # First: it sets MindSpore up.
import check_hashes
import files
import mindspore
import worlds
from cli import TUTORIAL, CliTest
from layouts import Strategy
from mindspore.train._utils import get_parameter_redundancy, remove_param_redundancy

CASES = 25


def dealt(strategy: pathlib.Path) -> dict[int, set[str]]:
    """What MindSpore's loaders expect on each rank of a strategy of one stage."""
    return remove_param_redundancy(get_parameter_redundancy(str(strategy), initial_rank=0))


def is_understood(strategy: Strategy | None) -> bool:
    """By MindSpore's reader of replicas: it takes the first axis of each dimension for all, and computes
    the members of an optimizer group of "all replicas" from the number of devices."""
    return (strategy is not None and len(strategy.stages) == 1
            and all(layout.cuts and layout.optimizer != -1 and all(len(axes) < 2 for axes in layout.cuts)
                    for layout in strategy.stages[0].values()))  # fmt: skip


class Redundancy(CliTest):
    def names(self, folder: pathlib.Path, rank: int) -> set[str]:
        (path,) = (folder / f"rank_{rank}").iterdir()
        return set(check_hashes.read_file(path))

    def test_tutorial(self) -> None:
        case = TUTORIAL / "retrain"
        target = self.folder / "dst"
        self.ok("transform", case / "src_checkpoints", target, "--format", "safetensors",
                "--src-strategy", case / "src_strategy.ckpt",
                "--dst-strategy", case / "dst_strategy.ckpt", "--remove-redundancy")  # fmt: skip
        expected = dealt(case / "dst_strategy.ckpt")
        listed = set(mindspore.build_searched_strategy(str(case / "dst_strategy.ckpt")))
        in_source = self.names(case / "src_checkpoints", 0)
        for rank in range(4):
            wanted = expected.get(rank, set()) & in_source
            self.assertEqual(self.names(target, rank) & listed, wanted, f"rank {rank}")

    def test_random_worlds(self) -> None:
        found = 0
        for seed in range(ms.SEED, ms.SEED + 10**5):
            options = worlds.Options(mindspore=True, strings=False, dtypes=("Float32", "Int8"))
            world = worlds.random_world(seed, options)
            if not is_understood(world.source) or not is_understood(world.target):
                continue
            with self.subTest(seed=seed):
                self.check(seed, world)
            for path in self.folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            found += 1
            if found == CASES:
                break
        self.assertEqual(found, CASES)

    def check(self, seed: int, world: worlds.World) -> None:
        """Of a source that MindSpore dealt we make all of the target, and the same ranks of a dealt one."""
        source, target = self.folder / "source.ckpt", self.folder / "target.ckpt"
        files.write_strategy(source, world.source)
        files.write_strategy(target, world.target)
        kept = dealt(source)
        for rank in range(world.source.rank_count()):
            held = world.held(world.source, rank)
            ms.save(files.rank_path(self.folder / "src", rank).with_suffix(".safetensors"),
                    {name: value for name, value in held.items()
                     if name in world.extra or name in kept.get(rank, set())},
                    format="safetensors", remove_redundancy=True)  # fmt: skip
        strategies = ["--src-strategy", source, "--dst-strategy", target, "--trust-strategy"]
        self.ok("transform", self.folder / "src", self.folder / "all", *strategies)
        for rank in range(world.target.rank_count()):
            got = check_hashes.read_file(
                files.rank_path(self.folder / "all", rank, f"checkpoint_{rank}").with_suffix(".safetensors"))
            want = {name: value.stored() for name, value in world.held(world.target, rank).items()
                    if name not in world.left_out}  # fmt: skip
            self.assertEqual(got, want, f"rank {rank}")
        self.ok("transform", self.folder / "src", self.folder / "dealt", *strategies, "--remove-redundancy")
        expected = dealt(target)
        for rank in range(world.target.rank_count()):
            names = self.names(self.folder / "dealt", rank) - set(world.extra)
            self.assertEqual(names, expected.get(rank, set()), f"rank {rank}")


if __name__ == "__main__":
    unittest.main()
