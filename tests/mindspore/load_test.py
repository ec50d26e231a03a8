# SPDX-License-Identifier: Apache-2.0
"""MindSpore writes, relayout converts, MindSpore reads: every value is right to the bit.

SEED=n gives other cases, CASES=n more or fewer.
"""

import os
import pathlib
import random
import shutil
import unittest

import ms  # First: it sets MindSpore up.
import files
import worlds
from cli import CliTest

CASES = int(os.environ.get("CASES", 80))


class RandomWorlds(CliTest):
    def test_random_worlds(self) -> None:
        seen: set[str] = set()
        for seed in range(ms.SEED, ms.SEED + CASES):
            with self.subTest(seed=seed):
                self.convert(seed, seen)
            for path in self.folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        print(f"{CASES} worlds, SEED={ms.SEED}; seen: {', '.join(sorted(seen))}")
        if CASES >= 60:
            self.assertLessEqual({"BFloat16", "Int4", "str", "safetensors", "3 stages", "nested",
                                  "optimizer split", "no source strategy",
                                  "no target strategy"}, seen)  # fmt: skip

    def convert(self, seed: int, seen: set[str]) -> None:
        rng = random.Random(seed)
        form = rng.choice(["ckpt", "ckpt", "ckpt", "safetensors"])
        world = worlds.random_world(seed, worlds.Options(strings=form == "ckpt"))
        for rank in range(world.rank_count(world.source)):
            path = files.rank_path(self.folder / "src", rank, f"net-{seed % 7}_{seed % 5}")
            ms.save(path, world.held(world.source, rank), crc_check=rng.random() < 0.2)
        strategies = worlds.write_strategies(rng, world, self.folder)
        if strategies == [None, None]:
            return
        dst = self.folder / "dst"
        case = [self.folder / "src", dst, *worlds.options_of(strategies)]
        report = self.ok_json("transform", *case, "--format", form, "--no-sync", "--threads",
                              rng.choice([1, 2, 4]))  # fmt: skip
        self.assertEqual("left_out" in [note["kind"] for note in report["notes"]], bool(world.left_out))
        self.ok("verify", *case)
        self.assertEqual(len(report["files"]), world.rank_count(world.target))
        for rank, path in report["files"].items():
            self.assertEqual(path, str(dst / f"rank_{rank}" / f"checkpoint_{rank}.{form}"))
            want = world.held(world.target, int(rank))
            self.assertEqual(ms.differences(ms.load(pathlib.Path(path)), want), [], f"rank {rank}")
        seen |= {form} | features(world)


def features(world: worlds.World) -> set[str]:
    """What a world covers, for showing that the generator reaches it."""
    seen = {"str" if isinstance(v, str) else v.dtype for v in (world.whole | world.extra).values()}
    for name, strategy in {"source": world.source, "target": world.target}.items():
        if strategy is None:
            seen.add(f"no {name} strategy")
            continue
        seen.add(f"{len(strategy.stages)} stages")
        for stage in strategy.stages:
            for layout in stage.values():
                if layout.optimizer:
                    seen.add("optimizer split")
                if any(len(axes) > 1 for axes in layout.cuts):
                    seen.add("nested")
                if not layout.cuts:
                    seen.add("scalar")
    return seen


if __name__ == "__main__":
    print(f"SEED={ms.SEED}")
    unittest.main()
