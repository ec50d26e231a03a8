# SPDX-License-Identifier: Apache-2.0
"""Numbers as people read them."""

from __future__ import annotations


def human_bytes(size: float) -> str:
    """1605632 -> "1.5 MiB"."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"


def count(number: int, noun: str) -> str:
    """1 "file", 2 "files"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
