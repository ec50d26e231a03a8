#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table that ./dev demo ends with: who held what before and after a conversion.

    tools/demo_table.py SRC.json DST.json DST want.json NAME...

SRC.json and DST.json are the outputs of `relayout inspect --json --strategy ...`.
"""

import json
import math
import pathlib
import sys

import check_hashes


def shape_text(shape: list[int]) -> str:
    return " x ".join(map(str, shape)) or "scalar"


def held_by(value: dict) -> str:
    """E.g. "2 column slices, 4 copies of each"."""
    stored, ranks = value["stored_shape"], value["ranks"]
    whole = value.get("whole_shape", stored)
    cuts = [a // b for a, b in zip(whole, stored)]
    slices = math.prod(cuts)
    copies = len(ranks) // slices
    where = f"ranks {ranks[0]}-{ranks[-1]}: "
    if slices == 1:
        return where + "all of it on each"
    kinds = ["row", "column"] + ["slice"] * len(cuts)
    kind = kinds[cuts.index(slices)] if slices in cuts else "tile"
    return where + f"{slices} {kind} slices" + (f", {copies} of each" if copies > 1 else "")


def main() -> int:
    source, target = (json.loads(pathlib.Path(path).read_text()) for path in sys.argv[1:3])
    want = json.loads(pathlib.Path(sys.argv[4]).read_text())
    _, right = check_hashes.check(pathlib.Path(sys.argv[3]), want)
    source_values, target_values = ({value["name"]: value for value in file["values"]}
                                    for file in (source, target))  # fmt: skip
    rows = [("tensor", "whole", f"{len(source['files'])} ranks held",
             f"{len(target['files'])} ranks hold now", "bytes a rank", "SHA-256")]  # fmt: skip
    for name in sys.argv[5:]:
        before, after = source_values[name], target_values[name]
        size = math.prod(after["stored_shape"]) * int(after["type"].strip("bfiu")) // 8
        rows.append((name, shape_text(after.get("whole_shape", after["stored_shape"])),
                     held_by(before), held_by(after), f"{size:,}",
                     "same" if name in right else "WRONG"))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    return 0 if right.issuperset(sys.argv[5:]) else 1


if __name__ == "__main__":
    sys.exit(main())
