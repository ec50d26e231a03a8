#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Convert a checkpoint that was trained under one strategy for training or inference under another.

    convert_all.py SRC_CHECKPOINTS SRC_STRATEGY DST_CHECKPOINTS DST_STRATEGY

SRC_STRATEGY may be the folder in which the stages of a pipeline left their strategy files; they are
merged first. With `from mindspore import` in the line below this is a script for MindSpore.
"""

import os
import sys

from relayout.mindspore import merge_pipeline_strategys, transform_checkpoints


def main() -> None:
    src_checkpoints, src_strategy, dst_checkpoints, dst_strategy = sys.argv[1:]
    if os.path.isdir(src_strategy):
        merged = os.path.join(src_strategy, "..", "merged_strategy.ckpt")
        merge_pipeline_strategys(src_strategy, merged)
        src_strategy = merged
    transform_checkpoints(
        src_checkpoints, dst_checkpoints, "checkpoint_", src_strategy, dst_strategy
    )


if __name__ == "__main__":
    main()
