# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/python.md do what they show. Skipped (77) without numpy; those of training,
where the package was built without it."""

from __future__ import annotations

import doctest
import os
import re
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
        text = (ROOT / "docs" / "python.md").read_text()
        if not can_train():
            text = re.sub(r"^## Train.*?(?=^## )", "", text, flags=re.DOTALL | re.MULTILINE)
        example = doctest.DocTestParser().get_doctest(text, {}, "python.md", "python.md", 0)
        result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example)
        self.assertEqual(result.failed, 0)
        self.assertGreater(result.attempted, 20)


def can_train() -> bool:
    try:
        import relayout.train  # noqa: F401
    except ImportError:
        return False
    return True


if __name__ == "__main__":
    try:
        import numpy  # noqa: F401
    except ImportError:
        print("skipped: there is no numpy")
        sys.exit(SKIPPED)
    unittest.main()
