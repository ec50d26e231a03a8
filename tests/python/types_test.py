# SPDX-License-Identifier: Apache-2.0
"""The package is typed: mypy --strict has no findings, and the stub has what the module has."""

from __future__ import annotations

import ast
import enum
import shutil
import subprocess
import sys
import tempfile
import types
import unittest

from case import ROOT, Case

from relayout import _core

SKIPPED = 77
PACKAGE = ROOT / "python" / "relayout"
USER = """
import relayout
from typing import Optional

report = relayout.convert("src", "dst", target_strategy="dst.ckpt", ranks=range(2))
path: str = report.files[0]
step: Optional[relayout.Step] = report.step
plan = relayout.plan({0: "a.ckpt"}, "dst", explain=["w"])
copies: int = sum(len(shard.copies) for shard in plan.explained[0].shards)
layout: relayout.Layout = relayout.load_strategy("src.ckpt")["w"][0].layout
good: bool = bool(relayout.verify(None, "dst"))
"""
TRAINER = """
import relayout
from relayout import train

def network(net: relayout.NetworkBuilder, x: relayout.NetworkTensor) -> relayout.NetworkTensor:
    return net.matmul(x, net.parameter("weight", (784, 10), initializer="normal"))

def main(comm: train.Comm) -> float:
    data = train.MnistDataset("mnist", batch_size=32, num_shards=comm.size, shard_id=comm.rank)
    model = train.Model(network, "cross_entropy", train.SGD(learning_rate=0.01), comm=comm)
    model.train(2, data, [train.LossMonitor(20), train.ModelCheckpoint("net", "rank_0")])
    report = train.load_param_into_net(model, train.load_checkpoint("net.ckpt"))
    names: tuple[str, ...] = report.param_not_load
    return model.accuracy(data)

shares: dict[int, float] = train.run_ranks(4, main)
"""


def public(names: list[str]) -> set[str]:
    return {name for name in names if not name.startswith("_")}


class Types(Case):
    @classmethod
    def setUpClass(cls) -> None:
        cls.cache = tempfile.mkdtemp(prefix="relayout-")
        cls.addClassCleanup(shutil.rmtree, cls.cache)

    def mypy(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(self.cache), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT / "python",
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_package(self) -> None:
        self.mypy("-p", "relayout")

    def test_ruff(self) -> None:
        """Nor has ruff, with the rules of /pyproject.toml."""
        command = [sys.executable, "-m", "ruff", "check", "--no-cache", "python", "tests/python"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_user(self) -> None:
        (self.folder / "user.py").write_text(USER)
        (self.folder / "trainer.py").write_text(TRAINER)
        self.mypy(str(self.folder / "user.py"), str(self.folder / "trainer.py"))

    def test_stub(self) -> None:
        """The same functions, classes and members."""
        self.compare_stub(_core)

    def test_stub_of_training(self) -> None:
        try:
            from relayout import _train
        except ImportError:
            self.skipTest("the package was built without oneDNN")
        self.compare_stub(_train)

    def compare_stub(self, extension: types.ModuleType) -> None:
        stub, module = {}, {}
        name = extension.__name__.rpartition(".")[2]
        for node in ast.parse((PACKAGE / f"{name}.pyi").read_text()).body:
            if isinstance(node, ast.FunctionDef):
                stub[node.name] = [argument.arg for argument in node.args.args]
            elif isinstance(node, ast.ClassDef):
                stub[node.name] = sorted(public([name for n in node.body for name in names_of(n)]))
        for name in public(dir(extension)):
            value = getattr(extension, name)
            if isinstance(value, type):
                members = public(list(vars(value)))
                is_enum = issubclass(value, enum.Enum)
                module[name] = sorted(members - ({"name", "value"} if is_enum else set()))
            else:
                signature = ast.parse(f"{value.__nb_signature__[0][0]}: ...").body[0]
                module[name] = [argument.arg for argument in signature.args.args]
        self.assertEqual(stub, module)


def names_of(node: ast.stmt) -> list[str]:
    """What a statement of a class body defines."""
    if isinstance(node, ast.FunctionDef):
        return [node.name]
    if isinstance(node, ast.AnnAssign):
        return [node.target.id]
    return [target.id for target in getattr(node, "targets", [])]


if __name__ == "__main__":
    try:
        import mypy  # noqa: F401
        import ruff  # noqa: F401
    except ImportError:
        print("skipped: there is no mypy or no ruff")
        sys.exit(SKIPPED)
    unittest.main()
