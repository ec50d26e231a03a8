# SPDX-License-Identifier: Apache-2.0
"""relayout.mindspore where there is no MindSpore; tests/mindspore compares it with MindSpore."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

import check_hashes
import files
from case import ROOT, TUTORIAL, Case
from layouts import Layout, Strategy

import relayout
from relayout import mindspore as ms

EXAMPLES = ROOT / "examples" / "convert_tutorial"


class Tutorial(Case):
    """Both cases; want.json is what MindSpore's own transform_checkpoints gives."""

    def check(self, case: str, folder: pathlib.Path) -> None:
        want = json.loads((TUTORIAL / case / "want.json").read_text())
        self.assertEqual(check_hashes.check(folder, want)[0], [])

    def strategies(self, case: str) -> tuple[str, str]:
        return tuple(str(TUTORIAL / case / f"{side}_strategy.ckpt") for side in ("src", "dst"))

    def test_sets(self) -> None:
        for case in ("retrain", "pipeline"):
            source, target = str(TUTORIAL / case / "src_checkpoints"), self.folder / case
            # More than the engine takes.
            strategies = self.strategies(case)
            done = ms.convert_checkpoints(source, str(target), "net_", *strategies, 5000)
            self.assertIsNone(done)
            self.check(case, target)
            self.assertTrue((target / "rank_3" / "net_3.ckpt").exists())

    def test_single_ranks(self) -> None:
        case = TUTORIAL / "retrain"
        source, target = self.strategies("retrain")
        for rank in range(4):
            ranks = ms.rank_list_for_transform(rank, source, target)
            self.assertEqual(ranks, sorted(ranks, reverse=True))
            sources = {
                r: str(case / "src_checkpoints" / f"rank_{r}" / f"checkpoint_{r}.ckpt")
                for r in ranks
            }
            path = self.folder / f"rank_{rank}" / "net.ckpt"
            ms.transform_checkpoint_by_rank(rank, sources, str(path), source, target)
        self.check("retrain", self.folder)

    def test_stages_are_merged(self) -> None:
        merged = self.folder / "new" / "merged.ckpt"
        ms.merge_pipeline_strategys(TUTORIAL / "pipeline" / "src_strategys", merged)
        self.assertEqual(
            ms.build_searched_strategy(merged),
            ms.build_searched_strategy(TUTORIAL / "pipeline" / "src_strategy.ckpt"),
        )

    def test_unified_and_cut_again(self) -> None:
        source, target = self.strategies("retrain")
        unified = self.folder / "unified"
        ms.unified_safetensors(TUTORIAL / "retrain" / "src_checkpoints", source, unified)
        weights = json.loads((unified / "param_name_map.json").read_text())["weight_map"]
        self.assertEqual(set(weights.values()), {"part0.safetensors"})
        for form in ("ckpt", "safetensors"):
            done = ms.load_distributed_checkpoint(
                None,
                predict_strategy=target,
                format="safetensors",
                unified_safetensors_dir=unified,
                dst_safetensors_dir=self.folder / form,
                output_format=form,
            )
            self.assertIs(done, True)
            self.check("retrain", self.folder / form)
            self.assertTrue((self.folder / form / "rank_3" / f"net.{form}").exists())

    def test_other_format_and_back(self) -> None:
        source = TUTORIAL / "retrain" / "src_checkpoints"
        ms.ckpt_to_safetensors(source, self.folder / "safe", processes_num=3)
        ms.safetensors_to_ckpt(self.folder / "safe", self.folder / "back")
        for rank in range(8):
            name = f"rank_{rank}/checkpoint_{rank}"
            want = check_hashes.read_file(source / f"{name}.ckpt")
            self.assertEqual(
                check_hashes.read_file(self.folder / "safe" / f"{name}.safetensors"), want
            )
            self.assertEqual(check_hashes.read_file(self.folder / "back" / f"{name}.ckpt"), want)


class Examples(Case):
    """examples/convert_tutorial, as a user runs them."""

    def arguments(self, case: str, strategy: str = "src_strategy.ckpt") -> list[str]:
        folder = self.folder / case
        if not folder.exists():
            shutil.copytree(TUTORIAL / case, folder)
        paths = (folder / "src_checkpoints", folder / strategy, self.folder / "dst")
        return [*map(str, paths), str(folder / "dst_strategy.ckpt")]

    def run_script(self, name: str, arguments: list[str], *launcher: str, **more: str) -> None:
        command = [*launcher, sys.executable, str(EXAMPLES / name), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | more, timeout=120
        )
        self.assertEqual(done.returncode, 0, done.stderr)

    def check(self, case: str) -> None:
        want = json.loads((TUTORIAL / case / "want.json").read_text())
        self.assertEqual(check_hashes.check(self.folder / "dst", want)[0], [])
        shutil.rmtree(self.folder / "dst")

    def test_all(self) -> None:
        for case, strategy in (
            ("retrain", "src_strategy.ckpt"),
            ("pipeline", "src_strategy.ckpt"),
            ("pipeline", "src_strategys"),
        ):
            self.run_script("convert_all.py", self.arguments(case, strategy))
            self.check(case)

    def test_by_rank(self) -> None:
        for case in ("retrain", "pipeline"):
            for rank in range(4):
                self.run_script("convert_by_rank.py", self.arguments(case), RANK_ID=str(rank))
            self.check(case)

    def test_one_rank_a_process(self) -> None:
        if shutil.which("mpirun") is None:
            self.skipTest("there is no mpirun")
        launcher = ("mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "4")
        for case in ("retrain", "pipeline"):
            self.run_script("convert_by_rank.py", self.arguments(case), *launcher)
            self.check(case)

    def test_every_process_all(self) -> None:
        """Four processes that do the same do not spoil each other's work."""
        if shutil.which("mpirun") is None:
            self.skipTest("there is no mpirun")
        launcher = ("mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "4")
        self.run_script("convert_all.py", self.arguments("retrain"), *launcher)
        self.assertTrue(relayout.verify(None, self.folder / "dst"))
        self.check("retrain")


class Layouts(Case):
    def test_the_attributes_of_mindspores_message(self) -> None:
        layouts = {
            "flat": Layout([2, 4], [[1], []], -1),
            "nested": Layout([2, 4], [[0, 1], []]),
            "nested_vector": Layout([2, 4], [[0, 1]]),
            "scalar": Layout([8], []),
        }
        path = self.folder / "s.ckpt"
        files.write_strategy(path, Strategy([layouts]))
        found = ms.build_searched_strategy(path)
        self.assertEqual(list(found), list(layouts))
        self.assertEqual([part.dim for part in found["flat"].dev_matrix], [[2, 4]])
        maps = {name: [part.dim for part in found[name].tensor_map] for name in layouts}
        self.assertEqual(
            maps,
            {
                "flat": [[0, -1]],
                "nested": [[1, 0], [-1]],
                "nested_vector": [[1, 0], []],
                "scalar": [[]],
            },
        )
        flat = found["flat"]
        self.assertEqual((flat.opt_weight_shard_step, flat.opt_weight_shard_size), (4, -1))
        self.assertEqual((flat.field, flat.param_split_shape[0].dim), (0, []))


class Errors(Case):
    def test_are_caught_either_way(self) -> None:
        """What MindSpore raises as TypeError or IndexError is an InputError as well."""
        (self.folder / "s.ckpt").write_bytes(b"hello")
        strategy = TUTORIAL / "retrain" / "dst_strategy.ckpt"
        for kind, call in (
            (TypeError, lambda: ms.rank_list_for_transform(0, self.folder / "s.ckpt")),
            (TypeError, lambda: ms.build_searched_strategy(self.folder / "s.ckpt")),
            (IndexError, lambda: ms.rank_list_for_transform(4, strategy, strategy)),
            (IndexError, lambda: ms.rank_list_for_transform(1 << 70, strategy, strategy)),
            (
                IndexError,
                lambda: ms.transform_checkpoint_by_rank(
                    1 << 70, {0: str(strategy)}, self.folder / "x.ckpt", strategy, strategy
                ),
            ),
        ):
            for caught in (kind, ValueError, relayout.InputError):
                with self.assertRaises(caught) as raised:
                    call()
                self.assertEqual(raised.exception.code, "invalid_input")

    def test_networks_need_mindspore(self) -> None:
        if importlib.util.find_spec("mindspore") is not None:
            self.skipTest("MindSpore is here")
        unified = self.folder / "unified"
        files.write_safetensors(unified / "a.safetensors", {"w": files.counting("Int8", [4])})
        for call in (
            lambda: ms.load_distributed_checkpoint(
                object(), format="safetensors", unified_safetensors_dir=unified
            ),
            lambda: ms.load_segmented_checkpoints(str(self.folder)),
            lambda: ms.merge_sliced_parameter([]),
        ):
            with self.assertRaisesRegex(ImportError, "MindSpore must be installed"):
                call()


if __name__ == "__main__":
    unittest.main()
