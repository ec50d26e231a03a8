# SPDX-License-Identifier: Apache-2.0
"""What relayout raises."""

from __future__ import annotations


class Error(Exception):
    """Something went wrong; ``str(error)`` says what, where, both sides and what to do.

    Attributes:
        code: One word for programs: "invalid_input", "not_found", "already_exists",
            "unsupported", "io_error" or "out_of_memory".
    """

    code: str = "invalid_input"


class InputError(Error, ValueError):
    """A file, a strategy or the request is wrong, or something would be overwritten."""


class MachineError(Error, OSError):
    """The operating system refused, or a disk is full."""

    code = "io_error"


class OutOfMemoryError(MachineError, MemoryError):
    """There was not enough memory."""

    code = "out_of_memory"


_CLASS_OF_CODE: dict[str, type[Error]] = {
    "io_error": MachineError,
    "out_of_memory": OutOfMemoryError,
}


def from_status(code: str, message: str) -> BaseException:
    """The exception for a failure of the engine."""
    if code == "cancelled":
        return KeyboardInterrupt(message)
    error = _CLASS_OF_CODE.get(code, InputError)(message)
    error.code = code
    return error
