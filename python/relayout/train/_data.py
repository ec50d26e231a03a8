# SPDX-License-Identifier: Apache-2.0
"""Datasets: what a network is trained and measured on, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from relayout import _train
from relayout._arguments import StrPath, int64_of
from relayout._dtypes import OF_SHORT_NAME
from relayout._errors import InputError
from relayout._network import Input

if TYPE_CHECKING:
    import numpy

_PARTS = ("train", "test")


def _options(
    batch_size: int,
    drop_remainder: bool,
    shuffle_seed: int | None,
    num_shards: int,
    shard_id: int,
) -> _train.BatchOptions:
    if shuffle_seed is not None and not 0 <= int64_of("shuffle_seed", shuffle_seed):
        raise InputError(f"shuffle_seed={shuffle_seed}: give 0 or more, or None for no shuffle")
    return _train.BatchOptions(
        int64_of("batch_size", batch_size),
        bool(drop_remainder),
        shuffle_seed,
        int64_of("num_shards", num_shards),
        int64_of("shard_id", shard_id),
    )


class Dataset:
    """Batches of an epoch, of which each is a tensor for each input of the network; the last one is
    the label, where the model has a loss. ``len(dataset)`` is the number of batches (MindSpore:
    get_dataset_size())."""

    __slots__ = ("_dataset",)
    _dataset: _train.TensorDataset | _train.MnistDataset

    def __len__(self) -> int:
        return self._dataset.batch_count

    @property
    def tensors(self) -> tuple[Input, ...]:
        """The tensors of a batch: name, element type, shape."""
        return tuple(
            Input(name, OF_SHORT_NAME[dtype].name, shape)
            for name, dtype, shape in self._dataset.types()
        )

    def batch(self, index: int, epoch: int = 0) -> tuple[numpy.ndarray[Any, Any], ...]:
        """The arrays of one batch. Shuffled datasets have other ones in each epoch.

        Raises:
            InputError: There is no such batch.
        """
        return tuple(self._dataset.batch(int64_of("epoch", epoch), int64_of("index", index)))

    def with_options(
        self,
        *,
        batch_size: int = 32,
        drop_remainder: bool = True,
        shuffle_seed: int | None = None,
        num_shards: int = 1,
        shard_id: int = 0,
    ) -> Dataset:
        """The same data in other batches; shares the memory of this one."""
        options = _options(batch_size, drop_remainder, shuffle_seed, num_shards, shard_id)
        other = type(self).__new__(type(self))
        other._dataset = self._dataset.with_options(options)
        return other

    def __repr__(self) -> str:
        tensors = ", ".join(f"{name} {dtype}{list(shape)}" for name, dtype, shape in self.tensors)
        return f"<relayout.train.{type(self).__name__} of {len(self)} batches: {tensors}>"


class TensorDataset(Dataset):
    """Arrays whose first dimension counts rows, row i of each belonging together.

    >>> train.TensorDataset({"x": x, "label": label}, batch_size=50)

    Args:
        arrays: By name, in the order of the network's inputs; float32 or int32. Copied.
        batch_size: Rows of a batch of this shard.
        drop_remainder: Leave the last rows out where they do not fill a batch.
        shuffle_seed: Shuffles the rows, in each epoch anew; the same on all ranks. None: in order.
        num_shards: Among how many readers the rows are divided.
        shard_id: Which of them this is. Batch i of all shards, one behind the other, is batch i of
            the whole dataset with ``batch_size * num_shards`` rows.

    Raises:
        InputError: Arrays do not fit together, or not one batch comes out.
    """

    __slots__ = ()

    def __init__(
        self,
        arrays: Mapping[str, numpy.ndarray[Any, Any]],
        *,
        batch_size: int = 32,
        drop_remainder: bool = True,
        shuffle_seed: int | None = None,
        num_shards: int = 1,
        shard_id: int = 0,
    ) -> None:
        import numpy

        options = _options(batch_size, drop_remainder, shuffle_seed, num_shards, shard_id)
        tensors = [(name, numpy.ascontiguousarray(array)) for name, array in arrays.items()]
        self._dataset = _train.tensor_dataset(tensors, options)


class MnistDataset(Dataset):
    """MNIST, and what has its format, as MindSpore's tutorials feed it: ``image``
    float32[batch, 1, 28, 28], scaled and normalized, and ``label`` int32[batch].

    Args:
        dataset_dir: Where ``train-images-idx3-ubyte`` and the other files are, plain or ``.gz``, or
            the folders ``train`` and ``test`` with them.
        usage: "train" or "test".
        batch_size, drop_remainder, shuffle_seed, num_shards, shard_id: As for TensorDataset.

    Raises:
        InputError: Files are missing, or are no such files; the message lists what was looked for.
    """

    __slots__ = ()

    def __init__(
        self,
        dataset_dir: StrPath,
        usage: str = "train",
        *,
        batch_size: int = 32,
        drop_remainder: bool = True,
        shuffle_seed: int | None = None,
        num_shards: int = 1,
        shard_id: int = 0,
    ) -> None:
        if usage not in _PARTS:
            raise InputError(f"usage={usage!r}: it is one of {', '.join(_PARTS)}")
        options = _options(batch_size, drop_remainder, shuffle_seed, num_shards, shard_id)
        self._dataset = _train.mnist_dataset(dataset_dir, usage == "train", options)
