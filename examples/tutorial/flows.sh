# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the eight run_*.sh share; each of them is one flow of MindSpore's tutorial. They leave their
# files in the current folder. What may be set:
#
#   DATA_PATH   the data; unset: a small set that make_data writes to MNIST_Data
#   RANKS       processes: one process of mpirun a rank; threads: all in one process.
#               Unset: processes where there is mpirun
#   PROGRAM     the program's command; unset: the one of ./dev build. In Python:
#               PROGRAM="python3 .../examples/tutorial/tutorial.py"
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
built=$here/../../build/release/examples/tutorial
read -r -a program <<<"${PROGRAM:-$built/tutorial}"

if [[ -z ${DATA_PATH:-} ]]; then
  [[ -d MNIST_Data ]] || "${MAKE_DATA:-$built/make_data}" MNIST_Data
  export DATA_PATH=$PWD/MNIST_Data
fi

ranks=${RANKS:-}
if [[ -z $ranks ]]; then
  ranks=threads
  if command -v mpirun >/dev/null; then ranks=processes; fi
fi

# launch COUNT PROGRAM [OPTIONS]: one program on so many ranks. What each prints is in
# log_output/1/rank.N/stdout, what went wrong on the terminal too.
launch() {
  local count=$1
  shift
  rm -rf log_output # Of another flow, perhaps with more ranks.
  if [[ $ranks == threads ]]; then
    "${program[@]}" "$@" --ranks "$count"
    return
  fi
  local mpi=(mpirun -n "$count" --output-filename log_output --merge-stderr-to-stdout)
  # More ranks than processors are fine here; root is who runs in containers.
  mpi+=(--oversubscribe)
  if ((EUID == 0)); then mpi+=(--allow-run-as-root); fi
  "${mpi[@]}" "${program[@]}" "$@" --ranks "$count" | awk '!seen[$0]++'
}
