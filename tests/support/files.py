# SPDX-License-Identifier: Apache-2.0
"""Writers of MindSpore's checkpoint and strategy files, for tests. Readers: tools/check_hashes.py."""

import dataclasses
import json
import math
import pathlib
import zlib

from layouts import Layout, Strategy, cut

ITEM_BYTES = {"Float32": 4, "Float16": 2, "BFloat16": 2, "Float64": 8, "Int8": 1, "Int4": 1,
              "UInt8": 1, "Int16": 2, "UInt16": 2, "Int32": 4, "UInt32": 4, "Int64": 8,
              "UInt64": 8, "Bool": 1}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Tensor:
    dtype: str
    shape: list[int]
    contents: bytes

    def part(self, box: tuple[slice, ...]) -> "Tensor":
        contents = cut(self.contents, self.shape, ITEM_BYTES[self.dtype], box)
        return Tensor(self.dtype, [s.stop - s.start for s in box], contents)


def counting(dtype: str, shape: list[int], salt: int = 0) -> Tensor:
    """A tensor in which every element is different, as far as its type allows."""
    size = ITEM_BYTES[dtype]
    numbers = range(salt * 7919, salt * 7919 + math.prod(shape))
    wrap = 2 if dtype == "Bool" else 1 << (8 * min(size, 3))
    contents = b"".join((n % wrap).to_bytes(size, "little") for n in numbers)
    return Tensor(dtype, shape, contents)


def string(text: str) -> Tensor:
    return Tensor("str", [0], text.encode("utf-32-le"))


# --- the protobuf wire format


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def numbers(field: int, values: list[int]) -> bytes:
    return b"".join(number(field, value) for value in values)


def message(field: int, body: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(body)) + body


# --- checkpoints


def record(name: str, tensor: Tensor) -> bytes:
    body = numbers(1, tensor.shape) + message(2, tensor.dtype.encode()) + message(3, tensor.contents)
    return message(1, message(1, name.encode()) + message(2, body))


def write_ckpt(path: pathlib.Path, values: dict[str, Tensor], crc: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(record(name, tensor) for name, tensor in values.items())
    if crc:
        data += b"crc_num" + zlib.crc32(data).to_bytes(10, "big")
    path.write_bytes(data)


SAFETENSORS_NAMES = {"Float32": "F32", "Float16": "F16", "BFloat16": "BF16", "Float64": "F64",
                     "Int8": "I8", "Int4": "I8", "Int16": "I16", "Int32": "I32", "Int64": "I64",
                     "UInt8": "U8", "UInt16": "U16", "UInt32": "U32", "UInt64": "U64",
                     "Bool": "BOOL"}  # fmt: skip


def write_safetensors(path: pathlib.Path, values: dict[str, Tensor],
                      metadata: dict[str, str] | None = None) -> None:  # fmt: skip
    """As MindSpore writes them: sorted by name, `Int4` noted in the metadata."""
    notes = {"format": "ms"} | (metadata or {})
    notes |= {name: "Int4" for name, value in values.items() if value.dtype == "Int4"}
    header: dict[str, object] = {"__metadata__": notes}
    data = b""
    for name in sorted(values):
        value = values[name]
        header[name] = {"dtype": SAFETENSORS_NAMES[value.dtype], "shape": value.shape,
                        "data_offsets": [len(data), len(data) + len(value.contents)]}  # fmt: skip
        data += value.contents
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def rank_path(folder: pathlib.Path, rank: int, name: str = "net") -> pathlib.Path:
    return folder / f"rank_{rank}" / f"{name}.ckpt"


def rank_values(whole: dict[str, Tensor], strategy: Strategy, rank: int) -> dict[str, Tensor]:
    """What one rank stores."""
    boxes = strategy.boxes(rank, {name: tensor.shape for name, tensor in whole.items()})
    return {name: whole[name].part(box) for name, box in boxes.items()}


def write_set(folder: pathlib.Path, whole: dict[str, Tensor], strategy: Strategy,
              extra: dict[str, Tensor] | None = None) -> None:  # fmt: skip
    """The files of all ranks; `extra` is whole on each."""
    for rank in range(strategy.rank_count()):
        write_ckpt(rank_path(folder, rank), rank_values(whole, strategy, rank) | (extra or {}))


# --- strategies


def layout_message(layout: Layout) -> bytes:
    rows = layout.tensor_map()
    body = message(1, numbers(1, layout.mesh))
    if any(len(row) > 1 for row in rows):
        body += b"".join(message(2, numbers(1, row)) for row in rows)
        if len(rows) == 1:
            body += message(2, b"")  # Marks a nested map of one dimension.
    else:
        body += message(2, numbers(1, [row[0] for row in rows]))
    body += message(3, b"") + message(4, b"") + number(5, 0)
    return body + number(6, layout.optimizer_step()) + number(7, layout.optimizer)


def layout_json(layout: Layout) -> dict:
    rows = layout.tensor_map()
    assert all(len(row) == 1 for row in rows), "JSON cannot say this"
    return {"dev_matrix": layout.mesh, "tensor_map": [row[0] for row in rows],
            "tensor_shape": layout.whole_shape or [], "field": 0,
            "opt_weight_shard_step": layout.optimizer_step(),
            "opt_weight_shard_size": layout.optimizer}  # fmt: skip


def write_strategy(path: pathlib.Path, strategy: Strategy, first_stage: int = 0,
                   merged: bool | None = None) -> None:  # fmt: skip
    """JSON if `path` ends in .json, else protobuf; merged form if there are several stages."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if merged is None:
        merged = len(strategy.stages) > 1
    operators, layouts = {}, {}
    for stage, parameters in enumerate(strategy.stages, first_stage):
        operators[f"{stage}-MatMul" if merged else "MatMul"] = stage
        for name, layout in parameters.items():
            layouts[f"{stage}-{name}" if merged else name] = layout
    if path.suffix == ".json":
        items = {name: {"stage": stage, "parallel_strategy": [[1, 1]]}
                 for name, stage in operators.items()}  # fmt: skip
        text = {"current_stage": 1, "parallel_strategy_item": items,
                "parallel_layout_item": {n: layout_json(l) for n, l in layouts.items()}}  # fmt: skip
        path.write_text(json.dumps(text))
        return
    data = number(1, 1)
    for name, stage in operators.items():
        data += message(2, message(1, name.encode()) +
                        message(2, number(1, stage) + message(2, numbers(1, [1, 1]))))  # fmt: skip
    for name, layout in layouts.items():
        data += message(3, message(1, name.encode()) + message(2, layout_message(layout)))
    path.write_bytes(data)


def write_stage_files(folder: pathlib.Path, strategy: Strategy, suffix: str = ".ckpt") -> None:
    """One file a rank, as training leaves them."""
    for rank in range(strategy.rank_count()):
        stage = rank // strategy.devices_per_stage()
        write_strategy(folder / f"src_strategy_{rank}{suffix}", Strategy([strategy.stages[stage]]),
                       first_stage=stage, merged=False)  # fmt: skip
