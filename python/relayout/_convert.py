# SPDX-License-Identifier: Apache-2.0
"""Conversion: a checkpoint saved under one strategy becomes the checkpoint of another."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from relayout import _core, _world
from relayout._arguments import (
    ProgressFunction,
    Source,
    Step,
    StepLike,
    StrPath,
    bytes_of,
    int64_of,
    path_of,
    progress_of,
    ranks_of,
    set_of,
    threads_of,
)
from relayout._errors import InputError, in_python

_FORMATS = {"ckpt": _core.FileFormat.CKPT, "safetensors": _core.FileFormat.SAFETENSORS}
_REPLICAS = {
    "copy": _core.ReplicaMode.COPY,
    "hardlink": _core.ReplicaMode.HARDLINK,
    "reflink": _core.ReplicaMode.REFLINK,
}


class Note(NamedTuple):
    """Something to know about a conversion that succeeded."""

    kind: str
    """For programs: "left_out", "missing", "scratch", "carried", "unplaced", "disagreement",
    "missing_rank", "choice", "dropped", "rename_unused" or "empty"."""
    message: str

    @classmethod
    def of(cls, kind: str, message: str) -> Note:
        """A note of the engine."""
        return cls(kind, in_python(message))


@dataclass(frozen=True)
class Report:
    """What a conversion did. Bytes of values are payload; files are a little larger."""

    files: dict[int, str]
    """The file of each target rank that was written."""
    source_rank_count: int
    target_rank_count: int
    is_unified: bool
    """It wrote a unified set; `files` and `target_rank_count` then number its files."""
    source_ranks_read: tuple[int, ...]
    value_count: int
    """Distinct tensors (and strings) of the target."""
    source_bytes: int
    """Size of all source files."""
    read_bytes: int
    written_bytes: int
    target_bytes: int
    """Size of all target files."""
    resumed_bytes: int
    """Of the payload what an earlier run had written (``resume=True``)."""
    is_complete: bool
    """An earlier run had done everything (``resume=True``)."""
    step: Step | None
    """Of the source, where its file names carry one."""
    notes: list[Note]

    @classmethod
    def _of(cls, fields: dict[str, Any]) -> Report:
        del fields["is_shared"]
        fields["notes"] = [Note.of(*note) for note in fields["notes"]]
        fields["step"] = None if fields["step"] is None else Step(*fields["step"])
        return cls(**fields)


class UnifiedOptions(NamedTuple):
    """How convert() writes a unified set: the whole model in a few safetensors files."""

    part_bytes: int | str = 3 << 30
    """About how large the parts are to be: bytes, or a text such as "3GiB"."""
    part: tuple[int, int] | None = None
    """Write only the i-th of n shares of the parts: (i, n), i from 0 on. All n runs together make
    the set; the first also writes the other files."""


def unified_of(
    unify: bool | UnifiedOptions | Mapping[str, Any] | None,
) -> _core.UnifiedOptions | None:
    """How convert() was asked to write a unified set."""
    if unify is None or unify is False:
        return None
    if unify is True:
        unify = UnifiedOptions()
    elif isinstance(unify, Mapping):
        unify = UnifiedOptions(**unify)
    elif not isinstance(unify, UnifiedOptions):
        raise TypeError(f"unify={unify!r}: give True, UnifiedOptions or their dict")
    task, count = (int64_of("part", number) for number in unify.part or (0, 1))
    if not 0 <= task < count:
        raise InputError(f"part=({task}, {count}): of n shares, give (0, n) to (n - 1, n)")
    return _core.UnifiedOptions(bytes_of(unify.part_bytes, "part_bytes"), task, count)


def choice(name: str, value: str, choices: dict[str, Any]) -> Any:
    """The engine's word for a choice."""
    if value not in choices:
        raise InputError(f"{name}={value!r}: choose one of {', '.join(map(repr, choices))}")
    return choices[value]


def _set(request: _core.TransformRequest, **options: Any) -> None:
    """Sets options as they are; the engine knows their types."""
    for name, value in options.items():
        try:
            setattr(request, name, value)
        except TypeError:
            raise TypeError(f"{name}={value!r} is of a type that {name} does not take") from None


def request_of(
    source: Source,
    target: StrPath | None,
    *,
    source_strategy: StrPath | None,
    target_strategy: StrPath | None,
    target_file: StrPath | None,
    ranks: Iterable[int],
    prefix: str,
    file_name: str | None,
    format: str | None,
    step: StepLike | None,
    file_suffix: str | None,
    rename: Mapping[str, str | None] | None,
    unify: bool | UnifiedOptions | Mapping[str, Any] | None,
    keep_extra: bool,
    allow_missing: bool,
    strict: bool,
    check_replicas: bool,
    trust_strategy: bool,
    check_crc: bool,
    overwrite: bool,
    keep_others: bool,
    sync: bool,
    crc_trailer: bool,
    replicas: str,
    remove_redundancy: bool,
    resume: bool,
    threads: int,
    memory: int | str,
) -> _core.TransformRequest:
    """What convert() and plan() were asked for, as the engine wants it."""
    if (target is None) == (target_file is None):
        raise InputError("give either target, the folder to write, or target_file, with one rank")
    request = _core.TransformRequest()
    request.source = set_of(source, source_strategy, step, file_suffix)
    request.target_strategy = target_strategy
    request.target_directory = "" if target is None else path_of("target", target)
    request.target_file = "" if target_file is None else path_of("target_file", target_file)
    request.ranks = ranks_of(ranks)
    request.file_name = file_name or ""
    request.unified = unified_of(unify)
    request.format = None if format is None else choice("format", format, _FORMATS)
    request.replicas = choice("replicas", replicas, _REPLICAS)
    request.thread_count = threads_of(threads)
    request.memory_bytes = bytes_of(memory)
    _set(
        request,
        prefix=prefix,
        renames=dict(rename or {}),
        keep_extra=keep_extra,
        allow_missing=allow_missing,
        strict=strict,
        check_replicas=check_replicas,
        trust_strategy=trust_strategy,
        check_crc=check_crc,
        overwrite=overwrite,
        keep_others=keep_others,
        sync=sync,
        crc_trailer=crc_trailer,
        remove_redundancy=remove_redundancy,
        resume=resume,
    )
    return request


def convert(
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
    check_replicas: bool = False,
    trust_strategy: bool = False,
    check_crc: bool = True,
    overwrite: bool = False,
    keep_others: bool = False,
    sync: bool = True,
    crc_trailer: bool = False,
    replicas: str = "copy",
    remove_redundancy: bool = False,
    resume: bool = False,
    threads: int = 0,
    memory: int | str = "256MiB",
    progress: ProgressFunction | None = None,
    alone: bool = False,
) -> Report:
    """Converts a checkpoint from one sharding to another.

    >>> relayout.convert("src_checkpoints", "dst_checkpoints",
    ...                  source_strategy="src_strategy.ckpt",
    ...                  target_strategy="dst_strategy.ckpt")

    Files appear under their names when all of them are whole and on disk; after any failure, and
    after Ctrl-C, none of them does, and what was there before is still there.

    Args:
        source: A folder with ``rank_0/``, ``rank_1/``, ... of one ``.ckpt`` or ``.safetensors``
            file each; one such file, if it holds the whole model; a folder with the whole model in
            several safetensors files and their index; or ``{rank: file}``.
        target: The folder to write: ``rank_<r>/<prefix><r>.ckpt`` for every rank of the target
            strategy. Created if missing.
        source_strategy: How the source is sharded: a strategy file or a folder of stage files.
            None: whole on one rank.
        target_strategy: The same for the target.
        target_file: The file to write, instead of ``target``, with exactly one of ``ranks``.
        ranks: Write only these target ranks; source ranks that they do not need may be missing.
        prefix: Files are named by this and their rank.
        file_name: The name of every rank's file, without extension, instead of that.
        format: "ckpt" or "safetensors"; None: as the source, or what ``target_file`` says.
        step: Take the files named ``...-EPOCH_STEP``: (10, 5) or "10_5". None: the highest that
            every rank has.
        file_suffix: Take the files whose names end like this before their extension: "10_5",
            "1-10_5" (MindSpore's task 1), or any text.
        rename: New names by old ones; None instead of a name leaves the tensor out. Others stay.
            The target strategy knows tensors by their new names.
        unify: Write the whole model into ``part<n>.safetensors`` and ``param_name_map.json``,
            instead of rank folders: True, or `UnifiedOptions`, or their dict. Takes no target
            strategy.
        keep_extra: Keep parameters that only the source strategy knows, whole, on every rank.
        allow_missing: Go on without parameters that no file holds and without rank folders that
            replicas replace; the report's notes name them.
        strict: Make it an error when a parameter is in one strategy only.
        check_replicas: First compare all replicas of the source bit by bit.
        trust_strategy: Go on although the files look as if saved under another strategy.
        check_crc: Check the CRC trailers of source files that carry one.
        overwrite: Replace the checkpoints that ``target`` holds, all of them, once the new ones are
            whole.
        keep_others: Leave files of ``target`` alone that have no name of the new set (of another
            prefix, say), so that several sets lie side by side in the rank folders.
        sync: Wait until files are on disk. False is faster, but a power cut may lose them.
        crc_trailer: Append MindSpore's CRC trailers (``.ckpt`` only).
        replicas: How ranks get files that equal another rank's: "copy", "hardlink" (changing one
            changes both) or "reflink".
        remove_redundancy: Store each tensor with only one of the ranks that hold the same of it, as
            MindSpore's ``save_checkpoint(remove_redundancy=True)`` does.
        resume: Go on where an equal conversion was stopped, and leave what this one has done if it
            is stopped.
        threads: 0: one for each processor.
        memory: Bytes, or a text such as "1GiB"; at least 64 MiB.
        progress: Called with (written_bytes, total_bytes) of payload about ten times a second, and
            once at the end, in the thread that called convert(). What it raises stops the
            conversion and goes on to the caller.
        alone: Only in a program that mpirun or srun started as several processes. There these share
            each conversion that writes a ``target``: all of them must call convert() with the same
            arguments, or with different ``ranks``. True: this process converts by itself, as it
            does with ``target_file``.

    Raises:
        InputError: The sources, strategies or arguments are wrong or contradict each other, or
            files are in the way.
        MachineError: The machine failed, e.g. the disk is full.
        KeyboardInterrupt: Ctrl-C was pressed.
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
        check_replicas=check_replicas,
        trust_strategy=trust_strategy,
        check_crc=check_crc,
        overwrite=overwrite,
        keep_others=keep_others,
        sync=sync,
        crc_trailer=crc_trailer,
        replicas=replicas,
        remove_redundancy=remove_redundancy,
        resume=resume,
        threads=threads,
        memory=memory,
    )
    progress_of(progress)
    _core.raise_open_file_limit()
    if alone or target_file is not None:
        return Report._of(_core.transform(request, progress, None))
    with _world.joined() as world:
        fields = _core.transform(request, progress, world)
        # Of a shared conversion, only process 0 knows all.
        if world is not None and fields["is_shared"]:
            fields = pickle.loads(_core.broadcast(world, pickle.dumps(fields)))
        return Report._of(fields)
