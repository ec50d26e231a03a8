# SPDX-License-Identifier: Apache-2.0
"""The scripts of examples/convert_tutorial are MindSpore's but for the import."""

import json
import os
import shutil
import subprocess
import sys
import unittest

import check_hashes
from cli import ROOT, TUTORIAL, CliTest

EXAMPLES = ROOT / "examples" / "convert_tutorial"
OUR_IMPORT, THEIR_IMPORT = "from relayout.mindspore import", "from mindspore import"


class Examples(CliTest):
    """With MindSpore's import; tests/python runs them as they are."""

    def run_script(self, name: str, case: str, **environment: str) -> None:
        text = (EXAMPLES / name).read_text()
        self.assertEqual(text.count(OUR_IMPORT), 1)
        script = self.folder / name
        script.write_text(text.replace(OUR_IMPORT, THEIR_IMPORT))
        folder = TUTORIAL / case
        paths = (folder / "src_checkpoints", folder / "src_strategy.ckpt", self.folder / "dst")
        command = [sys.executable, script, *paths, folder / "dst_strategy.ckpt"]
        done = subprocess.run(
            list(map(str, command)),
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | environment,
            timeout=300,
        )
        self.assertEqual(done.returncode, 0, done.stderr)

    def check(self, case: str) -> None:
        want = json.loads((TUTORIAL / case / "want.json").read_text())
        self.assertEqual(check_hashes.check(self.folder / "dst", want)[0], [])
        shutil.rmtree(self.folder / "dst")

    def test_all(self) -> None:
        self.run_script("convert_all.py", "retrain")
        self.check("retrain")

    def test_by_rank(self) -> None:
        for rank in range(4):
            self.run_script("convert_by_rank.py", "retrain", RANK_ID=str(rank))
        self.check("retrain")


if __name__ == "__main__":
    unittest.main()
