# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Python package share: temporary folders, the tutorial's set, large sets."""

from __future__ import annotations

import hashlib
import pathlib
import random
import shutil
import tempfile
import unittest

import files
from layouts import Layout, Strategy

ROOT = pathlib.Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "tests" / "data" / "tutorial"
MIB = 1 << 20


class Case(unittest.TestCase):
    """self.folder is an empty folder, removed after the test."""

    maxDiff = None

    def setUp(self) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="relayout-"))
        self.addCleanup(shutil.rmtree, self.folder)


def retrain() -> dict[str, pathlib.Path]:
    """Source and strategies of the 8 -> 4 case, as keyword arguments."""
    case = TUTORIAL / "retrain"
    return {
        "source": case / "src_checkpoints",
        "source_strategy": case / "src_strategy.ckpt",
        "target_strategy": case / "dst_strategy.ckpt",
    }


def hashes(folder: pathlib.Path) -> dict[str, str]:
    """SHA-256 of every file below the rank folders, by its path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("rank_*/*"))
    }


def everything(folder: pathlib.Path) -> set[str]:
    """All paths below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def large_set(folder: pathlib.Path, tensor_count: int = 10) -> dict[str, pathlib.Path]:
    """20 MiB a tensor, cut in rows on 4 ranks, as source; the target is cut in columns on 2.
    Returns the keyword arguments for converting it."""
    names = [f"layer{i}.weight" for i in range(tensor_count)]
    files.write_strategy(
        folder / "src.ckpt", Strategy([{name: Layout([4], [[0], []]) for name in names}])
    )
    files.write_strategy(
        folder / "dst.ckpt", Strategy([{name: Layout([2], [[], [0]]) for name in names}])
    )
    block = random.Random(1).randbytes(5 * MIB)
    for rank in range(4):
        values = {}
        for i, name in enumerate(names):
            at = (rank * tensor_count + i) * 4096
            values[name] = files.Tensor("Float32", [320, 4096], block[at:] + block[:at])
        files.write_ckpt(files.rank_path(folder / "src", rank), values)
    return {
        "source": folder / "src",
        "source_strategy": folder / "src.ckpt",
        "target_strategy": folder / "dst.ckpt",
    }
