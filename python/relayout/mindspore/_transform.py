# SPDX-License-Identifier: Apache-2.0
"""Whole sets, single ranks, and which source ranks a rank needs."""

from __future__ import annotations

import operator
import os

import relayout
from relayout.mindspore import _arguments, _errors, _run
from relayout.mindspore._arguments import Path


def transform_checkpoints(
    src_checkpoints_dir: Path,
    dst_checkpoints_dir: Path,
    ckpt_prefix: str,
    src_strategy_file: Path | None = None,
    dst_strategy_file: Path | None = None,
    process_num: int = 1,
    output_format: str = "ckpt",
) -> None:
    """Convert a checkpoint from one parallel strategy to another.

    Reads src_checkpoints_dir/rank_<r>/*.ckpt or *.safetensors and writes
    dst_checkpoints_dir/rank_<r>/<ckpt_prefix><r>.<output_format> for every rank of the target.
    Where a folder holds several files, the highest epoch and step that all ranks have is taken.

    Args:
        src_checkpoints_dir: folder of the source's rank folders, or one file that holds all.
        dst_checkpoints_dir: folder for the target's; made when it is missing.
        ckpt_prefix: start of the file names.
        src_strategy_file: strategy the source was saved under; None: whole, on one rank.
        dst_strategy_file: strategy to convert to; None: whole, on one rank.
        process_num: number of threads.
        output_format: "ckpt" or "safetensors", whatever the source is.

    Raises:
        TypeError: an argument of the wrong type, or a strategy file that is none.
        ValueError: an argument or file that is missing or wrong, and any contradiction between
            files and strategies. It is a relayout.InputError that names file, tensor and ranks.
        NotADirectoryError: dst_checkpoints_dir is a file.
        OSError: the machine failed (relayout.MachineError), e.g. a full disk.
        Nothing is written then.
    """
    this = "transform_checkpoints"
    source = _arguments.path(this, "src_checkpoints_dir", src_checkpoints_dir)
    target = _arguments.target_folder(this, "dst_checkpoints_dir", dst_checkpoints_dir)
    prefix = _arguments.text(this, "ckpt_prefix", ckpt_prefix)
    source_strategy = _arguments.strategy(this, "src_strategy_file", src_strategy_file)
    target_strategy = _arguments.strategy(this, "dst_strategy_file", dst_strategy_file)
    threads = _arguments.threads(this, "process_num", process_num)
    form = _arguments.one_of(this, "output_format", output_format, ("ckpt", "safetensors"))
    _run.convert(
        source,
        target,
        source_strategy=source_strategy,
        target_strategy=target_strategy,
        prefix=prefix,
        format=form,
        threads=threads,
    )


def transform_checkpoint_by_rank(
    rank_id: int,
    checkpoint_files_map: dict[int, str],
    save_checkpoint_file_name: Path,
    src_strategy_file: Path | None = None,
    dst_strategy_file: Path | None = None,
) -> None:
    """Make the checkpoint of one target rank.

    Args:
        rank_id: rank of the target.
        checkpoint_files_map: the file of each source rank that rank_list_for_transform names;
            more may be given.
        save_checkpoint_file_name: file to write, ending in .ckpt or .safetensors.
        src_strategy_file: strategy the source was saved under; None: whole, in one file.
        dst_strategy_file: strategy to convert to; None: whole, rank_id is 0.

    Raises:
        TypeError, ValueError, OSError: as transform_checkpoints.
        IndexError: the target has no such rank.
    """
    this = "transform_checkpoint_by_rank"
    if not isinstance(checkpoint_files_map, dict):
        what = _arguments.kind(checkpoint_files_map)
        raise TypeError(
            f"{this}: checkpoint_files_map must be a dict from rank to file, not {what}"
        )
    rank = _arguments.rank(this, "rank_id", rank_id)
    target = _arguments.path(this, "save_checkpoint_file_name", save_checkpoint_file_name)
    if not target.endswith((".ckpt", ".safetensors")):
        raise ValueError(
            f"{this}: save_checkpoint_file_name: {target} must end in .ckpt or .safetensors"
        )
    target_strategy = _arguments.strategy(this, "dst_strategy_file", dst_strategy_file)
    files = _files(checkpoint_files_map)
    source_strategy = _arguments.strategy(this, "src_strategy_file", src_strategy_file)
    if source_strategy is None and len(files) == 1:
        files = {0: next(iter(files.values()))}  # The one source rank, by whatever number.
    _run.convert(
        files,
        source_strategy=source_strategy,
        target_strategy=target_strategy,
        target_file=target,
        rank=rank,
    )


def _files(checkpoint_files_map: dict[int, str]) -> dict[int, str]:
    """The map with keys and values checked: ValueError for a key that is no rank or no file."""
    this = "transform_checkpoint_by_rank"
    if not checkpoint_files_map:
        raise ValueError(f"{this}: checkpoint_files_map is empty; see rank_list_for_transform")
    files = {}
    for key, value in checkpoint_files_map.items():
        file = _arguments.path(this, f"the file of rank {key}", value)
        if not os.path.exists(file):
            raise ValueError(f"{this}: the file of rank {key} is missing: {file}")
        try:
            files[operator.index(key)] = file
        except TypeError:
            raise ValueError(
                f"{this}: checkpoint_files_map has the key {key!r}; keys are ranks (int)"
            ) from None
    return files


def rank_list_for_transform(
    rank_id: int,
    src_strategy_file: Path | None = None,
    dst_strategy_file: Path | None = None,
) -> list[int]:
    """Which source ranks the checkpoint of one target rank is made from.

    The fewest that suffice, in descending order; MindSpore may name more. Looks at the strategies
    only. Without a source strategy the answer is [0], whatever the target.

    Raises:
        TypeError: rank_id is no int, or a strategy file is none.
        ValueError: a strategy file is missing or wrong.
        IndexError: the target has no such rank.
    """
    this = "rank_list_for_transform"
    rank = _arguments.rank(this, "rank_id", rank_id)
    if src_strategy_file is None:
        return [0]
    source_strategy = _arguments.strategy(this, "src_strategy_file", src_strategy_file)
    target_strategy = _arguments.strategy(this, "dst_strategy_file", dst_strategy_file)
    with _errors.translated(source_strategy, target_strategy, rank=rank):
        ranks = relayout.ranks_for(
            rank, source_strategy=source_strategy, target_strategy=target_strategy
        )
    return sorted(ranks, reverse=True)


def convert_checkpoints(
    src_checkpoints_dir: Path,
    dst_checkpoints_dir: Path,
    ckpt_prefix: str,
    src_strategy_file: Path | None = None,
    dst_strategy_file: Path | None = None,
    process_num: int = 1,
    output_format: str = "ckpt",
) -> None:
    """transform_checkpoints by MindSpore's newer name."""
    transform_checkpoints(
        src_checkpoints_dir,
        dst_checkpoints_dir,
        ckpt_prefix,
        src_strategy_file,
        dst_strategy_file,
        process_num,
        output_format,
    )


def convert_checkpoint_by_rank(
    rank_id: int,
    checkpoint_files_map: dict[int, str],
    save_checkpoint_file_name: Path,
    src_strategy_file: Path | None = None,
    dst_strategy_file: Path | None = None,
) -> None:
    """transform_checkpoint_by_rank by MindSpore's newer name."""
    transform_checkpoint_by_rank(
        rank_id,
        checkpoint_files_map,
        save_checkpoint_file_name,
        src_strategy_file,
        dst_strategy_file,
    )


def rank_list_for_convert(
    rank_id: int,
    src_strategy_file: Path | None = None,
    dst_strategy_file: Path | None = None,
) -> list[int]:
    """rank_list_for_transform by MindSpore's newer name."""
    return rank_list_for_transform(rank_id, src_strategy_file, dst_strategy_file)
