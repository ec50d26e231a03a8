# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of a training, and what its callbacks leave and print: MindSpore's and ours."""

import contextlib
import io
import os
import pathlib
import random
import subprocess
import time
import unittest

import ms  # First: it sets MindSpore up.
import mindspore
import mindspore.dataset
import numpy as np
import worlds
from cli import CliTest
from mindspore import nn, train

STEPS = 4  # In an epoch.


def tool(*arguments: object) -> str:
    command = [os.environ["TRAINING_FILES"], *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


class Recorder(train.Callback):
    """Keeps the losses, and keeps files apart by which MindSpore finds the oldest: their times."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[str] = []

    def on_train_step_end(self, run_context: train.RunContext) -> None:
        self.losses.append(str(run_context.original_args().net_outputs.asnumpy()))
        time.sleep(0.02)


def trained(folder: pathlib.Path, rate: float, **config: object) -> tuple[list[str], str]:
    """The losses of a training that saves into `folder`, and what LossMonitor(3) prints."""
    data = {"x": np.ones((STEPS * 2, 6), np.float32), "y": np.arange(STEPS * 2, dtype=np.int32) % 3}
    batches = mindspore.dataset.NumpySlicesDataset(data, shuffle=False).batch(2)
    net = nn.Dense(6, 3, weight_init="ones")
    loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    model = train.Model(net, loss, nn.Momentum(net.trainable_params(), rate, 0.9))
    settings = train.CheckpointConfig(append_info=["epoch_num", "step_num"], **config)
    recorder = Recorder()
    save = train.ModelCheckpoint("net", str(folder), settings)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        model.train(2, batches, [save, train.LossMonitor(3), recorder], dataset_sink_mode=False)
    return recorder.losses, printed.getvalue()


def listing(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".meta")


class TrainingFiles(CliTest):
    def test_callbacks(self) -> None:
        theirs, ours = self.folder / "theirs", self.folder / "ours"
        cases = [
            {"save_checkpoint_steps": 3, "keep_checkpoint_max": 2},
            {"save_checkpoint_steps": 1},
            {"save_checkpoint_steps": 4, "format": "safetensors"},
            {"save_checkpoint_steps": 5, "keep_checkpoint_max": 0},
        ]
        rng = random.Random(ms.SEED)
        for number, config in enumerate(cases):
            with self.subTest(config=config):
                losses, printed = trained(theirs, rng.uniform(0.01, 0.5), **config)
                form = config.get("format", "ckpt")
                last = f"net{'_' * bool(number)}{number or ''}-2_{STEPS}.{form}"
                got = tool("train", theirs / last, ours, "net", form, 2, config["save_checkpoint_steps"],
                           config.get("keep_checkpoint_max", 5), 3, *losses)  # fmt: skip
                self.assertEqual(got, printed)
                self.assertEqual(listing(ours), listing(theirs))
                self.check_file(ours / last, theirs / last)

    def check_file(self, ours: pathlib.Path, theirs: pathlib.Path) -> None:
        self.assertEqual(ms.differences(ms.load(ours), ms.load(theirs)), [])
        if ours.suffix == ".ckpt":  # Of safetensors the order of the metadata is left to chance.
            self.assertEqual(ours.read_bytes(), theirs.read_bytes())
        form = ours.suffix[1:]
        net = nn.Dense(6, 3)
        missing, unknown = mindspore.load_param_into_net(
            net, mindspore.load_checkpoint(str(ours), format=form))
        self.assertEqual(missing, [])
        self.assertTrue({"epoch_num", "step_num", "moments.bias"} <= set(unknown), unknown)

    def test_all_types(self) -> None:
        for seed in range(ms.SEED, ms.SEED + 20):
            for form in ["ckpt", "safetensors"]:
                world = worlds.random_world(seed, worlds.Options(strings=form == "ckpt"))
                held = world.held(world.source, 0)
                theirs, ours = (self.folder / f"{name}.{form}" for name in ["theirs", "ours"])
                # MindSpore fails to sum some safetensors: it takes a number of no dims for a length.
                for crc_check in [False, True] if form == "ckpt" else [False]:
                    ms.save(theirs, held, crc_check=crc_check, format=form)
                    tool("copy", theirs, ours)
                    self.assertEqual(ms.differences(ms.load(ours), held), [])
                    if form == "ckpt":
                        want = theirs.read_bytes()
                        self.assertEqual(ours.read_bytes(), want[:-17] if crc_check else want)


if __name__ == "__main__":
    print(f"SEED={ms.SEED}")
    unittest.main()
