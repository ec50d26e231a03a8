# SPDX-License-Identifier: Apache-2.0
"""Element types: relayout's short names and those that numpy and ml_dtypes users know."""

from __future__ import annotations

NAME_OF_SHORT = {
    "bool": "bool",
    "i4": "int4",
    "i8": "int8",
    "u8": "uint8",
    "i16": "int16",
    "u16": "uint16",
    "i32": "int32",
    "u32": "uint32",
    "i64": "int64",
    "u64": "uint64",
    "f8e4m3": "float8_e4m3fn",
    "f8e5m2": "float8_e5m2",
    "hif8": "hifloat8",
    "f16": "float16",
    "bf16": "bfloat16",
    "f32": "float32",
    "f64": "float64",
    "c64": "complex64",
    "c128": "complex128",
}
