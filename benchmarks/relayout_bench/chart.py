# SPDX-License-Identifier: Apache-2.0
"""Results as an SVG of horizontal bars on a logarithmic axis.

To the left of 1 is faster than cp, to the right slower; a mark shows what is wanted. The same
results give the same bytes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .results import Results

WIDTH = 920
LABELS = 330  # Pixels for the names on the left,
VALUES = 70  # ... and for the numbers on the right.
ROW_HEIGHT = 20
GAP = 9  # Between groups.
TOP = 86
TITLE = "R = time / time of cp of as many bytes (left of 1: faster than cp)"
WANTED = "#c22"
COLOURS = {"warm": "#3b76af", "cold": "#8ab6d6", "peer": "#b0704f"}
LEGEND = (
    ("warm", "relayout, cache warm, no fsync"),
    ("cold", "relayout, cold, durable"),
    ("peer", "another converter, warm"),
)


@dataclass(frozen=True)
class Bar:
    label: str
    kind: str  # A key of COLOURS.
    ratio: float
    wanted: float | None = None


@dataclass(frozen=True)
class Axis:
    low: float
    high: float

    def x(self, ratio: float) -> float:
        share = math.log(ratio / self.low) / math.log(self.high / self.low)
        return LABELS + share * (WIDTH - LABELS - VALUES)

    def ticks(self) -> list[float]:
        steps = [0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
        if self.high < 4:
            steps = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3]
        return [step for step in steps if self.low <= step <= self.high]


def groups(results: Results) -> list[list[Bar]]:
    found: dict[str, list[Bar]] = {}
    for row in results.rows:
        if row.is_main and not row.failure:
            name = row.scenario.name
            label = "" if name in found else f"{name}:  {row.scenario.layouts}"
            bar = Bar(label, row.cache, row.ratio, row.wanted)
            found.setdefault(name, []).append(bar)
    bars = [
        Bar(f"{row.tool}, {row.work}", "peer", row.peer.ratio_to(row.copy))
        for row in results.peers
        if row.peer and row.copy and not row.failure
    ]
    return [*found.values(), *([bars] if bars else [])]


def _axis_of(bars: Sequence[Bar]) -> Axis:
    values = [bar.ratio for bar in bars] + [bar.wanted for bar in bars if bar.wanted]
    return Axis(min([0.5, *values]) * 0.9, max([2.0, *values]) * 1.1)


def _text(x: float, y: float, text: str, extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {extra}>{escape(text)}</text>'


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {place} fill="{colour}"/>'


def _upright(x: float, top: float, bottom: float, colour: str, width: int = 1) -> str:
    place = f'x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}"'
    return f'<line {place} stroke="{colour}" stroke-width="{width}"/>'


def _grid(axis: Axis, bottom: float) -> list[str]:
    lines = []
    for tick in axis.ticks():
        x = axis.x(tick)
        lines.append(_upright(x, TOP - 6, bottom, "#555" if tick == 1 else "#ddd"))
        lines.append(_text(x, TOP - 12, f"{tick:g}", 'text-anchor="middle" fill="#555"'))
    return lines


def _bar(axis: Axis, bar: Bar, y: float) -> list[str]:
    begin, end = sorted((axis.x(1), axis.x(bar.ratio)))
    colour = COLOURS[bar.kind]
    lines = [_rectangle(begin, y + 3, max(end - begin, 1), ROW_HEIGHT - 6, colour)]
    if bar.label:
        lines.append(_text(LABELS - 10, y + 14, bar.label, 'text-anchor="end"'))
    if bar.wanted:
        lines.append(_upright(axis.x(bar.wanted), y + 1, y + ROW_HEIGHT - 1, WANTED, 2))
    missed = bar.wanted is not None and bar.ratio > bar.wanted
    emphasis = f'font-weight="bold" fill="{WANTED}"' if missed else ""
    lines.append(_text(WIDTH - VALUES + 12, y + 14, f"{bar.ratio:.3g}", emphasis))
    return lines


def _legend(kinds: Sequence[str]) -> list[str]:
    lines = []
    x = 20.0
    for kind, text in LEGEND:
        if kind in kinds:
            lines += [_rectangle(x, 39, 12, 12, COLOURS[kind]), _text(x + 18, 50, text)]
            x += 40 + 6.3 * len(text)
    return [*lines, _upright(x + 6, 38, 52, WANTED, 2), _text(x + 16, 50, "wanted")]


def to_svg(results: Results) -> str:
    found = groups(results)
    bars = [bar for group in found for bar in group]
    bottom = TOP + len(bars) * ROW_HEIGHT + len(found) * GAP
    axis = _axis_of(bars)
    height = bottom + 16
    font = 'font-family="DejaVu Sans, Verdana, sans-serif" font-size="12"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" {font}>',
        _rectangle(0, 0, WIDTH, height, "white"),
        _text(20, 24, TITLE, 'font-size="15"'),
        *_legend([bar.kind for bar in bars]),
        *_grid(axis, bottom),
    ]
    y = float(TOP)
    for group in found:
        for bar in group:
            lines += _bar(axis, bar, y)
            y += ROW_HEIGHT
        y += GAP
    return "\n".join([*lines, "</svg>"]) + "\n"
