# SPDX-License-Identifier: Apache-2.0
"""Callbacks: what happens beside training, after each step and epoch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from relayout import _train
from relayout._arguments import StrPath, int64_of, path_of
from relayout._errors import InputError
from relayout.train._checkpoints import Value, value_of

_STYLES = ("mindspore", "tutorial")
_FORMATS = ("ckpt", "safetensors")


class Progress(NamedTuple):
    """How far training is, after a step."""

    epoch: int
    """From 1."""
    epoch_count: int
    step_in_epoch: int
    """From 1."""
    steps_per_epoch: int
    step: int
    """Since training began, from 1."""
    loss: float
    """Of this step; the same on all ranks."""


class Callback:
    """Override what is wanted. Called on every rank that has it; ranks may have different ones.
    What one raises ends training on all ranks: Model.train() raises it here, and on the other ranks
    an InputError with its class, text and rank.

    A callback must not call what all ranks have to call together, such as Model.predict(), unless
    all ranks have it.
    """

    def on_begin(self) -> None:
        """Before the first step."""

    def on_step_end(self, progress: Progress) -> None:
        """After each step."""

    def on_epoch_end(self, progress: Progress) -> None:
        """After each epoch."""

    def on_end(self, progress: Progress) -> None:
        """After the last step."""


class LossMonitor(Callback):
    """Prints the loss every `per_print_times` steps (0: never). A loss that is no finite number
    ends training.

    Args:
        per_print_times: How many steps lie between two lines.
        style: "mindspore", as MindSpore's LossMonitor prints: ``epoch: 1 step: 20, loss is
            0.10617773979902267``; or "tutorial", as its tutorial does: ``epoch: 1, step: 20, loss
            is 0.10617774``.
        print: What is called with each line.
    """

    def __init__(
        self,
        per_print_times: int = 1,
        *,
        style: str = "mindspore",
        print: Callable[[str], object] = print,
    ) -> None:
        if style not in _STYLES:
            raise InputError(f"style={style!r}: it is one of {', '.join(_STYLES)}")
        self._engine = _train.LossMonitor(
            int64_of("per_print_times", per_print_times), style == "tutorial", print
        )


class LossRecorder(Callback):
    """Keeps the loss of each step in ``losses``; those of a second training behind the first."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_step_end(self, progress: Progress) -> None:
        self.losses.append(progress.loss)


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
    """When ModelCheckpoint saves, what, and how many files it keeps; as in MindSpore."""

    save_checkpoint_steps: int = 1
    save_checkpoint_seconds: int = 0
    """Counts only where save_checkpoint_steps is 0."""
    keep_checkpoint_max: int = 5
    keep_checkpoint_per_n_minutes: int = 0
    """Counts only where keep_checkpoint_max is 0."""
    integrated_save: bool = True
    """Each rank saves whole tensors (with pipelines those of its stage) instead of its shards."""
    append_info: Sequence[str | Mapping[str, Value]] = ()
    """What is saved besides: "epoch_num", "step_num", and mappings of names to values. A number
    that a mapping has for one of the two is added to it: what an earlier training had come to."""
    format: str = "ckpt"
    """Or "safetensors"."""

    def _as_dict(self) -> dict[str, Any]:
        if self.format not in _FORMATS:
            raise InputError(f"format={self.format!r}: it is one of {', '.join(_FORMATS)}")
        begin: dict[str, int | None] = {"epoch_num": None, "step_num": None}
        values = []
        for entry in self.append_info:
            if isinstance(entry, str):
                if entry not in begin:
                    raise InputError(
                        f"append_info has {entry!r}: give 'epoch_num', 'step_num' or a mapping"
                    )
                begin[entry] = begin[entry] or 0
                continue
            for name, value in entry.items():
                if name in begin and isinstance(value, int):
                    begin[name] = int64_of(name, value)
                else:
                    values.append(value_of(name, value))
        numbers = {
            name: int64_of(name, getattr(self, name))
            for name in (
                "save_checkpoint_steps",
                "save_checkpoint_seconds",
                "keep_checkpoint_max",
                "keep_checkpoint_per_n_minutes",
            )
        }
        return {
            **numbers,
            **begin,
            "integrated_save": bool(self.integrated_save),
            "values": values,
            "format": self.format,
        }


class ModelCheckpoint(Callback):
    """Saves checkpoints during training: ``directory/prefix-EPOCH_STEP.ckpt``. All ranks must have
    one, each with a directory of its own; they save together, and a failure on one leaves no new
    file on any.

    Args:
        prefix: Where the directory has files of it from an earlier training, ``_1`` and so on is
            put behind it.
        directory: Created if missing. None: the current one.
        config: None: CheckpointConfig().
    """

    def __init__(
        self,
        prefix: str = "CKP",
        directory: StrPath | None = None,
        config: CheckpointConfig | None = None,
    ) -> None:
        folder = "." if directory is None else path_of("directory", directory)
        self._engine = _train.ModelCheckpoint(
            prefix, folder, (config or CheckpointConfig())._as_dict()
        )

    @property
    def latest_ckpt_file_name(self) -> str:
        """The last file saved; empty before."""
        return self._engine.latest_file


def for_engine(callback: Callback) -> object:
    """A callback as the engine takes it."""
    if not isinstance(callback, Callback):
        raise TypeError(f"{callback!r} is no relayout.train.Callback")
    if isinstance(callback, (LossMonitor, ModelCheckpoint)):
        return callback._engine

    def tell(event: str, *numbers: float) -> None:
        method = getattr(callback, event)
        if numbers:
            method(Progress(*numbers))  # type: ignore[arg-type]
        else:
            method()

    return tell
