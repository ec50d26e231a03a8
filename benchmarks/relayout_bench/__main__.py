# SPDX-License-Identifier: Apache-2.0
"""Measures relayout beside `cp -r` of as many bytes, and beside the converters of MindSpore and
PyTorch.

Each scenario generates a GPT-like checkpoint (bf16 weights, f32 Adam moments), converts and copies
it in turns, and removes it. The report goes to the terminal and to build/bench/: results.md,
results.json (every single run) and results.svg. Interrupted with Ctrl-C it still removes its files
and reports what it has."""

import argparse
import os
import re
import resource
import sys
from pathlib import Path

from . import converter, machine, scenario, workplace
from .bench import Bench, Programs, Settings, say
from .chart import to_svg
from .measure import Stopwatch
from .peers import Peers
from .report import to_markdown
from .results import Results, to_json

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}

EPILOG = f"""\
scenarios:
{
    chr(10).join(
        f"  {item.name:<18} {item.layouts}" + (f"  ({item.note})" if item.note else "")
        for item in scenario.SCENARIOS
    )
}

Layouts: tp devices cut every matrix by rows or columns (megatron: by both), dp replicas share it
out again (opt) or keep copies, pp pipeline stages share the layers.

The disk must hold two sets (optimizer-off: five). The default takes about a quarter of an hour,
--quick two minutes. MindSpore 2.10 and PyTorch are installed by ./dev bench into environments of
their own on the first run; where that is impossible, their rows say so.

examples:
  ./dev bench --quick
  ./dev bench --scenario rows-8-4 --scenario worst --warm --runs 9 --no-peers
  ./dev bench --size 8GiB --cold --dir SCRATCH --no-peers"""


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)\s*([kmg]?)(?:i?b)?", text.lower())
    if not match or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no size; e.g. 2GiB, 512MiB")
    return int(match[1]) * UNITS[match[2]]


def _count(text: str) -> int:
    (count,) = _counts(text)
    return count


def _counts(text: str) -> list[int]:
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", text):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of numbers; e.g. 1,2")
    return [int(part) for part in text.split(",")]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev bench",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--quick", action="store_true", help="a few scenarios with small sets: 256 MiB, 3 rounds"
    )
    parser.add_argument("--size", type=_size, help="of a set; default 2GiB")
    parser.add_argument(
        "--runs",
        type=_count,
        metavar="N",
        help="rounds of each comparison, cold at most 3; default 5",
    )
    parser.add_argument(
        "--scenario",
        action="append",
        choices=list(scenario.BY_NAME),
        metavar="NAME",
        help="only this one (repeatable); names are below",
    )
    parser.add_argument(
        "--threads",
        type=_counts,
        default=[1, 2],
        metavar="N,N",
        help="numbers of threads to convert with; default 1,2",
    )
    parser.add_argument(
        "--processes",
        type=_counts,
        default=[1, 2],
        metavar="N,N",
        help="numbers of processes, under mpirun where above 1; default 1,2",
    )
    cache = parser.add_mutually_exclusive_group()
    cache.add_argument("--warm", action="store_true", help="only with the page cache warm")
    cache.add_argument(
        "--cold",
        action="store_true",
        help="only with the page cache cold; then also scenarios without a goal",
    )
    parser.add_argument(
        "--no-peers", action="store_true", help="neither install nor run MindSpore and PyTorch"
    )
    parser.add_argument("--dir", type=Path, help="where to work; default: the temporary folder")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("build/bench"),
        help="where the report goes; default build/bench",
    )
    parser.add_argument(
        "--build",
        type=Path,
        default=Path("build/release"),
        help="where relayout was built; default build/release",
    )
    return parser.parse_args()


def _settings(options: argparse.Namespace) -> Settings:
    names = options.scenario or (scenario.QUICK if options.quick else list(scenario.BY_NAME))
    states = ["warm"] if options.warm else ["cold"] if options.cold else ["warm", "cold"]
    return Settings(
        size_bytes=options.size or (256 << 20 if options.quick else 2 << 30),
        rounds=options.runs or (3 if options.quick else 5),
        scenarios=[scenario.BY_NAME[name] for name in names],
        caches=states,
        threads=options.threads,
        processes=options.processes,
        cold_without_goal=options.cold,
        is_quick=options.quick,
    )


def _write(results: Results, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    markdown = to_markdown(results)
    (folder / "results.md").write_text(markdown)
    (folder / "results.json").write_text(to_json(results))
    (folder / "results.svg").write_text(to_svg(results))
    print(markdown, flush=True)
    say(f"written to {folder}: results.md, results.json, results.svg")


def main() -> int:
    options = _parse()
    settings = _settings(options)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    programs = Programs(
        relayout=options.build / "cli/relayout",
        generator=options.build / "benchmarks/make_gpt_set",
        memcpy_probe=options.build / "benchmarks/memcpy_probe",
        stopwatch=Stopwatch(options.build / "benchmarks/stopwatch"),
    )
    interrupted = False
    try:
        with workplace.workplace(options.dir) as place:
            results = Results(
                machine.describe(place),
                machine.memcpy_bytes_per_second(programs.memcpy_probe),
                settings.described(),
            )
            run = Bench(programs, settings, results, converter.has_mpi(programs.relayout))
            try:
                run.run(place)
                if not options.no_peers:
                    Peers(run).run(place)
            except KeyboardInterrupt:
                results.remarks.append("interrupted: the rest was not measured")
                interrupted = True
            _write(results, options.output)
    except OSError as error:
        say(str(error))
        return 1
    if interrupted:
        return 130
    is_whole = results.is_complete and not any(row.failure for row in results.rows)
    return 0 if is_whole else 1


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[2])
    sys.exit(main())
