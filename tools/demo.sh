#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# ./dev demo [DIR]: a network is trained on 8 ranks, its checkpoint converted, and trained on with 4;
# and two real checkpoints, written by MindSpore on 8 ranks, become checkpoints for 4. Each command
# is shown before it runs. With DIR the results are kept there.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
program=${RELAYOUT:-$root/build/relayout}
tutorial=$root/build/release/examples/tutorial/tutorial
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
out=$scratch
if (($#)); then
  mkdir -p "$1"
  out=$(cd "$1" && pwd -P)
fi
python=$(command -v python3 || true)

# relayout, as a user would type it; its output indented.
relayout() {
  printf '\n$ relayout'
  printf ' %q' "$@"
  printf '\n'
  "$program" "$@" 2>&1 | sed 's/^/  /'
}

# convert CASE SRC_STRATEGY [DST_STRATEGY]: from src_checkpoints in the current folder to $out/CASE.
convert() {
  local case=$1 source_strategy=$2 target_strategy=${3:-dst_strategy.ckpt}
  local strategies=(--src-strategy "$source_strategy" --dst-strategy "$target_strategy")
  relayout transform src_checkpoints "$out/$case" "${strategies[@]}"
  relayout verify src_checkpoints "$out/$case" "${strategies[@]}"
  compare_hashes "$case"
}

# Every tensor against what MindSpore 2.10 makes of the same files.
compare_hashes() {
  printf '\n$ tools/check_hashes.py %q want.json\n' "$out/$1"
  if [[ -n $python ]]; then
    "$python" "$root/tools/check_hashes.py" "$out/$1" want.json | sed 's/^/  /'
  else
    echo "  skipped: there is no python3 to compare the SHA-256 of each tensor with MindSpore's"
  fi
}

# show CASE SRC_STRATEGY NAME...: who holds these tensors before and after.
show() {
  local case=$1 source_strategy=$2
  shift 2
  if [[ -n $python ]]; then
    "$program" inspect --json src_checkpoints --strategy "$source_strategy" >"$scratch/src.json"
    "$program" inspect --json "$out/$case" --strategy dst_strategy.ckpt >"$scratch/dst.json"
    "$python" "$root/tools/demo_table.py" "$scratch/src.json" "$scratch/dst.json" "$out/$case" \
      want.json "$@"
  else
    local name names=(-e '^NAME ')
    for name in "$@"; do names+=(-e "^$name "); done
    "$program" inspect src_checkpoints --strategy "$source_strategy" | grep "${names[@]}"
    echo "  became"
    "$program" inspect "$out/$case" --strategy dst_strategy.ckpt | grep "${names[@]}"
  fi
}

# flow NAME [OPTIONS]: one of the tutorial's, in the current folder.
flow() {
  printf '\n$ examples/tutorial/run_%s.sh' "$1"
  printf ' %q' "${@:2}"
  printf '\n'
  "$root/examples/tutorial/run_$1.sh" "${@:2}" 2>&1 | sed 's/^/  /'
}

# Train on 8, convert, go on with 4, ask it on 4: relayout's own training, MindSpore's files.
story() {
  mkdir -p "$out/story"
  cd "$out/story"
  local network=(--hidden 128 --optimizer adam) training=(--epochs 1 --learning_rate 0.001)
  flow saving "${network[@]}" "${training[@]}" --losses 8_ranks.csv
  flow retrain_convert "${network[@]}"
  flow retrain "${network[@]}" "${training[@]}" --losses 4_ranks.csv
  flow infer_convert "${network[@]}"
  flow infer "${network[@]}"
  printf '\n$ tutorial draw_losses "8 ranks=8_ranks.csv" "4 ranks, converted=4_ranks.csv" -o losses.svg\n'
  "$tutorial" draw_losses "8 ranks=8_ranks.csv" "4 ranks, converted=4_ranks.csv" -o losses.svg
  printf '  the last loss on 8 ranks: %s\n' "$(tail -n 1 8_ranks.csv)"
  printf '  the first on 4 ranks:     %s\n' "$(sed -n 2p 4_ranks.csv)"
  mkdir -p "$root/build"
  cp losses.svg "$root/build/losses.svg"
  echo "  the curve: build/losses.svg"
}

echo "1. Train on 8 ranks, convert, go on with 4, ask it on 4 (docs/tutorial.md)"
if [[ -x $tutorial ]]; then
  story
else
  echo "  skipped: training was not built, because there is no oneDNN (libdnnl-dev)"
fi

cd "$root/tests/data/tutorial/retrain"
echo
echo "2. Retrain: 8 ranks, layer1 cut into columns -> 4 ranks, layer1 cut into rows"
echo "   (the files are in ${PWD#"$root"/})"
convert retrain src_strategy.ckpt

cd ../pipeline
echo
echo "3. Pipeline: 2 stages of 4 ranks, cut by the optimizer -> 4 ranks without stages"
echo "   (the files are in ${PWD#"$root"/})"
relayout merge-strategies src_strategys "$out/src_strategy.ckpt" --overwrite
convert pipeline "$out/src_strategy.ckpt"

cd ../retrain
echo
echo "4. As 2, but without the target's strategy file: it is worked out from the network"
relayout strategy ../../strategies/retrain_4.mindir --devices 4 --full-batch --optimizer-parallel \
  -o "$out/inferred_strategy.ckpt" --overwrite --explain
convert inferred src_strategy.ckpt "$out/inferred_strategy.ckpt"

echo
echo "What happened to some of the tensors in 2:"
cd ../retrain
show retrain src_strategy.ckpt layer1.weight layer2.weight layer3.weight layer3.bias
echo
echo "... and in 3:"
cd ../pipeline
show pipeline "$out/src_strategy.ckpt" layer1.weight layer2.weight epoch_num

cat <<'TEXT'

Next, with your own files (SRC holds rank_0/, rank_1/, ...):
  build/relayout inspect SRC --strategy src_strategy.ckpt     what is in them
  build/relayout transform SRC DST --src-strategy src_strategy.ckpt --dst-strategy dst_strategy.ckpt
  build/relayout transform --help
TEXT
