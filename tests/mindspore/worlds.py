# SPDX-License-Identifier: Apache-2.0
"""Random conversions with their right answers: whole tensors in numpy, cut by layouts.py.

Every tensor is held as the bit patterns of its elements, so that "equal" means every bit.
"""

import dataclasses
import math
import pathlib
import random

import numpy as np

import files
from layouts import Layout, Stage, Strategy

BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


@dataclasses.dataclass(frozen=True)
class Array:
    dtype: str
    bits: np.ndarray

    def part(self, box: tuple[slice, ...]) -> "Array":
        return Array(self.dtype, np.ascontiguousarray(self.bits[box]).reshape(
            [s.stop - s.start for s in box]))  # fmt: skip

    def stored(self) -> tuple[str, list[int], bytes]:
        """As check_hashes.read_file returns it."""
        return self.dtype, list(self.bits.shape), self.bits.tobytes()


Rank = dict[str, Array | str]


@dataclasses.dataclass
class World:
    whole: dict[str, Array]
    source: Strategy | None  # None: one rank that holds everything whole.
    target: Strategy | None
    extra: Rank  # In no strategy, on every rank.
    left_out: set[str]  # In the source strategy only.

    def rank_count(self, strategy: Strategy | None) -> int:
        return strategy.rank_count() if strategy else 1

    def held(self, strategy: Strategy | None, rank: int) -> Rank:
        """What a rank holds, under either strategy."""
        if strategy is None:
            return self.whole | self.extra
        boxes = strategy.boxes(rank, {name: list(a.bits.shape) for name, a in self.whole.items()})
        return {name: self.whole[name].part(box) for name, box in boxes.items()} | self.extra


@dataclasses.dataclass(frozen=True)
class Options:
    """What the generator may use. `mindspore` keeps to what MindSpore's own transforms support and
    get right; docs/formats.md lists what they do not."""

    mindspore: bool = False
    strings: bool = True
    dtypes: tuple[str, ...] = tuple(files.ITEM_BYTES)


def random_bits(rng: np.random.Generator, dtype: str, shape: list[int], nan: bool) -> Array:
    size = files.ITEM_BYTES[dtype]
    bits = np.frombuffer(rng.bytes(math.prod(shape) * size), BITS[size]).reshape(shape)
    if dtype == "Bool":
        bits = np.bitwise_and(bits, 1, dtype=np.uint8)
    if dtype == "BFloat16" and not nan:  # MindSpore's transforms make every NaN the same.
        bits = np.where(bits & 0x7F80 == 0x7F80, bits & 0x807F, bits)
    return Array(dtype, np.asarray(bits, BITS[size]))


def random_mesh(rng: random.Random, devices: int) -> list[int]:
    axes = [1] * rng.randint(1, 4)
    rest, factor = devices, 2
    while rest > 1:
        if rest % factor:
            factor += 1
        else:
            axes[rng.randrange(len(axes))] *= factor
            rest //= factor
    return axes if rng.random() < 0.3 else [a for a in axes if a > 1] or [1]


def optimizer_sizes(layout: Layout, aligned: bool) -> list[int]:
    """Group sizes of the optimizer split; `aligned`: made of whole mesh axes, innermost first."""
    count = len(layout.replicas(0))
    if not aligned:
        return [-1, *(n for n in range(2, count + 1) if count % n == 0)]
    used = {axis for axes in layout.cuts for axis in axes}
    sizes, size = [-1], 1
    for axis in reversed(range(len(layout.mesh))):
        if axis not in used and layout.mesh[axis] > 1:
            size *= layout.mesh[axis]
            sizes.append(size)
    return sizes


def random_layout(rng: random.Random, devices: int, ndim: int, options: Options) -> Layout:
    if ndim == 0 and options.mindspore:
        return Layout([devices], [])
    mesh = random_mesh(rng, devices)
    axes = rng.sample(range(len(mesh)), len(mesh))
    optimizer = ndim > 0 and rng.random() < 0.5
    if options.mindspore and optimizer:
        axes.sort(reverse=True)  # Of permuted axes with an optimizer split MindSpore makes a mess.
    cuts: list[list[int]] = []
    for _ in range(ndim):
        take = rng.choices([0, 1, rng.randint(2, 3)], [5, 4, 1])[0]
        cuts.append([axes.pop() for _ in range(min(take, len(axes)))])
    layout = Layout(mesh, cuts)
    if optimizer and len(layout.replicas(0)) > 1:
        layout = Layout(mesh, cuts, rng.choice(optimizer_sizes(layout, options.mindspore)))
    return layout


def random_counts(rng: random.Random, options: Options) -> tuple[int, int, int, int]:
    """Devices a stage and stages, of the source and of the target."""
    while True:
        devices = [rng.choice([1, 2, 2, 3, 4, 4, 6, 8]) for _ in range(2)]
        stages = [rng.choice([1, 1, 1, 2, 3, 4]) for _ in range(2)]
        if any(d * s > 16 for d, s in zip(devices, stages)):
            continue
        if options.mindspore:
            if devices[0] % devices[1] and devices[1] % devices[0]:
                continue
            if stages[1] > 1 and devices[1] == 1:
                continue
        return devices[0], stages[0], devices[1], stages[1]


def put(rng: random.Random, stages: list[Stage], number: int, name: str, ndim: int, devices: int,
        options: Options) -> list[Layout]:  # fmt: skip
    """Places a parameter: each stage gets one of the first; some live in two (tied ones)."""
    chosen = {number if number < len(stages) else rng.randrange(len(stages))}
    if not options.mindspore and rng.random() < 0.15:
        chosen.add(rng.randrange(len(stages)))
    layouts = []
    for stage in sorted(chosen):
        layouts.append(random_layout(rng, devices, ndim, options))
        stages[stage][name] = layouts[-1]
    return layouts


def random_world(seed: int, options: Options = Options()) -> World:
    rng = random.Random(seed)
    np_rng = np.random.default_rng(seed)
    without = {0: "source", 1: "target"}.get(seed % 10)  # Which strategy is left out.
    source_devices, source_stages, target_devices, target_stages = random_counts(rng, options)
    source: list[Stage] = [{} for _ in range(source_stages)]
    target: list[Stage] = [{} for _ in range(target_stages)]
    whole, left_out = {}, set()
    for number in range(rng.randint(2, 6) + max(source_stages, target_stages)):
        name = rng.choice(["layer{}.weight", "backbone.{}.gamma", "moment1.layer{}.bias", "t{}"])
        name = name.format(number)
        ndim = rng.choice([0, 1, 1, 2, 2, 2, 2, 3, 4])
        layouts = put(rng, source, number, name, ndim, source_devices, options)
        if options.mindspore or without or number < target_stages or rng.random() < 0.9:
            layouts += put(rng, target, number, name, ndim, target_devices, options)
        else:
            left_out.add(name)
        shape = [math.lcm(*(layout.piece_count(dim) for layout in layouts)) * rng.choice([1, 1, 2, 3])
                 for dim in range(ndim)]  # fmt: skip
        dtype = rng.choice(options.dtypes)
        whole[name] = random_bits(np_rng, dtype, shape, nan=not options.mindspore)
    extra: Rank = {}
    if rng.random() < 0.7:
        extra = {"epoch_num": Array("Int64", np.array(rng.randrange(99), np.uint64)),
                 "learning_rate": Array("Float32", np.array(0x3E800000, np.uint32)),
                 "one": Array("Float16", np.array([0x3C00], np.uint16))}  # fmt: skip
        if options.strings:
            extra["who"] = rng.choice(["me", "", "übung 检查点 \U0001f600"])
    world = World(whole, Strategy(source), Strategy(target), extra, left_out)
    if without == "source":
        world.source = None
    if without == "target":
        world.target = None
    return world


def write_strategies(rng: random.Random, world: World, folder: pathlib.Path) -> list[pathlib.Path | None]:
    """Both strategies as files, in a form that can say them."""
    paths: list[pathlib.Path | None] = []
    for side, strategy in (("src", world.source), ("dst", world.target)):
        if strategy is None:
            paths.append(None)
            continue
        nested = any(len(axes) > 1 for stage in strategy.stages for layout in stage.values()
                     for axes in layout.cuts)  # fmt: skip
        path = folder / f"{side}_strategy{'.ckpt' if nested else rng.choice(['.ckpt', '.json'])}"
        files.write_strategy(path, strategy)
        paths.append(path)
    return paths


def options_of(paths: list[pathlib.Path | None]) -> list[object]:
    """The strategies as options of relayout."""
    words: list[object] = []
    for name, path in zip(("--src-strategy", "--dst-strategy"), paths):
        words += [name, path] if path else []
    return words
