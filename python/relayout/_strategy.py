# SPDX-License-Identifier: Apache-2.0
"""Strategies: which rank holds which part of which parameter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from relayout import _core
from relayout._arguments import StrPath, rank_of
from relayout._text import count


def slices_of(box: tuple[tuple[int, ...], tuple[int, ...]]) -> tuple[slice, ...]:
    """A range of a tensor as an index of numpy."""
    return tuple(slice(begin, end) for begin, end in zip(*box))


class Layout:
    """How a tensor lies on the ranks of one stage.

    ``str(layout)`` is relayout's notation: ``{a:2,b:2,c:2} (-,b) opt:4`` is a mesh of 2 x 2 x 2
    devices, dimension 1 cut by axis b, and dimension 0 cut in 4 among the ranks that would
    otherwise hold the same.
    """

    __slots__ = ("_layout",)

    def __init__(self, layout: str | _core.Layout) -> None:
        """From the notation.

        Raises:
            InputError: It is not well formed, or there can be no such layout.
        """
        self._layout = _core.parse_layout(layout) if isinstance(layout, str) else layout

    def __reduce__(self) -> tuple[type[Layout], tuple[str]]:
        return Layout, (str(self),)

    @property
    def mesh(self) -> tuple[int, ...]:
        """Devices along each axis of the mesh, outermost first (MindSpore: dev_matrix)."""
        return self._layout.mesh

    @property
    def tensor_map(self) -> tuple[tuple[int, ...], ...]:
        """For each dimension the axes of `mesh` that cut it, outermost first, counted as in
        MindSpore's files: 0 is the innermost axis. () = not cut."""
        last = len(self.mesh) - 1
        return tuple(tuple(last - axis for axis in axes) for axes in self._layout.dim_axes)

    @property
    def optimizer_split(self) -> int:
        """Into how many pieces the optimizer cuts dimension 0 once more; 1 = none."""
        return self._layout.optimizer_count

    @property
    def grid(self) -> tuple[int, ...]:
        """Pieces of each dimension, the optimizer split included."""
        return self._layout.grid

    @property
    def uneven_rows(self) -> tuple[int, ...]:
        """The lengths of the pieces of dimension 0 where they are not equal; else ()."""
        return self._layout.uneven_rows

    @property
    def device_count(self) -> int:
        return self._layout.device_count

    @property
    def shard_count(self) -> int:
        """Different shards; ``shard_count * replica_count == device_count``."""
        return self._layout.shard_count

    @property
    def replica_count(self) -> int:
        """Ranks that hold each shard."""
        return self._layout.replica_count

    def cell_of(self, device: int) -> tuple[int, ...]:
        """Which piece of each dimension `device` holds; devices are counted from 0."""
        return self._layout.cell_of(device)

    def slices_of(self, device: int, shape: Sequence[int]) -> tuple[slice, ...]:
        """What `device` holds of a whole tensor of `shape`: ``whole[layout.slices_of(3, shape)]``.

        Raises:
            InputError: There is no such device, or a dimension does not divide.
        """
        return slices_of(self._layout.box_of(device, list(shape)))

    def svg(self, title: str = "", shape: Sequence[int] | None = None, first_rank: int = 0) -> str:
        """A picture: the devices coloured by what they hold, and the tensor with its cuts.

        Args:
            title: Above the picture.
            shape: Of the whole tensor, for its proportions and lengths.
            first_rank: Of the stage; devices are numbered from here.
        """
        return self._layout.svg(title, None if shape is None else list(shape), first_rank)

    def _repr_svg_(self) -> str:
        return self.svg()

    def __str__(self) -> str:
        return self._layout.text()

    def __repr__(self) -> str:
        return f"<relayout.Layout {self}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Layout):
            return NotImplemented
        return str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class Placement(NamedTuple):
    """Where a parameter is: on the `layout.device_count` ranks from `first_rank` on."""

    stage: int
    first_rank: int
    layout: Layout
    shape: tuple[int, ...] | None
    """Of the whole tensor, where the strategy file says it."""


class Strategy(Mapping[str, "tuple[Placement, ...]"]):
    """The layouts of all parameters: a mapping from names to placements, one for each stage that
    holds the parameter."""

    def __init__(self, strategy: _core.Strategy) -> None:
        self._strategy = strategy

    @property
    def stage_count(self) -> int:
        return self._strategy.stage_count

    @property
    def rank_count(self) -> int:
        return self._strategy.rank_count

    def __len__(self) -> int:
        return self._strategy.name_count

    def __iter__(self) -> Iterator[str]:
        return iter(self._strategy.names())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._strategy.contains(name)

    def __getitem__(self, name: str) -> tuple[Placement, ...]:
        places = self._strategy.find(name)
        if not places:
            raise KeyError(name)
        return tuple(
            Placement(stage, first_rank, Layout(layout), shape)
            for stage, first_rank, layout, shape in places
        )

    def __repr__(self) -> str:
        return (
            f"<relayout.Strategy of {count(len(self), 'parameter')}, "
            f"{count(self.rank_count, 'rank')}, {count(self.stage_count, 'stage')}>"
        )


def load_strategy(path: StrPath) -> Strategy:
    """Reads a strategy file, protobuf or ``.json``, or a folder with one file a stage.

    Raises:
        InputError: It cannot be read, or is the file of one stage of several.
    """
    return Strategy(_core.load_strategy(path))


def ranks_for(
    rank: int,
    *,
    source_strategy: StrPath | None = None,
    target_strategy: StrPath | None = None,
) -> list[int]:
    """The source ranks whose files the target rank `rank` needs: the fewest, ascending.

    Strategies are given as for convert(); no checkpoint is looked at.

    Raises:
        InputError: A strategy cannot be read, or the target has no such rank.
    """
    ranks, _ = _core.ranks(source_strategy, target_strategy, rank_of(rank))
    return list(ranks)


@dataclass(frozen=True)
class MergeReport:
    """What merge_strategies() wrote."""

    file: str
    stage_count: int
    parameter_count: int
    rank_count: int


def merge_strategies(
    directory: StrPath, target: StrPath, *, overwrite: bool = False
) -> MergeReport:
    """Merges the strategy files of all pipeline stages in `directory` into one file, `target`.

    Args:
        directory: Holds one ``.ckpt`` (or ``.json``) strategy file a stage or a rank; files of one
            stage must agree.
        target: JSON if it ends in ``.json``, else protobuf. Its folder is created.
        overwrite: Replace `target` if it exists.

    Raises:
        InputError: Files cannot be read or disagree, a stage is missing, or `target` exists.
    """
    return MergeReport(**_core.merge_strategies(directory, target, overwrite))
