# SPDX-License-Identifier: Apache-2.0
"""What a layout means, by its definition: which ranks hold which box of a tensor.

Written for tests: short rather than fast, and independent of relayout.

    Layout([2, 4], [[1], []])        a mesh of 2 x 4 devices; dim 0 cut in 4 along axis 1
    Layout([2, 4], [[1], []], -1)    ... and in 2 again, among the ranks that would hold the same
"""

import dataclasses
import itertools
import math


@dataclasses.dataclass(frozen=True)
class Layout:
    mesh: list[int]  # Major to minor.
    cuts: list[list[int]]  # For each dimension the positions in `mesh` that cut it, outermost first.
    optimizer: int = 0  # 0: no optimizer split; -1: among all replicas; n: in groups of n.
    whole_shape: list[int] | None = None  # Goes into JSON files.

    def device_count(self) -> int:
        return math.prod(self.mesh)

    def piece_count(self, dim: int) -> int:
        """In how many pieces a dimension is cut, the optimizer split included."""
        optimizer = self.optimizer_pieces() if dim == 0 else 1
        return math.prod(self.mesh[axis] for axis in self.cuts[dim]) * optimizer

    def replicas(self, device: int) -> list[int]:
        """The devices that hold the same as `device` but for the optimizer split, ascending."""
        return [d for d in range(self.device_count()) if self._index(d) == self._index(device)]

    def optimizer_pieces(self) -> int:
        return len(self.replicas(0)) if self.optimizer == -1 else max(1, self.optimizer)

    def box(self, shape: list[int], device: int) -> tuple[slice, ...]:
        """What `device` holds of a tensor."""
        index = self._index(device)
        counts = [self.piece_count(dim) for dim in range(len(self.cuts))]
        if counts:
            pieces = self.optimizer_pieces()
            index[0] = index[0] * pieces + self.replicas(device).index(device) % pieces
        box = []
        for size, count, position in zip(shape, counts, index, strict=True):
            assert size % count == 0, (self, shape)
            step = size // count
            box.append(slice(position * step, (position + 1) * step))
        return tuple(box)

    def tensor_map(self) -> list[list[int]]:
        """`cuts` as MindSpore writes it: axes counted from the right, -1 for none."""
        last = len(self.mesh) - 1
        return [[last - axis for axis in axes] or [-1] for axes in self.cuts]

    def optimizer_step(self) -> int:
        """opt_weight_shard_step as MindSpore's compiler writes it."""
        same = self.replicas(0)
        if self.optimizer == 0 or len(same) == 1:
            return 0
        return (same[-1] - same[0]) // (len(same) - 1)

    def _index(self, device: int) -> list[int]:
        """The position of a device's piece in each dimension, without the optimizer split."""
        coordinates = list(itertools.product(*map(range, self.mesh)))[device]
        index = []
        for axes in self.cuts:
            position = 0
            for axis in axes:
                position = position * self.mesh[axis] + coordinates[axis]
            index.append(position)
        return index


Stage = dict[str, Layout]


@dataclasses.dataclass(frozen=True)
class Strategy:
    """One dict of layouts a pipeline stage, all for the same number of devices."""

    stages: list[Stage]

    def devices_per_stage(self) -> int:
        return next(iter(self.stages[0].values())).device_count()

    def rank_count(self) -> int:
        return self.devices_per_stage() * len(self.stages)

    def boxes(self, rank: int, shapes: dict[str, list[int]]) -> dict[str, tuple[slice, ...]]:
        """What `rank` holds of each parameter of its stage."""
        stage, device = divmod(rank, self.devices_per_stage())
        return {name: layout.box(shapes[name], device)
                for name, layout in self.stages[stage].items() if name in shapes}  # fmt: skip


def cut(contents: bytes, shape: list[int], item_bytes: int, box: tuple[slice, ...]) -> bytes:
    """The bytes of a box of a row-major tensor."""
    if not shape:
        return contents
    row_bytes = math.prod(shape[1:]) * item_bytes
    return b"".join(cut(contents[row * row_bytes : (row + 1) * row_bytes], shape[1:], item_bytes,
                        box[1:]) for row in range(box[0].start, box[0].stop))  # fmt: skip
