# SPDX-License-Identifier: Apache-2.0
"""Looking into checkpoints: any slice of any tensor, without converting."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from relayout import _core
from relayout._arguments import Source, Step, StepLike, StrPath, set_of, threads_of
from relayout._dtypes import OF_SHORT_NAME, numpy_dtype
from relayout._errors import InputError, MissingTensorError, in_python
from relayout._index import Index, bounds, select
from relayout._strategy import Layout, Placement, Strategy
from relayout._text import count, human_bytes

if TYPE_CHECKING:
    import numpy

# What is read at most to skip indices in memory rather than in the files.
_SKIP_BYTES = 16 << 20


class Tensor:
    """A tensor (or string) of a checkpoint, as one whole, wherever its slices are.

    ``tensor[3, :, 10:20]`` reads just that, as a numpy array; ``tensor[...]`` reads all of it.
    Numbers, slices (with steps), ``...`` and None work as in numpy.
    """

    def __init__(self, checkpoint: _core.Checkpoint, value: _core.Value) -> None:
        self._checkpoint = checkpoint
        self._value = value
        self._facts = OF_SHORT_NAME[value.dtype]

    @property
    def name(self) -> str:
        return self._value.name

    @property
    def is_string(self) -> bool:
        """A text, which text() gives."""
        return self._value.is_string

    @property
    def dtype(self) -> str:
        """E.g. "float32" or "bfloat16"; "str" for texts."""
        return "str" if self.is_string else self._facts.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole tensor. (Of int4 the last dimension counts bytes of two elements.)"""
        return () if self.is_string else self._value.shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Of the whole tensor."""
        return math.prod(self._value.shape) * self._value.item_bytes

    @property
    def placements(self) -> tuple[Placement, ...]:
        """Where the strategy has it, one for each stage; () if it does not know the tensor, which
        then is whole on every rank that has it."""
        return tuple(
            Placement(stage, first_rank, Layout(layout), self.shape)
            for stage, first_rank, layout in self._value.placements()
        )

    @property
    def layout(self) -> Layout | None:
        """The layout in the first stage that has it; None = whole."""
        placements = self.placements
        return placements[0].layout if placements else None

    def __getitem__(self, index: Index) -> numpy.ndarray[Any, Any]:
        """Reads a part as a numpy array of its own.

        Returns:
            An array of the shape that numpy would give; of int4 tensors the bytes, as int8.

        Raises:
            IndexError, TypeError: As numpy does.
            ImportError: numpy, or for bfloat16 and float8 ml_dtypes, is not installed.
            InputError: numpy has no such type, or a file with a part of it is missing or damaged.
            MachineError: Reading failed.
        """
        self._refuse_string()
        selection = select(index, self.shape, self.name)
        dtype = numpy_dtype(self._facts)
        array = self._array(selection.ranges, dtype)
        array = array.reshape([len(selection.ranges[d]) for d in selection.result if d is not None])
        return array.reshape(selection.shape)

    def __iter__(self) -> Iterator[numpy.ndarray[Any, Any]]:
        """Row by row, each read when it is asked for."""
        if not self.shape:
            raise TypeError(f"{self.name}: iteration over a 0-d tensor")
        return (self[row] for row in range(self.shape[0]))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"{self.name}: len() of a 0-d tensor")
        return self.shape[0]

    def __bool__(self) -> bool:
        """A tensor is there, whatever it holds."""
        return True

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> numpy.ndarray[Any, Any]:
        """The whole tensor, for ``numpy.asarray(tensor)``."""
        if copy is False:
            raise ValueError(f"{self.name}: is in files, so an array of it is a copy")
        array = self[...]
        return array if dtype is None else array.astype(dtype)

    def read(self, index: Index = ...) -> bytearray:
        """Reads a part as bytes: its elements in C order, little endian. Needs no numpy.

        Args:
            index: As for ``tensor[index]``, but slices may not skip indices or go backwards.

        Raises:
            IndexError, TypeError, InputError, MachineError: As ``tensor[index]``.
        """
        self._refuse_string()
        selection = select(index, self.shape, self.name)
        if not selection.is_contiguous:
            raise InputError(f"{self.name}: read() takes slices without a step; use tensor[...]")
        begin, end = bounds(selection.ranges)
        buffer = bytearray(math.prod(selection.shape) * self._value.item_bytes)
        self._checkpoint.read(self._value, begin, end, buffer)
        return buffer

    def dlpack(self, index: Index = ...) -> DLPack:
        """Reads a part for any library that takes DLPack: ``torch.from_dlpack(tensor.dlpack())``.

        Args:
            index: As for read().

        Raises:
            InputError: DLPack has no such type; and as read().
        """
        code = self._facts.dlpack_code
        if code is None:
            raise InputError(f"{self.name}: DLPack has no type {self.dtype}; read() gives bytes")
        buffer = self.read(index)
        shape = select(index, self.shape, self.name).shape
        return DLPack(buffer, code, 8 * self._value.item_bytes, shape)

    def text(self) -> str:
        """The text of a string.

        Raises:
            InputError: It is a tensor, or no well-formed text.
        """
        if not self.is_string:
            raise InputError(f"{self.name}: is a tensor of {self.dtype}, not a string")
        buffer = bytearray(self.nbytes)
        self._checkpoint.read(self._value, [0], list(self._value.shape), buffer)
        try:
            return buffer.decode("utf-32-le")
        except UnicodeDecodeError as error:
            raise InputError(f"{self.name}: is no well-formed text: {error}") from None

    def _refuse_string(self) -> None:
        if self.is_string:
            raise InputError(f"{self.name}: is a string; use text()")

    def _array(self, ranges: tuple[range, ...], dtype: Any) -> numpy.ndarray[Any, Any]:
        """What the ranges select, with all dimensions of the tensor. Where they skip much, one part
        after the other is read, so that memory follows what is asked for."""
        import numpy

        begin, end = bounds(ranges)
        box = [last - first for first, last in zip(begin, end)]
        dim = next((d for d, r in enumerate(ranges) if len(r) > 1 and abs(r.step) > 1), None)
        if dim is None or math.prod(box) * dtype.itemsize <= _SKIP_BYTES:
            memory = numpy.empty(math.prod(box) * dtype.itemsize, numpy.uint8)
            self._checkpoint.read(self._value, begin, end, memory)
            array: numpy.ndarray[Any, Any] = memory.view(dtype).reshape(box)
            if not _is_plain(ranges):
                array = array[tuple(slice(None, None, r.step) for r in ranges)].copy()
            return array
        array = numpy.empty([len(r) for r in ranges], dtype)
        index_bytes = math.prod(box) // box[dim] * dtype.itemsize
        at_once = max(1, _SKIP_BYTES // (index_bytes * abs(ranges[dim].step)))
        for at in range(0, len(ranges[dim]), at_once):
            part = (*ranges[:dim], ranges[dim][at : at + at_once], *ranges[dim + 1 :])
            place = (*([slice(None)] * dim), slice(at, at + at_once))
            array[place] = self._array(part, dtype)
        return array

    def __repr__(self) -> str:
        shape = "" if self.is_string else f"[{','.join(map(str, self.shape))}]"
        place = f" {self.layout}" if self.layout else ""
        return f"<relayout.Tensor {self.name}: {self.dtype}{shape}{place}>"

    def _repr_svg_(self) -> str | None:
        placements = self.placements
        if not placements:
            return None
        first = placements[0]
        return first.layout.svg(self.name, self.shape, first.first_rank)


def _is_plain(ranges: tuple[range, ...]) -> bool:
    return all(r.step == 1 or len(r) <= 1 for r in ranges)


class DLPack:
    """A part of a tensor in memory, for libraries that take DLPack. It lies on the CPU."""

    def __init__(self, buffer: bytearray, code: int, bits: int, shape: tuple[int, ...]) -> None:
        self._parts = (buffer, code, bits, list(shape))

    def __dlpack__(self, **_: Any) -> object:
        """A capsule; each shares the memory, which lives as long as one of them is in use."""
        return _core.dlpack(*self._parts)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)  # The CPU.


class Checkpoint(Mapping[str, Tensor]):
    """A checkpoint that is open for reading: a mapping from names to tensors, each as one whole.

    Only headers were read. Threads may share it. The files must stay as they are while it is used.
    """

    def __init__(
        self, checkpoint: _core.Checkpoint, text: str, reopen: Callable[[], Checkpoint]
    ) -> None:
        self._checkpoint = checkpoint
        self._text = text
        self._reopen = reopen

    def names(self) -> list[str]:
        """In the order of the files."""
        return self._checkpoint.names()

    @property
    def files(self) -> dict[int, str]:
        """The file of each rank."""
        return self._checkpoint.files

    @property
    def ranks(self) -> tuple[int, ...]:
        """Ranks that have a file, ascending."""
        return tuple(sorted(self._checkpoint.files))

    @property
    def missing_ranks(self) -> tuple[int, ...]:
        """Ranks of the strategy that have none."""
        return self._checkpoint.missing_ranks

    @property
    def strategy(self) -> Strategy | None:
        """How it is sharded; None: every rank has whole tensors."""
        if not self._checkpoint.has_strategy:
            return None
        return Strategy(self._checkpoint.strategy)

    @property
    def format(self) -> str:
        """ "ckpt" or "safetensors"."""
        return "ckpt" if self._checkpoint.format == _core.FileFormat.CKPT else "safetensors"

    @property
    def step(self) -> Step | None:
        """Where file names carry one."""
        step = self._checkpoint.step
        return None if step is None else Step(*step)

    @property
    def notes(self) -> list[str]:
        """What may be good to know, e.g. which of several files were chosen."""
        return [in_python(note) for note in self._checkpoint.notes]

    def read(self, name: str, index: Index = ...) -> numpy.ndarray[Any, Any]:
        """The same as ``checkpoint[name][index]``."""
        return self[name][index]

    def __getitem__(self, name: str) -> Tensor:
        """
        Raises:
            MissingTensorError: There is none of this name; it is a KeyError.
            InputError: What ranks store of it contradicts the strategy or each other.
        """
        # As with any mapping; names are UTF-8.
        if not isinstance(name, str) or not _is_utf8(name):
            raise MissingTensorError(f"{self._text}: no tensor is called {name!r}")
        try:
            return Tensor(self._checkpoint, self._checkpoint.describe(name))
        except InputError as error:
            if error.code != "not_found":
                raise
            raise MissingTensorError(str(error)) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _is_utf8(name) and self._checkpoint.contains(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return self._checkpoint.name_count

    def __reduce__(self) -> tuple[Callable[[], Checkpoint], tuple[()]]:
        return self._reopen, ()

    def __repr__(self) -> str:
        return (
            f"<relayout.Checkpoint {self._text!r}: {count(len(self), 'tensor')} on "
            f"{count(len(self.ranks), 'rank')}>"
        )

    def _repr_html_(self) -> str:
        import html

        rows = "".join(
            f"<tr><td>{html.escape(tensor.name)}</td><td>{tensor.dtype}</td>"
            f"<td>{list(tensor.shape)}</td><td>{html.escape(str(tensor.layout or 'whole'))}</td>"
            f"<td>{human_bytes(tensor.nbytes)}</td></tr>"
            for tensor, _ in zip(self.values(), range(_LISTED))
        )
        rest = len(self) - _LISTED
        more = f"<p>... and {rest} more</p>" if rest > 0 else ""
        return f"<p>{html.escape(repr(self))}</p><table>{rows}</table>{more}"


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


# Rows of a notebook's table.
_LISTED = 50


def open(
    path: Source,
    *,
    strategy: StrPath | None = None,
    step: StepLike | None = None,
    file_suffix: str | None = None,
    threads: int = 0,
) -> Checkpoint:
    """Opens a checkpoint to look at its tensors; reads headers only.

    >>> checkpoint = relayout.open("src_checkpoints", strategy="src_strategy.ckpt")
    >>> checkpoint["layer1.weight"][:16]        # 16 rows, from whichever files have them

    Args:
        path: A folder of rank folders, a file, a folder with the whole model in several safetensors
            files, or ``{rank: file}``, as for convert(). Ranks that are not needed may be missing.
        strategy: How it is sharded: a strategy file or a folder of stage files. None: whole.
        step: Which files, as for convert().
        file_suffix: Likewise.
        threads: For reading headers; 0: one for each processor.

    Raises:
        InputError: Files or strategy cannot be read or contradict each other.
        MachineError: The machine failed.
    """
    _core.raise_open_file_limit()
    checkpoint = _core.open(set_of(path, strategy, step, file_suffix), threads_of(threads))
    reopen = functools.partial(
        open, path, strategy=strategy, step=step, file_suffix=file_suffix, threads=threads
    )
    return Checkpoint(checkpoint, str(path), reopen)
