# SPDX-License-Identifier: Apache-2.0
"""mindspore_transform.py SRC DST SRC_STRATEGY DST_STRATEGY: MindSpore's transform_checkpoints."""

import sys
import time

import mindspore

begin = time.perf_counter()
source, target, source_strategy, target_strategy = sys.argv[1:]
mindspore.transform_checkpoints(source, target, "checkpoint_", source_strategy, target_strategy)
print(f"{time.perf_counter() - begin:.6f}")
