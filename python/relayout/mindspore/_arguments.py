# SPDX-License-Identifier: Apache-2.0
"""Checks of arguments that several functions share, with the exception types of MindSpore."""

from __future__ import annotations

import operator
import os
from typing import Union

from relayout._arguments import MAX_THREADS

Path = Union[str, "os.PathLike[str]"]


def kind(value: object) -> str:
    """What a value is, for messages: "None" or the name of its type."""
    return "None" if value is None else type(value).__name__


def path(function: str, name: str, value: object) -> str:
    """`value` as a path. TypeError unless it is a str or an os.PathLike of one."""
    if isinstance(value, (str, os.PathLike)):
        text = os.fspath(value)
        if isinstance(text, str):
            return text
    raise TypeError(f"{function}: {name} must be a str or a path, not {kind(value)}")


def target_folder(function: str, name: str, value: object) -> str:
    """A folder to write to, which may be missing.

    TypeError as `path`, ValueError when blank, NotADirectoryError when it is a file.
    """
    folder = path(function, name, value)
    if not folder.strip():
        raise ValueError(f"{function}: {name} is blank; name the folder to write to")
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise NotADirectoryError(f"{function}: {name}: {folder} is a file, not a folder")
    return folder


def strategy(function: str, name: str, value: object) -> str | None:
    """A strategy file or None. TypeError as `path`, ValueError when it is missing."""
    if value is None:
        return None
    file = path(function, name, value)
    if not os.path.exists(file):
        raise ValueError(f"{function}: {name}: there is no strategy file {file}")
    return file


def rank(function: str, name: str, value: object) -> int:
    """TypeError unless an int; numpy's are not, as in MindSpore."""
    if not isinstance(value, int):
        raise TypeError(f"{function}: {name} must be an int, not {kind(value)}")
    return int(value)


def text(function: str, name: str, value: object) -> str:
    """TypeError unless a str."""
    if not isinstance(value, str):
        raise TypeError(f"{function}: {name} must be a str, not {kind(value)}")
    return value


def threads(function: str, name: str, value: object) -> int:
    """A number of threads, at most what the engine takes. TypeError unless an int, ValueError below
    1."""
    try:
        count = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        what = kind(value)
        raise TypeError(f"{function}: {name} must be a number of threads, not {what}") from None
    if count < 1:
        raise ValueError(f"{function}: {name} is {count}; it is a number of threads, at least 1")
    return min(count, MAX_THREADS)


def most_threads(function: str, name: str, value: object) -> int:
    """An upper bound on threads: no more are used than there are processors."""
    return min(threads(function, name, value), os.cpu_count() or 1)


def one_of(function: str, name: str, value: object, choices: tuple[str, ...]) -> str:
    """ValueError unless one of `choices`."""
    if isinstance(value, str) and value in choices:
        return value
    raise ValueError(f"{function}: {name} must be {' or '.join(map(repr, choices))}, not {value!r}")
