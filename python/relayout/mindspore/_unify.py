# SPDX-License-Identifier: Apache-2.0
"""One safetensors folder that holds every parameter whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Union

import relayout
from relayout.mindspore import _arguments, _errors, _run
from relayout.mindspore._arguments import Path

ChoiceFunction = Callable[[str], Union[bool, str]]

_THIS = "unified_safetensors"
_PART_BYTES = 3 << 30  # As MindSpore cuts.


def unified_safetensors(
    src_dir: Path,
    src_strategy_file: Path | None,
    dst_dir: Path,
    merge_with_redundancy: bool = True,
    file_suffix: str | None = None,
    max_process_num: int = 64,
    choice_func: ChoiceFunction | None = None,
    split_dst_file: tuple[int, ...] = (),
) -> None:
    """Put the ranks' files together: each parameter whole, in parts of about 3 GiB.

    Writes dst_dir/part<k>.safetensors, hyper_param.safetensors with the values that the strategy
    does not name, and param_name_map.json, which says where each parameter is.

    Args:
        src_dir: folder of the rank folders, .safetensors or .ckpt.
        src_strategy_file: strategy they were saved under; None: whole, on one rank.
        dst_dir: folder to write; made when it is missing.
        merge_with_redundancy: whether each rank has all of its parameters (True), or replicas
            share them out (False: saved with remove_redundancy). What a rank has not is looked
            for among its replicas either way.
        file_suffix: end of the name, without extension, of the file to take where a rank folder
            holds several, e.g. "1-10_5"; None: the highest epoch and step that all ranks have.
        max_process_num: most threads to use.
        choice_func: called with the name of each parameter; False leaves it out, True keeps it, a
            str is its new name.
        split_dst_file: (i, n) writes the i-th of n shares of the parts, i from 1, so that n runs
            can share the work; each writes parts of its own.

    Raises:
        TypeError: an argument of the wrong type, or a strategy file that is none.
        ValueError: as transform_checkpoints; choice_func returned something else.
        NotADirectoryError: dst_dir is a file.
        OSError: the machine failed.
        Nothing is written then.
    """
    source = _arguments.path(_THIS, "src_dir", src_dir)
    strategy = _arguments.strategy(_THIS, "src_strategy_file", src_strategy_file)
    target = _arguments.target_folder(_THIS, "dst_dir", dst_dir)
    if os.path.isfile(source):
        raise ValueError(f"{_THIS}: src_dir: {source} is a file; name the folder of rank folders")
    threads = _arguments.most_threads(_THIS, "max_process_num", max_process_num)
    part = _part(split_dst_file)
    suffix = None if file_suffix is None else str(file_suffix)
    if choice_func is not None and not callable(choice_func):
        what = _arguments.kind(choice_func)
        raise TypeError(f"{_THIS}: choice_func must be a function of a name, not {what}")
    rename = {} if choice_func is None else _choices(choice_func, source, strategy, suffix)
    _run.convert(
        source,
        target,
        source_strategy=strategy,
        format="safetensors",
        file_suffix=suffix,
        rename=rename,
        unify={"part_bytes": _PART_BYTES, "part": part},
        threads=threads,
    )


def _part(split_dst_file: object) -> tuple[int, int] | None:
    """(i - 1, n) or None for everything. TypeError unless ints in a tuple or list."""
    if not isinstance(split_dst_file, (tuple, list)):
        what = _arguments.kind(split_dst_file)
        raise TypeError(f"{_THIS}: split_dst_file must be (i, n), not {what}")
    if not split_dst_file:
        return None
    if not all(isinstance(number, int) for number in split_dst_file):
        raise TypeError(f"{_THIS}: split_dst_file must be two ints, not {split_dst_file!r}")
    if len(split_dst_file) != 2 or not 1 <= split_dst_file[0] <= split_dst_file[1]:
        raise ValueError(f"{_THIS}: split_dst_file is {split_dst_file!r}; (i, n) is part i of n")
    return split_dst_file[0] - 1, split_dst_file[1]


def _choices(
    choice_func: ChoiceFunction, source: str, strategy: str | None, suffix: str | None
) -> dict[str, str | None]:
    """What choice_func makes of each parameter, as convert() takes it."""
    with _errors.translated(strategy):
        names = relayout.open(source, strategy=strategy, file_suffix=suffix).names()
    known = None if strategy is None else set(relayout.load_strategy(strategy))
    rename: dict[str, str | None] = {}
    parameters = [name for name in names if known is None or name in known]
    for name in parameters:
        answer = choice_func(name)
        if not isinstance(answer, (bool, str)):
            what = _arguments.kind(answer)
            raise ValueError(
                f"{_THIS}: choice_func({name!r}) returned {what}; it must return a bool or a str"
            )
        if answer is False:
            rename[name] = None
        elif isinstance(answer, str):
            rename[name] = answer
    if parameters and all(rename.get(name, name) is None for name in parameters):
        raise ValueError(f"{_THIS}: choice_func leaves all {len(parameters)} parameters out")
    return rename
