# SPDX-License-Identifier: Apache-2.0
"""relayout.mindspore takes what MindSpore takes, and refuses with the same types of exceptions."""

import contextlib
import dataclasses
import inspect
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import types
import unittest

import ms  # noqa: F401  First: it sets MindSpore up.
import mindspore
import mindspore.parallel
from dropin_cases import CASES, Bench, Case

import relayout
import relayout.mindspore

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOP_LEVEL = ("ckpt_to_safetensors", "safetensors_to_ckpt")
THEIRS = types.SimpleNamespace(
    **{name: getattr(mindspore.parallel, name) for name in mindspore.parallel.__all__},
    **{name: getattr(mindspore, name) for name in TOP_LEVEL},
)
# Functions of mindspore.parallel that do not convert files: they configure or run a training.
NOT_OURS = {
    "set_algo_parameters",
    "reset_algo_parameters",
    "get_algo_parameters",
    "shard",
    "Layout",
    "sync_pipeline_shared_parameters",
    "parameter_broadcast",
    "set_op_strategy_config",
}


def functions() -> list[str]:
    return [name for name in relayout.mindspore.__all__ if name != "ParallelLayouts"]


class Signatures(unittest.TestCase):
    def test_the_functions_are_those_of_mindspore(self) -> None:
        self.assertEqual(
            set(functions()), set(mindspore.parallel.__all__) - NOT_OURS | set(TOP_LEVEL)
        )

    def test_signatures(self) -> None:
        """Names, order, kinds and defaults of parameters."""
        for name in functions():
            ours, theirs = (
                [
                    (p.name, p.kind, p.default)
                    for p in inspect.signature(getattr(side, name)).parameters.values()
                ]
                for side in (relayout.mindspore, THEIRS)
            )
            self.assertEqual(ours, theirs, name)

    def test_every_function_is_documented(self) -> None:
        for name in functions():
            self.assertTrue(inspect.getdoc(getattr(relayout.mindspore, name)), name)


@dataclasses.dataclass(frozen=True)
class Outcome:
    value: object = None
    error: BaseException | None = None

    def __str__(self) -> str:
        if self.error is None:
            return f"returned {self.value!r}"
        return f"{type(self.error).__name__}: {self.error}"


def outcome(case: Case, side: object) -> Outcome:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="relayout-"))
    here = os.getcwd()
    os.chdir(folder)
    try:
        return Outcome(case.call(side, Bench(folder)))
    except (Exception, SystemExit) as error:
        return Outcome(error=error)
    finally:
        os.chdir(here)
        shutil.rmtree(folder)


def caught_as(error: BaseException) -> type[BaseException]:
    """The built-in type by which a user catches MindSpore's exception."""
    if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)):
        return ValueError
    return type(error)


def agree(ours: Outcome, theirs: Outcome) -> bool:
    if ours.error is None or theirs.error is None:
        return ours.error is theirs.error and ours.value == theirs.value
    return isinstance(ours.error, caught_as(theirs.error))


def table_rows() -> set[str]:
    """The names of the rows of the table in docs/mindspore.md."""
    text = (ROOT / "docs" / "mindspore.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `([a-z_ ]+)` \|", text.split("## What differs")[1], re.M))


class Calls(unittest.TestCase):
    def test_calls(self) -> None:
        """The same outcome, or a row of the table that says why not."""
        rows = table_rows()
        for case in CASES:
            with self.subTest(str(case)):
                with contextlib.redirect_stdout(_Quiet()):
                    theirs = outcome(case, THEIRS)
                ours = outcome(case, relayout.mindspore)
                told = f"\nrelayout:  {ours}\nMindSpore: {theirs}"
                if case.row:
                    self.assertIn(case.row, rows, "no such row in docs/mindspore.md")
                    self.assertFalse(agree(ours, theirs), "the row is out of date" + told)
                else:
                    self.assertTrue(agree(ours, theirs), told)
                if ours.error is not None:
                    self.check_message(ours.error)

    def check_message(self, error: BaseException) -> None:
        """One that was meant for the user: it has words, and no internals of Python."""
        self.assertGreater(len(str(error)), 15, repr(error))
        self.assertNotRegex(str(error), "NoneType|object has no attribute|subscriptable")

    def test_texts_are_different(self) -> None:
        texts = [str(case) for case in CASES]
        self.assertEqual(len(texts), len(set(texts)), [t for t in texts if texts.count(t) > 1])


class _Quiet(io.StringIO):
    """Standard output that MindSpore's progress bar can reconfigure."""

    def reconfigure(self, **_: object) -> None:
        pass


class WithoutMindSpore(unittest.TestCase):
    def test_importing_imports_neither_mindspore_nor_numpy(self) -> None:
        code = (
            "import sys, relayout.mindspore; "
            "print([m for m in ('mindspore', 'numpy', 'google') if m in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        self.assertEqual(done.stdout.strip(), "[]")


if __name__ == "__main__":
    unittest.main()
