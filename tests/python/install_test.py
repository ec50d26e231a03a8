# SPDX-License-Identifier: Apache-2.0
"""`pip install .` into a fresh environment, and the conversion of the tutorial with it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import unittest
import venv

from case import ROOT, Case, retrain

SKIPPED = 77
# Reuses what ccache has of the program's own objects: they are compiled with these. Training, which
# takes as long again, is tried as the build folder has it (train_test.py).
SETTINGS = ("cmake.define.RELAYOUT_WERROR=ON", "cmake.define.RELAYOUT_TRAINING=OFF")


def can_download() -> bool:
    """Whether pip reaches a package index."""
    command = "-m pip install --quiet --retries 1 --dry-run --ignore-installed --no-deps"
    done = subprocess.run(
        [sys.executable, *command.split(), "nanobind", "scikit-build-core"],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


class Install(Case):
    def test_fresh_environment(self) -> None:
        home = self.folder / "venv"
        venv.create(home, with_pip=True)
        python = str(home / "bin" / "python")
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

        def run(*command: str) -> str:
            done = subprocess.run(
                [python, *command], capture_output=True, text=True, check=False,
                cwd=self.folder, env=environment)  # fmt: skip
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            return done.stdout

        settings = [word for setting in SETTINGS for word in ("--config-settings", setting)]
        run("-m", "pip", "install", "--quiet", *settings, str(ROOT))
        listed = run("-m", "pip", "list", "--format=freeze")
        self.assertIn("relayout==", listed)
        self.assertNotIn("numpy", listed)
        case = {key: str(path) for key, path in retrain().items()}
        script = f"""
            import relayout
            report = relayout.convert({case["source"]!r}, "dst",
                                      source_strategy={case["source_strategy"]!r},
                                      target_strategy={case["target_strategy"]!r})
            print(sorted(report.files), relayout.verify(None, "dst").problems)
            print(relayout.__file__)
            try:
                import relayout.train
            except ImportError as error:
                print(error)
            """
        right, file, missing = run("-c", textwrap.dedent(script)).splitlines()
        self.assertEqual(right, "[0, 1, 2, 3] []")
        self.assertRegex(missing, "^relayout.train cannot be used here .*libdnnl-dev")
        self.assertTrue(file.startswith(str(home)), file)


if __name__ == "__main__":
    if not can_download():
        print("skipped: pip reaches no package index")
        sys.exit(SKIPPED)
    unittest.main()
