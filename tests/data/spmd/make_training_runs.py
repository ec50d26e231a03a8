#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes training_runs.txt and gpt.mindir: networks that MindSpore trained on a CPU, end to end.

    build/msvenv/bin/python tests/data/spmd/make_training_runs.py

The form is that of make_cases.py. Lengths divide by 8, so that strategies for 8 ranks fit. Cases:

    data              x f32[8,32,64] and labels i32[8,32]: batches, step i takes number i % 8;
                      test_x f32[32,64]
    matmul            where the tutorial's network starts: layer<1-3>.weight [in,out] and .bias, MatMul
                      and Add; 64 -> 32 -> 32 -> 16 with ReLU between, nn.CrossEntropyLoss
    matmul/OPTIMIZER  losses f32[60], before each step; logits f32[32,16] of test_x after the last one
    dense             the same of nn.Dense: weight [out,in], MatMul with transpose_b and BiasAdd
    dense/OPTIMIZER
    gpt               where a GPT of one block starts (Gpt below says what it is), and its data:
                      ids i32[10,8,8], labels i32[10,64], test_ids i32[8,8]
    gpt/adam          losses f32[10], logits f32[64,64] of test_ids

OPTIMIZERS says which these are. Weights and data are multiples of powers of two, so their digits are
all there. gpt.mindir is the same network exported where it starts, without loss.
"""
import mindspore as ms
import numpy as np
from mindspore import nn, ops

from make_cases import HERE, Cases, Network

random = np.random.default_rng(11)

OPTIMIZERS = {
    "sgd": lambda p: nn.SGD(p, 0.1),
    "momentum": lambda p: nn.Momentum(p, 0.02, 0.9),
    "adam": lambda p: nn.Adam(p, 0.005),
}


def rounded(values, denominator):
    return (np.round(values * denominator) / denominator).astype(np.float32)


def weights(*shape, fan_in):
    return rounded(random.standard_normal(shape) / np.sqrt(fan_in), 128)


def biases(length):
    return rounded(random.standard_normal(length) * 0.1, 128)


def dense_start(name, inputs, outputs, transposed):
    shape = (outputs, inputs) if transposed else (inputs, outputs)
    return {f"{name}.weight": weights(*shape, fan_in=inputs), f"{name}.bias": biases(outputs)}


class DenseNetwork(nn.Cell):
    def __init__(self):
        super().__init__()
        self.layer1 = nn.Dense(64, 32)
        self.layer2 = nn.Dense(32, 32)
        self.layer3 = nn.Dense(32, 16)
        self.relu = ops.ReLU()

    def construct(self, x):
        return self.layer3(self.relu(self.layer2(self.relu(self.layer1(x)))))


BATCH, LENGTH, HIDDEN, HEADS, WORDS = 8, 8, 32, 4, 64


class Gpt(nn.Cell):
    """Rows of words are [b*s,h] everywhere but in attention."""

    def __init__(self):
        super().__init__()
        self.words = ms.Parameter(ms.Tensor(np.zeros((WORDS, HIDDEN), np.float32)), name="words")
        self.positions = ms.Parameter(ms.Tensor(np.zeros((LENGTH, HIDDEN), np.float32)),
                                      name="positions")
        self.norm1 = nn.LayerNorm((HIDDEN,))
        self.q = nn.Dense(HIDDEN, HIDDEN)
        self.k = nn.Dense(HIDDEN, HIDDEN)
        self.v = nn.Dense(HIDDEN, HIDDEN)
        self.out = nn.Dense(HIDDEN, HIDDEN)
        self.norm2 = nn.LayerNorm((HIDDEN,))
        self.up = nn.Dense(HIDDEN, 4 * HIDDEN)
        self.down = nn.Dense(4 * HIDDEN, HIDDEN)
        self.norm3 = nn.LayerNorm((HIDDEN,))
        self.head = nn.Dense(HIDDEN, WORDS, has_bias=False)
        self.gather = ops.Gather()
        self.scores = ops.BatchMatMul(transpose_b=True)
        self.mix = ops.BatchMatMul()
        self.softmax = ops.Softmax()
        self.gelu = ops.GeLU()
        # 0 for words up to one's own, else -10000.
        self.mask = ms.Tensor(np.triu(np.full((LENGTH, LENGTH), -10000, np.float32), 1))

    def heads(self, x):
        return ops.transpose(ops.reshape(x, (BATCH, LENGTH, HEADS, HIDDEN // HEADS)), (0, 2, 1, 3))

    def construct(self, ids):
        x = self.gather(self.words, ids, 0) + self.positions
        x = ops.reshape(x, (BATCH * LENGTH, HIDDEN))
        h = self.norm1(x)
        scores = self.scores(self.heads(self.q(h)), self.heads(self.k(h))) * 0.375 + self.mask
        mixed = self.mix(self.softmax(scores), self.heads(self.v(h)))
        mixed = ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (BATCH * LENGTH, HIDDEN))
        x = x + self.out(mixed)
        x = x + self.down(self.gelu(self.up(self.norm2(x))))
        return self.head(self.norm3(x))


def gpt_start():
    start = {"words": weights(WORDS, HIDDEN, fan_in=4),
             "positions": weights(LENGTH, HIDDEN, fan_in=4)}
    for name in ("norm1", "norm2", "norm3"):
        start[f"{name}.gamma"] = 1 + biases(HIDDEN)
        start[f"{name}.beta"] = biases(HIDDEN)
    for name in ("q", "k", "v", "out"):
        start.update(dense_start(name, HIDDEN, HIDDEN, True))
    start.update(dense_start("up", HIDDEN, 4 * HIDDEN, True))
    start.update(dense_start("down", 4 * HIDDEN, HIDDEN, True))
    start["head.weight"] = weights(WORDS, HIDDEN, fan_in=HIDDEN)
    return start


def load(net, start):
    names = [p.name for p in net.get_parameters()]
    assert sorted(names) == sorted(start), (names, sorted(start))
    for parameter in net.get_parameters():
        parameter.set_data(ms.Tensor(start[parameter.name]))
    return net


def train(out, name, net, optimizer, batches, steps, test):
    step = nn.TrainOneStepCell(nn.WithLossCell(net, nn.CrossEntropyLoss()),
                               optimizer(net.trainable_params()))
    step.set_train()
    losses = [float(step(*(ms.Tensor(part) for part in batches[i % len(batches)])).asnumpy())
              for i in range(steps)]
    net.set_train(False)
    out.case(name)
    out.tensor("losses", np.array(losses, np.float32))
    out.tensor("logits", net(ms.Tensor(test)))
    print(name, losses[0], losses[-1])


def digits(labels, pictures):
    """Each digit has its own picture, and noise."""
    noise = random.standard_normal((*labels.shape, 64)) * 1.5
    return rounded(pictures[labels] + noise, 4)


def classifiers(out):
    pictures = random.standard_normal((10, 64))
    labels = random.integers(0, 10, (8, 32)).astype(np.int32)
    x = digits(labels, pictures)
    test = digits(random.integers(0, 10, 32), pictures)
    out.case("data")
    out.tensor("x", x)
    out.tensor("labels", labels)
    out.tensor("test_x", test)
    for kind, transposed in (("matmul", False), ("dense", True)):
        start = {}
        for layer, (inputs, outputs) in enumerate(((64, 32), (32, 32), (32, 16)), 1):
            start.update(dense_start(f"layer{layer}", inputs, outputs, transposed))
        out.case(kind)
        for name, value in start.items():
            out.tensor(name, value)
        for name, optimizer in OPTIMIZERS.items():
            net = load(DenseNetwork(), start) if transposed else Network(start)
            train(out, f"{kind}/{name}", net, optimizer, list(zip(x, labels)), 60, test)


def sentences(*shape):
    """The next word follows from the last one, mostly."""
    ids = random.integers(0, WORDS, (*shape, LENGTH + 1))
    for place in range(LENGTH):
        known = random.random(shape) < 0.8
        ids[..., place + 1] = np.where(known, (5 * ids[..., place] + 3) % WORDS, ids[..., place + 1])
    return ids.astype(np.int32)


def gpt(out):
    start = gpt_start()
    data = sentences(10, BATCH)
    ids, labels = data[..., :-1].copy(), data[..., 1:].reshape(10, BATCH * LENGTH).copy()
    test = sentences(BATCH)[..., :-1].copy()
    out.case("gpt")
    for name, value in {**start, "ids": ids, "labels": labels, "test_ids": test}.items():
        out.tensor(name, value)
    net = load(Gpt(), start)
    path = HERE / "gpt.mindir"
    path.unlink(missing_ok=True)
    ms.export(net, ms.Tensor(test), file_name=str(path), file_format="MINDIR")
    path.chmod(0o644)
    train(out, "gpt/adam", net, lambda p: nn.Adam(p, 0.005), list(zip(ids, labels)), 10, test)


if __name__ == "__main__":
    ms.set_context(mode=ms.PYNATIVE_MODE)
    ms.set_device("CPU")
    cases = Cases()
    classifiers(cases)
    gpt(cases)
    cases.write("training_runs.txt")
