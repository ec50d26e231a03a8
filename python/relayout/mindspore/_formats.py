# SPDX-License-Identifier: Apache-2.0
"""From one file format to the other, values as they are."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

import relayout
from relayout.mindspore import _arguments, _errors, _run
from relayout.mindspore._arguments import Path


def ckpt_to_safetensors(
    file_path: Path,
    save_path: Path | None = None,
    name_map: dict[str, str] | None = None,
    file_name_regex: str | None = None,
    processes_num: int = 1,
) -> None:
    """Write the values of .ckpt files as .safetensors files.

    Args:
        file_path: one file, or a folder whose folders rank* hold files.
        save_path: folder to write to, with the rank folders below; None: beside the sources.
        name_map: new names of parameters by their names in the source; others keep theirs.
        file_name_regex: of a folder's files take those in whose names this is found.
        processes_num: number of files that are worked on at once.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: file_path is missing or has no rank folders, a file is of another format or
            damaged or holds what the other format cannot, save_path looks like a file's name,
            name_map gives two parameters one name.
        re.error: file_name_regex is no regular expression.
        OSError: the machine failed.
        Each file is there whole or not at all; those that were done before a failure stay.
    """
    _Formats("ckpt_to_safetensors", "ckpt", "safetensors").convert(
        file_path, save_path, name_map, file_name_regex, processes_num
    )


def safetensors_to_ckpt(
    file_path: Path,
    save_path: Path | None = None,
    name_map: dict[str, str] | None = None,
    file_name_regex: str | None = None,
    processes_num: int = 1,
) -> None:
    """Write the values of .safetensors files as .ckpt files; see ckpt_to_safetensors."""
    _Formats("safetensors_to_ckpt", "safetensors", "ckpt").convert(
        file_path, save_path, name_map, file_name_regex, processes_num
    )


class _Stopped(Exception):
    """Another file failed, or the user wants no more."""


@dataclasses.dataclass(frozen=True)
class _Task:
    source: str
    target: str


class _Formats:
    """One direction of the two."""

    def __init__(self, function: str, source_format: str, target_format: str) -> None:
        self._function = function
        self._target_format = target_format
        self._source_ending = "." + source_format
        self._target_ending = "." + target_format
        self._stop = False

    def convert(
        self,
        file_path: Path,
        save_path: Path | None,
        name_map: object,
        regex: str | None,
        processes_num: int,
    ) -> None:
        source = self._source(file_path)
        folder = self._save_folder(save_path)
        names = self._names(name_map)
        pattern = self._pattern(regex)
        if os.path.isdir(source):
            threads = _arguments.threads(self._function, "processes_num", processes_num)
            self._all(list(self._tasks(source, folder, pattern)), names, threads)
        else:
            self._one(self._task(source, folder, pattern), names)

    def _source(self, file_path: object) -> str:
        source = _arguments.path(self._function, "file_path", file_path)
        if not os.path.exists(source):
            raise self._wrong("file_path", f"there is no file or folder {source!r}")
        return source

    def _save_folder(self, save_path: Path | None) -> str | None:
        if save_path is None:
            return None
        folder = _arguments.path(self._function, "save_path", save_path)
        if os.path.splitext(folder)[1]:
            raise self._wrong("save_path", f"{folder} looks like a file; name a folder")
        if os.path.isfile(folder):
            raise NotADirectoryError(f"{self._function}: save_path: {folder} is a file")
        return folder or None

    def _names(self, name_map: object) -> dict[str, str]:
        if name_map is None:
            return {}
        if not isinstance(name_map, dict):
            raise self._wrong("name_map", f"must be a dict, not {_arguments.kind(name_map)}")
        for old, new in name_map.items():
            if not isinstance(old, str) or not isinstance(new, str):
                raise self._wrong("name_map", f"must map str to str, not {old!r} to {new!r}")
        return name_map

    def _pattern(self, regex: object) -> re.Pattern[str]:
        if not isinstance(regex, (str, re.Pattern, type(None))):
            what = _arguments.kind(regex)
            raise TypeError(f"{self._function}: file_name_regex must be a str, not {what}")
        try:
            return re.compile(regex or "")
        except re.error as error:
            raise re.error(f"{self._function}: file_name_regex {regex!r}: {error}") from None

    def _task(self, source: str, folder: str | None, pattern: re.Pattern[str]) -> _Task:
        """For one file that the user named."""
        if not source.endswith(self._source_ending):
            raise self._wrong("file_path", f"{source} does not end in {self._source_ending}")
        if not pattern.search(source):
            raise self._wrong("file_name_regex", f"is not found in {source}")
        return self._to(source, os.path.dirname(source) if folder is None else folder)

    def _tasks(self, source: str, folder: str | None, pattern: re.Pattern[str]) -> Iterator[_Task]:
        """For the files of the rank folders."""
        ranks = [e for e in sorted(os.listdir(source)) if e.startswith("rank")]
        ranks = [rank for rank in ranks if os.path.isdir(os.path.join(source, rank))]
        if not ranks:
            raise self._wrong("file_path", f"{source} has no folders named rank_<r>")
        for rank in ranks:
            here = os.path.join(source, rank)
            there = here if folder is None else os.path.join(folder, rank)
            for name in sorted(os.listdir(here)):
                if name.endswith(self._source_ending) and pattern.search(name):
                    yield self._to(os.path.join(here, name), there)

    def _to(self, source: str, folder: str) -> _Task:
        name = os.path.basename(source)[: -len(self._source_ending)] + self._target_ending
        return _Task(source, os.path.join(folder, name))

    def _all(self, tasks: list[_Task], names: dict[str, str], threads: int) -> None:
        """The first failure, and Ctrl-C, stop the others."""
        with ThreadPoolExecutor(threads) as pool:
            running: list[Future[None]] = [pool.submit(self._one, task, names) for task in tasks]
            try:
                for done in as_completed(running):
                    done.result()
            except BaseException:
                self._stop = True
                for future in running:
                    future.cancel()
                raise

    def _one(self, task: _Task, names: dict[str, str]) -> None:
        try:
            _run.convert(
                task.source,
                target_file=task.target,
                format=self._target_format,
                rename=names,
                rank=0,
                threads=1,
                progress=self._check_stop,
            )
        except relayout.InputError as error:
            if task.source in str(error):
                raise
            raise _errors.made(type(error), f"{task.source}: {error}") from None

    def _check_stop(self, written_bytes: int, total_bytes: int) -> None:
        if self._stop:
            raise _Stopped(f"stopped at {written_bytes} of {total_bytes} bytes")

    def _wrong(self, argument: str, message: str) -> ValueError:
        return ValueError(f"{self._function}: {argument}: {message}")
