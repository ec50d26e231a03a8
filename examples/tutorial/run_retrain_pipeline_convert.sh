#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Merges the stages' strategies, and converts to 4 ranks without stages: dst_checkpoints_pipeline.
# shellcheck source=examples/tutorial/flows.sh
source "$(dirname "${BASH_SOURCE[0]}")/flows.sh"
launch 4 retrain_pipeline --only_compile=1 "$@"
