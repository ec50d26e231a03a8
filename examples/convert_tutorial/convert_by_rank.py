#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Convert the checkpoint of one target rank; each process makes its own.

    mpirun -n 4 python3 convert_by_rank.py SRC_CHECKPOINTS SRC_STRATEGY DST_CHECKPOINTS DST_STRATEGY

The rank is RANK_ID, as MindSpore's launchers set it, or the number of the process under mpirun. Only
the source files that this rank needs are read, so they alone need to be on the machine. With
`from mindspore import` in the line below this is a script for MindSpore.
"""

import glob
import os
import sys

from relayout.mindspore import rank_list_for_transform, transform_checkpoint_by_rank


def main() -> None:
    src_checkpoints, src_strategy, dst_checkpoints, dst_strategy = sys.argv[1:]
    rank_id = int(os.environ.get("RANK_ID") or os.environ.get("OMPI_COMM_WORLD_RANK", "0"))
    checkpoint_files = {}
    for rank in rank_list_for_transform(rank_id, src_strategy, dst_strategy):
        checkpoint_files[rank] = glob.glob(f"{src_checkpoints}/rank_{rank}/*.ckpt")[0]
    os.makedirs(f"{dst_checkpoints}/rank_{rank_id}", exist_ok=True)
    transform_checkpoint_by_rank(
        rank_id,
        checkpoint_files,
        f"{dst_checkpoints}/rank_{rank_id}/checkpoint_{rank_id}.ckpt",
        src_strategy,
        dst_strategy,
    )


if __name__ == "__main__":
    main()
