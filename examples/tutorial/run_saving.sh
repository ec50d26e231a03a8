#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Trains on 8 ranks: src_strategy.ckpt, src_checkpoints/rank_N/.
# shellcheck source=examples/tutorial/flows.sh
source "$(dirname "${BASH_SOURCE[0]}")/flows.sh"
launch 8 train_saving "$@"
