# SPDX-License-Identifier: Apache-2.0
"""What was trained here goes on in MindSpore, and the other way round: the tutorial's networks, on 8
ranks here (examples/tutorial) and in one process there."""

import os
import pathlib
import struct
import subprocess
import unittest

import ms  # First: it sets MindSpore up.
import mindspore
import numpy as np
from cli import CliTest
from mindspore import nn, ops

HIDDEN, BATCH, IMAGES = 32, 16, 128
STEPS = IMAGES // BATCH  # Of an epoch. Every rank is fed the same rows.


class Dense(nn.Cell):
    """Of the tutorial: MatMul and Add."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = mindspore.Parameter(mindspore.Tensor(np.zeros((inputs, outputs), np.float32)))
        self.bias = mindspore.Parameter(mindspore.Tensor(np.zeros(outputs, np.float32)))
        self.matmul = ops.MatMul()
        self.add = ops.Add()

    def construct(self, x: mindspore.Tensor) -> mindspore.Tensor:
        return self.add(self.matmul(x, self.weight), self.bias)


class Network(nn.Cell):
    def __init__(self, dense: type = Dense) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.layer1 = dense(28 * 28, HIDDEN)
        self.layer2 = dense(HIDDEN, HIDDEN)
        self.layer3 = dense(HIDDEN, 10)
        self.relu = ops.ReLU()

    def construct(self, x: mindspore.Tensor) -> mindspore.Tensor:
        x = self.flatten(x)
        return self.layer3(self.relu(self.layer2(self.relu(self.layer1(x)))))


OPTIMIZERS = {
    "sgd": lambda parameters: nn.SGD(parameters, 0.01),
    "momentum": lambda parameters: nn.Momentum(parameters, 0.01, 0.9),
    "adam": lambda parameters: nn.Adam(parameters, 0.01),
}


def images(prefix: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    pixels = pathlib.Path(f"{prefix}-images-idx3-ubyte").read_bytes()
    labels = pathlib.Path(f"{prefix}-labels-idx1-ubyte").read_bytes()
    count = struct.unpack(">I", pixels[4:8])[0]
    x = np.frombuffer(pixels, np.uint8, offset=16).reshape(count, 1, 28, 28).astype(np.float32)
    x = (x / np.float32(255) - np.float32(0.1307)) / np.float32(0.3081)
    return x, np.frombuffer(labels, np.uint8, offset=8).astype(np.int32)


def arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
    return {name: value.asnumpy() for name, value in mindspore.load_checkpoint(str(path)).items()}


class Training:
    """MindSpore's, step by step."""

    def __init__(self, net: nn.Cell, optimizer: str) -> None:
        self.step = nn.TrainOneStepCell(nn.WithLossCell(net, nn.CrossEntropyLoss()),
                                        OPTIMIZERS[optimizer](net.trainable_params()))  # fmt: skip
        self.step.set_train()

    def train(self, x: np.ndarray, labels: np.ndarray, steps: range) -> list[float]:
        batches = ((slice(i % STEPS * BATCH, (i % STEPS + 1) * BATCH)) for i in steps)
        return [float(self.step(mindspore.Tensor(x[rows]), mindspore.Tensor(labels[rows])).asnumpy())
                for rows in batches]  # fmt: skip


class TrainingTest(CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.tool("MAKE_DATA", "data", "--train", IMAGES, "--test", 64)

    def tool(self, variable: str, *arguments: object) -> str:
        done = subprocess.run([os.environ[variable], *map(str, arguments)], cwd=self.folder, check=False,
                              env=os.environ | {"DATA_PATH": "data"}, capture_output=True, text=True,
                              timeout=120)  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        return done.stdout

    def tutorial(self, program: str, *options: object) -> str:
        return self.tool("TUTORIAL", program, "--hidden", HIDDEN, "--batch_size", BATCH, *options)

    def transform(self, *arguments: object) -> None:
        self.ok("transform", *arguments, cwd=self.folder)

    def losses(self, name: str) -> list[float]:
        lines = (self.folder / name).read_text().splitlines()
        return [float(line.split(",")[1]) for line in lines[1:]]

    def whole(self, name: str) -> pathlib.Path:
        """The file of a set of one rank."""
        return next((self.folder / name).glob("rank_0/*.ckpt"))

    def load(self, path: pathlib.Path, net: nn.Cell) -> nn.Cell:
        missing, _ = mindspore.load_param_into_net(net, mindspore.load_checkpoint(str(path)))
        self.assertEqual(missing, [])
        return net

    def check_near(self, got: object, want: object, relative: float) -> None:
        got, want = np.asarray(got), np.asarray(want)
        self.assertEqual(got.shape, want.shape)
        limit = relative * max(1e-3, float(np.abs(want).max()))
        self.assertLessEqual(float(np.abs(got.astype(np.float64) - want).max()), limit)


class FromHere(TrainingTest):
    def test_logits(self) -> None:
        """Trained on 8 ranks, asked on 4 here, and in MindSpore in one process."""
        for optimizer in OPTIMIZERS:
            with self.subTest(optimizer):
                self.tutorial("train_saving", "--epochs", 1, "--optimizer", optimizer,
                              "--src_checkpoints_dir", f"src_{optimizer}")  # fmt: skip
                source = ["--src_checkpoints_dir", f"src_{optimizer}"]
                self.tutorial("infer", "--only_compile=1", *source)
                self.tutorial("infer", *source, "--logits", "logits.csv")
                self.transform(f"src_{optimizer}", "--src-strategy", "src_strategy.ckpt", f"one_{optimizer}")
                net = self.load(self.whole(f"one_{optimizer}"), Network())
                x, _ = images(self.folder / "data" / "test" / "t10k")
                want = np.loadtxt(self.folder / "logits.csv", delimiter=",", dtype=np.float32)
                self.check_near(net(mindspore.Tensor(x[:10])).asnumpy(), want, 1e-5)

    def test_pipeline(self) -> None:
        """Trained on 8 ranks in 2 stages; on 4 here and in MindSpore it begins with the same loss, and
        MindSpore's own merging of the stages' strategies gives the same checkpoint."""
        self.tutorial("pipeline_train", "--epochs", 1, "--optimizer", "momentum")
        self.tutorial("retrain_pipeline", "--only_compile=1", "--optimizer", "momentum")
        self.tutorial("retrain_pipeline", "--optimizer", "momentum", "--epochs", 1, "--losses", "losses.csv")
        self.transform("src_checkpoints_pipeline", "--src-strategy", "src_pipeline_strategys", "one")
        mindspore.merge_pipeline_strategys(str(self.folder / "src_pipeline_strategys"),
                                           str(self.folder / "merged.ckpt"))  # fmt: skip
        self.transform("src_checkpoints_pipeline", "--src-strategy", "merged.ckpt", "merged")
        self.assertEqual(self.whole("one").read_bytes(), self.whole("merged").read_bytes())

        training = Training(Network(nn.Dense), "momentum")
        self.load(self.whole("one"), training.step)
        self.assertEqual(int(training.step.optimizer.global_step.asnumpy()[0]), STEPS)
        x, labels = images(self.folder / "data" / "train" / "train")
        self.check_near(training.train(x, labels, range(STEPS)), self.losses("losses.csv"), 1e-5)

    def test_converted_by_mindspore(self) -> None:
        """MindSpore's transform_checkpoints reads strategies and checkpoints of both sides, and makes of
        them what retrain does."""
        self.tutorial("train_saving", "--epochs", 1, "--optimizer", "adam")
        self.tutorial("retrain", "--only_compile=1", "--optimizer", "adam")
        paths = [str(self.folder / name) for name in ("src_checkpoints", "theirs", "src_strategy.ckpt",
                                                      "dst_strategy.ckpt")]  # fmt: skip
        mindspore.transform_checkpoints(*paths[:2], "checkpoint_", *paths[2:])
        for rank in range(4):
            name = f"rank_{rank}/checkpoint_{rank}.ckpt"
            ours, theirs = (arrays(self.folder / side / name) for side in ("dst_checkpoints", "theirs"))
            self.assertIn("moment1.layer2.weight", theirs)
            self.assertEqual(set(ours) - set(theirs), set())
            for value, array in theirs.items():
                np.testing.assert_array_equal(ours[value].reshape(array.shape), array, value)

    def test_states(self) -> None:
        """MindSpore goes on where 8 ranks left off, with the optimizer's states, as these would have."""
        for optimizer in OPTIMIZERS:
            with self.subTest(optimizer):
                self.tutorial("train_saving", "--epochs", 1, "--optimizer", optimizer,
                              "--src_checkpoints_dir", f"src_{optimizer}")  # fmt: skip
                self.tutorial("train_saving", "--epochs", 2, "--optimizer", optimizer, "--losses", "all.csv",
                              "--src_checkpoints_dir", f"all_{optimizer}")  # fmt: skip
                self.transform(f"src_{optimizer}", "--src-strategy", "src_strategy.ckpt", f"one_{optimizer}")
                training = Training(Network(), optimizer)
                self.load(self.whole(f"one_{optimizer}"), training.step)
                x, labels = images(self.folder / "data" / "train" / "train")
                got = training.train(x, labels, range(STEPS))
                self.check_near(got, self.losses("all.csv")[STEPS:], 1e-5)


class FromMindSpore(TrainingTest):
    def test_trained_on(self) -> None:
        """Saved by MindSpore after an epoch, split to 8, trained on here for another, merged, loaded in
        MindSpore: as if it had gone on itself."""
        for program, kind in (("train_saving", Dense), ("pipeline_train", nn.Dense)):
            for optimizer in OPTIMIZERS:
                with self.subTest(f"{program} {optimizer}"):
                    self.check(program, kind, optimizer)

    def check(self, program: str, kind: type, optimizer: str) -> None:
        name = f"{program}_{optimizer}"
        x, labels = images(self.folder / "data" / "train" / "train")
        mindspore.set_seed(3)
        net = Network(kind)
        for parameter in net.trainable_params():
            values = np.random.default_rng(parameter.size).standard_normal(parameter.shape) * 0.05
            parameter.set_data(mindspore.Tensor(values.astype(np.float32)))
        training = Training(net, optimizer)
        training.train(x, labels, range(STEPS))
        begin = self.folder / f"begin_{name}" / "rank_0" / "net.ckpt"
        begin.parent.mkdir(parents=True)
        mindspore.save_checkpoint(training.step, str(begin))

        options = ["--optimizer", optimizer, "--src_checkpoints_dir", f"src_{name}"]
        self.tutorial(program, "--only_compile=1", *options)
        strategy = "src_strategy.ckpt" if program == "train_saving" else "src_pipeline_strategys"
        self.transform(begin.parents[1], "--dst-strategy", strategy, f"eight_{name}")
        self.assertEqual(len(list((self.folder / f"eight_{name}").glob("rank_*/*.ckpt"))), 8)
        self.tutorial(program, *options, "--epochs", 1, "--losses", "losses.csv",
                      "--init_checkpoints_dir", f"eight_{name}")  # fmt: skip
        self.transform(f"src_{name}", "--src-strategy", strategy, f"one_{name}")

        self.check_near(self.losses("losses.csv"), training.train(x, labels, range(STEPS)), 1e-5)
        want = self.folder / f"want_{name}.ckpt"
        mindspore.save_checkpoint(training.step, str(want))
        self.load(self.whole(f"one_{name}"), Training(Network(kind), optimizer).step)
        got, want = arrays(self.whole(f"one_{name}")), arrays(want)
        self.assertEqual(set(got) - {"epoch_num", "step_num"}, set(want))
        for value, array in want.items():
            self.check_near(got[value].reshape(array.shape), array, 1e-4)


if __name__ == "__main__":
    unittest.main()
