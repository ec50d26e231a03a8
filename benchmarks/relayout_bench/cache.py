# SPDX-License-Identifier: Apache-2.0
"""The page cache before a command: warm, or cold in the best way this machine allows."""

import os
from collections.abc import Iterator
from pathlib import Path

DROP_CACHES = Path("/proc/sys/vm/drop_caches")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def can_drop_all() -> bool:
    return os.access(DROP_CACHES, os.W_OK)


def _drop_files(folder: Path) -> None:
    for path in _files(folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def make_cold(folder: Path) -> str:
    """Puts the files below `folder` out of the page cache; says how."""
    if can_drop_all():
        os.sync()
        try:
            DROP_CACHES.write_text("3")
            return "caches dropped (/proc/sys/vm/drop_caches)"
        except OSError:  # A container may show the file and refuse the write.
            pass
    _drop_files(folder)
    return "source files dropped from the page cache (posix_fadvise)"


def make_warm(folder: Path) -> str:
    """Reads the files below `folder` once, so that all that fits is in the page cache."""
    buffer = bytearray(1 << 20)
    for path in _files(folder):
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    return "source files read before"
