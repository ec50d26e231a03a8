# SPDX-License-Identifier: Apache-2.0
"""What is converted: two layouts in the words of make_gpt_set, and the R that is wanted."""

from dataclasses import dataclass

# R wanted with a warm page cache and no fsync, and cold with every file on disk at the end.
CONTIGUOUS = (1.00, 1.05)
COLUMNS = (1.25, 1.15)

# Matrices of so many columns, cut in 8, have rows of 4 KiB in bf16 and 8 KiB in f32.
WIDE = 16384
# ... and of 2 bytes and 4 bytes.
NARROW = 8


@dataclass(frozen=True)
class Scenario:
    name: str
    source: str
    target: str
    columns: int = 0  # 0: those of a GPT
    wanted: tuple[float, float] | None = None  # R warm, R cold; None: shown only
    copies_of_target: int = 1  # Files of the target that hold each byte of the model.
    note: str = ""

    @property
    def layouts(self) -> str:
        return f"{self.source} -> {self.target}"


SCENARIOS = (
    Scenario("identity", "megatron tp:8", "megatron tp:8", wanted=CONTIGUOUS),
    Scenario("rows-8-4", "rows tp:8", "rows tp:4", wanted=CONTIGUOUS),
    Scenario("rows-4-8", "rows tp:4", "rows tp:8", wanted=CONTIGUOUS),
    Scenario("columns-8-4", "columns tp:8", "columns tp:4", WIDE, COLUMNS, note="runs from 4 KiB"),
    Scenario("columns-4-8", "columns tp:4", "columns tp:8", WIDE, COLUMNS, note="runs from 4 KiB"),
    Scenario(
        "columns-8-rows-4", "columns tp:8", "rows tp:4", WIDE, COLUMNS, note="runs from 4 KiB"
    ),
    Scenario("gpt-columns-8-4", "columns tp:8", "columns tp:4", note="a GPT's runs, from 384 B"),
    Scenario("megatron-8-6", "megatron tp:8", "megatron tp:6", note="a GPT's runs"),
    Scenario("to-one", "rows tp:8", "whole", wanted=CONTIGUOUS),
    Scenario("from-one", "whole", "rows tp:8", wanted=CONTIGUOUS),
    Scenario(
        "optimizer-off",
        "rows tp:4 dp:2 opt",
        "rows tp:4 dp:2",
        wanted=CONTIGUOUS,
        copies_of_target=2,
        note="writes two replicas",
    ),
    Scenario("optimizer-on", "rows tp:4", "rows tp:4 dp:2 opt", wanted=CONTIGUOUS),
    Scenario("pipeline-4-1", "rows tp:2 pp:4", "rows tp:2", wanted=CONTIGUOUS),
    Scenario("pipeline-2-4", "rows tp:2 pp:2", "rows tp:2 pp:4", wanted=CONTIGUOUS),
    Scenario("worst", "columns tp:8", "rows tp:4", NARROW, note="runs of 2 and 4 bytes"),
)

# What --quick measures.
QUICK = ("rows-8-4", "columns-8-4", "to-one", "worst")

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
