#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Goes on training on 4 ranks with dst_checkpoints_pipeline.
# shellcheck source=examples/tutorial/flows.sh
source "$(dirname "${BASH_SOURCE[0]}")/flows.sh"
launch 4 retrain_pipeline "$@"
