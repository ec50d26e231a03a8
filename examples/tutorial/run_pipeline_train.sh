#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Trains on 8 ranks in 2 pipeline stages: src_pipeline_strategys, src_checkpoints_pipeline.
# shellcheck source=examples/tutorial/flows.sh
source "$(dirname "${BASH_SOURCE[0]}")/flows.sh"
launch 8 pipeline_train "$@"
