# SPDX-License-Identifier: Apache-2.0
"""Strategy files that relayout writes, read by MindSpore; merging against MindSpore's own."""

import json
import pathlib
import random
import shutil
import unittest

import ms  # First: it sets MindSpore up.
import check_hashes
import files
import mindspore
import worlds
from cli import TUTORIAL, CliTest
from layouts import Strategy

CASES = 12
NETWORKS = TUTORIAL.parent / "strategies"


def described(path: pathlib.Path) -> dict:
    """A strategy file as MindSpore's reader sees it."""
    layouts = mindspore.build_searched_strategy(str(path))
    return {name: ([list(m.dim) for m in layout.dev_matrix], [list(m.dim) for m in layout.tensor_map],
                   [list(m.dim) for m in layout.param_split_shape],
                   layout.field, layout.opt_weight_shard_step, layout.opt_weight_shard_size)
            for name, layout in layouts.items()}  # fmt: skip


class Merging(CliTest):
    def merge_both(self, stages: pathlib.Path, suffix: str = ".ckpt") -> tuple[pathlib.Path, pathlib.Path]:
        ours, theirs = self.folder / f"ours{suffix}", self.folder / f"theirs{suffix}"
        self.ok("merge-strategies", stages, ours, "--overwrite")
        mindspore.merge_pipeline_strategys(str(stages), str(theirs))
        return ours, theirs

    def test_tutorial(self) -> None:
        ours, theirs = self.merge_both(TUTORIAL / "pipeline" / "src_strategys")
        self.assertEqual(described(ours), described(theirs))
        self.assertEqual(described(ours), described(TUTORIAL / "pipeline" / "src_strategy.ckpt"))

    def test_random_pipelines(self) -> None:
        """Both merged files describe the same, and MindSpore's transform makes the same of both."""
        found = 0
        for seed in range(ms.SEED, ms.SEED + 10**5):
            options = worlds.Options(mindspore=True, strings=False, dtypes=("Float32", "Int8"))
            world = worlds.random_world(seed, options)
            if world.source is None or len(world.source.stages) == 1 or world.target is None:
                continue
            with self.subTest(seed=seed):
                self.check(seed, world)
            for path in self.folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            found += 1
            if found == CASES:
                break

    def check(self, seed: int, world: worlds.World) -> None:
        _, target = worlds.write_strategies(random.Random(seed), world, self.folder)
        nested = any(len(axes) > 1 for stage in world.source.stages for layout in stage.values()
                     for axes in layout.cuts)  # fmt: skip
        suffixes = [".ckpt"] if nested else [".ckpt", ".json"]
        for rank in range(world.source.rank_count()):
            ms.save(files.rank_path(self.folder / "src", rank), world.held(world.source, rank))
        for suffix in suffixes:
            stages = self.folder / f"stages{suffix}"
            files.write_stage_files(stages, world.source, suffix)
            ours, theirs = self.merge_both(stages, suffix)
            self.assertEqual(described(ours), described(theirs))
            results = []
            for name, strategy in {"a": ours, "b": theirs}.items():
                dst = self.folder / f"dst-{name}{suffix}"
                mindspore.transform_checkpoints(str(self.folder / "src"), str(dst), "net", str(strategy),
                                                str(target))  # fmt: skip
                results.append({path.parent.name: check_hashes.read_file(path)
                                for path in dst.glob("rank_*/*")})  # fmt: skip
            self.assertEqual(len(results[0]), world.target.rank_count())
            self.assertEqual(results[0], results[1])

    def test_other_format_than_the_stage_files(self) -> None:
        """From protobuf to JSON and back, which MindSpore's merge cannot."""
        self.ok("merge-strategies", TUTORIAL / "pipeline" / "src_strategys", self.folder / "all.json")
        want = described(TUTORIAL / "pipeline" / "src_strategy.ckpt")
        got = described(self.folder / "all.json")
        self.assertEqual({name: layout[:2] + layout[3:] for name, layout in got.items()},
                         {name: layout[:2] + layout[3:] for name, layout in want.items()})  # fmt: skip

    def test_one_stage(self) -> None:
        strategy = Strategy([{"w": worlds.Layout([2], [[0], []]), "b": worlds.Layout([2], [[]])}])
        files.write_stage_files(self.folder / "stages", strategy)
        ours, theirs = self.merge_both(self.folder / "stages")
        self.assertEqual(described(ours), described(theirs))


class Inferred(CliTest):
    """Strategy files that `relayout strategy` works out, in MindSpore's hands."""

    def infer(self, network: str, output: str, *options: object) -> pathlib.Path:
        path = self.folder / output
        self.ok("strategy", NETWORKS / f"{network}.mindir", *options, "-o", path)
        return path

    def test_its_reader_sees_what_its_compiler_wrote(self) -> None:
        want = described(NETWORKS / "retrain_4_0.ckpt")
        options = ["--devices", 4, "--full-batch", "--optimizer-parallel"]
        for output in ["s.ckpt", "s.json"]:
            with self.subTest(output):
                self.assertEqual(described(self.infer("retrain_4", output, *options)), want)

    def test_it_merges_our_stage_files(self) -> None:
        options = ["--devices", 8, "--optimizer-parallel", "--stages", 2,
                   "--stage", "layer1=0,layer2=1,layer3=1"]  # fmt: skip
        for suffix in [".ckpt", ".json"]:
            with self.subTest(suffix):
                (self.folder / suffix[1:]).mkdir()
                self.infer("pipeline_8", f"{suffix[1:]}/s_{{stage}}{suffix}", *options)
                merged = self.folder / f"merged{suffix}"
                mindspore.merge_pipeline_strategys(str(self.folder / suffix[1:]), str(merged))
                ours = self.infer("pipeline_8", f"ours{suffix}", *options, "--merged")
                self.assertEqual(described(merged), described(ours))
                self.assertEqual(len(described(ours)), 24)

    def test_it_transforms_by_them(self) -> None:
        source = self.infer("save_8", "src.json", "--devices", 8)
        target = self.infer("retrain_4", "dst.ckpt", "--devices", 4, "--full-batch",
                            "--optimizer-parallel")  # fmt: skip
        case = TUTORIAL / "retrain"
        mindspore.transform_checkpoints(str(case / "src_checkpoints"), str(self.folder / "dst"),
                                        "checkpoint_", str(source), str(target))  # fmt: skip
        want = json.loads((case / "want.json").read_text())
        self.assertEqual(check_hashes.check(self.folder / "dst", want)[0], [])


if __name__ == "__main__":
    print(f"SEED={ms.SEED}")
    unittest.main()
