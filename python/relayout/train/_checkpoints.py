# SPDX-License-Identifier: Apache-2.0
"""Checkpoint files in memory, into a model and out of it."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from relayout import _train
from relayout._arguments import StrPath, int64_of, path_of
from relayout._dtypes import OF_SHORT_NAME, numpy_dtype
from relayout._errors import MissingTensorError
from relayout._network import _short_name
from relayout._text import count

if TYPE_CHECKING:
    import numpy

    from relayout.train._model import Model

    Array = numpy.ndarray[Any, Any]

# What a file holds under a name: bool, int, float and str as MindSpore writes them.
Value = Union["Array", bool, int, float, str]


class LoadReport(NamedTuple):
    """What load_param_into_net() left as it was."""

    param_not_load: tuple[str, ...]
    """What the model has and the checkpoint has not."""
    ckpt_not_load: tuple[str, ...]
    """The other way round."""


def value_of(name: str, value: Value) -> tuple[str, str, list[int], object]:
    """A value as the engine takes it."""
    if isinstance(value, bool):
        return (name, "bool", [], value)
    if isinstance(value, str):
        return (name, "text", [], value)
    if isinstance(value, int):
        return (name, "int", [], int64_of(name, value))
    if isinstance(value, numbers.Real) and not hasattr(value, "dtype"):
        return (name, "float", [], float(value))
    import numpy

    array = numpy.asarray(value)
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return (name, _short_name(array.dtype.name), list(array.shape), little.tobytes())


class LoadedCheckpoint(Mapping[str, Any]):
    """What a checkpoint file holds: arrays, and text as str, by name. From load_checkpoint()."""

    __slots__ = ("_checkpoint",)

    def __init__(self, checkpoint: _train.LoadedCheckpoint) -> None:
        self._checkpoint = checkpoint

    @property
    def path(self) -> str:
        return self._checkpoint.path

    def __getitem__(self, name: str) -> Any:
        """A copy of the array of this name, or the text.

        Raises:
            MissingTensorError: There is none.
        """
        value = self._checkpoint.value(name) if isinstance(name, str) else None
        if value is None:
            raise MissingTensorError(f"{self.path}: no value is called {name}")
        if isinstance(value, str):
            return value
        import numpy

        dtype, shape, held = value
        flat = numpy.frombuffer(bytearray(held), numpy_dtype(OF_SHORT_NAME[dtype]))
        return flat.reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._checkpoint.names())

    def __len__(self) -> int:
        return len(self._checkpoint.names())

    def __repr__(self) -> str:
        return f"<relayout.train.LoadedCheckpoint {self.path!r}: {count(len(self), 'value')}>"


def _prefixes(prefixes: str | Iterable[str] | None) -> list[str]:
    if prefixes is None:
        return []
    return [prefixes] if isinstance(prefixes, str) else list(prefixes)


def load_checkpoint(
    ckpt_file_name: StrPath,
    *,
    specify_prefix: str | Iterable[str] | None = None,
    filter_prefix: str | Iterable[str] | None = None,
    choice_func: Callable[[str], bool] | None = None,
) -> LoadedCheckpoint:
    """Reads one file, ``.ckpt`` or ``.safetensors``.

    Args:
        ckpt_file_name: The file.
        specify_prefix: Only names that begin with one of these.
        filter_prefix: No names that begin with one of these.
        choice_func: Only names for which it is true. As in MindSpore it counts only where no
            prefix is given.

    Raises:
        InputError: The file is missing or broken, or no value is chosen.
    """
    return LoadedCheckpoint(
        _train.load_checkpoint(
            ckpt_file_name, _prefixes(specify_prefix), _prefixes(filter_prefix), choice_func
        )
    )


def load_mindir(mindir_file_name: StrPath) -> LoadedCheckpoint:
    """What a network was exported with, as a checkpoint with whole tensors:

    >>> network = relayout.read_mindir("net.mindir", constants=True)
    >>> model = train.Model(network, "cross_entropy", comm=comm)
    >>> model.build(dataset)
    >>> train.load_param_into_net(model, train.load_mindir("net.mindir"), slice_whole=True)

    Raises:
        InputError: The file cannot be read, or holds no values.
    """
    return LoadedCheckpoint(_train.load_mindir(mindir_file_name))


def load_param_into_net(
    net: Model, parameter_dict: Mapping[str, Value], *, slice_whole: bool = False
) -> LoadReport:
    """Puts values into the parameters, and the optimizer's state, of a model that was built. All
    ranks call it, each with the checkpoint of its shards.

    >>> checkpoint = train.load_checkpoint(f"dst_checkpoints/rank_{rank}/checkpoint_{rank}.ckpt")
    >>> train.load_param_into_net(model, checkpoint)

    Args:
        net: The model.
        parameter_dict: From load_checkpoint(), or any mapping of names to arrays.
        slice_whole: Take this rank's part of what has the shape of the whole tensor, so that all
            ranks may read one merged file.

    Raises:
        InputError: A value does not fit on some rank; the message names the tensor and both types.
            Then no rank took any. Or ranks of a stage left different values as they were.
    """
    if isinstance(parameter_dict, LoadedCheckpoint):
        checkpoint = parameter_dict._checkpoint
    else:
        values = [value_of(name, value) for name, value in parameter_dict.items()]
        checkpoint = _train.checkpoint_of("parameter_dict", values)
    param_not_load, ckpt_not_load = net._model.load(checkpoint, bool(slice_whole))
    return LoadReport(tuple(param_not_load), tuple(ckpt_not_load))


def save_checkpoint(
    save_obj: Model | Mapping[str, Value],
    ckpt_file_name: StrPath,
    *,
    append_dict: Mapping[str, Value] | None = None,
) -> None:
    """Writes one file, as MindSpore's save_checkpoint does; one of this name is replaced when the
    new one is whole.

    Args:
        save_obj: A model that was built, of which this rank's shards are saved, or a mapping of
            names to values.
        ckpt_file_name: The file; its name says the format, ``.ckpt`` or ``.safetensors``.
        append_dict: More values, behind those.

    Raises:
        InputError: A value is of a type that files cannot hold, or two have one name.
        MachineError: The file cannot be written.
    """
    file = path_of("ckpt_file_name", ckpt_file_name)
    more = [value_of(name, value) for name, value in (append_dict or {}).items()]
    if isinstance(save_obj, Mapping):
        values = [value_of(name, value) for name, value in save_obj.items()]
        _train.save_checkpoint(file, values + more)
    else:
        save_obj._model.save(file, more)
