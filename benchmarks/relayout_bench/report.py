# SPDX-License-Identifier: Apache-2.0
"""Results as Markdown."""

from collections.abc import Sequence

from .results import PeerRow, Results, Row

EXPLANATION = """\
R is time(relayout) / time(cp of as many bytes on the same disk in the same state), the median over
rounds in which all commands of a scenario took turns; the seconds are medians. Where others use the
machine too, the ratio of the fastest runs (best R) and of the CPU times (CPU R) say more. In a
virtual machine memory that was idle may have to come from the host first, which costs whoever gets
it more than the copy itself. The peak is the largest ru_maxrss of a process. `read` and `written`
are rchar and wchar of /proc/PID/io over the bytes that are needed, `disk` is read_bytes over them.
Warm: nobody waits for the disk (--no-sync). Cold: both sides end when every file and folder is on
disk (fsync). Wanted are the project's goals at 2 threads and 2 GB; nothing here is an assertion."""

PEER_EXPLANATION = """\
Page cache warm, no fsync. Their seconds are those of the call alone, without starting Python and
importing; ours are those of the whole process. Wanted against MindSpore: at least 15 times faster
with at most a tenth of its memory."""


def _cells(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_cells(head), "|" + "---|" * len(head), *map(_cells, rows)]


def _share(part: float | None, whole: int) -> str:
    return "?" if part is None else f"{part / whole:.3f}"


def _gigabytes(rate: float | None) -> str:
    return "not measured" if rate is None else f"{rate / 1e9:.2f} GB/s"


def verdict(row: Row) -> str:
    if row.wanted is None:
        return "-"
    return f"{'**missed**' if row.misses else '<='} {row.wanted:.2f}"


ROW_HEAD = (
    "conversion",
    "from -> to",
    "cache",
    "proc. x threads",
    "relayout s",
    "cp s",
    "R",
    "best R",
    "CPU R",
    "wanted",
    "peak MiB",
    "read",
    "written",
    "disk",
)


def _row(row: Row) -> list[str]:
    scenario = row.scenario
    name = f"{scenario.name} ({scenario.note})" if scenario.note else scenario.name
    start = [name, scenario.layouts, row.cache, row.crew]
    if row.failure:
        return [*start, row.failure, *[""] * (len(ROW_HEAD) - 5)]
    return [
        *start,
        f"{row.ours.seconds:.2f}",
        f"{row.copy.seconds:.2f}",
        f"{row.ratio:.2f}",
        f"{row.ours.best_ratio_to(row.copy):.2f}",
        f"{row.ours.cpu_ratio_to(row.copy):.2f}",
        verdict(row),
        f"{row.ours.peak_bytes / 2**20:.0f}",
        _share(row.ours.io("rchar"), row.model_bytes),
        _share(row.ours.io("wchar"), row.target_bytes),
        _share(row.ours.io("read_bytes"), row.model_bytes),
    ]


PEER_HEAD = (
    "converter",
    "work",
    "MiB",
    "its s",
    "relayout s",
    "cp s",
    "its R",
    "its s / ours",
    "its peak MiB",
    "our peak MiB",
    "our peak / its",
)


def _peer(row: PeerRow) -> list[str]:
    start = [row.tool, row.work, f"{row.model_bytes / 2**20:.0f}" if row.model_bytes else ""]
    if row.failure or not (row.peer and row.ours and row.copy):
        return [*start, row.failure, *[""] * (len(PEER_HEAD) - 4)]
    return [
        *start,
        f"{row.peer.seconds:.2f}",
        f"{row.ours.seconds:.2f}",
        f"{row.copy.seconds:.2f}",
        f"{row.peer.ratio_to(row.copy):.1f}",
        f"{row.peer.ratio_to(row.ours):.1f}",
        f"{row.peer.peak_bytes / 2**20:.0f}",
        f"{row.ours.peak_bytes / 2**20:.0f}",
        f"{row.ours.peak_bytes / row.peer.peak_bytes:.3f}",
    ]


def _summary(results: Results) -> list[str]:
    machine = ", ".join(f"{key}: {value}" for key, value in results.machine.items())
    settings = ", ".join(f"{key}: {value}" for key, value in results.settings.items())
    copies = "; ".join(
        f"cp {cache} {_gigabytes(results.copy_bytes_per_second(cache))}"
        for cache in ("warm", "cold")
    )
    return [
        f"- {machine}",
        f"- {settings}",
        f"- memcpy {_gigabytes(results.memcpy_bytes_per_second)}; {copies}",
        *([f"- cold: {results.cold_method}"] if results.cold_method else []),
    ]


def to_markdown(results: Results) -> str:
    lines = ["# relayout beside cp", "", *_summary(results), "", EXPLANATION, ""]
    lines += _table(ROW_HEAD, [_row(row) for row in results.rows])
    if results.peers:
        lines += ["", "## Beside other converters", "", PEER_EXPLANATION, ""]
        lines += _table(PEER_HEAD, [_peer(row) for row in results.peers])
    lines += ["", *(f"- {remark}" for remark in results.remarks)] if results.remarks else []
    return "\n".join(lines) + "\n"
