# SPDX-License-Identifier: Apache-2.0
"""What puts values into a network of MindSpore's, or takes its parameters.

MindSpore is imported when a function is called, not before.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from relayout.mindspore import _arguments, _run
from relayout.mindspore._arguments import Path

_THIS = "load_distributed_checkpoint"


def _mindspore(why: str) -> Any:
    try:
        import mindspore
    except ImportError as error:
        raise ImportError(f"MindSpore must be installed: {why}") from error
    return mindspore


def _check_network(network: object) -> Any:
    """MindSpore, when `network` is a Cell. ValueError, as MindSpore's own check, when not."""
    if network is None or isinstance(network, (str, bytes, int, float, list, tuple, dict)):
        what = _arguments.kind(network)
        raise ValueError(f"{_THIS}: network must be a mindspore.nn.Cell, not {what}")
    mindspore = _mindspore(
        f"{_THIS} loads into a network. Without one (None) it writes files and needs no MindSpore"
    )
    if not isinstance(network, mindspore.nn.Cell):
        what = _arguments.kind(network)
        raise ValueError(f"{_THIS}: network must be a mindspore.nn.Cell, not {what}")
    return mindspore


def _present_rank() -> int:
    """Of this process in MindSpore's communicator; 0 when there is none."""
    from mindspore.communication import get_rank

    try:
        return int(get_rank())
    except RuntimeError:
        return 0


def load_unified(
    network: object, write: Callable[[str, int, str], None], return_param_dict: bool
) -> Any:
    """Loads what write(folder, rank, format) makes of the present rank into a network."""
    mindspore = _check_network(network)
    rank = _present_rank()
    with tempfile.TemporaryDirectory(prefix="relayout-") as folder:
        write(folder, rank, "safetensors")
        path = os.path.join(folder, f"rank_{rank}", "net.safetensors")
        parameters = mindspore.load_checkpoint(path, format="safetensors")
    if return_param_dict:
        return parameters
    return mindspore.load_param_into_net(network, parameters)


def load_ckpt(
    network: object,
    checkpoint_filenames: Sequence[Path] | None,
    predict_strategy: object,
    train_strategy_filename: Path | None,
    strict_load: bool,
    dec_key: object,
    dec_mode: object,
    max_process_num: int,
) -> bool:
    """Puts the present rank's part of the files of all training ranks into a network."""
    mindspore = _check_network(network)
    files = _checkpoint_files(checkpoint_filenames)
    _check_encryption(dec_key, dec_mode)
    threads = _arguments.most_threads(_THIS, "max_process_num", max_process_num)
    if train_strategy_filename is None:
        train_strategy_filename = _strategy_of(mindspore, network)
        if not train_strategy_filename:
            return True  # As MindSpore: nothing says how the files are to be read.
    source_strategy = _arguments.strategy(_THIS, "train_strategy_filename", train_strategy_filename)
    rank = _present_rank()
    with tempfile.TemporaryDirectory(prefix="relayout-") as folder:
        target_strategy = _written_strategy(predict_strategy, folder)
        if target_strategy is None:
            rank = 0
        path = os.path.join(folder, "net.ckpt")
        _run.convert(
            files,
            source_strategy=source_strategy,
            target_strategy=target_strategy,
            target_file=path,
            rank=rank,
            threads=threads,
        )
        parameters = mindspore.load_checkpoint(path)
    mindspore.load_param_into_net(network, parameters, strict_load=strict_load)
    return True


def _checkpoint_files(names: Sequence[Path] | None) -> dict[int, str]:
    """By rank. TypeError for None, ValueError for what is no checkpoint."""
    if names is None or isinstance(names, (str, bytes)):
        what = _arguments.kind(names)
        raise TypeError(f"{_THIS}: checkpoint_filenames must be a list of files, not {what}")
    files = {}
    for rank, name in enumerate(names):
        if not isinstance(name, (str, os.PathLike)):
            raise ValueError(f"{_THIS}: checkpoint_filenames[{rank}] is {name!r}, not a path")
        file = os.fspath(name)
        if not file.endswith(".ckpt") or not os.path.exists(file):
            raise ValueError(f"{_THIS}: checkpoint_filenames[{rank}]: {file} is no .ckpt file")
        files[rank] = file
    return files


def _check_encryption(dec_key: object, dec_mode: object) -> None:
    if dec_key is not None and not isinstance(dec_key, bytes):
        raise ValueError(f"{_THIS}: dec_key must be bytes, not {_arguments.kind(dec_key)}")
    if not isinstance(dec_mode, str):
        raise ValueError(f"{_THIS}: dec_mode must be a str, not {_arguments.kind(dec_mode)}")
    if dec_key is not None:
        raise ValueError(
            f"{_THIS}: relayout does not decrypt; load the files in MindSpore with the "
            "key and save them without one first"
        )


def _strategy_of(mindspore: Any, network: Any) -> str | None:
    """The strategy file that the network's AutoParallel, or the context, names."""
    for _, cell in network.cells_and_names():
        if type(cell).__name__ == "AutoParallel":
            return str(cell._save_strategy_file_path)
    return str(mindspore.context.get_auto_parallel_context("strategy_ckpt_load_file"))


def _written_strategy(predict_strategy: object, folder: str) -> str | None:
    """What Model.infer_predict_layout returned, as a strategy file in `folder`.

    A layout is [dev_matrix, tensor_map, param_split_shape, field, step, group, ...]; the group
    names the communicator of the optimizer split, or is empty.
    """
    if predict_strategy is None:
        return None
    if not isinstance(predict_strategy, dict):
        what = _arguments.kind(predict_strategy)
        raise ValueError(f"{_THIS}: predict_strategy must be a dict of layouts, not {what}")
    items = {name: _layout_item(name, layout) for name, layout in predict_strategy.items()}
    path = os.path.join(folder, "strategy.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(
            {"current_stage": 0, "parallel_strategy_item": {}, "parallel_layout_item": items}, file
        )
    return path


def _layout_item(name: object, layout: object) -> dict[str, Any]:
    if isinstance(name, str) and isinstance(layout, (list, tuple)) and len(layout) >= 4:
        mesh, tensor_map, split, field = layout[:4]
        if (
            _are_ints(mesh)
            and _are_ints(tensor_map)
            and (not split or _are_ints(split))
            and field == 0
        ):
            group_size = _group_size(layout[5]) if len(layout) > 5 and layout[5] else 0
            return {
                "dev_matrix": mesh,
                "tensor_map": tensor_map,
                "param_split_shape": [],
                "field": 0,
                "opt_weight_shard_step": _step(mesh, tensor_map, group_size),
                "opt_weight_shard_size": group_size,
            }
    raise ValueError(
        f"{_THIS}: predict_strategy[{name!r}] is {layout!r}; a layout is [dev_matrix, tensor_map, "
        "param_split_shape, 0, ...] as Model.infer_predict_layout returns it"
    )


def _are_ints(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, int) for item in value)


def _group_size(group: str) -> int:
    from mindspore.communication import get_group_size

    return int(get_group_size(group))


def _step(mesh: list[int], tensor_map: list[int], group_size: int) -> int:
    """How far apart replicas are, where one axis makes them; else any number but 0."""
    if group_size == 0:
        return 0
    free = [axis for axis in range(len(mesh)) if axis not in tensor_map and mesh[-1 - axis] > 1]
    step = 1
    for size in mesh[len(mesh) - free[0] :] if len(free) == 1 else []:
        step *= size
    return step


def load_segmented_checkpoints(
    ckpt_file_dir: Path,
    net: Any = None,
    strict_load: bool = False,
    filter_prefix: str | list[str] | tuple[str, ...] | None = None,
    dec_key: bytes | None = None,
    dec_mode: str = "AES-GCM",
    specify_prefix: str | list[str] | tuple[str, ...] | None = None,
    choice_func: Callable[[str], bool] | None = None,
) -> dict[str, Any]:
    """The parameters of all *.ckpt files of a folder: MindSpore's own function, which it needs."""
    mindspore = _mindspore("load_segmented_checkpoints returns its parameters")
    parameters: dict[str, Any] = mindspore.load_segmented_checkpoints(
        ckpt_file_dir,
        net,
        strict_load,
        filter_prefix,
        dec_key,
        dec_mode,
        specify_prefix,
        choice_func,
    )
    return parameters


def merge_sliced_parameter(
    sliced_parameters: list[Any], strategy: dict[str, Any] | None = None
) -> Any:
    """Join slices that are mindspore.Parameters: MindSpore's own function, which it needs.

    `strategy` may be what build_searched_strategy returns, MindSpore's or relayout's.
    """
    mindspore = _mindspore("merge_sliced_parameter takes and returns its parameters")
    return mindspore.merge_sliced_parameter(sliced_parameters, strategy)
