# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/python.md do what they show. Skipped (77) without numpy."""

from __future__ import annotations

import doctest
import os
import shutil
import sys
import unittest

from case import ROOT, TUTORIAL, Case

SKIPPED = 77


class Docs(Case):
    def test_python_md(self) -> None:
        shutil.copytree(TUTORIAL / "retrain", self.folder, dirs_exist_ok=True)
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.folder)
        failures, count = doctest.testfile(
            str(ROOT / "docs" / "python.md"),
            module_relative=False,
            optionflags=doctest.ELLIPSIS,
        )
        self.assertEqual(failures, 0)
        self.assertGreater(count, 20)


if __name__ == "__main__":
    try:
        import numpy  # noqa: F401
    except ImportError:
        print("skipped: there is no numpy")
        sys.exit(SKIPPED)
    unittest.main()
