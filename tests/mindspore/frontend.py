# SPDX-License-Identifier: Apache-2.0
"""Asks MindSpore's own automatic parallelism, without devices: which strategy files does it write?

    case = Case(network=MyNetwork, inputs=[x], labels=y, devices=8)
    outcome = Frontend(folder).compile(case)  # Outcome(stages=[path, ...], errors=[None, ...])
    path = Frontend(folder).export(case)      # net.mindir: what `relayout strategy` reads

MindSpore is imported once; every question is answered by a forked child, because a process can be
set up for one rank only, and because a wrong network may take the process with it. The parent
therefore compiles nothing itself: a process with MindSpore's threads can not be forked.

The frontend writes the strategy file before the passes that need a device. So an error after that
is expected; an error before it is the answer: the text by which MindSpore refuses the network.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import pathlib
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")
os.environ["GLOG_v"] = "3"  # Its errors: they say why, where the exception says only what failed.

# pylint: disable=wrong-import-position
import numpy as np

import mindspore
from mindspore import nn, ops
from mindspore._c_expression import AutoParallelContext
from mindspore.common.api import _cell_graph_executor
from mindspore.context import ms_ctx_param
from mindspore.nn.wrap.cell_wrapper import _TrainGradAccuStepCell

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build"
SECONDS = 120

OPTIMIZERS: dict[str, Callable[[list], nn.Optimizer]] = {
    "sgd": lambda parameters: nn.SGD(parameters, 0.01),
    "momentum": lambda parameters: nn.Momentum(parameters, 0.01, 0.9),
    "adam": lambda parameters: nn.Adam(parameters, 0.001),
}


@dataclasses.dataclass
class Case:
    """One question."""

    network: Callable[[], nn.Cell]
    inputs: Sequence[np.ndarray]
    # None: the outputs are summed up instead. Not used to predict.
    labels: np.ndarray | None = None
    devices: int = 8
    stages: int = 1
    micro_batches: int = 4
    train: bool = True
    optimizer: str | Callable[[list], nn.Optimizer] = "sgd"
    mode: str = "semi_auto_parallel"
    # More of mindspore.set_auto_parallel_context.
    context: dict[str, Any] = dataclasses.field(default_factory=dict)
    # Cells around the network, from the inside out; None: a loss by `labels`.
    loss: Callable[[], nn.Cell] | None = None


@dataclasses.dataclass
class Outcome:
    """The answer: of each stage a strategy file, or why there is none."""

    stages: list[pathlib.Path | None]
    errors: list[str | None]

    @property
    def written(self) -> bool:
        return all(stage is not None for stage in self.stages)


class CrossEntropy(nn.Cell):
    """What compile_strategy trains with: the loss that follows the network."""

    def __init__(self, network: nn.Cell):
        super().__init__(auto_prefix=False)
        self.network = network
        self.loss = nn.CrossEntropyLoss()

    def construct(self, *arguments):
        return self.loss(self.network(*arguments[:-1]), arguments[-1])


class Mean(nn.Cell):
    """A loss for a network without labels."""

    def __init__(self, network: nn.Cell):
        super().__init__(auto_prefix=False)
        self.network = network
        self.mean = ops.ReduceMean()

    def construct(self, *arguments):
        return self.mean(self.network(*arguments))


class Frontend:
    """Asks MindSpore; files go to `folder`."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        _device_target_library()

    def compile(self, case: Case) -> Outcome:
        """Compiles the first rank of each stage."""
        outcome = Outcome([], [])
        for stage in range(case.stages):
            path = self.folder / f"strategy_{stage}.ckpt"
            path.unlink(missing_ok=True)
            error = self._in_child(lambda stage=stage, path=path: _compile(case, stage, path))
            outcome.stages.append(path if path.exists() else None)
            outcome.errors.append(
                None if path.exists() else error or "no error, and no strategy file"
            )
        return outcome

    def export(self, case: Case) -> pathlib.Path:
        """Writes the network as MindIR; RuntimeError if MindSpore can not."""
        path = self.folder / "net.mindir"
        path.unlink(missing_ok=True)
        error = self._in_child(lambda: _export(case, path))
        if not path.exists():
            raise RuntimeError(f"not exported: {error}")
        return path

    def _in_child(self, work: Callable[[], None]) -> str | None:
        """Does `work` in a forked child: None, or the text of its error."""
        log, text = self.folder / "log.txt", self.folder / "error.txt"
        text.unlink(missing_ok=True)
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            os.chdir(self.folder)  # MindSpore leaves files where it is.
            _run_and_exit(work, log, text)
        end = time.monotonic() + SECONDS
        while (done := os.waitpid(child, os.WNOHANG))[0] == 0:
            if time.monotonic() > end:
                os.kill(child, 9)
                os.waitpid(child, 0)
                return f"not finished after {SECONDS} s"
            time.sleep(0.005)
        if text.exists():
            return "\n".join([text.read_text(encoding="utf-8").strip(), *_logged_errors(log)])
        status = os.waitstatus_to_exitcode(done[1])
        return (
            None
            if status == 0
            else f"ended with status {status}: {log.read_text(errors='replace')[-2000:]}"
        )


def _logged_errors(log: pathlib.Path) -> list[str]:
    """What MindSpore logged as errors, without time and place."""
    return [line.split("] ", 2)[-1] for line in log.read_text(errors="replace").splitlines()
            if line.startswith("[ERROR]")]  # fmt: skip


def _run_and_exit(work: Callable[[], None], log: pathlib.Path, text: pathlib.Path) -> None:
    """The child: leaves without MindSpore's destructors, which would want a device."""
    status = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(output, 1)
        os.dup2(output, 2)
        work()
        status = 0
    except Exception as error:  # pylint: disable=broad-except
        traceback.print_exc()
        text.write_text(str(error), encoding="utf-8")
        status = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # pylint: disable=protected-access


def _compile(case: Case, stage: int, path: pathlib.Path) -> None:
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    mindspore.set_auto_parallel_context(
        parallel_mode=case.mode, device_num=case.devices,
        global_rank=stage * (case.devices // case.stages),
        strategy_ckpt_config={"save_file": str(path)}, pipeline_stages=case.stages,
        **case.context)  # fmt: skip
    AutoParallelContext.get_instance().set_hccl_test_avaible(True)
    network = case.network()
    arguments = [mindspore.Tensor(value) for value in case.inputs]
    if case.train:
        root = _training(case, network)
        if case.labels is not None:
            arguments.append(mindspore.Tensor(case.labels))
    else:
        root = network
        root.set_train(False)
    _set_device_target("Ascend")
    _cell_graph_executor.compile(root, *arguments, phase="train" if case.train else "predict")


def _training(case: Case, network: nn.Cell) -> nn.Cell:
    """`network` with a loss, an optimizer and what splits the batch for a pipeline."""
    root = (case.loss or (Mean if case.labels is None else CrossEntropy))(network)
    if case.stages > 1:
        root = nn.PipelineCell(root, case.micro_batches)
    make = OPTIMIZERS[case.optimizer] if isinstance(case.optimizer, str) else case.optimizer
    step = _TrainGradAccuStepCell if case.stages > 1 else nn.TrainOneStepCell
    root = step(root, make(network.trainable_params()))
    root.set_train()
    return root


def _export(case: Case, path: pathlib.Path) -> None:
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    network = case.network()
    network.set_train(False)
    arguments = [mindspore.Tensor(value) for value in case.inputs]
    mindspore.export(network, *arguments, file_name=str(path.with_suffix("")), file_format="MINDIR")


def _device_target_library() -> pathlib.Path:
    source, library = HERE / "device_target.cc", BUILD / "device_target.so"
    if not library.exists() or library.stat().st_mtime < source.stat().st_mtime:
        BUILD.mkdir(exist_ok=True)
        made = library.with_name(f"{library.name}.{os.getpid()}")
        subprocess.run(["g++", "-std=c++17", "-O1", "-shared", "-fPIC",
                        "-D_GLIBCXX_USE_CXX11_ABI=0",
                        "-o", made, source, "-ldl"], check=True)  # fmt: skip
        made.rename(library)
    return library


def _set_device_target(target: str) -> None:
    core = pathlib.Path(mindspore.__file__).parent / "lib" / "libmindspore_core.so"
    library = ctypes.CDLL(str(_device_target_library()))
    status = library.SetDeviceTarget(
        str(core).encode(), int(ms_ctx_param.device_target), target.encode()
    )
    if status != 0:
        raise RuntimeError(f"the device target was not found in {core}: {status}")
