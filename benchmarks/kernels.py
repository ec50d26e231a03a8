#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the tables of docs/performance.md, "Kernels":

    cmake --build build/release --target kernel_bench
    python3 benchmarks/kernels.py [--rounds 5] [--only step] [--samples FILE]

Runs kernel_bench and, where build/msvenv is, kernel_peer.py by turns. A cell is the sum over the
products of one training step (or of one operator) of the median of all samples, in milliseconds;
with --fastest of the fastest one, which is steadier where others use the processors too.
--samples keeps the samples and adds to those that are there.
"""
import argparse
import collections
import pathlib
import statistics
import subprocess

ROOT = pathlib.Path(__file__).parent.parent
BENCH = ROOT / "build/release/benchmarks/kernel_bench"
PYTHON = ROOT / "build/msvenv/bin/python"
SETTINGS = ((1, 1), (2, 1), (1, 2))  # threads, ranks
NAMES = {"onednn": "oneDNN", "openblas-serial": "OpenBLAS serial",
         "openblas-openmp": "OpenBLAS OpenMP", "openblas-pthread": "OpenBLAS pthread",
         "eigen": "Eigen (AVX2)", "ours": "our kernels", "mindspore": "MindSpore"}


def dense(prefix, first):
    """The products of dense layers in a training step; the first layer's input has no gradient."""
    return [f"{prefix}{layer}.{product}" for layer in first for product in ("y", "dx", "dw")
            if (layer, product) != ("1", "dx")]


GROUPS = {
    "tutorial, batch 32": dense("tutorial.32.layer", "123"),
    "tutorial, batch 256": dense("tutorial.256.layer", "123"),
    "GPT block, dense": dense("gpt.", ("qkv", "up", "down")),
    "GPT block, batched": ["gpt.scores", "gpt.context"],
    "softmax 16384x128": ["gpt.softmax"],
    "layernorm 2048x512": ["gpt.layernorm"],
    "gelu 2048x2048": ["gpt.gelu"],
    **{f"step, batch {rows}, {name}": [f"step.{rows}.{name}"]
       for rows in (32, 256) for name in ("sgd", "momentum", "adam")},
}


def measure(rounds, only):
    """Lines of samples of the cases whose names begin with `only`."""
    for _ in range(rounds):
        for threads, ranks in SETTINGS:
            yield from run(BENCH, "--samples", 1, "--threads", threads, "--ranks", ranks,
                           "--only", only)
            if ranks == 1 and PYTHON.exists():
                yield from run(PYTHON, ROOT / "benchmarks/kernel_peer.py", 1, threads, only)


def run(*command):
    done = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE,
                          text=True)
    return [line for line in done.stdout.splitlines() if len(line.split()) == 5]


def table(lines, summary):
    samples = collections.defaultdict(list)
    for line in lines:
        case, who, threads, ranks, milliseconds = line.split()
        samples[case, who, int(threads), int(ranks)].append(float(milliseconds))
    columns = [who for who in NAMES if any(key[1] == who for key in samples)]
    yield "| | threads | " + " | ".join(NAMES[who] for who in columns) + " |"
    yield "|---" * (len(columns) + 2) + "|"
    for group, cases in GROUPS.items():
        for threads, ranks in SETTINGS:
            cells = []
            for who in columns:
                keys = [(case, who, threads, ranks) for case in cases]
                whole = all(key in samples for key in keys)
                cells.append(f"{sum(summary(samples[key]) for key in keys):.2f}" if whole else "-")
            if set(cells) == {"-"}:
                continue
            label = f"{threads}" if ranks == 1 else f"{ranks} ranks x {threads}"
            yield f"| {group} | {label} | " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--samples", type=pathlib.Path)
    parser.add_argument("--fastest", action="store_true")
    options = parser.parse_args()
    lines = []
    if options.samples and options.samples.exists():
        lines = options.samples.read_text().splitlines()
    for line in measure(options.rounds, options.only):
        lines.append(line)
        if options.samples:
            with options.samples.open("a") as file:
                print(line, file=file)
    print("\n".join(table(lines, min if options.fastest else statistics.median)))


if __name__ == "__main__":
    main()
