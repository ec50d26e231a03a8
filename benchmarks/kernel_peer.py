# SPDX-License-Identifier: Apache-2.0
"""MindSpore's times for the cases of kernel_bench, in its lines.

    kernel_peer.py SAMPLES THREADS [BEGINNING OF CASES]

Operators run one by one (PyNative), many calls between two looks at the clock; training steps as a
compiled graph. One thread means one processor and one thread of each pool.
"""
import os
import sys
import time

SAMPLES, THREADS = int(sys.argv[1]), int(sys.argv[2])
ONLY = sys.argv[3] if len(sys.argv) > 3 else ""
if THREADS == 1:
    os.environ["OMP_NUM_THREADS"] = "1"
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import mindspore as ms  # noqa: E402
import numpy as np  # noqa: E402
from mindspore import nn, ops  # noqa: E402

MILLISECONDS = 30


def filled(*shape, scale=0.02):
    count = int(np.prod(shape))
    values = (np.arange(count) % 97 - 48).astype(np.float32) * np.float32(scale)
    return ms.Tensor(values.reshape(shape))


def sample(call):
    def timed(calls):
        begin = time.perf_counter()
        for _ in range(calls):
            result = call()
        result.asnumpy()
        return (time.perf_counter() - begin) * 1e3 / calls

    timed(3)
    return timed(max(1, int(MILLISECONDS / timed(1))))


def dense(name, rows, i, o):
    return [(f"{name}.y", 1, rows, i, o, 0, 0), (f"{name}.dx", 1, rows, o, i, 0, 1),
            (f"{name}.dw", 1, i, rows, o, 1, 0)]


def products():
    """As benchmarks/matrix_product.h."""
    for rows in (32, 256):
        for layer, (i, o) in enumerate(((784, 512), (512, 512), (512, 10)), 1):
            yield from dense(f"tutorial.{rows}.layer{layer}", rows, i, o)
    yield from dense("gpt.qkv", 2048, 512, 1536)
    yield from dense("gpt.up", 2048, 512, 2048)
    yield from dense("gpt.down", 2048, 2048, 512)
    yield "gpt.scores", 128, 128, 64, 128, 0, 1
    yield "gpt.context", 128, 128, 128, 64, 0, 0


def product_cases():
    for name, batch, m, k, n, ta, tb in products():
        lead = (batch,) if batch > 1 else ()
        a = filled(*lead, *((k, m) if ta else (m, k)))
        b = filled(*lead, *((n, k) if tb else (k, n)))
        operator = (ops.BatchMatMul if batch > 1 else ops.MatMul)(bool(ta), bool(tb))
        yield name, lambda f=operator, a=a, b=b: f(a, b)


def other_cases():
    x = filled(16384, 128)
    softmax = ops.Softmax(-1)
    yield "gpt.softmax", lambda: softmax(x)
    wide = filled(2048, 2048)
    gelu = ops.GeLU()
    yield "gpt.gelu", lambda: gelu(wide)
    hidden, weights = filled(2048, 512), filled(512)
    norm = ops.LayerNorm(-1, -1, 1e-5)
    yield "gpt.layernorm", lambda: norm(hidden, weights, weights)[0]


class Network(nn.Cell):
    def __init__(self):
        super().__init__()
        sizes = ((784, 512), (512, 512), (512, 10))
        self.w1, self.w2, self.w3 = (ms.Parameter(filled(i, o, scale=1e-3), name=f"w{i}.{o}")
                                     for i, o in sizes)
        self.b1, self.b2, self.b3 = (ms.Parameter(filled(o, scale=1e-3), name=f"b{i}.{o}")
                                     for i, o in sizes)
        self.matmul, self.add, self.relu = ops.MatMul(), ops.Add(), ops.ReLU()

    def construct(self, x):
        x = self.relu(self.add(self.matmul(x, self.w1), self.b1))
        x = self.relu(self.add(self.matmul(x, self.w2), self.b2))
        return self.add(self.matmul(x, self.w3), self.b3)


def step_cases():
    makers = {"sgd": lambda p: nn.SGD(p, 0.01), "momentum": lambda p: nn.Momentum(p, 0.01, 0.9),
              "adam": lambda p: nn.Adam(p, 0.001)}
    for rows in (32, 256):
        x, labels = filled(rows, 784), ms.Tensor(np.zeros(rows, np.int32))
        for name, make in makers.items():
            net = Network()
            step = nn.TrainOneStepCell(nn.WithLossCell(net, nn.CrossEntropyLoss()),
                                       make(net.trainable_params()))
            step.set_train()
            # The loss is waited for, as by anyone who prints it.
            yield f"step.{rows}.{name}", lambda s=step, x=x, y=labels: ms.Tensor(s(x, y).asnumpy())


def main():
    ms.set_device("CPU")
    for mode, cases in ((ms.PYNATIVE_MODE, product_cases), (ms.PYNATIVE_MODE, other_cases),
                        (ms.GRAPH_MODE, step_cases)):
        ms.set_context(mode=mode)
        for name, call in cases():
            if not name.startswith(ONLY):
                continue
            for _ in range(SAMPLES):
                print(name, "mindspore", THREADS, 1, f"{sample(call):.5f}", flush=True)


main()
