# SPDX-License-Identifier: Apache-2.0
"""MindSpore's side of the comparisons. Importing this sets MindSpore up to be quiet."""

import os

os.environ.setdefault("GLOG_v", "4")

# pylint: disable=wrong-import-position
import pathlib

import numpy as np

import mindspore
from mindspore._c_expression import TensorPy

from worlds import BITS, Array, Rank
import files

SEED = int(os.environ.get("SEED", 1))
NUMPY = {"Float32": np.float32, "Float16": np.float16, "Float64": np.float64, "Bool": np.bool_}
MINDSPORE_ONLY = {"BFloat16": mindspore.bfloat16, "Int4": mindspore.qint4x2}


def tensor(array: Array) -> mindspore.Tensor:
    if array.dtype in MINDSPORE_ONLY:
        made = TensorPy.convert_bytes_to_tensor(array.bits.tobytes(), array.bits.shape,
                                                MINDSPORE_ONLY[array.dtype])  # fmt: skip
        return mindspore.Tensor(made)
    return mindspore.Tensor(array.bits.view(NUMPY.get(array.dtype, array.dtype.lower())))


def save(path: pathlib.Path, values: Rank, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = [{"name": name, "data": tensor(value)}
               for name, value in values.items() if not isinstance(value, str)]  # fmt: skip
    strings = {name: value for name, value in values.items() if isinstance(value, str)}
    mindspore.save_checkpoint(tensors, str(path), append_dict=strings or None, **options)


def load(path: pathlib.Path, **options: object) -> Rank:
    if path.suffix == ".safetensors":
        options["format"] = "safetensors"
    loaded = mindspore.load_checkpoint(str(path), **options)
    return {name: value if isinstance(value, str) else array_of(value)
            for name, value in loaded.items()}  # fmt: skip


def array_of(parameter: mindspore.Parameter) -> Array:
    dtype = str(parameter.dtype)
    contents = parameter.get_bytes() if parameter.size else b""
    bits = np.frombuffer(contents, BITS[files.ITEM_BYTES[dtype]]).reshape(parameter.shape)
    return Array(dtype, bits)


def differences(got: Rank, want: Rank) -> list[str]:
    """One line for each value that is not the same to the bit."""
    lines = []
    for name in sorted(set(got) | set(want)):
        a, b = got.get(name), want.get(name)
        if a is None or b is None or isinstance(a, str) or isinstance(b, str):
            if a != b:
                lines.append(f"{name}: {a!r}, expected {b!r}")
        elif (a.dtype, a.bits.shape) != (b.dtype, b.bits.shape):
            lines.append(f"{name}: {a.dtype}{a.bits.shape}, expected {b.dtype}{b.bits.shape}")
        elif not np.array_equal(a.bits, b.bits):
            lines.append(f"{name}: {np.count_nonzero(a.bits != b.bits)} of {a.bits.size} elements differ")
    return lines
