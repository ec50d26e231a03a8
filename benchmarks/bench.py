#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times conversions of GPT-like sets beside `cp -r` of the same bytes, page cache warm, no fsync.

    ./dev bench [--size 1GiB] [--runs 5] [--threads 2] [--dir DIR]

Each scenario is generated, read once, then converted and copied in turn. The table gives medians, their
ratio R (below 1 is faster than cp) and the peak memory of the conversion.
"""
import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Name, source layout and devices, target layout and devices; see make_gpt_set.cc.
SCENARIOS = [
    ("rows 8 -> rows 4", "row", 8, "row", 4),
    ("rows 4 -> rows 8", "row", 4, "row", 8),
    ("rows 8 -> columns 4", "row", 8, "column", 4),
    ("columns 8 -> columns 4", "column", 8, "column", 4),
    ("columns 8 -> rows 4", "column", 8, "row", 4),
    ("megatron 8 -> 6", "megatron", 8, "megatron", 6),
    ("optimizer split 8 -> columns 4", "zero", 8, "column", 4),
    ("rows 8 -> whole 1", "row", 8, "whole", 1),
    ("whole 1 -> columns 8", "whole", 1, "column", 8),
]


def timed(command: list[str]) -> tuple[float, int]:
    """Runs a command; its wall seconds and peak memory in KiB."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begin
    if status != 0:
        sys.exit(f"failed: {' '.join(command)}")
    return seconds, usage.ru_maxrss


def warm(folder: Path) -> None:
    buffer = bytearray(1 << 20)
    for path in folder.rglob("*.ckpt"):
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def run(name: str, source: tuple[str, int], target: tuple[str, int], args: argparse.Namespace,
        folder: Path) -> None:
    subprocess.run([args.generator, folder, "--size", args.size,
                    "--source", source[0], "--devices", str(source[1]),
                    "--target", target[0], "--target-devices", str(target[1])], check=True)
    warm(folder / "src")
    convert = [args.relayout, "transform", str(folder / "src"), str(folder / "out"),
               "--src-strategy", str(folder / "src_strategy.ckpt"),
               "--dst-strategy", str(folder / "dst_strategy.ckpt"), "--no-sync"]
    if args.threads:
        convert += ["--threads", str(args.threads)]
    copy = ["cp", "-r", str(folder / "src"), str(folder / "copy")]
    ours, theirs, peak = [], [], 0
    for i in range(args.runs + 1):
        copy_seconds, _ = timed(copy)
        shutil.rmtree(folder / "copy")
        seconds, memory = timed(convert)
        shutil.rmtree(folder / "out")
        if i > 0:  # The first round warms up.
            ours.append(seconds)
            theirs.append(copy_seconds)
            peak = max(peak, memory)
    ours_median, theirs_median = statistics.median(ours), statistics.median(theirs)
    print(f"| {name} | {ours_median:.2f} | {theirs_median:.2f} | "
          f"{ours_median / theirs_median:.2f} | {peak / 1024:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--relayout", default="build/relayout")
    parser.add_argument("--generator", default="build/release/benchmarks/make_gpt_set")
    parser.add_argument("--size", default="1GiB")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--dir", default=None, help="where to work; default: the temporary folder")
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(f"{os.cpu_count()} processors, {args.size} a set, medians of {args.runs} runs\n")
    print("| conversion | relayout s | cp -r s | R | peak MiB |\n|---|---|---|---|---|", flush=True)
    for name, *ends in SCENARIOS:
        with tempfile.TemporaryDirectory(dir=args.dir, prefix="relayout-bench-") as folder:
            run(name, (ends[0], ends[1]), (ends[2], ends[3]), args, Path(folder))


if __name__ == "__main__":
    main()
