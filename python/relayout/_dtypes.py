# SPDX-License-Identifier: Apache-2.0
"""Element types: relayout's short names and those that users of numpy and ml_dtypes know."""

from __future__ import annotations

from typing import Any, NamedTuple

from relayout._errors import InputError


class DTypeFacts(NamedTuple):
    """An element type."""

    name: str
    """As numpy or ml_dtypes call it."""
    numpy_name: str | None
    """What arrays hold; None: no library has such a type."""
    dlpack_code: int | None
    """The type code of DLPack."""


OF_SHORT_NAME = {
    "bool": DTypeFacts("bool", "bool", 6),
    # Two values a byte, whose shapes count bytes; an array holds the bytes.
    "i4": DTypeFacts("int4", "int8", 0),
    "i8": DTypeFacts("int8", "int8", 0),
    "u8": DTypeFacts("uint8", "uint8", 1),
    "i16": DTypeFacts("int16", "int16", 0),
    "u16": DTypeFacts("uint16", "uint16", 1),
    "i32": DTypeFacts("int32", "int32", 0),
    "u32": DTypeFacts("uint32", "uint32", 1),
    "i64": DTypeFacts("int64", "int64", 0),
    "u64": DTypeFacts("uint64", "uint64", 1),
    "f8e4m3": DTypeFacts("float8_e4m3fn", "float8_e4m3fn", 10),
    "f8e5m2": DTypeFacts("float8_e5m2", "float8_e5m2", 12),
    "hif8": DTypeFacts("hifloat8", None, None),
    "f16": DTypeFacts("float16", "float16", 2),
    "bf16": DTypeFacts("bfloat16", "bfloat16", 4),
    "f32": DTypeFacts("float32", "float32", 2),
    "f64": DTypeFacts("float64", "float64", 2),
    "c64": DTypeFacts("complex64", "complex64", 5),
    "c128": DTypeFacts("complex128", "complex128", 5),
}

_IN_ML_DTYPES = {"float8_e4m3fn", "float8_e5m2", "bfloat16"}


def numpy_dtype(facts: DTypeFacts) -> Any:
    """The numpy.dtype of an element type.

    Raises:
        InputError: No library has it.
        ImportError: numpy or ml_dtypes is not installed.
    """
    import numpy

    name = facts.numpy_name
    if name is None:
        raise InputError(f"numpy has no type {facts.name}; read() gives the bytes")
    if name not in _IN_ML_DTYPES:
        return numpy.dtype(name)
    try:
        import ml_dtypes
    except ImportError as error:
        raise ImportError(
            f"arrays of {name} need the package ml_dtypes: pip install ml_dtypes; or take the "
            "bytes that read() gives"
        ) from error
    return numpy.dtype(getattr(ml_dtypes, name))
