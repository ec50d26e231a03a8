#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
cmake --build build/release --target make_gpt_set
exec python3 benchmarks/bench.py "$@"
