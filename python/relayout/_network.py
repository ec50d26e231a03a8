# SPDX-License-Identifier: Apache-2.0
"""Networks: operators on tensors, read from MindSpore's MindIR or written down here."""

from __future__ import annotations

import numbers
import operator
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import NamedTuple, Union

from relayout import _core
from relayout._arguments import StrPath, int64_of
from relayout._dtypes import OF_SHORT_NAME, numpy_dtype
from relayout._errors import InputError
from relayout._text import count

# Pieces of each dimension, for each tensor input: ((2, 1), (1, 2)).
Cuts = Sequence[Sequence[int]]
# What an operator has beside tensors: MindSpore's attributes.
Attribute = Union[bool, int, float, str, Sequence[int], Sequence[float], None]

_SHORT_NAMES = {facts.name: short for short, facts in OF_SHORT_NAME.items()}


def _short_name(dtype: object) -> str:
    """ "float32", "f32", numpy.float32 or mindspore.float32 -> "f32"."""
    name = getattr(dtype, "__name__", None) or str(dtype)
    name = name.lower().rpartition(".")[2].rstrip("_")
    if name in OF_SHORT_NAME:
        return name
    if name in _SHORT_NAMES:
        return _SHORT_NAMES[name]
    raise InputError(f"{dtype!r} is no element type; write e.g. 'float32'")


def _shape_of(shape: Sequence[int]) -> list[int]:
    return [int64_of("a dimension", length) for length in shape]


def _cuts_of(cuts: Cuts) -> list[list[int]]:
    return [[int64_of("a cut", pieces) for pieces in tensor] for tensor in cuts]


def _exact_float(number: numbers.Real | float) -> float:
    if isinstance(number, numbers.Integral) and int(float(number)) != int(number):
        raise InputError(f"{number} is no float64; make a constant of a numpy array")
    return float(number)


class Parameter(NamedTuple):
    """A parameter of a network."""

    name: str
    """As in checkpoints."""
    dtype: str
    shape: tuple[int, ...]
    trained: bool
    """The optimizer keeps state for it (MindSpore: requires_grad)."""


class Input(NamedTuple):
    """What a network is fed."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class Operator(NamedTuple):
    """An operator of a network."""

    type: str
    """MindSpore's name of the primitive: ``MatMul``."""
    name: str
    """Where it stands: ``Default/layer1-Dense/MatMul-op0``."""
    cuts: tuple[tuple[int, ...], ...] | None
    """Its annotation: for each tensor input the pieces of each dimension (MindSpore:
    in_strategy)."""
    shapes: tuple[tuple[int, ...], ...]
    """Of its results."""


class Network:
    """A network as operators on values, whole and on one device. ``str(network)`` has a line for
    each input, parameter and operator::

        x input f32[32,784]
        w parameter f32[784,512]
        #0 MatMul (x, w) -> f32[32,512] cuts ((2,1),(1,2))
        return #0

    From read_mindir() or NetworkBuilder.build(). Does not change.
    """

    __slots__ = ("_graph",)

    def __init__(self, graph: _core.Graph) -> None:
        self._graph = graph

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What it is fed, in order."""
        return tuple(
            Input(name, OF_SHORT_NAME[dtype].name, shape)
            for name, dtype, shape in self._graph.inputs()
        )

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Its parameters by name, in its order."""
        return MappingProxyType(
            {
                name: Parameter(name, OF_SHORT_NAME[dtype].name, shape, trained)
                for name, dtype, shape, trained in self._graph.parameters()
            }
        )

    @property
    def operators(self) -> tuple[Operator, ...]:
        """Its operators, each after those whose results it reads."""
        return tuple(Operator(*facts) for facts in self._graph.operators())

    def with_batch(self, factor: int) -> Network:
        """The same network with dimension 0 of every input `factor` times as long.

        Numbers that an exported network holds of its batch (a Reshape to 32 rows) grow with it.

        Raises:
            InputError: `factor` is below 1, or an operator's shapes do not follow; the message
                names it and both shapes.
        """
        return Network(self._graph.with_batch(int64_of("factor", factor)))

    def with_loss(self, loss: str = "cross_entropy") -> Network:
        """This network with a loss of its result behind it, as MindSpore's ``Model(net, loss_fn)``
        has it: takes one more input, ``label``, and returns the loss.

        Args:
            loss: ``cross_entropy`` (nn.CrossEntropyLoss) or ``softmax_cross_entropy``
                (nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")), of float32
                [n, classes] against int32 [n]; or ``mean_squared_error`` (nn.MSELoss), of any
                float32 against as many.

        Raises:
            InputError: The network does not return one such tensor; the message names its shape.
        """
        return Network(self._graph.with_loss(loss))

    def __str__(self) -> str:
        return self._graph.text()

    def __repr__(self) -> str:
        return (
            f"<relayout.Network of {count(len(self._graph.operators()), 'operator')}, "
            f"{count(len(self._graph.parameters()), 'parameter')}>"
        )


def read_mindir(path: StrPath, *, constants: bool = False) -> Network:
    """Reads a network as ``mindspore.export(net, x, file_name="net", file_format="MINDIR")``
    writes it. Its weights are not read and may be missing.

    Args:
        path: The ``.mindir`` file, or a folder with one in it.
        constants: Also read what constants hold (masks, positions). To lay a network out nobody
            needs them.

    Raises:
        InputError: It cannot be read, or has control flow, shapes that are not fixed or operators
            that relayout does not know; the message names the file and the operator.
    """
    return Network(_core.read_mindir(path, bool(constants)))


class NetworkTensor:
    """A tensor of a network that is being built. Made by NetworkBuilder."""

    __slots__ = ("_builder", "_tensor")

    def __init__(self, builder: _core.NetworkBuilder, tensor: _core.NetworkTensor) -> None:
        self._builder = builder
        self._tensor = tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return self._tensor.shape

    @property
    def dtype(self) -> str:
        return OF_SHORT_NAME[self._tensor.dtype].name

    def cut(self, *cuts: Sequence[int]) -> NetworkTensor:
        """Annotates the operator that made this tensor, as MindSpore's ``shard`` does.

        Args:
            cuts: For each tensor input of the operator the pieces of each of its dimensions:
                ``net.matmul(x, w).cut((2, 1), (1, 2))``.

        Returns:
            This tensor.

        Raises:
            InputError: No operator made it. (Whether cuts fit is seen by infer_strategy().)
        """
        self._builder.cut(self._tensor, _cuts_of(cuts))
        return self

    def cut_outputs(self, *cuts: Sequence[int]) -> NetworkTensor:
        """The same of the operator's results (MindSpore: out_strategy)."""
        self._builder.cut_outputs(self._tensor, _cuts_of(cuts))
        return self

    def output(self, index: int) -> NetworkTensor:
        """Result number `index` of the operator that made this tensor.

        Raises:
            InputError: No operator made it, or it has no such result.
        """
        number = operator.index(index)
        if number < 0:
            raise InputError(f"result {number}: results are counted from 0")
        return NetworkTensor(self._builder, self._builder.output(self._tensor, number))

    def _combine(self, type: str, other: NetworkTensor | float) -> NetworkTensor:
        if isinstance(other, NetworkTensor):
            made = self._builder.apply(type, [self._tensor, other._tensor], {})
        elif not isinstance(other, numbers.Real):
            raise TypeError(f"{type} takes a NetworkTensor or a number, not {other!r}")
        elif type in ("Muls", "Divs"):
            made = self._builder.apply(type, [self._tensor], {"other": other})
        else:
            fits = self.dtype.startswith(("float", "bfloat")) or float(other).is_integer()
            number = self._builder.number(
                _exact_float(other), self._tensor.dtype if fits else "f32"
            )
            made = self._builder.apply(type, [self._tensor, number], {})
        return NetworkTensor(self._builder, made)

    def __add__(self, other: NetworkTensor | float) -> NetworkTensor:
        return self._combine("Add", other)

    def __sub__(self, other: NetworkTensor | float) -> NetworkTensor:
        return self._combine("Sub", other)

    def __mul__(self, other: NetworkTensor | float) -> NetworkTensor:
        return self._combine("Mul" if isinstance(other, NetworkTensor) else "Muls", other)

    def __truediv__(self, other: NetworkTensor | float) -> NetworkTensor:
        return self._combine("RealDiv" if isinstance(other, NetworkTensor) else "Divs", other)

    def __repr__(self) -> str:
        return f"<relayout.NetworkTensor {self.dtype}{list(self.shape)}>"


class NetworkBuilder:
    """Writes a network down. The tutorial's, cut for 8 devices:

    >>> net = relayout.NetworkBuilder()
    >>> def dense(name, x, width, *cuts):
    ...     with net.scope(name):
    ...         weight = net.parameter("weight", (x.shape[-1], width))
    ...         bias = net.parameter("bias", (width,))
    ...         return net.matmul(x, weight).cut(*cuts) + bias
    >>> x = net.flatten(net.input("x", (32, 1, 28, 28)))
    >>> x = net.relu(dense("layer1", x, 512, (2, 1), (1, 2)))
    >>> x = net.relu(dense("layer2", x, 512, (1, 4), (4, 1)))
    >>> x = dense("layer3", x, 10, (2, 2), (2, 1))
    >>> network = net.build(x)
    >>> relayout.infer_strategy(network, devices=8).save("src_strategy.ckpt")

    Types and attributes of operators are those of MindSpore's primitives; apply() makes any of
    them, the other methods are short for the usual ones. What does not fit raises InputError, which
    names the operator and the shapes; the network is then as it was before the call.
    """

    def __init__(self) -> None:
        self._builder = _core.NetworkBuilder()

    @classmethod
    def _of(cls, builder: _core.NetworkBuilder) -> NetworkBuilder:
        """One that writes into the network of relayout.train.Model."""
        self = cls.__new__(cls)
        self._builder = builder
        return self

    def _made(self, tensor: _core.NetworkTensor) -> NetworkTensor:
        return NetworkTensor(self._builder, tensor)

    def input(self, name: str, shape: Sequence[int], dtype: object = "float32") -> NetworkTensor:
        """What the network is fed; dimension 0 is the batch."""
        return self._made(self._builder.input(name, _shape_of(shape), _short_name(dtype)))

    def parameter(
        self,
        name: str,
        shape: Sequence[int],
        dtype: object = "float32",
        *,
        trained: bool = True,
        initializer: str = "",
    ) -> NetworkTensor:
        """A parameter, called as in checkpoints: after the names of the scopes. One that is used
        twice is made once.

        Args:
            name: ``weight`` in the scope ``layer1`` is ``layer1.weight``.
            shape: Of the whole tensor.
            dtype: "float32", "bfloat16", numpy.float16, ...
            trained: The optimizer keeps state for it (MindSpore: requires_grad).
            initializer: What it is before relayout.train trains it, by MindSpore's names:
                "normal", "he_uniform(2.236)"; empty: zeros.

        Raises:
            InputError: There is one of this name.
        """
        return self._made(
            self._builder.parameter(
                name, _shape_of(shape), _short_name(dtype), bool(trained), initializer
            )
        )

    def constant(self, shape: Sequence[int], dtype: object = "float32") -> NetworkTensor:
        """A tensor that is neither fed nor trained, such as a mask. What it holds is unknown, which
        does not matter as long as the network is not run; see constant_of()."""
        return self._made(self._builder.constant(_shape_of(shape), _short_name(dtype)))

    def constant_of(self, values: object, dtype: object = None) -> NetworkTensor:
        """A tensor that is neither fed nor trained, with what it holds.

        Args:
            values: A number, or an array: what ``numpy.asarray`` takes.
            dtype: None is the array's own; of a number float32.

        Raises:
            InputError: The type has no such number.
            ImportError: An array is given, and numpy is not installed.
        """
        if isinstance(values, numbers.Real):
            short_name = _short_name("float32" if dtype is None else dtype)
            return self._made(self._builder.number(_exact_float(values), short_name))
        import numpy

        array = numpy.asarray(values)
        if dtype is not None:
            array = array.astype(numpy_dtype(OF_SHORT_NAME[_short_name(dtype)]))
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        return self._made(
            self._builder.constant_of(
                list(array.shape), _short_name(array.dtype.name), little.tobytes()
            )
        )

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """What is built within stands in the cell `name`; scopes nest. ``layer1-Dense`` is a cell
        of the class Dense, as MindSpore writes it, and ``layer1`` in names of parameters."""
        self._builder.enter(name)
        try:
            yield
        finally:
            self._builder.leave()

    def apply(self, type: str, *inputs: NetworkTensor, **attributes: Attribute) -> NetworkTensor:
        """An operator of any type whose shapes relayout knows.

        Args:
            type: MindSpore's name of the primitive: "MatMul".
            inputs: Its tensors, in MindSpore's order; a tuple of tensors as so many inputs.
            attributes: Its other arguments by MindSpore's names; None is left out.

        Returns:
            Its first result; ``.output(1)`` is the second.
        """
        tensors = [tensor._tensor for tensor in inputs]
        return self._made(self._builder.apply(type, tensors, dict(attributes)))

    def matmul(
        self,
        x: NetworkTensor,
        y: NetworkTensor,
        *,
        transpose_a: bool = False,
        transpose_b: bool = False,
    ) -> NetworkTensor:
        """MatMul of matrices, BatchMatMul where there are more dimensions: [.., m, k] by [.., k, n]
        gives [.., m, n]; `transpose_a` and `transpose_b` exchange the last two of an input."""
        type = "MatMul" if len(x.shape) == len(y.shape) == 2 else "BatchMatMul"
        return self.apply(
            type, x, y, transpose_a=transpose_a or None, transpose_b=transpose_b or None
        )

    def bias_add(self, x: NetworkTensor, bias: NetworkTensor) -> NetworkTensor:
        """Adds [c] along dimension 1 of [n, c, ..]."""
        return self.apply("BiasAdd", x, bias)

    def relu(self, x: NetworkTensor) -> NetworkTensor:
        return self.apply("ReLU", x)

    def gelu(self, x: NetworkTensor) -> NetworkTensor:
        return self.apply("GeLU", x)

    def silu(self, x: NetworkTensor) -> NetworkTensor:
        return self.apply("SiLU", x)

    def tanh(self, x: NetworkTensor) -> NetworkTensor:
        return self.apply("Tanh", x)

    def sigmoid(self, x: NetworkTensor) -> NetworkTensor:
        return self.apply("Sigmoid", x)

    def exp(self, x: NetworkTensor) -> NetworkTensor:
        return self.apply("Exp", x)

    def square(self, x: NetworkTensor) -> NetworkTensor:
        return self.apply("Square", x)

    def sqrt(self, x: NetworkTensor) -> NetworkTensor:
        return self.apply("Sqrt", x)

    def rsqrt(self, x: NetworkTensor) -> NetworkTensor:
        return self.apply("Rsqrt", x)

    def cast(self, x: NetworkTensor, dtype: object) -> NetworkTensor:
        return self.apply("Cast", x, dtype=_short_name(dtype))

    def softmax(self, x: NetworkTensor, axis: int = -1) -> NetworkTensor:
        return self.apply("Softmax", x, axis=axis)

    def log_softmax(self, x: NetworkTensor, axis: int = -1) -> NetworkTensor:
        return self.apply("LogSoftmax", x, axis=axis)

    def layer_norm(
        self, x: NetworkTensor, gamma: NetworkTensor, beta: NetworkTensor
    ) -> NetworkTensor:
        """Over the last dimensions, as many as `gamma` has."""
        begin = -len(gamma.shape)
        return self.apply(
            "LayerNorm", x, gamma, beta, begin_norm_axis=begin, begin_params_axis=begin
        )

    def rms_norm(self, x: NetworkTensor, gamma: NetworkTensor) -> NetworkTensor:
        """Over the last dimensions, as many as `gamma` has."""
        return self.apply("RmsNorm", x, gamma)

    def dropout(self, x: NetworkTensor, keep_prob: float) -> NetworkTensor:
        return self.apply("Dropout", x, keep_prob=float(keep_prob))

    def gather(self, params: NetworkTensor, indices: NetworkTensor, axis: int = 0) -> NetworkTensor:
        """Rows of a table: [v, h] by [b, s] gives [b, s, h]."""
        return self.apply("Gather", params, indices, axis=axis, batch_dims=0)

    def one_hot(self, indices: NetworkTensor, depth: int) -> NetworkTensor:
        """[b, s] gives [b, s, depth]."""
        on, off = self.constant_of(1), self.constant_of(0)
        return self.apply("OneHot", indices, on, off, depth=depth, axis=-1)

    def reshape(self, x: NetworkTensor, shape: Sequence[int]) -> NetworkTensor:
        """At most one dimension may be -1: what the others leave."""
        return self.apply("Reshape", x, shape=tuple(shape))

    def flatten(self, x: NetworkTensor) -> NetworkTensor:
        """All dimensions but the first as one."""
        return self.apply("Flatten", x)

    def transpose(self, x: NetworkTensor, dims: Sequence[int]) -> NetworkTensor:
        """Dimension i of the result is dimension dims[i] of `x`."""
        return self.apply("Transpose", x, dims=tuple(dims))

    def expand_dims(self, x: NetworkTensor, axis: int) -> NetworkTensor:
        return self.apply("ExpandDims", x, axis=axis)

    def squeeze(self, x: NetworkTensor, axes: Sequence[int] = ()) -> NetworkTensor:
        """Without these dimensions of 1; without axes, without any."""
        return self.apply("Squeeze", x, axis=tuple(axes))

    def broadcast_to(self, x: NetworkTensor, shape: Sequence[int]) -> NetworkTensor:
        return self.apply("BroadcastTo", x, shape=tuple(shape))

    def reduce_sum(
        self, x: NetworkTensor, axes: Sequence[int] = (), *, keep_dims: bool = False
    ) -> NetworkTensor:
        """Without axes over all dimensions."""
        return self.apply("ReduceSum", x, axis=tuple(axes), keep_dims=keep_dims)

    def reduce_mean(
        self, x: NetworkTensor, axes: Sequence[int] = (), *, keep_dims: bool = False
    ) -> NetworkTensor:
        """Without axes over all dimensions."""
        return self.apply("ReduceMean", x, axis=tuple(axes), keep_dims=keep_dims)

    def split(self, x: NetworkTensor, axis: int, count: int) -> tuple[NetworkTensor, ...]:
        """`count` equal pieces of a dimension."""
        first = self.apply("Split", x, axis=axis, output_num=count)
        return tuple(first.output(index) for index in range(count))

    def concat(self, tensors: Sequence[NetworkTensor], axis: int) -> NetworkTensor:
        return self.apply("Concat", *tensors, axis=axis)

    def cross_entropy(
        self, logits: NetworkTensor, labels: NetworkTensor, ignored: int = -100
    ) -> NetworkTensor:
        """nn.CrossEntropyLoss: [n, classes] against numbers of classes [n] gives a number, the mean
        over the rows whose label is not `ignored`."""
        return self.apply(
            "CrossEntropyLoss", logits, labels, reduction="mean", ignore_index=int(ignored)
        )

    def nll_loss(
        self, log_probabilities: NetworkTensor, labels: NetworkTensor, ignored: int = -100
    ) -> NetworkTensor:
        """As cross_entropy(), of what log_softmax() gave."""
        return self.apply(
            "NLLLoss", log_probabilities, labels, reduction="mean", ignore_index=int(ignored)
        )

    def softmax_cross_entropy(self, logits: NetworkTensor, labels: NetworkTensor) -> NetworkTensor:
        """SoftmaxCrossEntropyWithLogits: [n, classes] twice gives [n]."""
        return self.apply("SoftmaxCrossEntropyWithLogits", logits, labels)

    def build(self, *results: NetworkTensor) -> Network:
        """The network that returns these, so far."""
        return Network(self._builder.build([tensor._tensor for tensor in results]))
