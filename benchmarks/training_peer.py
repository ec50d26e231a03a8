# SPDX-License-Identifier: Apache-2.0
"""MindSpore's side of training_bench: the networks of training_cases.h as cells, from the same
weights on the same batch, compiled as a graph.

    training_peer.py CASE THREADS

Prints the losses of the first steps, then a sample for each line on standard input, in
training_bench's lines. One thread means one thread of each pool, on the processors it is given.
"""
import os
import sys
import time

CASE, THREADS = sys.argv[1], int(sys.argv[2])
os.environ["OMP_NUM_THREADS"] = str(THREADS)

import mindspore as ms  # noqa: E402
import numpy as np  # noqa: E402
from mindspore import nn, ops  # noqa: E402

ROWS, SEQUENCES, LENGTH, HIDDEN, HEADS = 256, 8, 128, 512, 8
X_NUMBER, LABEL_NUMBER = 100, 101
LOSSES, SAMPLE_MS = 5, 150


def hashed(number, shape):
    """Evenly in [-1, 1): HashedValue of training_cases.h."""
    index = np.arange(int(np.prod(shape)), dtype=np.uint32)
    with np.errstate(over="ignore"):
        bits = index * np.uint32(2654435761) + np.uint32(number * 40503)
        bits = (bits ^ (bits >> np.uint32(15))) * np.uint32(2246822519)
        bits ^= bits >> np.uint32(13)
    values = (bits >> np.uint32(8)).astype(np.float32) * np.float32(2 ** -23) - np.float32(1)
    return values.reshape(shape)


class Parameters:
    """Makes parameters, numbered in the order of the network."""

    def __init__(self):
        self.count = 0

    def make(self, name, shape, is_gamma=False):
        values = hashed(self.count, shape)
        self.count += 1
        values = 1 + values / 8 if is_gamma else values * np.float32(0.0625)
        return ms.Parameter(ms.Tensor(values.astype(np.float32)), name=name)


class Linear(nn.Cell):
    def __init__(self, parameters, name, width_in, width_out):
        super().__init__()
        self.weight = parameters.make(f"{name}.weight", (width_in, width_out))
        self.bias = parameters.make(f"{name}.bias", (width_out,))
        self.matmul, self.add = ops.MatMul(), ops.Add()

    def construct(self, x):
        return self.add(self.matmul(x, self.weight), self.bias)


class Tutorial(nn.Cell):
    def __init__(self):
        super().__init__()
        parameters = Parameters()
        self.flatten, self.relu = nn.Flatten(), ops.ReLU()
        self.layer1 = Linear(parameters, "layer1", 784, 512)
        self.layer2 = Linear(parameters, "layer2", 512, 512)
        self.layer3 = Linear(parameters, "layer3", 512, 10)

    def construct(self, x):
        x = self.relu(self.layer1(self.flatten(x)))
        return self.layer3(self.relu(self.layer2(x)))


class Norm(nn.Cell):
    def __init__(self, parameters, name):
        super().__init__()
        self.gamma = parameters.make(f"{name}.gamma", (HIDDEN,), is_gamma=True)
        self.beta = parameters.make(f"{name}.beta", (HIDDEN,))
        self.norm = ops.LayerNorm(-1, -1, 1e-7)

    def construct(self, x):
        return self.norm(x, self.gamma, self.beta)[0]


class GptBlock(nn.Cell):
    def __init__(self):
        super().__init__()
        parameters = Parameters()
        self.norm1 = Norm(parameters, "norm1")
        self.query, self.key, self.value, self.out = (
            Linear(parameters, name, HIDDEN, HIDDEN) for name in ("query", "key", "value", "out"))
        self.norm2 = Norm(parameters, "norm2")
        self.up = Linear(parameters, "up", HIDDEN, 4 * HIDDEN)
        self.down = Linear(parameters, "down", 4 * HIDDEN, HIDDEN)
        self.reshape, self.transpose, self.gelu = ops.Reshape(), ops.Transpose(), ops.GeLU()
        self.scores, self.mix = ops.BatchMatMul(transpose_b=True), ops.BatchMatMul()
        self.softmax = ops.Softmax(-1)
        self.scale = 1 / (HIDDEN / HEADS) ** 0.5
        mask = np.triu(np.full((LENGTH, LENGTH), -1e4, np.float32), 1)
        self.mask = ms.Tensor(mask)

    def heads(self, x):
        x = self.reshape(x, (SEQUENCES, LENGTH, HEADS, HIDDEN // HEADS))
        return self.transpose(x, (0, 2, 1, 3))

    def attention(self, x):
        q, k, v = self.heads(self.query(x)), self.heads(self.key(x)), self.heads(self.value(x))
        weights = self.softmax(self.scores(q, k) * self.scale + self.mask)
        mixed = self.transpose(self.mix(weights, v), (0, 2, 1, 3))
        return self.out(self.reshape(mixed, (SEQUENCES * LENGTH, HIDDEN)))

    def construct(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(self.gelu(self.up(self.norm2(x))))


OPTIMIZERS = {"sgd": lambda p: nn.SGD(p, 0.01), "momentum": lambda p: nn.Momentum(p, 0.01, 0.9),
              "adam": lambda p: nn.Adam(p, 0.001)}


def prepare():
    network, optimizer = CASE.split(".")
    if network == "gpt":
        net, loss = GptBlock(), nn.MSELoss()
        x = hashed(X_NUMBER, (SEQUENCES * LENGTH, HIDDEN))
        label = hashed(LABEL_NUMBER, (SEQUENCES * LENGTH, HIDDEN))
    else:
        net, loss = Tutorial(), nn.CrossEntropyLoss()
        x = hashed(X_NUMBER, (ROWS, 1, 28, 28))
        label = ((hashed(LABEL_NUMBER, (ROWS,)) + 1) * 5).astype(np.int32)
    step = nn.TrainOneStepCell(nn.WithLossCell(net, loss),
                               OPTIMIZERS[optimizer](net.trainable_params()))
    step.set_train()
    x, label = ms.Tensor(x), ms.Tensor(label)
    # The loss is waited for, as by anyone who prints it.
    return lambda: float(step(x, label).asnumpy())


def main():
    ms.set_device("CPU")
    ms.set_context(mode=ms.GRAPH_MODE, runtime_num_threads=THREADS)
    step = prepare()
    losses = [step(), step()]
    begin = time.perf_counter()
    losses += [step() for _ in range(LOSSES - 2)]
    once = (time.perf_counter() - begin) * 1e3 / (LOSSES - 2)
    print("loss", CASE, "mindspore", " ".join(f"{loss:.6f}" for loss in losses), flush=True)
    count = max(1, int(SAMPLE_MS / once))
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            step()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(f"step {CASE} mindspore {THREADS} 1 {wall * 1e3 / count:.4f} {cpu * 1e3 / count:.4f}",
              "0 0 0", flush=True)


main()
