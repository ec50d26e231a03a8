#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare every tensor of a checkpoint folder with the SHA-256 that it should have.

    tools/check_hashes.py DST want.json

`want.json` maps rank -> name -> {"dtype", "shape", "sha256"}; those in tests/data/tutorial are what
MindSpore's own transform_checkpoints makes of the same files. Needs nothing but Python: the reader
below is independent of relayout's.
"""

import hashlib
import json
import pathlib
import struct
import sys
from collections.abc import Iterator

Tensor = tuple[str, list[int], bytes]  # dtype, shape, contents


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message: (number, an integer or the bytes of a string or message)."""
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 0:
            value, at = read_varint(data, at)
            yield key >> 3, value
        elif key & 7 == 2:
            size, at = read_varint(data, at)
            if at + size > len(data):
                raise ValueError("the file is cut short")
            yield key >> 3, data[at : at + size]
            at += size
        else:
            raise ValueError(f"unexpected wire type {key & 7}")


def read_ckpt(data: bytes) -> dict[str, Tensor]:
    """A .ckpt file: messages {1: {1: name, 2: {1: dims..., 2: dtype, 3: contents}}}."""
    if data[-17:-10] == b"crc_num":
        data = data[:-17]
    tensors: dict[str, Tensor] = {}
    last_name = None
    for _, record in fields(data):
        entry = dict(fields(record))
        name = entry[1].decode()
        parts = list(fields(entry[2]))
        dtype = next(value for number, value in parts if number == 2).decode()
        shape = [value for number, value in parts if number == 1]
        contents = next((value for number, value in parts if number == 3), b"")
        if name == last_name:  # A tensor above 512 MiB comes in several records.
            contents = tensors[name][2] + contents
        tensors[name] = (dtype, [] if shape == [0] else shape, contents)
        last_name = name
    return tensors


SAFETENSORS_DTYPES = {"F32": "Float32", "F16": "Float16", "BF16": "BFloat16", "F64": "Float64",
                      "I8": "Int8", "I16": "Int16", "I32": "Int32", "I64": "Int64",
                      "U8": "UInt8", "U16": "UInt16", "U32": "UInt32", "U64": "UInt64",
                      "BOOL": "Bool"}  # fmt: skip


def read_safetensors(data: bytes) -> dict[str, Tensor]:
    (size,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__":
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            dtype = SAFETENSORS_DTYPES[entry["dtype"]]
            tensors[name] = (dtype, entry["shape"], data[begin:end])
    return tensors


def read_file(path: pathlib.Path) -> dict[str, Tensor]:
    return (read_ckpt if path.suffix == ".ckpt" else read_safetensors)(path.read_bytes())


def check(folder: pathlib.Path, want: dict) -> tuple[list[str], set[str]]:
    """What is wrong, one line each, and the names that are right on every rank."""
    problems = []
    names = {name for tensors in want.values() for name in tensors}
    for rank in sorted({path.name[5:] for path in folder.glob("rank_*")} - set(want)):
        problems.append(f"rank_{rank} should not be there")
    for rank, tensors in want.items():
        found = sorted((folder / f"rank_{rank}").glob("*.*"))
        if len(found) != 1:
            problems.append(f"rank_{rank}: one file expected, {len(found)} found")
            names.clear()
            continue
        got = read_file(found[0])
        for name in sorted(set(tensors) | set(got)):
            wanted, have = None, None
            if name in tensors:
                wanted = [tensors[name][key] for key in ("dtype", "shape", "sha256")]
            if name in got:
                dtype, shape, contents = got[name]
                have = [dtype, shape, hashlib.sha256(contents).hexdigest()]
            if have != wanted:
                problems.append(f"{found[0]}: {name} is {have}, expected {wanted}")
                names.discard(name)
    return problems, names


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    want = json.loads(pathlib.Path(sys.argv[2]).read_text())
    problems, names = check(pathlib.Path(sys.argv[1]), want)
    for problem in problems:
        print(problem)
    count = sum(len(tensors) for tensors in want.values())
    if problems:
        print(f"{len(problems)} problems")
        return 1
    print(f"right: {count} tensors on {len(want)} ranks, {len(names)} names, have the SHA-256 of "
          "MindSpore's own transform")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
