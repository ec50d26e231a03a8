#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh TEST.py: with the Python that has MindSpore, or exit status 77, "skipped", if there is none.
# ./dev test makes build/msvenv.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
python=${MSVENV:-$here/../../build/msvenv}/bin/python
if [[ ! -x $python ]]; then
  echo "skipped: there is no $python"
  exit 77
fi
exec "$python" "$here/$1"
