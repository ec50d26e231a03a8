# SPDX-License-Identifier: Apache-2.0
"""Indices of tensors: numpy's basic indexing, as ranges that can be read."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, SupportsIndex, Union

if TYPE_CHECKING:
    from types import EllipsisType

Part = Union[SupportsIndex, slice, "EllipsisType", None]
Index = Union[Part, "tuple[Part, ...]"]


class Selection(NamedTuple):
    """What an index selects: of each dimension a range, which may skip indices or go backwards, and
    how the result's dimensions come from them."""

    ranges: tuple[range, ...]
    result: tuple[int | None, ...]
    """For each dimension of the result the tensor's dimension, or None for a new one of length 1.
    Dimensions that are not here were indexed with a number."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the result."""
        return tuple(1 if d is None else len(self.ranges[d]) for d in self.result)

    @property
    def is_contiguous(self) -> bool:
        """No index is skipped, none goes backwards."""
        return all(r.step == 1 or len(r) <= 1 for r in self.ranges)


def select(index: Index, shape: Sequence[int], name: str) -> Selection:
    """Numpy's basic indexing: numbers, slices, ``...`` and None (a new dimension).

    Raises:
        IndexError: An index is out of range, or there are too many.
        TypeError: It is none of these, e.g. a list or an array.
    """
    parts = index if isinstance(index, tuple) else (index,)
    given = sum(part is not None and part is not Ellipsis for part in parts)
    if given > len(shape):
        raise IndexError(f"{name}: {given} indices for a tensor of {len(shape)} dimensions")
    if sum(part is Ellipsis for part in parts) > 1:
        raise IndexError(f"{name}: an index can only have one ...")
    if not any(part is Ellipsis for part in parts):
        parts = (*parts, Ellipsis)
    ranges: list[range] = []
    result: list[int | None] = []
    for part in parts:
        if part is None:
            result.append(None)
        elif part is Ellipsis:
            for _ in range(len(shape) - given):
                result.append(len(ranges))
                ranges.append(range(shape[len(ranges)]))
        elif isinstance(part, slice):
            result.append(len(ranges))
            ranges.append(range(*part.indices(shape[len(ranges)])))
        else:
            ranges.append(_one(part, shape[len(ranges)], len(ranges), name))
    return Selection(tuple(ranges), tuple(result))


def _one(part: object, length: int, dim: int, name: str) -> range:
    """The range of a single index."""
    if isinstance(part, bool) or not hasattr(part, "__index__"):
        raise TypeError(
            f"{name}: index {part!r}: give numbers, slices, ... and None; for other indices take "
            "the array of a slice and index that"
        )
    number = operator.index(part)
    at = number + length if number < 0 else number
    if not 0 <= at < length:
        raise IndexError(f"{name}: index {number} is out of range: dim {dim} is {length} long")
    return range(at, at + 1)


def bounds(ranges: Sequence[range]) -> tuple[list[int], list[int]]:
    """The smallest box around what is selected, as (begin, end)."""
    begin = [min(r[0], r[-1]) if r else 0 for r in ranges]
    end = [max(r[0], r[-1]) + 1 if r else 0 for r in ranges]
    return begin, end
