#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds what the benchmark runs, then the benchmark: relayout_bench/. Called by ./dev bench.
set -euo pipefail
if [[ ${1:-} != --help ]]; then
  cmake --build build/release --target make_gpt_set memcpy_probe stopwatch >&2
fi
PYTHONPATH=benchmarks exec python3 -B -m relayout_bench "$@"
