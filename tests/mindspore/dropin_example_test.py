# SPDX-License-Identifier: Apache-2.0
"""The scripts of examples/convert_tutorial, and the same ones with MindSpore's import."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

import check_hashes
from cli import ROOT, TUTORIAL, CliTest

EXAMPLES = ROOT / "examples" / "convert_tutorial"
THEIR_IMPORT = ("from relayout.mindspore import", "from mindspore import")


class Examples(CliTest):
    def arguments(self, case: str, merged: bool = True) -> list[str]:
        folder = self.folder / case
        if not folder.exists():
            shutil.copytree(TUTORIAL / case, folder)
        strategy = folder / ("src_strategy.ckpt" if merged else "src_strategys")
        return [
            str(folder / "src_checkpoints"),
            str(strategy),
            str(self.folder / "dst"),
            str(folder / "dst_strategy.ckpt"),
        ]

    def run_script(
        self, script: pathlib.Path, arguments: list[str], *launcher: str, **environment: str
    ) -> None:
        command = [*launcher, sys.executable, str(script), *arguments]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | environment,
            timeout=120,
        )
        self.assertEqual(done.returncode, 0, done.stderr)

    def check(self, case: str) -> None:
        want = json.loads((TUTORIAL / case / "want.json").read_text())
        self.assertEqual(check_hashes.check(self.folder / "dst", want)[0], [])
        shutil.rmtree(self.folder / "dst")

    def with_their_import(self, name: str) -> pathlib.Path:
        text = (EXAMPLES / name).read_text()
        self.assertEqual(text.count(THEIR_IMPORT[0]), 1)
        path = self.folder / name
        path.write_text(text.replace(*THEIR_IMPORT))
        return path

    def test_all(self) -> None:
        for case, merged in (("retrain", True), ("pipeline", True), ("pipeline", False)):
            self.run_script(EXAMPLES / "convert_all.py", self.arguments(case, merged))
            self.check(case)

    def test_by_rank(self) -> None:
        for case in ("retrain", "pipeline"):
            for rank in range(4):
                self.run_script(
                    EXAMPLES / "convert_by_rank.py", self.arguments(case), RANK_ID=str(rank)
                )
            self.check(case)

    def test_one_rank_a_process(self) -> None:
        if shutil.which("mpirun") is None:
            self.skipTest("there is no mpirun")
        for case in ("retrain", "pipeline"):
            self.run_script(
                EXAMPLES / "convert_by_rank.py",
                self.arguments(case),
                "mpirun",
                "--allow-run-as-root",
                "--oversubscribe",
                "-n",
                "4",
            )
            self.check(case)

    def test_with_mindspore(self) -> None:
        """The scripts are MindSpore's own but for the import."""
        script = self.with_their_import("convert_all.py")
        self.run_script(script, self.arguments("retrain"), OMP_NUM_THREADS="1")
        self.check("retrain")
        script = self.with_their_import("convert_by_rank.py")
        for rank in range(4):
            self.run_script(
                script, self.arguments("retrain"), RANK_ID=str(rank), OMP_NUM_THREADS="1"
            )
        self.check("retrain")


if __name__ == "__main__":
    unittest.main()
