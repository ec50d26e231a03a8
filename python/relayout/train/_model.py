# SPDX-License-Identifier: Apache-2.0
"""Model: a network that is trained and asked on all ranks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Union

from relayout import _core, _train
from relayout._arguments import int64_of
from relayout._errors import InputError
from relayout._infer import InferredStrategy
from relayout._network import Network, NetworkBuilder, NetworkTensor, _shape_of, _short_name
from relayout._strategy import Layout, slices_of
from relayout._text import count
from relayout.train._callbacks import Callback, for_engine
from relayout.train._data import Dataset
from relayout.train._ranks import Comm

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

# Writes a network down: of a NetworkBuilder and a tensor for each input its result, or a tuple.
NetworkFunction = Callable[..., Union[NetworkTensor, Sequence[NetworkTensor]]]

_MODES = ("semi_auto", "auto_propagation", "auto_search")


@dataclasses.dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent, as MindSpore's nn.SGD."""

    learning_rate: float = 0.1
    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False
    loss_scale: float = 1.0

    def _as_dict(self) -> dict[str, Any]:
        return {"type": "sgd", **dataclasses.asdict(self)}


@dataclasses.dataclass(frozen=True)
class Momentum:
    """As MindSpore's nn.Momentum."""

    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 0.0
    loss_scale: float = 1.0
    use_nesterov: bool = False

    def _as_dict(self) -> dict[str, Any]:
        facts = dataclasses.asdict(self)
        return {"type": "momentum", "nesterov": facts.pop("use_nesterov"), **facts}


@dataclasses.dataclass(frozen=True)
class Adam:
    """As MindSpore's nn.Adam."""

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    use_nesterov: bool = False
    weight_decay: float = 0.0
    loss_scale: float = 1.0

    def _as_dict(self) -> dict[str, Any]:
        facts = dataclasses.asdict(self)
        return {"type": "adam", "nesterov": facts.pop("use_nesterov"), **facts}


@dataclasses.dataclass(frozen=True)
class Parallel:
    """How a network is divided among ranks: what MindSpore's set_auto_parallel_context() and
    PipelineCell say."""

    mode: str = "semi_auto"
    """What becomes of operators without annotation: "semi_auto" cuts their batch,
    "auto_propagation" propagates the cuts of annotated ones (sharding_propagation), "auto_search"
    finds the cheapest."""
    full_batch: bool = False
    """Each rank is fed the whole batch. Without, it is fed its part."""
    enable_parallel_optimizer: bool = False
    """Replicas keep a piece of each parameter each."""
    parallel_optimizer_threshold: int = 64
    """... of parameters of at least so many KiB."""
    optimizer_weight_shard_size: int = -1
    """... in groups of so many; -1: all."""
    pipeline_stages: int = 1
    stages: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Which cells or parameters are in which stage: ``{"layer1": 0, "layer2": 1}``."""
    micro_size: int = 1
    """Into how many parts a pipeline deals a batch."""
    frozen: Iterable[str] = ()
    """Parameters, or cells, that are not trained (requires_grad=False)."""

    def _as_dict(self) -> dict[str, Any]:
        if self.mode not in _MODES:
            raise InputError(f"mode={self.mode!r}: it is one of {', '.join(_MODES)}")
        numbers = {
            name: int64_of(name, getattr(self, name))
            for name in (
                "parallel_optimizer_threshold",
                "optimizer_weight_shard_size",
                "pipeline_stages",
                "micro_size",
            )
        }
        return {
            **numbers,
            "mode": self.mode,
            "full_batch": bool(self.full_batch),
            "enable_parallel_optimizer": bool(self.enable_parallel_optimizer),
            "stages": {prefix: int64_of("stages", stage) for prefix, stage in self.stages.items()},
            "frozen": list(self.frozen),
        }


Optimizer = Union[SGD, Momentum, Adam]


class StateTensor:
    """A parameter, or what the optimizer keeps, on this rank. From Model.state()."""

    __slots__ = ("_index", "_model", "layout", "name", "shape", "slices")

    def __init__(
        self,
        model: _train.Model,
        index: int,
        name: str,
        shape: tuple[int, ...],
        layout: _core.Layout,
        box: tuple[tuple[int, ...], tuple[int, ...]],
    ) -> None:
        self._model = model
        self._index = index
        self.name = name
        """As in checkpoints."""
        self.shape = shape
        """Of the whole tensor."""
        self.layout = Layout(layout)
        """On the ranks of the stage."""
        self.slices = slices_of(box)
        """What of the tensor this rank holds."""

    def numpy(self) -> Array:
        """A copy of what this rank holds, as it is now."""
        array: Array = self._model.state_value(self._index)
        return array

    def __repr__(self) -> str:
        return f"<relayout.train.StateTensor {self.name}: {list(self.shape)} {self.layout}>"


def _writer(
    network: NetworkFunction,
) -> Callable[[_core.NetworkBuilder, list[_core.NetworkTensor]], list[_core.NetworkTensor]]:
    """The network function as the engine calls it."""

    def write(
        builder: _core.NetworkBuilder, inputs: list[_core.NetworkTensor]
    ) -> list[_core.NetworkTensor]:
        results = network(
            NetworkBuilder._of(builder), *(NetworkTensor(builder, tensor) for tensor in inputs)
        )
        tensors = (results,) if isinstance(results, NetworkTensor) else tuple(results)
        for tensor in tensors:
            if not isinstance(tensor, NetworkTensor):
                raise TypeError(f"the network returns {tensor!r}, which is no NetworkTensor")
        return [tensor._tensor for tensor in tensors]

    return write


class Model:
    """A network that is trained and asked on all ranks of a Comm, as MindSpore's Model under
    semi_auto_parallel or auto_parallel.

    >>> def network(net, x):
    ...     with net.scope("layer1"):
    ...         weight = net.parameter("weight", (784, 10), initializer="normal")
    ...         return net.matmul(net.flatten(x), weight).cut((2, 1), (1, 2))
    >>> model = train.Model(network, loss_fn="cross_entropy",
    ...                     optimizer=train.SGD(learning_rate=0.01), comm=comm)
    >>> model.train(10, dataset, callbacks=[train.LossMonitor(20)])

    As in MindSpore, a network is compiled for the shapes that it meets first: by train(), or by
    build(), which trains nothing. Then it has a strategy, and parameters that may be loaded.

    train(), build(), predict(), build_predict(), accuracy() and load_param_into_net() are called by
    all ranks together. When one fails, all do.

    Args:
        network: ``network(net, *inputs)`` writes the network down with a NetworkBuilder, for what
            one rank is fed, and returns its result, or a tuple of them. Or a Network, which is
            trained on batches of its inputs' shapes; read_mindir(path, constants=True) reads one.
        loss_fn: "cross_entropy", "softmax_cross_entropy" or "mean_squared_error" of the result
            against the last tensor of each batch, see Network.with_loss(). None: the network
            returns the loss.
        optimizer: SGD, Momentum or Adam.
        comm: This rank, from run_ranks(). None: one that is alone.
        parallel: How the network is divided.
        seed: Of initial values, and of what is random in training.

    Raises:
        InputError: The arguments contradict each other.
    """

    def __init__(
        self,
        network: Network | NetworkFunction,
        loss_fn: str | None = None,
        optimizer: Optimizer | None = None,
        *,
        comm: Comm | None = None,
        parallel: Parallel | None = None,
        seed: int = 1,
    ) -> None:
        if not (isinstance(network, Network) or callable(network)):
            raise TypeError(f"network={network!r} is no function of a NetworkBuilder and tensors")
        if int64_of("seed", seed) < 0:
            raise InputError(f"seed={seed}: give 0 or more")

        self._model = _train.Model(
            (comm or Comm())._comm,
            network._graph if isinstance(network, Network) else _writer(network),
            {
                "loss": loss_fn,
                "optimizer": (optimizer or SGD())._as_dict(),
                "parallel": (parallel or Parallel())._as_dict(),
                "seed": seed,
            },
        )

    def build(self, train_dataset: Dataset) -> None:
        """Compiles for training on such batches, and trains nothing (MindSpore:
        infer_train_layout()).

        Raises:
            InputError: The network cannot be laid out so; or ranks have different networks or
                batches.
        """
        self._model.build(train_dataset._dataset)

    def train(
        self, epoch: int, train_dataset: Dataset, callbacks: Callback | Iterable[Callback] = ()
    ) -> None:
        """Trains on all batches of the dataset, `epoch` times.

        Raises:
            InputError: As build(), and as callbacks do. What a Python callback raises goes on to
                the caller.
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        each = [callbacks] if isinstance(callbacks, Callback) else list(callbacks)
        number = int64_of("epoch", epoch)
        if number < 1:
            raise InputError(f"epoch={number}: give 1 or more")
        self._model.train(number, train_dataset._dataset, [for_engine(one) for one in each])

    def build_predict(self, *shapes: Sequence[int], dtype: object = "float32") -> None:
        """Compiles for predict() on inputs of these shapes. Without build(), parameters then lie as
        a strategy for inference has them (MindSpore: infer_predict_layout()).

        Raises:
            InputError: The network cannot be laid out so.
        """
        short_name = _short_name(dtype)
        self._model.build_predict([(short_name, _shape_of(shape)) for shape in shapes])

    def predict(self, *inputs: Array) -> Any:
        """The network's result, or a tuple of them.

        Args:
            inputs: Arrays of float32 or int32: with full_batch the whole batch, the same on all
                ranks, else this rank's rows of it.

        Returns:
            Of the rows that this rank gave.
        """
        import numpy

        results = self._model.predict([numpy.ascontiguousarray(array) for array in inputs])
        return results[0] if len(results) == 1 else tuple(results)

    def accuracy(self, valid_dataset: Dataset) -> float:
        """The share of rows whose largest logit is the label's, over all batches. The dataset is
        the same on all ranks."""
        return self._model.accuracy(valid_dataset._dataset)

    @property
    def strategy(self) -> InferredStrategy:
        """How the parameters lie, and the operators are cut. ``model.strategy.save(path)`` writes
        strategy files; one rank does it for all.

        Raises:
            InputError: The model was not built yet.
        """
        return InferredStrategy(self._model.strategy())

    def state(self) -> dict[str, StateTensor]:
        """This rank's parameters, then, after build(), what the optimizer keeps; by name.

        Raises:
            InputError: The model was not built yet.
        """
        return {
            facts[0]: StateTensor(self._model, index, *facts)
            for index, facts in enumerate(self._model.state())
        }

    def __repr__(self) -> str:
        try:
            size = count(len(self._model.state()), "tensor")
        except InputError:
            return "<relayout.train.Model, not built>"
        return f"<relayout.train.Model of {size}>"
