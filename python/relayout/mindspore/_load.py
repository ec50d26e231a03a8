# SPDX-License-Identifier: Apache-2.0
"""Into a network, or into the files that its ranks load."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import relayout
from relayout.mindspore import _arguments, _errors, _network, _run
from relayout.mindspore._arguments import Path

_THIS = "load_distributed_checkpoint"
_FORMATS = ("ckpt", "safetensors")


def load_distributed_checkpoint(
    network: Any,
    checkpoint_filenames: Sequence[Path] | None = None,
    predict_strategy: Path | dict[str, Sequence[Any]] | None = None,
    train_strategy_filename: Path | None = None,
    strict_load: bool = False,
    dec_key: bytes | None = None,
    dec_mode: str = "AES-GCM",
    format: str = "ckpt",
    unified_safetensors_dir: Path | None = None,
    dst_safetensors_dir: Path | None = None,
    rank_id: int | None = None,
    output_format: str = "safetensors",
    name_map: dict[str, str] | None = None,
    max_process_num: int = 64,
    return_param_dict: bool = False,
) -> Any:
    """Load a checkpoint into a network, or cut a unified safetensors folder for its ranks.

    Three uses:
      * network None, format "safetensors": cuts unified_safetensors_dir for predict_strategy and
        writes dst_safetensors_dir/rank_<r>/net.<output_format>, of rank_id or of all ranks. Needs
        no MindSpore. Returns True.
      * a network, format "safetensors": loads the present rank's part of unified_safetensors_dir
        into it. Returns (parameters not loaded, values not used), or with return_param_dict
        loads nothing and returns {name: mindspore.Parameter}.
      * a network, format "ckpt": loads the present rank's part of checkpoint_filenames, one file
        a training rank in order, which were saved under train_strategy_filename. Returns True.
    With a network the rank's part is written to a temporary file first (TMPDIR says where).

    Args:
        network: a mindspore.nn.Cell or None.
        checkpoint_filenames: see above; only with format "ckpt".
        predict_strategy: the target's strategy file, or, with format "ckpt", what
            Model.infer_predict_layout returned; None: whole.
        train_strategy_filename: strategy file of the source; None: the one that the network or
            MindSpore's context names. Only with format "ckpt".
        strict_load: as in mindspore.load_param_into_net; only with format "ckpt".
        dec_key, dec_mode: of encrypted files; relayout does not decrypt: None and "AES-GCM".
        format: "ckpt" or "safetensors", what the source is.
        unified_safetensors_dir: folder as unified_safetensors writes it.
        dst_safetensors_dir: folder to write to; made when it is missing.
        rank_id: the one rank to write; None: all of them. With a network MindSpore says the rank.
        output_format: "ckpt" or "safetensors".
        name_map: by the names that the target wants, the names in the source.
        max_process_num: most threads to use.
        return_param_dict: see above.

    Raises:
        TypeError, ValueError, OSError: as transform_checkpoints; ValueError also for arguments
            that do not go together, and for a network that is none.
        IndexError: the target has no rank rank_id.
        ImportError: there is a network, but no MindSpore.
    """
    _arguments.one_of(_THIS, "format", format, _FORMATS)
    _arguments.one_of(_THIS, "output_format", output_format, _FORMATS)
    if format == "ckpt":
        return _network.load_ckpt(
            network,
            checkpoint_filenames,
            predict_strategy,
            train_strategy_filename,
            strict_load,
            dec_key,
            dec_mode,
            max_process_num,
        )
    for name, value in (
        ("checkpoint_filenames", checkpoint_filenames),
        ("train_strategy_filename", train_strategy_filename),
        ("dec_key", dec_key),
    ):
        if value is not None:
            raise ValueError(f"{_THIS}: {name} must be None when format is 'safetensors'")
    if strict_load or dec_mode != "AES-GCM":
        raise ValueError(
            f"{_THIS}: strict_load and dec_mode must keep their defaults when format "
            "is 'safetensors'"
        )
    if unified_safetensors_dir is None:
        raise ValueError(f"{_THIS}: unified_safetensors_dir is None; it is the folder to load from")
    source = _Unified(unified_safetensors_dir, predict_strategy, name_map, max_process_num)
    if network is not None:
        return _network.load_unified(network, source.write, return_param_dict)
    if dst_safetensors_dir is None:
        raise ValueError(
            f"{_THIS}: dst_safetensors_dir is None; without a network it is the folder to write to"
        )
    source.write(
        _arguments.target_folder(_THIS, "dst_safetensors_dir", dst_safetensors_dir),
        rank_id,
        output_format,
    )
    return True


class _Unified:
    """A unified folder and the strategy to cut it for."""

    def __init__(self, folder: object, strategy: object, name_map: object, threads: int) -> None:
        self._folder = _arguments.path(_THIS, "unified_safetensors_dir", folder)
        if not os.path.exists(self._folder):
            raise FileNotFoundError(f"{_THIS}: unified_safetensors_dir: {self._folder} is missing")
        if os.path.isdir(self._folder) and not _has_safetensors(self._folder):
            raise ValueError(
                f"{_THIS}: unified_safetensors_dir: {self._folder} holds no .safetensors file; "
                "unified_safetensors makes such a folder"
            )
        self._strategy = _arguments.strategy(_THIS, "predict_strategy", strategy)
        self._old_names = _inverted(name_map)
        self._threads = _arguments.most_threads(_THIS, "max_process_num", threads)

    def write(self, target: str, rank: int | None, form: str) -> None:
        """rank_<r>/net.<form> of one rank or all."""
        if rank is not None:
            _arguments.rank(_THIS, "rank_id", rank)
        _run.convert(
            self._folder,
            target,
            target_strategy=self._strategy,
            rank=rank,
            file_name="net",
            format=form,
            rename=self._renames(),
            threads=self._threads,
        )

    def _renames(self) -> dict[str, str | None]:
        """New names, and None for parameters that the target does not have."""
        renames: dict[str, str | None] = dict(self._old_names)
        if self._strategy is None:
            return renames
        with _errors.translated(self._strategy):
            wanted = relayout.load_strategy(self._strategy)
        for name in _part_names(self._folder):
            if renames.get(name, name) not in wanted:
                renames[name] = None
        return renames


def _has_safetensors(folder: str) -> bool:
    return any(name.endswith(".safetensors") for name in os.listdir(folder))


def _inverted(name_map: object) -> dict[str, str]:
    """{name in the source: name that the target wants}."""
    if name_map is None:
        return {}
    if not isinstance(name_map, dict):
        raise ValueError(f"{_THIS}: name_map must be a dict, not {_arguments.kind(name_map)}")
    inverted: dict[str, str] = {}
    for new, old in name_map.items():
        if not isinstance(new, str) or not isinstance(old, str):
            raise ValueError(f"{_THIS}: name_map must map str to str, not {new!r} to {old!r}")
        if old in inverted:
            raise ValueError(f"{_THIS}: name_map takes {old!r} for {inverted[old]!r} and {new!r}")
        inverted[old] = new
    return inverted


def _part_names(folder: str) -> list[str]:
    """The names of the parameters that a unified folder maps to parts."""
    try:
        with open(os.path.join(folder, "param_name_map.json"), encoding="utf-8") as file:
            names = json.load(file)
    except (OSError, ValueError):
        return []  # One file without a map, or a fault that convert() names.
    names = names.get("weight_map", names) if isinstance(names, dict) else {}
    return list(names) if isinstance(names, dict) else []
