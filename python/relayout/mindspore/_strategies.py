# SPDX-License-Identifier: Apache-2.0
"""Strategy and group files."""

from __future__ import annotations

import dataclasses
import os

import relayout
from relayout import _core
from relayout.mindspore import _arguments, _errors
from relayout.mindspore._arguments import Path


def merge_pipeline_strategys(src_strategy_dirs: Path, dst_strategy_file: Path) -> None:
    """Merge the strategy files of all pipeline stages into one.

    Args:
        src_strategy_dirs: folder with all *.ckpt or all *.json files, one or more a stage. Those
            of one stage must agree.
        dst_strategy_file: file to write, JSON when it ends in .json; its folder is made. When it
            lies in src_strategy_dirs it is not taken for one of the sources.

    Raises:
        NotADirectoryError: src_strategy_dirs is no folder.
        TypeError: an argument is no path.
        ValueError: files of both kinds or none, a stage is missing, files contradict each other.
    """
    this = "merge_pipeline_strategys"
    target = _arguments.path(this, "dst_strategy_file", dst_strategy_file)
    folder = _arguments.path(this, "src_strategy_dirs", src_strategy_dirs)
    if not os.path.isdir(folder):
        raise NotADirectoryError(f"{this}: src_strategy_dirs: {folder} is not a folder")
    relayout.merge_strategies(folder, target, overwrite=True)


@dataclasses.dataclass
class Numbers:
    """A list of integers as the attribute `dim`, as in MindSpore's messages."""

    dim: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class ParallelLayouts:
    """What a strategy file says of one parameter: the attributes of MindSpore's message.

    Example: a matrix whose columns two of four devices share, and the others too, is
        dev_matrix [Numbers([2, 2])], tensor_map [Numbers([-1, 0])]
    where 0 is the last axis of the mesh, counted from the right, and -1 cuts nothing. Several
    entries of tensor_map are one a dimension, each with the axes that cut it, outermost first.
    """

    dev_matrix: list[Numbers]
    tensor_map: list[Numbers]
    param_split_shape: list[Numbers]
    indices_offset: list[Numbers]
    field: int
    opt_weight_shard_step: int
    opt_weight_shard_size: int


def build_searched_strategy(
    strategy_filename: Path | None,
) -> dict[str, ParallelLayouts] | None:
    """Read a strategy file: the layout of each parameter by its name in the file.

    In a merged file names are "<stage>-<name>". None gives None.

    Raises:
        TypeError: no path, or a file that is no strategy.
        ValueError: the file is missing or empty, or bad JSON.
    """
    if strategy_filename is None:
        return None
    this = "build_searched_strategy"
    file = _arguments.path(this, "strategy_filename", strategy_filename)
    if not os.path.isfile(file):
        raise ValueError(f"{this}: there is no strategy file {file}")
    try:
        records = _core.read_strategy_records(file)
    except relayout.InputError as error:
        raise _errors.made(_errors.StrategyFileError, str(error)) from None
    return {
        name: ParallelLayouts(
            [Numbers(mesh)],
            [Numbers(axes) for axes in maps],
            [Numbers(split)],
            [Numbers(offsets)],
            field,
            step,
            size,
        )
        for name, mesh, maps, split, offsets, field, step, size in records
    }


def restore_group_info_list(group_info_file_name: Path) -> list[int]:
    """The ranks whose checkpoint equals that of the rank that wrote a group file.

    MindSpore writes group files where the environment variable GROUP_INFO_FILE names one.

    Raises:
        TypeError: group_info_file_name is no path.
        ValueError: the file is missing, empty, no group file, or has no such list.
    """
    this = "restore_group_info_list"
    file = _arguments.path(this, "group_info_file_name", group_info_file_name)
    if not os.path.isfile(file):
        raise ValueError(f"{this}: there is no group file {file}")
    return _core.restore_group_info_list(file)
