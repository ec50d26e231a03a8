# SPDX-License-Identifier: Apache-2.0
"""MindSpore 2.10's checkpoint conversion, for people who change one import.

    from relayout.mindspore import rank_list_for_transform, transform_checkpoints

The functions have MindSpore's names, arguments, defaults, return values and exception types, and
are found here together, whether MindSpore has them in `mindspore` or in `mindspore.parallel`. They
run without MindSpore and without numpy. Only what puts values into a network of MindSpore's, or
takes its parameters, imports it, when it is called.

What differs is a table in docs/mindspore.md. In short: what MindSpore refuses although it is
possible is done, what it does wrongly or in part without a word raises an exception, and
`process_num` and its like are a number of threads that is kept to.

Exceptions are relayout.InputError (a ValueError) and relayout.MachineError (an OSError), and
TypeError, IndexError and NotADirectoryError where MindSpore raises these. A file under its final
name is always whole, and files that were there before are replaced, as MindSpore does.
"""

from relayout.mindspore._formats import ckpt_to_safetensors, safetensors_to_ckpt
from relayout.mindspore._load import load_distributed_checkpoint
from relayout.mindspore._network import load_segmented_checkpoints, merge_sliced_parameter
from relayout.mindspore._strategies import (
    ParallelLayouts,
    build_searched_strategy,
    merge_pipeline_strategys,
    restore_group_info_list,
)
from relayout.mindspore._transform import (
    convert_checkpoint_by_rank,
    convert_checkpoints,
    rank_list_for_convert,
    rank_list_for_transform,
    transform_checkpoint_by_rank,
    transform_checkpoints,
)
from relayout.mindspore._unify import unified_safetensors

__all__ = [
    "ParallelLayouts",
    "build_searched_strategy",
    "ckpt_to_safetensors",
    "convert_checkpoint_by_rank",
    "convert_checkpoints",
    "load_distributed_checkpoint",
    "load_segmented_checkpoints",
    "merge_pipeline_strategys",
    "merge_sliced_parameter",
    "rank_list_for_convert",
    "rank_list_for_transform",
    "restore_group_info_list",
    "safetensors_to_ckpt",
    "transform_checkpoint_by_rank",
    "transform_checkpoints",
    "unified_safetensors",
]
