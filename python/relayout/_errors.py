# SPDX-License-Identifier: Apache-2.0
"""What relayout raises."""

from __future__ import annotations

import re


class Error(Exception):
    """Something went wrong; ``str(error)`` says what, where, both sides and what to do.

    Attributes:
        code: One word for programs: "invalid_input", "not_found", "already_exists",
            "unsupported", "io_error" or "out_of_memory".
    """

    code: str = "invalid_input"


class InputError(Error, ValueError):
    """A file, a strategy or the request is wrong, or something would be overwritten."""


class MissingTensorError(InputError, KeyError):
    """A checkpoint has no tensor of this name."""

    code = "not_found"

    # KeyError would show the message in quotes.
    __str__ = Exception.__str__


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


# The engine's advice names the program's options; here they are arguments.
_ARGUMENT_OF_OPTION = {
    "--allow-missing": "allow_missing=True",
    "--check-replicas": "check_replicas=True",
    "--crc": "crc_trailer=True",
    "--explain": "explain",
    "--file-name": "file_name",
    "--file-suffix": "file_suffix",
    "--format": "format",
    "--keep-extra": "keep_extra=True",
    "--keep-others": "keep_others=True",
    "--memory": "memory",
    "--leave-out": "rename",
    "--no-crc-check": "check_crc=False",
    "--output": "target_file",
    "--overwrite": "overwrite=True",
    "--part-size": "part_bytes",
    "--prefix": "prefix",
    "--rank": "ranks",
    "--remove-redundancy": "remove_redundancy=True",
    "--rename": "rename",
    "--replicas": "replicas",
    "--replicas=copy": 'replicas="copy"',
    "--resume": "resume=True",
    "--source-file": "source",
    "--step": "step",
    "--strict": "strict=True",
    "--task": "part",
    "--threads": "threads",
    "--trust-strategy": "trust_strategy=True",
    "--unified": "unify",
}
_OPTION = re.compile(r"(?<![\w/.=-])--[a-z][a-z-]*[a-z](?:=copy)?(?![\w/-]|\.\w)")


def in_python(message: str) -> str:
    """A message of the engine as advice for a Python program."""
    return _OPTION.sub(lambda match: _ARGUMENT_OF_OPTION.get(match[0], match[0]), message)


def from_status(code: str, message: str) -> BaseException:
    """The exception for a failure of the engine."""
    if code == "cancelled":
        return KeyboardInterrupt(message)
    error = _CLASS_OF_CODE.get(code, InputError)(in_python(message))
    error.code = code
    return error
