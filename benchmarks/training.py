#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the tables of docs/performance.md, "Training":

    cmake --build build/release --target training_bench
    python3 benchmarks/training.py [--rounds 15] [--case tutorial.adam ...] [--threads 1 2]
    python3 benchmarks/training.py --scaling [--rounds 5] [--case tutorial.adam]

The first times training steps of training_bench beside MindSpore's (training_peer.py, where
build/msvenv is). Both run all the time, and are asked for a sample (some 150 ms) by turns; with one
thread both are kept on one processor. Before that their losses are compared. The second times
ranks as threads and, where mpirun is, as processes. Cells are medians; "processor" is the time that
processors spent, which others on the machine change little.
"""
import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
BENCH = ROOT / "build/release/benchmarks/training_bench"
PYTHON = ROOT / "build/msvenv/bin/python"
CASES = ("tutorial.sgd", "tutorial.momentum", "tutorial.adam", "gpt.adam")
TOLERANCE = 1e-3


class Side:
    """One of the two programs, waiting for its turn."""

    def __init__(self, command, threads):
        processors = os.sched_getaffinity(0)
        mine = {min(processors)} if threads == 1 else processors
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, preexec_fn=lambda: os.sched_setaffinity(0, mine))
        self.losses = [float(word) for word in self.line("loss")[3:]]
        self.samples = []

    def line(self, kind):
        for line in self.process.stdout:
            words = line.split()
            if words and words[0] == kind:
                return words
        raise SystemExit(f"{self.process.args[0]} ended early")

    def sample(self):
        self.process.stdin.write("sample\n")
        self.process.stdin.flush()
        self.samples.append([float(word) for word in self.line("step")[5:7]])

    def medians(self):
        """Of milliseconds a step, and of those of processors."""
        return [statistics.median(column) for column in zip(*self.samples)]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def compare_losses(case, ours, theirs):
    worst = max(abs(a - b) / abs(b) for a, b in zip(ours, theirs))
    if worst > TOLERANCE:
        raise SystemExit(f"{case}: losses differ: {ours} beside {theirs}")
    print(f"{case}: {len(ours)} losses, differing by {worst:.1e} at most", file=sys.stderr)


def beside_mindspore(cases, threads, rounds):
    yield "| step | threads | ours | MindSpore | ratio | ours, processor | MindSpore's | ratio |"
    yield "|---|---|---|---|---|---|---|---|"
    for case in cases:
        for count in threads:
            sides = [Side([BENCH, "--case", case, "--threads", count, "--samples", 0], count)]
            if PYTHON.exists():
                sides.append(Side([PYTHON, ROOT / "benchmarks/training_peer.py", case, count],
                                  count))
                compare_losses(case, *(side.losses for side in sides))
            for _ in range(rounds):
                for side in sides:
                    side.sample()
            for side in sides:
                side.end()
            cells = []
            for column in zip(*(side.medians() for side in sides)):
                cells += [f"{value:.2f}" for value in column]
                cells += [f"{column[0] / column[1]:.2f}" if len(column) > 1 else "-"]
            yield f"| {case} | {count} | " + " | ".join(cells) + " |"


def sample_of_ranks(case, ranks, by_mpi):
    command = [BENCH, "--case", case, "--samples", 1, "--ranks", ranks]
    if by_mpi:
        command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", ranks] + command
    done = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE,
                          text=True)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("step ")]
    return [float(word) for word in line.split()[5:]]


def ranks_of(case):
    """Where a rank of the GPT block had one sequence, nobody could tell the batch from that."""
    return (1, 2, 4) if case.startswith("gpt") else (1, 2, 4, 8)


def scaling(cases, rounds):
    yield ("| step | ranks | ms | of 1 rank | processor ms | of 1 rank | in exchanges | exchanges "
           "a rank | MiB given by all |")
    yield "|---|---|---|---|---|---|---|---|---|"
    for case in cases:
        settings = [(ranks, by_mpi) for by_mpi in (False, True) for ranks in ranks_of(case)
                    if not by_mpi or (ranks > 1 and shutil.which("mpirun"))]
        samples = {setting: [] for setting in settings}
        for _ in range(rounds):
            for setting in settings:
                samples[setting].append(sample_of_ranks(case, *setting))
        medians = {setting: [statistics.median(column) for column in zip(*samples[setting])]
                   for setting in settings}
        for (ranks, by_mpi), (wall, cpu, within, exchanges, given) in medians.items():
            wall1, cpu1 = medians[1, False][:2]
            yield (f"| {case} | {ranks} {'processes' if by_mpi else 'threads'} | {wall:.2f} | "
                   f"{wall / wall1:.2f} | {cpu:.2f} | {cpu / cpu1:.2f} | {within / cpu:.0%} | "
                   f"{exchanges / ranks:.0f} | {given / 2 ** 20:.1f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--case", nargs="+", choices=CASES)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--scaling", action="store_true")
    options = parser.parse_args()
    print(f"load: {os.getloadavg()[0]:.1f}", file=sys.stderr)
    if options.scaling:
        lines = scaling(options.case or ["tutorial.adam"], options.rounds)
    else:
        lines = beside_mindspore(options.case or CASES, options.threads, options.rounds)
    for line in lines:
        print(line, flush=True)
    print(f"load: {os.getloadavg()[0]:.1f}", file=sys.stderr)


if __name__ == "__main__":
    main()
