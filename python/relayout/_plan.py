# SPDX-License-Identifier: Apache-2.0
"""Plans: what a conversion would read, write and need."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from relayout import _core
from relayout._arguments import Source, StepLike, StrPath
from relayout._convert import Note, UnifiedOptions, request_of
from relayout._dtypes import OF_SHORT_NAME
from relayout._errors import Error, from_status
from relayout._strategy import Layout, slices_of
from relayout._text import count, human_bytes


class PlannedSource(NamedTuple):
    """A source file of which something is read."""

    rank: int
    path: str
    size_bytes: int
    read_bytes: int


class PlannedTarget(NamedTuple):
    """A file that would be written."""

    rank: int
    path: str
    size_bytes: int
    payload_bytes: int
    replica_of: int | None
    """Made from this rank's file as a link or a clone, without writing a byte."""


class Copy(NamedTuple):
    """A part of a tensor on its way."""

    source_rank: int
    slices: tuple[slice, ...]
    """In the whole tensor."""


class TargetShard(NamedTuple):
    """A shard that would be written, and what it is put together from."""

    ranks: tuple[int, ...]
    slices: tuple[slice, ...]
    """In the whole tensor."""
    copies: tuple[Copy, ...]


@dataclass(frozen=True)
class ExplainedTensor:
    """How one tensor would move."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    source: Layout
    source_first_rank: int
    targets: tuple[tuple[int, Layout], ...]
    """(first rank, layout) of each stage that wants it."""
    shards: tuple[TargetShard, ...]
    _lines: tuple[str, ...] = field(repr=False)
    _svg: str = field(repr=False)

    def __str__(self) -> str:
        return "\n".join(self._lines)

    def _repr_svg_(self) -> str:
        return self._svg

    @classmethod
    def _of(cls, fields: dict[str, Any]) -> ExplainedTensor:
        first_rank, layout = fields["source"]
        return cls(
            name=fields["name"],
            dtype=OF_SHORT_NAME[fields["dtype"]].name,
            shape=fields["shape"],
            source=Layout(layout),
            source_first_rank=first_rank,
            targets=tuple((rank, Layout(target)) for rank, target in fields["targets"]),
            shards=tuple(
                TargetShard(
                    ranks,
                    slices_of(box),
                    tuple(Copy(rank, slices_of(part)) for rank, part in copies),
                )
                for ranks, box, copies in fields["copies"]
            ),
            _lines=tuple(fields["lines"]),
            _svg=fields["svg"],
        )


@dataclass(frozen=True)
class Plan:
    """What a conversion would do and need. Bytes are exact; nothing was written.

    ``str(plan)`` says it in words; a notebook draws it.
    """

    source_rank_count: int
    target_rank_count: int
    value_count: int
    """Distinct tensors (and strings) of the target."""
    sources: tuple[PlannedSource, ...]
    targets: tuple[PlannedTarget, ...]
    read_bytes: int
    checked_bytes: int
    """Read beside that, to check CRC trailers."""
    payload_bytes: int
    written_bytes: int
    """Payload, headers and trailers."""
    piece_count: int
    """Parts of files that are asked for or written one by one, at least."""
    memory_bytes: int
    """At most, held at once."""
    disk_path: str
    disk_bytes: int
    """Needed in the file system of `disk_path`, records included."""
    free_bytes: int
    """There are."""
    seconds: float | None
    """At the pace of a probe of the disks; None without one."""
    explained: tuple[ExplainedTensor, ...]
    problems: tuple[Error, ...]
    """Each would make the conversion fail: files in the way, too little space."""
    notes: tuple[Note, ...]

    @classmethod
    def _of(cls, fields: dict[str, Any]) -> Plan:
        fields["sources"] = tuple(PlannedSource(*source) for source in fields["sources"])
        fields["targets"] = tuple(PlannedTarget(*target) for target in fields["targets"])
        fields["explained"] = tuple(ExplainedTensor._of(tensor) for tensor in fields["explained"])
        fields["problems"] = tuple(from_status(*problem) for problem in fields["problems"])
        fields["notes"] = tuple(Note.of(*note) for note in fields["notes"])
        return cls(**fields)

    def _rows(self) -> list[tuple[str, str]]:
        written = sum(target.replica_of is None for target in self.targets)
        rows = [
            (
                "convert",
                f"{count(self.source_rank_count, 'rank')} -> "
                f"{count(self.target_rank_count, 'rank')}, {count(self.value_count, 'value')}",
            ),
            (
                "read",
                f"{human_bytes(self.read_bytes)} of {count(len(self.sources), 'file')}"
                + (
                    f", and {human_bytes(self.checked_bytes)} to check CRC trailers"
                    if self.checked_bytes
                    else ""
                ),
            ),
            ("write", f"{human_bytes(self.written_bytes)} to {count(written, 'file')}"),
            ("memory", f"{human_bytes(self.memory_bytes)} at most"),
        ]
        if self.disk_path:
            need, free = human_bytes(self.disk_bytes), human_bytes(self.free_bytes)
            rows.append(("disk", f"{need} needed, {free} free in {self.disk_path}"))
        if self.seconds is not None:
            rows.append(
                ("time", f"about {self.seconds:.1f} s" if self.seconds >= 1 else "below 1 s")
            )
        rows += [("note", note.message) for note in self.notes]
        rows += [("it would fail", str(problem)) for problem in self.problems]
        return rows

    def __str__(self) -> str:
        lines = [f"{head:8} {text}" for head, text in self._rows()]
        return "\n\n".join(["\n".join(lines), *map(str, self.explained)])

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="text-align:left">{head}</th>'
            f'<td style="text-align:left">{html.escape(text)}</td></tr>'
            for head, text in self._rows()
        )
        pictures = "".join(f"<div>{tensor._svg}</div>" for tensor in self.explained)
        return f"<table>{rows}</table>{pictures}"


def plan(
    source: Source,
    target: StrPath | None = None,
    *,
    source_strategy: StrPath | None = None,
    target_strategy: StrPath | None = None,
    target_file: StrPath | None = None,
    ranks: Iterable[int] = (),
    prefix: str = "checkpoint_",
    file_name: str | None = None,
    format: str | None = None,
    step: StepLike | None = None,
    file_suffix: str | None = None,
    rename: Mapping[str, str | None] | None = None,
    unify: bool | UnifiedOptions | Mapping[str, Any] | None = None,
    keep_extra: bool = False,
    allow_missing: bool = False,
    strict: bool = False,
    trust_strategy: bool = False,
    check_crc: bool = True,
    overwrite: bool = False,
    keep_others: bool = False,
    sync: bool = True,
    crc_trailer: bool = False,
    replicas: str = "copy",
    remove_redundancy: bool = False,
    threads: int = 0,
    memory: int | str = "256MiB",
    explain: Iterable[str] = (),
    probe: bool = True,
) -> Plan:
    """What convert() with the same arguments would read, write and need. Writes nothing.

    Args:
        explain: Names of tensors whose copies are wanted, in words and as a picture.
        probe: Measure the disks for up to a second, to estimate the time.

    All other arguments are those of convert().

    Raises:
        InputError: What convert() would raise before it looks at the target; or the target has no
            tensor of a name in `explain`.
        MachineError: The machine failed.
    """
    request = request_of(
        source,
        target,
        source_strategy=source_strategy,
        target_strategy=target_strategy,
        target_file=target_file,
        ranks=ranks,
        prefix=prefix,
        file_name=file_name,
        format=format,
        step=step,
        file_suffix=file_suffix,
        rename=rename,
        unify=unify,
        keep_extra=keep_extra,
        allow_missing=allow_missing,
        strict=strict,
        check_replicas=False,
        trust_strategy=trust_strategy,
        check_crc=check_crc,
        overwrite=overwrite,
        keep_others=keep_others,
        sync=sync,
        crc_trailer=crc_trailer,
        replicas=replicas,
        remove_redundancy=remove_redundancy,
        resume=False,
        threads=threads,
        memory=memory,
    )
    _core.raise_open_file_limit()
    return Plan._of(_core.plan(request, list(explain), probe))
