#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The strategy for inference on 4 ranks, and the checkpoint: dst_strategy.ckpt, dst_checkpoints/rank_N/.
# shellcheck source=examples/tutorial/flows.sh
source "$(dirname "${BASH_SOURCE[0]}")/flows.sh"
launch 4 infer --only_compile=1 "$@"
