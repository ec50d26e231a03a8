# SPDX-License-Identifier: Apache-2.0
"""Strategies of networks, without the cluster that MindSpore needs to write them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Union

from relayout import _core
from relayout._arguments import StrPath, int64_of, path_of
from relayout._errors import InputError
from relayout._network import Network, read_mindir
from relayout._strategy import Placement, Strategy
from relayout._text import count

# One that was read or built, or the file of one.
NetworkLike = Union[Network, StrPath]

_STAGE_MARK = "{stage}"
_RANK_MARK = "{rank}"
_MODES = ("semi_auto", "auto")
_SEARCHES = ("propagation", "cost")


class OperatorCuts(NamedTuple):
    """How an operator is cut."""

    stage: int
    type: str
    name: str
    cuts: tuple[tuple[int, ...], ...]
    """For each tensor input the pieces of each dimension."""


class InferredStrategy:
    """The strategy of a network; made by infer_strategy()."""

    def __init__(self, inferred: _core.InferredStrategy) -> None:
        self._inferred = inferred

    @property
    def stage_count(self) -> int:
        return self._inferred.stage_count

    @property
    def strategy(self) -> Strategy:
        """The layouts of all parameters, as load_strategy() would give them.

        Raises:
            InputError: No stage has a parameter.
        """
        return Strategy(self._inferred.strategy())

    @property
    def network(self) -> Network:
        """The network as it was laid out, with the batch of all devices of a stage."""
        return Network(self._inferred.graph)

    @property
    def operators(self) -> tuple[OperatorCuts, ...]:
        """How each operator is cut, annotated or not, in the network's order."""
        return tuple(OperatorCuts(*facts) for facts in self._inferred.cuts())

    def save(
        self, path: StrPath, *, merged: bool = False, overwrite: bool = False
    ) -> tuple[str, ...]:
        """Writes strategy files as MindSpore's compiler does.

        Args:
            path: JSON if it ends in ``.json``, else protobuf. With several stages
                ``{stage}`` in it becomes the number of each: ``strategy_{stage}.ckpt``; or
                ``{rank}`` that of its first device.
            merged: One file for all stages, as merge_strategies() makes it.
            overwrite: Replace files that exist.

        Returns:
            The files written, by stage.

        Raises:
            InputError: There are several stages and `path` has neither mark, or a file exists.
        """
        text = os.fspath(path_of("path", path))
        if merged:
            stages: list[tuple[int | None, str]] = [(None, text)]
        elif self.stage_count > 1 and _STAGE_MARK not in text and _RANK_MARK not in text:
            raise InputError(
                f"{text}: one name for the files of {self.stage_count} stages; put {_STAGE_MARK} "
                "into it, or take merged=True for one file"
            )
        else:
            stages = [
                (stage, self._path_of_stage(text, stage)) for stage in range(self.stage_count)
            ]
        for _, file in stages:
            if not overwrite and os.path.lexists(file):
                raise InputError(f"{file}: exists; use overwrite=True to replace it")
        for stage, file in stages:
            self._inferred.save(stage, file, overwrite)
        return tuple(file for _, file in stages)

    def _path_of_stage(self, text: str, stage: int) -> str:
        text = text.replace(_STAGE_MARK, str(stage))
        if _RANK_MARK not in text:
            return text
        ranks = self.strategy.rank_count // self.stage_count
        return text.replace(_RANK_MARK, str(stage * ranks))

    def __repr__(self) -> str:
        return (
            f"<relayout.InferredStrategy of {count(len(self._inferred.cuts()), 'operator')}, "
            f"{count(self.stage_count, 'stage')}>"
        )


def _network_of(network: NetworkLike) -> Network:
    return network if isinstance(network, Network) else read_mindir(network)


def _mode_of(mode: str, search: str) -> str:
    if mode not in _MODES:
        raise InputError(f"mode={mode!r}: it is one of {', '.join(_MODES)}")
    if search not in _SEARCHES:
        raise InputError(f"search={search!r}: it is one of {', '.join(_SEARCHES)}")
    return search if mode == "auto" else mode


def infer_strategy(
    network: NetworkLike,
    *,
    devices: int,
    phase: str = "train",
    optimizer: str = "sgd",
    optimizer_parallel: bool = False,
    optimizer_threshold_kb: int = 64,
    optimizer_shard_size: int = -1,
    full_batch: bool = False,
    stages: int = 1,
    stage: Mapping[str, int] | None = None,
    frozen: Iterable[str] = (),
    mode: str = "semi_auto",
    search: str = "propagation",
) -> InferredStrategy:
    """Works out the strategy that MindSpore's compiler would write for a network.

    >>> relayout.infer_strategy("net.mindir", devices=8).save("src_strategy.ckpt")

    Args:
        network: A ``.mindir`` file, or a Network.
        devices: Of all stages together.
        phase: "train", or "predict": no optimizer.
        optimizer: Whose states the strategy lists: "sgd", "momentum", "adam", ...
        optimizer_parallel: Replicas keep a piece each (enable_parallel_optimizer).
        optimizer_threshold_kb: ... of parameters of at least so many KiB.
        optimizer_shard_size: ... in groups of so many; -1: all.
        full_batch: Each device is fed the whole batch. Without, it is fed a batch as large as the
            network was exported with.
        stages: Pipeline stages.
        stage: Which cells or parameters are in which stage: ``{"layer1": 0, "layer2": 1}``.
        frozen: Parameters, or cells, that are not trained (requires_grad=False).
        mode: What becomes of operators without annotation: "semi_auto" cuts their batch, "auto"
            searches.
        search: How "auto" finds cuts: "propagation" from annotated operators, or least "cost".

    Raises:
        InputError: The network cannot be read, or it and the arguments contradict each other; the
            message names the operator, the tensor and both numbers.
    """
    if phase not in ("train", "predict"):
        raise InputError(f"phase={phase!r}: it is one of train, predict")
    options = {
        "devices": int64_of("devices", devices),
        "training": phase == "train",
        "optimizer": optimizer,
        "optimizer_parallel": bool(optimizer_parallel),
        "optimizer_threshold_kb": int64_of("optimizer_threshold_kb", optimizer_threshold_kb),
        "optimizer_shard_size": int64_of("optimizer_shard_size", optimizer_shard_size),
        "full_batch": bool(full_batch),
        "stages": int64_of("stages", stages),
        "stage": {prefix: int64_of("stage", number) for prefix, number in (stage or {}).items()},
        "frozen": list(frozen),
        "mode": _mode_of(mode, search),
    }
    return InferredStrategy(_core.infer_strategy(_network_of(network)._graph, options))


# (dev_matrix, tensor_map, slice_shape, field_size, uniform_split, opt_shard_group, full_shape)
MindSporeLayout = tuple[
    "list[int]", "list[int | list[int]]", "list[int]", int, bool, str, "list[int]"
]


def _mindspore_layout(place: Placement) -> MindSporeLayout:
    layout = place.layout
    shape = place.shape or ()  # An inferred strategy states it.
    tensor_map: list[int | list[int]] = [
        list(axes) if len(axes) > 1 else axes[0] if axes else -1 for axes in layout.tensor_map
    ]
    slice_shape = [part.stop - part.start for part in layout.slices_of(0, shape)]
    group = f"optimizer_{layout.optimizer_split}" if layout.optimizer_split > 1 else ""
    return (list(layout.mesh), tensor_map, slice_shape, 0, True, group, list(shape))


def _layouts_of(inferred: InferredStrategy, rank: int) -> dict[str, MindSporeLayout]:
    strategy = inferred.strategy
    if not 0 <= rank < strategy.rank_count:
        raise InputError(f"rank {rank}: there are {count(strategy.rank_count, 'rank')}")
    layouts = {}
    for name, places in strategy.items():
        for place in places:
            if 0 <= rank - place.first_rank < place.layout.device_count:
                layouts[name] = _mindspore_layout(place)
    return layouts


def infer_train_layout(
    network: NetworkLike, *, devices: int, rank: int = 0, **options: Any
) -> dict[str, MindSporeLayout]:
    """What MindSpore's ``Model.infer_train_layout`` returns on `rank`, without compiling: for each
    parameter and each state of the optimizer in the rank's stage a tuple (dev_matrix, tensor_map,
    slice_shape, field_size, uniform_split, opt_shard_group, full_shape).

    slice_shape is of what a rank holds, the optimizer's split included. opt_shard_group is "" for a
    parameter that the optimizer does not split, else a name with the number of members:
    MindSpore's own names are of communication groups, which exist only in a running training.

    Args:
        network: A ``.mindir`` file, or a Network.
        devices: Of all stages together.
        rank: Of the device whose stage is asked for.
        options: As for infer_strategy().

    Raises:
        InputError: As infer_strategy(), or there is no such rank.
    """
    return _layouts_of(infer_strategy(network, devices=devices, **options), rank)


def infer_predict_layout(
    network: NetworkLike, *, devices: int, rank: int = 0, **options: Any
) -> dict[str, MindSporeLayout]:
    """The same as infer_train_layout() for inference, as ``Model.infer_predict_layout``:
    parameters only. MindSpore's ``load_distributed_checkpoint`` takes it as its
    ``predict_strategy``.

    Raises:
        InputError: As infer_strategy(), or there is no such rank.
    """
    inferred = infer_strategy(network, devices=devices, phase="predict", **options)
    return _layouts_of(inferred, rank)
