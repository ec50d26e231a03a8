# SPDX-License-Identifier: Apache-2.0
"""`relayout strategy` against MindSpore's own frontend: random networks by their seeds.

    SEED=1 CASES=12 ctest -R infer_strategy     # The default; CASES=100 takes some ten minutes.
    SEED=417 CASES=1 KEEP=/tmp/case ...         # One case; its files stay in KEEP.

Of each stage both write a strategy file. They must name the same parameters, give each rank the
same piece of each, and list the same operators with the same strategies. A layout of another device
matrix that means the same counts as equivalent, and is reported.
"""

import collections
import os
import pathlib
import re
import unittest

import frontend  # First: it sets MindSpore up.
import networks
from cli import CliTest, program
from mindspore.train.node_strategy_pb2 import ParallelStrategyMap

SEED = int(os.environ.get("SEED", 1))
CASES = int(os.environ.get("CASES", 12))
KEEP = os.environ.get("KEEP")
MODE = os.environ.get("MODE", "semi_auto_parallel")

# Where relayout takes what MindSpore refuses, and the reason.
TAKEN = {
    "Reshape op can't be a border": "where a pipeline may be cut is not checked",
    "each stage must have at least one parameter": "a stage of shared ones has an empty strategy",
    "should has at least 1 parameter": "a stage without parameters has an empty strategy",
}


def read(path: pathlib.Path) -> ParallelStrategyMap:
    strategy = ParallelStrategyMap()
    strategy.ParseFromString(path.read_bytes())
    return strategy


class Layout:
    """A parameter's layout as a file says it, and what it means."""

    def __init__(self, item) -> None:
        layout = item.parallel_layouts
        self.mesh = list(layout.dev_matrix[0].dim)
        maps = [list(one.dim) for one in layout.tensor_map]
        self.axes = (
            [axes for axes in maps if axes] if len(maps) > 1 else [[axis] for axis in maps[0]]
        )
        self.optimizer = (layout.opt_weight_shard_step, layout.opt_weight_shard_size)
        self.field = layout.field

    def __str__(self) -> str:
        return f"{self.mesh} {self.axes} {self.optimizer}"

    def pieces(self) -> list[tuple]:
        """For each device which piece of each dim, of how many; by the trainer's rule."""
        count = 1
        for size in self.mesh:
            count *= size
        whole = [self._piece(device) for device in range(count)]
        holders = collections.defaultdict(list)
        for device, piece in enumerate(whole):
            holders[tuple(piece)].append(device)
        step, size = self.optimizer
        pieces = []
        for device, piece in enumerate(whole):
            same = holders[tuple(piece)]
            group = 1 if step == 0 or size == 0 else len(same) if size == -1 else size
            pieces.append((tuple(piece), same.index(device) % group, group))
        return pieces

    def _piece(self, device: int) -> list[tuple[int, int]]:
        position = []
        for size in reversed(self.mesh):
            position.append(device % size)
            device //= size
        piece = []
        for axes in self.axes:
            index, count = 0, 1
            for axis in axes:
                if axis != -1:
                    size = self.mesh[len(self.mesh) - 1 - axis]
                    index, count = index * size + position[axis], count * size
            piece.append((index, count))
        return piece


def layouts_of(strategy: ParallelStrategyMap) -> dict[str, Layout]:
    return {item.param_name: Layout(item) for item in strategy.parallel_layout_item}


def plain_name(operator: str) -> str:
    """MindSpore calls a parameter's Reshape after what it puts before it to redistribute."""
    return re.sub(
        r"(^|/)(AllGather|StridedSlice|AllToAll|Split)_(?=[^/]*$)", r"\1Reshape_", operator
    )


def operators_of(strategy: ParallelStrategyMap) -> dict[str, tuple]:
    return {
        plain_name(item.node_name): (
            item.parallel_strategys.stage,
            tuple(tuple(one.dim) for one in item.parallel_strategys.parallel_strategy),
        )
        for item in strategy.parallel_strategy_item
    }


class Findings:
    """What was found, by kind."""

    def __init__(self) -> None:
        self.counts: collections.Counter = collections.Counter()
        # Of each pair of layouts the first parameter that has it.
        self.equivalent: dict[str, str] = {}
        self.wrong: dict[str, list[str]] = collections.defaultdict(list)

    def compare(self, title: str, theirs: pathlib.Path, ours: pathlib.Path) -> None:
        mindspore, relayout = read(theirs), read(ours)
        self._parameters(title, layouts_of(mindspore), layouts_of(relayout))
        self._operators(title, operators_of(mindspore), operators_of(relayout))

    def _parameters(self, title: str, theirs: dict[str, Layout], ours: dict[str, Layout]) -> None:
        for name in sorted(theirs.keys() | ours.keys()):
            their, our = theirs.get(name), ours.get(name)
            if their is None or our is None:
                self.add(
                    "parameter only in one file",
                    title,
                    f"{name}: MindSpore {their}, relayout {our}",
                )
            elif their.pieces() != our.pieces():
                self.add(
                    "parameter lies differently",
                    title,
                    f"{name}: MindSpore {their}, relayout {our}",
                )
            elif str(their) != str(our):
                self.counts["parameters equivalent"] += 1
                self.equivalent.setdefault(
                    f"{their}, relayout {our}",
                    f"{title}: {name}: MindSpore {their}, relayout {our}",
                )
            else:
                self.counts["parameters equal"] += 1

    def _operators(self, title: str, theirs: dict[str, tuple], ours: dict[str, tuple]) -> None:
        for name in sorted(theirs.keys() | ours.keys()):
            if name not in theirs or name not in ours:
                kind = "operator only in one file"
            else:
                kind = "operator cut differently"
            if theirs.get(name) == ours.get(name):
                self.counts["operators equal"] += 1
            else:
                self.add(
                    kind, title, f"{name}: MindSpore {theirs.get(name)}, relayout {ours.get(name)}"
                )

    def add(self, kind: str, title: str, text: str) -> None:
        self.wrong[kind].append(f"{title}: {text}")
        print(f"  {kind}: {text}", flush=True)

    def __str__(self) -> str:
        lines = [f"{count:7} {what}" for what, count in sorted(self.counts.items())]
        lines += [f"          {text}" for text in self.equivalent.values()]
        for kind, texts in sorted(self.wrong.items()):
            lines += [f"{len(texts):7} {kind}", *(f"          {text}" for text in texts[:20])]
        return "\n".join(lines)


class InferStrategy(CliTest):
    def test_random_networks(self) -> None:
        findings = Findings()
        asker = frontend.Frontend(pathlib.Path(KEEP) if KEEP else self.folder / "mindspore")
        for seed in range(SEED, SEED + CASES):
            self.ask_both(networks.random_case(seed, MODE), asker, findings)
        print(findings)
        self.assertEqual(findings.wrong, {}, f"\n{findings}")
        self.assertGreater(findings.counts["parameters equal"], 0)

    def ask_both(
        self, random_case: networks.RandomCase, asker: frontend.Frontend, findings: Findings
    ) -> None:
        print(random_case, flush=True)
        network = asker.export(random_case.case)
        theirs = asker.compile(random_case.case)
        for old in asker.folder.glob("relayout_*"):
            old.unlink()
        done = self.run_cli(
            "strategy",
            network,
            *random_case.arguments,
            "-o",
            asker.folder / "relayout_{stage}.ckpt",
        )
        if done.returncode < 0:
            findings.add(
                "relayout crashed", f"seed {random_case.seed}", f"{done.returncode} {done.stderr}"
            )
        elif done.returncode == 0 and theirs.written:
            findings.counts["networks written by both"] += 1
            for stage, path in enumerate(theirs.stages):
                ours = asker.folder / f"relayout_{stage}.ckpt"
                if not ours.exists():
                    ours = asker.folder / "relayout_{stage}.ckpt"
                findings.compare(f"seed {random_case.seed} stage {stage}", path, ours)
        else:
            self.compare_refusals(random_case, theirs, done, findings)

    def compare_refusals(
        self, random_case: networks.RandomCase, theirs: frontend.Outcome, done, findings: Findings
    ) -> None:
        title = f"seed {random_case.seed}"
        if theirs.written:
            findings.add("refused by relayout only", title, done.stderr.strip())
            return
        error = next(error for error in theirs.errors if error)
        if error.startswith("ended with status"):
            findings.counts["networks that crash MindSpore"] += 1
        elif done.returncode != 0:
            findings.counts["networks refused by both"] += 1
            print(f"  both refuse. MindSpore: {reason(error)}\n  {done.stderr.strip()}")
        elif known := next((why for text, why in TAKEN.items() if text in error), None):
            findings.counts[f"networks refused by MindSpore only: {known}"] += 1
        else:
            findings.add("refused by MindSpore only", title, reason(error))


def reason(error: str) -> str:
    """The lines of MindSpore's error that say why."""
    lines = [line for line in error.splitlines() if line.strip()]
    logged = [line for line in lines if re.match(r"\w+\] ", line)]
    return " | ".join(lines[:1] + logged[:2])[:600]


if __name__ == "__main__":
    program()
    unittest.main()
