#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Asks the network of dst_checkpoints on 4 ranks.
# shellcheck source=examples/tutorial/flows.sh
source "$(dirname "${BASH_SOURCE[0]}")/flows.sh"
launch 4 infer "$@"
