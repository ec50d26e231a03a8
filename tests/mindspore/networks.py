# SPDX-License-Identifier: Apache-2.0
"""Random networks for MindSpore's frontend: perceptrons and transformers, randomly annotated.

    case = random_case(17)      # The same network each time: frontend.Case and what it is made of.

A network is drawn as a plan, a list of cells with their sizes, before MindSpore is asked; the
annotations are drawn with the plan, by what an operator's dims mean:

    Operator("mk,kn", m=32, k=64, n=64)     a MatMul: dims of one letter are cut alike
    Operator("m1,n", ...)                   ... "1" is a dim of one element
    Operator("mN,N", ...)                   ... a capital is never cut

One case in ten is annotated without regard to that, so that refusals are compared as well.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable

import frontend  # First: it sets MindSpore up.
import numpy as np

import mindspore
from mindspore import nn, ops
from mindspore.common.initializer import initializer
from mindspore.ops.auto_generate import SiLU

Cuts = tuple[tuple[int, ...], ...]


def parameter(*shape: int, dtype: mindspore.dtype = mindspore.float32) -> mindspore.Parameter:
    return mindspore.Parameter(initializer("ones", shape, dtype))


class Annotator:
    """Draws the strategies of operators."""

    def __init__(self, seed: int, devices: int, share: float, careless: bool):
        self.random = random.Random(seed)
        self.devices = devices  # Of one stage.
        self.share = share  # Of the operators that are annotated.
        self.careless = careless
        self.count = 0

    def annotate(
        self, operator: ops.Primitive, dims: str, most: int | None = None, **sizes: int
    ) -> ops.Primitive:
        """Gives `operator` a strategy, or not."""
        if self.random.random() < self.share:
            self.count += 1
            operator.shard(self.cuts(dims, most or self.devices, sizes))
        return operator

    def cuts(self, dims: str, most: int, sizes: dict[str, int]) -> Cuts:
        letters = [letter for letter in sizes if self.careless or letter.islower()]
        self.random.shuffle(letters)
        pieces = dict.fromkeys(sizes, 1)
        left = most
        for letter in letters:
            limit = left if self.careless else math.gcd(left, sizes[letter])
            pieces[letter] = self.random.choice(
                [1] + [n for n in (2, 4, 8, 16, 32, 64) if limit % n == 0]
            )
            if self.careless and self.random.random() < 0.1:
                pieces[letter] = self.random.choice((2, 3, 5, 2 * self.devices))
            left //= math.gcd(left, pieces[letter])
        return tuple(
            tuple(pieces.get(letter, 1) for letter in dims_of) for dims_of in dims.split(",")
        )


@dataclasses.dataclass
class World:
    """What the cells of one network share."""

    draw: random.Random
    annotator: Annotator
    rows: int  # Of a batch, as operators see it: of all devices, of one micro batch.
    tokens: int  # Of a sequence; 1 in perceptrons.
    width: int
    half: bool = False  # Weights in float16, cast before they are used.
    # MindSpore crashes when parameters of no dims qualify for optimizer parallelism.
    scalars: bool = True

    @property
    def lines(self) -> int:
        return self.rows * self.tokens


class MatMul(nn.Cell):
    """[m, k] by a weight [k, n], or transposed ones; the weight perhaps cast."""

    def __init__(self, world: World, k: int, n: int):
        super().__init__()
        turned = world.draw.random() < 0.4
        dtype = mindspore.float16 if world.half and world.draw.random() < 0.5 else mindspore.float32
        self.weight = parameter(*((n, k) if turned else (k, n)), dtype=dtype)
        self.is_cast = dtype == mindspore.float16
        self.cast = ops.Cast()
        self.matmul = world.annotator.annotate(
            ops.MatMul(transpose_b=turned), "mk,nk" if turned else "mk,kn", m=world.lines, k=k, n=n
        )

    def construct(self, x):
        weight = self.weight
        if self.is_cast:
            weight = self.cast(weight, mindspore.float32)
        return self.matmul(x, weight)


class Bias(nn.Cell):
    """Adds a parameter along the last dim, as BiasAdd or by broadcasting."""

    def __init__(self, world: World, n: int):
        super().__init__()
        kind = world.draw.choice(
            ("BiasAdd", "n", "n", "1n", "sub", "one", "scalar" if world.scalars else "n")
        )
        m = world.lines
        shape = {"1n": (1, n), "scalar": (), "one": (1,)}.get(kind, (n,))
        dims = {"1n": "mn,1n", "scalar": "mn,", "one": "mn,1"}.get(kind, "mn,n")
        self.bias = parameter(*shape)
        operator = {"BiasAdd": ops.BiasAdd, "sub": ops.Sub}.get(kind, ops.Add)()
        self.add = world.annotator.annotate(operator, dims, m=m, n=n)

    def construct(self, x):
        return self.add(x, self.bias)


class Scale(nn.Cell):
    """Multiplies or divides by a parameter or by a number."""

    def __init__(self, world: World, n: int):
        super().__init__()
        kind = world.draw.choice(("n", "1n", "number"))
        self.factor = 0.5 if kind == "number" else parameter(*((1, n) if kind == "1n" else (n,)))
        operator = world.draw.choice((ops.Mul, ops.Mul, ops.Div, ops.RealDiv))()
        dims = {"n": "mn,n", "1n": "mn,1n", "number": "mn,"}[kind]
        self.multiply = world.annotator.annotate(operator, dims, m=world.lines, n=n)

    def construct(self, x):
        return self.multiply(x, self.factor)


class Dense(nn.Cell):
    """nn.Dense, its operators annotated from outside."""

    def __init__(self, world: World, k: int, n: int):
        super().__init__()
        self.dense = nn.Dense(k, n, has_bias=world.draw.random() < 0.7)
        world.annotator.annotate(self.dense.matmul, "mk,nk", m=world.lines, k=k, n=n)
        if self.dense.has_bias:
            world.annotator.annotate(self.dense.bias_add, "mn,n", m=world.lines, n=n)

    def construct(self, x):
        return self.dense(x)


class Linear(nn.Cell):
    """One of the ways to write a layer."""

    def __init__(self, world: World, k: int, n: int):
        super().__init__()
        if world.draw.random() < 0.4:
            self.sequence = nn.SequentialCell(Dense(world, k, n))
            return
        cells = [MatMul(world, k, n)]
        if world.draw.random() < 0.7:
            cells.append(Bias(world, n))
        self.sequence = nn.SequentialCell(*cells)

    def construct(self, x):
        return self.sequence(x)


class Activation(nn.Cell):
    def __init__(self, world: World, n: int):
        super().__init__()
        kind = world.draw.choice(
            (ops.ReLU, ops.ReLU, ops.GeLU, ops.Tanh, ops.Sigmoid, SiLU, ops.Softmax, ops.LogSoftmax)
        )
        dims = "mN" if kind in (ops.Softmax, ops.LogSoftmax) else "mn"
        self.activation = world.annotator.annotate(kind(), dims, m=world.lines, **{dims[1]: n})

    def construct(self, x):
        return self.activation(x)


class LayerNorm(nn.Cell):
    def __init__(self, world: World, n: int):
        super().__init__()
        self.norm = nn.LayerNorm((n,))
        world.annotator.annotate(self.norm.layer_norm, "mN,N,N", m=world.lines, N=n)

    def construct(self, x):
        return self.norm(x)


class RmsNorm(nn.Cell):
    def __init__(self, world: World, n: int):
        super().__init__()
        self.gamma = parameter(n)
        self.norm = world.annotator.annotate(ops.RmsNorm(), "mN,N", m=world.lines, N=n)

    def construct(self, x):
        return self.norm(x, self.gamma)[0]


class Halves(nn.Cell):
    """Splits the columns, treats the halves, puts them together."""

    def __init__(self, world: World, n: int):
        super().__init__()
        annotate = world.annotator.annotate
        self.split = annotate(ops.Split(1, 2), "mN", m=world.lines, N=n)
        self.multiply = annotate(ops.Mul(), "mn,mn", m=world.lines, n=n // 2)
        self.relu = annotate(ops.ReLU(), "mn", m=world.lines, n=n // 2)
        self.concat = annotate(ops.Concat(1), "mN,mN", m=world.lines, N=n // 2)

    def construct(self, x):
        left, right = self.split(x)
        return self.concat((self.multiply(left, right), self.relu(right)))


class Turned(nn.Cell):
    """A layer whose weight is a parameter turned, reshaped, scaled, or the product of two."""

    def __init__(self, world: World, k: int, n: int):
        super().__init__()
        annotate = world.annotator.annotate
        self.kind = world.draw.choice(("transpose", "reshape", "scale", "product"))
        shape = {"transpose": (n, k), "reshape": (2, k // 2, n), "product": (k, 16)}.get(
            self.kind, (k, n)
        )
        self.weight = parameter(*shape)
        self.second = parameter(16, n)
        self.shape = (k, n)
        self.reshape = ops.Reshape()
        self.transpose = annotate(ops.Transpose(), "nk", n=n, k=k)
        self.scale = annotate(ops.Mul(), "kn,", k=k, n=n)
        self.product = annotate(ops.MatMul(), "km,mn", k=k, m=16, n=n)
        self.matmul = annotate(ops.MatMul(), "mk,kn", m=world.lines, k=k, n=n)

    def construct(self, x):
        if self.kind == "transpose":
            weight = self.transpose(self.weight, (1, 0))
        elif self.kind == "reshape":
            weight = self.reshape(self.weight, self.shape)
        elif self.kind == "scale":
            weight = self.scale(self.weight, 0.5)
        else:
            weight = self.product(self.weight, self.second)
        return self.matmul(x, weight)


class Heads(nn.Cell):
    """Columns as heads, each multiplied by its own matrix (BatchMatMul with a weight), and back."""

    def __init__(self, world: World, n: int):
        super().__init__()
        heads, size = 4, n // 4
        annotate = world.annotator.annotate
        turned = world.draw.random() < 0.5
        self.shape, self.width = (-1, heads, size), n
        self.weight = parameter(heads, size, size)
        self.reshape, self.back = ops.Reshape(), ops.Reshape()
        sizes = {"m": world.lines, "h": heads}
        self.turn = annotate(ops.Transpose(), "mhd", **sizes, d=size)
        self.multiply = annotate(
            ops.BatchMatMul(transpose_b=turned),
            "hmk,hnk" if turned else "hmk,hkn",
            **sizes,
            k=size,
            n=size,
        )
        self.turn_back = annotate(ops.Transpose(), "hmd", **sizes, d=size)

    def construct(self, x):
        x = self.turn(self.reshape(x, self.shape), (1, 0, 2))
        x = self.turn_back(self.multiply(x, self.weight), (1, 0, 2))
        return self.back(x, (-1, self.width))


class Centered(nn.Cell):
    """Subtracts the mean of each line, divides by what a sum of squares makes."""

    def __init__(self, world: World, n: int):
        super().__init__()
        annotate = world.annotator.annotate
        sizes = {"m": world.lines, "n": n}
        self.mean = annotate(ops.ReduceMean(keep_dims=True), "mn", **sizes)
        self.subtract = annotate(ops.Sub(), "mn,m1", **sizes)
        self.square = annotate(ops.Square(), "mn", **sizes)
        self.sum = annotate(ops.ReduceSum(), "mn", **sizes)
        self.expand = annotate(ops.ExpandDims(), "m", m=world.lines)
        self.divide = annotate(ops.RealDiv(), "mn,m1", **sizes)

    def construct(self, x):
        x = self.subtract(x, self.mean(x, 1))
        return self.divide(x, self.expand(self.sum(self.square(x), 1), 1))


class Wide(nn.Cell):
    """nn.Dense on lines put back into sequences: it flattens its input by itself."""

    def __init__(self, world: World, n: int):
        super().__init__()
        self.shape, self.width = (-1, world.tokens, n), n
        self.reshape, self.back = ops.Reshape(), ops.Reshape()
        self.dense = Dense(world, n, n)
        self.add = world.annotator.annotate(ops.Add(), "bsn,bsn", b=world.rows, s=world.tokens, n=n)

    def construct(self, x):
        x = self.reshape(x, self.shape)
        return self.back(self.add(self.dense(x), x), (-1, self.width))


class Residual(nn.Cell):
    """x + cells(x)."""

    def __init__(self, world: World, n: int, *cells: nn.Cell):
        super().__init__()
        self.sequence = nn.SequentialCell(*cells)
        self.add = world.annotator.annotate(ops.Add(), "mn,mn", m=world.lines, n=n)

    def construct(self, x):
        return self.add(x, self.sequence(x))


class Attention(nn.Cell):
    """Self-attention on lines of tokens; queries, keys and values by three layers."""

    def __init__(self, world: World, n: int, heads: int):
        super().__init__()
        self.tokens, self.heads, self.size, self.width = world.tokens, heads, n // heads, n
        sizes = {"b": world.rows, "h": heads, "s": world.tokens, "t": world.tokens, "d": n // heads}
        annotate = world.annotator.annotate

        def of(*letters: str) -> dict[str, int]:
            return {letter: sizes[letter.lower()] for letter in letters}

        self.query, self.key, self.value, self.out = (Linear(world, n, n) for _ in range(4))
        self.reshape, self.back = ops.Reshape(), ops.Reshape()
        self.transposes = [
            annotate(ops.Transpose(), "bshd", **of("b", "s", "h", "d")) for _ in range(3)
        ]
        self.turn = annotate(ops.Transpose(), "bhsd", **of("b", "h", "s", "d"))
        self.scores = annotate(
            ops.BatchMatMul(transpose_b=True), "bhsd,bhtd", **of("b", "h", "s", "d", "t")
        )
        self.scale = annotate(ops.Mul(), "bhst,", **of("b", "h", "s", "t"))
        self.softmax = annotate(ops.Softmax(), "bhsT", **of("b", "h", "s", "T"))
        self.mix = annotate(ops.BatchMatMul(), "bhst,bhtd", **of("b", "h", "s", "t", "d"))

    def construct(self, x):
        shape = (-1, self.tokens, self.heads, self.size)
        query = self.transposes[0](self.reshape(self.query(x), shape), (0, 2, 1, 3))
        key = self.transposes[1](self.reshape(self.key(x), shape), (0, 2, 1, 3))
        value = self.transposes[2](self.reshape(self.value(x), shape), (0, 2, 1, 3))
        weights = self.softmax(self.scale(self.scores(query, key), 0.25))
        mixed = self.turn(self.mix(weights, value), (0, 2, 1, 3))
        return self.out(self.back(mixed, (-1, self.width)))


class Embedding(nn.Cell):
    """Tokens' numbers [b, s] to lines [b * s, n], with or without positions."""

    def __init__(self, world: World, words: int, n: int):
        super().__init__()
        self.table = parameter(words, n)
        self.width = n
        b, s = world.rows, world.tokens
        dims = world.draw.choice(("Wn,bs", "wN,BS", "Wn,bS"))
        sizes = {"w": words, "n": n, "b": b, "s": s}
        self.gather = world.annotator.annotate(
            ops.Gather(),
            dims,
            **{letter: sizes[letter.lower()] for letter in dims if letter != ","},
        )
        self.has_positions = world.draw.random() < 0.5
        batched = world.draw.random() < 0.5
        self.positions = parameter(*((1, s, n) if batched else (s, n)))
        self.add = world.annotator.annotate(
            ops.Add(), "bsn,1sn" if batched else "bsn,sn", b=b, s=s, n=n
        )
        self.reshape = ops.Reshape()

    def construct(self, x):
        x = self.gather(self.table, x, 0)
        if self.has_positions:
            x = self.add(x, self.positions)
        return self.reshape(x, (-1, self.width))


class TiedHead(nn.Cell):
    """The embedding's table again, as the weight of the last layer."""

    def __init__(self, world: World, table: mindspore.Parameter):
        super().__init__()
        self.table = table
        words, n = table.shape
        self.matmul = world.annotator.annotate(
            ops.MatMul(transpose_b=True), "mk,nk", m=world.lines, k=n, n=words
        )

    def construct(self, x):
        return self.matmul(x, self.table)


class Pool(nn.Cell):
    """The mean, or the sum, of a sequence's lines: [b * s, n] to [b, n]."""

    def __init__(self, world: World, n: int):
        super().__init__()
        self.shape = (-1, world.tokens, n)
        self.reshape = ops.Reshape()
        self.reduce = world.annotator.annotate(
            world.draw.choice((ops.ReduceMean, ops.ReduceSum))(),
            "bsn",
            b=world.rows,
            s=world.tokens,
            n=n,
        )

    def construct(self, x):
        return self.reduce(self.reshape(x, self.shape), 1)


class Flat(nn.Cell):
    """[b, a, c] to [b, a * c]."""

    def __init__(self, world: World):
        super().__init__()
        self.by_flatten = world.draw.random() < 0.5
        self.flatten, self.reshape = ops.Flatten(), ops.Reshape()
        self.width = world.width

    def construct(self, x):
        return self.flatten(x) if self.by_flatten else self.reshape(x, (-1, self.width))


class Network(nn.Cell):
    """Cells one after another, by names that stages can be given to."""

    def __init__(self, cells: list[nn.Cell]):
        super().__init__()
        self.names = tuple(f"part{index}" for index in range(len(cells)))
        for name, cell in zip(self.names, cells, strict=True):
            setattr(self, name, cell)
        self.cells_in_order = list(cells)

    def construct(self, x):
        for cell in self.cells_in_order:
            x = cell(x)
        return x


@dataclasses.dataclass
class RandomCase:
    """A question for MindSpore, and how it is put to relayout."""

    seed: int
    case: frontend.Case
    # Cells by stage, those left out taking the stage of the cell before them.
    stage_of: dict[str, int]
    frozen: list[str]
    careless: bool

    @property
    def arguments(self) -> list[str]:
        """Of `relayout strategy`, but for the network and the output."""
        case, context = self.case, self.case.context
        words = [
            "--devices",
            str(case.devices),
            "--phase",
            "train" if case.train else "predict",
            "--optimizer",
            case.optimizer,
        ]
        if context.get("enable_parallel_optimizer"):
            words.append("--optimizer-parallel")
            config = context.get("parallel_optimizer_config", {})
            for option, key in (
                ("--optimizer-threshold-kb", "parallel_optimizer_threshold"),
                ("--optimizer-shard-size", "optimizer_weight_shard_size"),
            ):
                if key in config:
                    words += [option, str(config[key])]
        if context.get("full_batch"):
            words.append("--full-batch")
        if case.stages > 1:
            words += [
                "--stages",
                str(case.stages),
                "--micro-batches",
                str(case.micro_batches),
                "--stage",
                ",".join(f"{cell}={stage}" for cell, stage in self.stage_of.items()),
            ]
        if self.frozen:
            words += ["--frozen", ",".join(self.frozen)]
        if case.mode == "auto_parallel":
            words += ["--mode", "auto", "--search", "propagation"]
        return words

    def __str__(self) -> str:
        case = self.case
        return (
            f"seed {self.seed}: {case.devices} devices, {case.stages} stages, "
            f"{'train' if case.train else 'predict'}, {case.optimizer}, {case.context}, "
            f"{case.mode}, x {case.inputs[0].shape}"
        )


def random_case(seed: int, mode: str = "semi_auto_parallel") -> RandomCase:
    draw = random.Random(seed)
    devices = draw.choice((2, 4, 4, 8, 8, 8, 16, 16, 32, 64))
    stages = (
        draw.choice([1, 1, 1] + [n for n in (2, 2, 4) if n <= devices])
        if mode == "semi_auto_parallel"
        else 1
    )
    if stages > 1 and draw.random() < 0.1:
        devices, stages = 24, 3
    train = draw.random() < 0.8
    micro = draw.choice((stages, 4)) if stages > 1 else 1
    full_batch = draw.random() < 0.5
    per_stage = devices // stages
    context = _context(draw, per_stage, full_batch)
    if mode == "auto_parallel":
        context["search_mode"] = "sharding_propagation"
    threshold = context.get("parallel_optimizer_config", {}).get("parallel_optimizer_threshold")
    rows = micro * (
        draw.choice((per_stage, 2 * per_stage, 4, 6, 3))
        if full_batch
        else draw.choice((1, 2, 3, 4))
    )
    world = World(
        draw=draw,
        annotator=Annotator(
            seed, per_stage, draw.choice((0, 0.2, 0.5, 0.5, 0.8)), draw.random() < 0.1
        ),
        rows=rows * (1 if full_batch else per_stage) // (micro if train else 1),
        tokens=1,
        width=draw.choice((32, 64, 64, 96, 128)),
        half=draw.random() < 0.3,
        scalars=threshold != 0,
    )
    plan = (perceptron if draw.random() < 0.5 else transformer)(world, rows)
    stage_of = _stages(draw, plan, stages)
    state = draw.getstate(), world.annotator.random.getstate()
    frozen = [f"part{draw.choice(plan.trained)}"] if draw.random() < 0.1 else []

    def build() -> nn.Cell:
        # The same cells again for the export and for each stage.
        draw.setstate(state[0])
        world.annotator.random.setstate(state[1])
        network = Network(plan.cells())
        for name, stage in stage_of.items():
            getattr(network, name).pipeline_stage = stage
        for item in network.get_parameters():
            if any(item.name.startswith(f"{prefix}.") for prefix in frozen):
                item.requires_grad = False
        return network

    labels = np.arange(plan.lines, dtype=np.int32) % plan.classes if draw.random() < 0.7 else None
    case = frontend.Case(
        network=build,
        inputs=[plan.x],
        labels=labels if train else None,
        devices=devices,
        stages=stages,
        micro_batches=micro,
        train=train,
        optimizer=draw.choice(("sgd", "momentum", "adam")),
        mode=mode,
        context=context,
    )
    return RandomCase(seed, case, stage_of if stages > 1 else {}, frozen, world.annotator.careless)


def _context(draw: random.Random, per_stage: int, full_batch: bool) -> dict:
    context: dict = {"full_batch": True} if full_batch else {}
    if draw.random() < 0.6:
        config = draw.choice(
            (
                {},
                {"parallel_optimizer_threshold": 0},
                {"parallel_optimizer_threshold": 0},
                {"parallel_optimizer_threshold": draw.choice((1, 4, 16))},
            )
        )
        if draw.random() < 0.3:
            config = config | {
                "optimizer_weight_shard_size": draw.choice(
                    [n for n in (2, 4, 8) if n <= per_stage] or [1]
                )
            }
        context["enable_parallel_optimizer"] = True
        if config:
            context["parallel_optimizer_config"] = config
    return context


def _stages(draw: random.Random, plan: Plan, stages: int) -> dict[str, int]:
    """Cuts the cells into stages; some cells are left to take the stage of the one before."""
    borders = [index for index in range(1, plan.count) if index not in plan.reshaped]
    if len(borders) < stages - 1:  # MindSpore refuses.
        borders = list(range(1, plan.count))
    cuts = sorted(draw.sample(borders, stages - 1))
    stage_of = {}
    for index in range(plan.count):
        if index == 0 or index in cuts or draw.random() < 0.8:
            stage_of[f"part{index}"] = sum(cut <= index for cut in cuts)
    return stage_of


@dataclasses.dataclass
class Plan:
    cells: Callable[[], list[nn.Cell]]
    count: int
    x: np.ndarray
    # What comes out: so many lines of so many classes.
    lines: int
    classes: int
    # Cells before which MindSpore does not let a stage begin: a Reshape is last or first there.
    reshaped: set[int]
    # Cells that surely have parameters.
    trained: list[int]


def perceptron(world: World, rows: int) -> Plan:
    draw, width = world.draw, world.width
    flat = draw.random() < 0.3
    shape = (rows, 4, width // 4) if flat else (rows, width)
    classes = draw.choice((8, 10, 16, 64))
    kinds = [
        draw.choice(
            (
                "linear",
                "linear",
                "activation",
                "norm",
                "rms",
                "scale",
                "bias",
                "halves",
                "residual",
                "turned",
                "turned",
                "heads",
                "centered",
                "wide",
            )
        )
        for _ in range(draw.randrange(4, 8))
    ]
    hidden = [draw.choice((32, 64, 128)) for _ in kinds]

    def cells_of() -> list[nn.Cell]:
        cells: list[nn.Cell] = [Flat(world)] if flat else []
        n = width
        for kind, wanted in zip(kinds, hidden, strict=True):
            if kind in ("linear", "turned"):
                cells.append((Linear if kind == "linear" else Turned)(world, n, wanted))
                n = wanted
            else:
                cells.append(_square_cell(world, kind, n))
        return [*cells, Linear(world, n, classes)]

    return Plan(
        cells_of,
        flat + len(kinds) + 1,
        np.ones(shape, np.float32),
        rows,
        classes,
        _beside(flat, kinds),
        [flat + len(kinds)],
    )


def _beside(flat: bool, kinds: list[str]) -> set[int]:
    """Where a Reshape is first or last."""
    reshaped = {1} if flat else set()
    for index, kind in enumerate(kinds, start=int(flat)):
        if kind in ("heads", "wide"):
            reshaped |= {index, index + 1}
    return reshaped


def _square_cell(world: World, kind: str, n: int) -> nn.Cell:
    if kind == "residual":
        return Residual(world, n, Linear(world, n, n), Activation(world, n))
    return {
        "activation": Activation,
        "norm": LayerNorm,
        "rms": RmsNorm,
        "scale": Scale,
        "bias": Bias,
        "halves": Halves,
        "heads": Heads,
        "centered": Centered,
        "wide": Wide,
    }[kind](world, n)


def transformer(world: World, rows: int) -> Plan:
    draw, n = world.draw, world.width
    world.tokens = draw.choice((4, 8, 16))
    words = draw.choice((64, 128, 256))
    blocks, heads = draw.choice((1, 1, 2)), draw.choice((4, 8))
    end = draw.choice(("tied", "linear", "pool"))
    norm = draw.choice((LayerNorm, RmsNorm))

    def cells_of() -> list[nn.Cell]:
        embedding = Embedding(world, words, n)
        cells: list[nn.Cell] = [embedding]
        for _ in range(blocks):
            cells.append(Residual(world, n, norm(world, n), Attention(world, n, heads)))
            cells.append(
                Residual(
                    world,
                    n,
                    norm(world, n),
                    Linear(world, n, 2 * n),
                    Activation(world, 2 * n),
                    Linear(world, 2 * n, n),
                )
            )
        cells.append(norm(world, n))
        if end == "tied":
            return [*cells, TiedHead(world, embedding.table)]
        if end == "linear":
            return [*cells, Linear(world, n, words)]
        cells.append(Pool(world, n))
        tokens, world.tokens = world.tokens, 1
        cells.append(Linear(world, n, words))
        world.tokens = tokens
        return cells

    lines = rows if end == "pool" else rows * world.tokens
    count = 2 * blocks + (4 if end == "pool" else 3)
    return Plan(
        cells_of,
        count,
        np.ones((rows, world.tokens), np.int32),
        lines,
        words,
        {1, count - 2} if end == "pool" else {1},
        [1, 2, count - 1],
    )
