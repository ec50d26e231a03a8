#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes kernels.txt, operators.txt, optimizers.txt and training.txt: what MindSpore calculates on a
CPU, for relayout/spmd.

    build/msvenv/bin/python tests/data/spmd/make_cases.py

A line "case NAME" begins a case; each line after it is a tensor, "name f32|i32 shape value...".
Gradients are MindSpore's own, for the gradient `dy` of the result. The tests in relayout/spmd read
the files and name the cases.
"""
import pathlib

import mindspore as ms
import numpy as np
from mindspore import nn, ops

HERE = pathlib.Path(__file__).parent
random = np.random.default_rng(7)


def normal(*shape):
    return random.standard_normal(shape).astype(np.float32)


class Cases:
    def __init__(self):
        self.lines = ["# SPDX-License-Identifier: Apache-2.0",
                      "# Written by make_cases.py beside this, with MindSpore " + ms.__version__]

    def case(self, name):
        self.lines.append(f"case {name}")

    def tensor(self, name, value):
        array = np.asarray(value.asnumpy() if isinstance(value, ms.Tensor) else value)
        dtype = "i32" if array.dtype.kind in "iu" else "f32"
        shape = ",".join(map(str, array.shape)) or "-"
        values = " ".join(str(v) if dtype == "i32" else f"{float(v):.9g}"
                          for v in array.reshape(-1))
        self.lines.append(f"{name} {dtype} {shape} {values}")

    def write(self, name):
        (HERE / name).write_text("\n".join(self.lines) + "\n")

    def operator(self, name, function, inputs, differentiated=None):
        """Inputs by name, the result y, a random dy, and d<name> of what can be differentiated."""
        tensors = {k: ms.Tensor(v) for k, v in inputs.items()}
        if differentiated is None:
            differentiated = [k for k, v in inputs.items() if v.dtype == np.float32]
        y = function(*tensors.values())
        dy = normal(*y.shape)

        class Net(nn.Cell):
            def construct(self, *arguments):
                return function(*arguments)

        gradients = ops.GradOperation(get_all=True, sens_param=True)(Net())(
            *tensors.values(), ms.Tensor(dy))
        self.case(name)
        for key, value in inputs.items():
            self.tensor(key, value)
        self.tensor("y", y)
        self.tensor("dy", dy)
        of_input = dict(zip([k for k, v in inputs.items() if v.dtype == np.float32], gradients))
        for key in differentiated:
            self.tensor("d" + key, of_input[key])


def kernels():
    out = Cases()
    a, b = normal(5, 7), normal(7, 6)
    for ta, tb in ((0, 0), (0, 1), (1, 0), (1, 1)):
        out.operator(f"MatMul/{ta}{tb}", ops.MatMul(bool(ta), bool(tb)),
                     {"a": a.T.copy() if ta else a, "b": b.T.copy() if tb else b})
    for ta, tb in ((0, 0), (0, 1), (1, 0)):
        a = normal(2, 2, 3, 4) if not ta else normal(2, 2, 4, 3)
        b = normal(2, 2, 4, 5) if not tb else normal(2, 2, 5, 4)
        out.operator(f"BatchMatMul/{ta}{tb}", ops.BatchMatMul(bool(ta), bool(tb)),
                     {"a": a, "b": b})
    # BatchMatMul itself does not broadcast on a CPU.
    out.operator("BatchMatMul/broadcast", ops.matmul, {"a": normal(2, 1, 3, 4), "b": normal(3, 4, 5)})
    positive = np.abs(normal(3, 1)) + np.float32(0.5)
    for name, function in (("Add", ops.Add()), ("Sub", ops.Sub()), ("Mul", ops.Mul()),
                           ("RealDiv", ops.RealDiv())):
        out.operator(name, function, {"a": normal(2, 3, 4), "b": positive})
    out.operator("BiasAdd/2d", ops.BiasAdd(), {"x": normal(4, 5), "bias": normal(5)})
    out.operator("BiasAdd/4d", ops.BiasAdd(), {"x": normal(2, 3, 2, 2), "bias": normal(3)})
    wide = np.concatenate([np.linspace(-9, 9, 41), [0.0, 1e-3, -1e-3, 20, -20]]).astype(np.float32)
    for name, function in (("ReLU", ops.ReLU()), ("GeLU", ops.GeLU()), ("SiLU", ops.silu),
                           ("Tanh", ops.Tanh()), ("Sigmoid", ops.Sigmoid())):
        out.operator(name, function, {"x": wide})
    above_zero = {"x": np.abs(wide) + np.float32(0.25)}
    for name, function in (("Square", ops.Square()), ("Sqrt", ops.Sqrt()),
                           ("Rsqrt", ops.Rsqrt()), ("Exp", ops.Exp())):
        out.operator(name, function, above_zero if name != "Exp" else {"x": wide[wide < 5]})
    for axis in (-1, 0, 1):
        for name, make in (("Softmax", ops.Softmax), ("LogSoftmax", ops.LogSoftmax)):
            out.operator(f"{name}/{axis}", make(axis), {"x": normal(3, 4, 5) * np.float32(3)})
    layer_norm = ops.LayerNorm(begin_norm_axis=-1, begin_params_axis=-1, epsilon=1e-5)
    out.operator("LayerNorm", lambda x, g, b: layer_norm(x, g, b)[0],
                 {"x": normal(6, 19) + np.float32(2), "gamma": normal(19), "beta": normal(19)})
    out.operator("RmsNorm", lambda x, g: x * ops.rsqrt(
        ops.ReduceMean(True)(ops.square(x), -1) + np.float32(1e-6)) * g,
        {"x": normal(6, 19), "gamma": normal(19)})
    ids = np.array([[4, 0, 2], [2, 2, 1]], np.int32)
    out.operator("Gather/0", lambda t, i: ops.gather(t, i, 0), {"table": normal(5, 4), "ids": ids})
    out.operator("Gather/1", lambda t, i: ops.gather(t, i, 1), {"table": normal(3, 5, 2), "ids": ids})
    out.operator("Transpose", lambda x: ops.transpose(x, (0, 2, 1, 3)), {"x": normal(2, 3, 4, 2)})
    # No step below 0: MindSpore 2.10 gives zeros for its gradient on a CPU.
    out.operator("StridedSlice", lambda x: ops.strided_slice(x, (0, 1, 1), (2, 5, 4), (1, 2, 2)),
                 {"x": normal(2, 5, 4)})
    out.operator("Split", lambda x: ops.Split(1, 3)(x)[1], {"x": normal(2, 6, 2)})
    out.operator("Concat", lambda x, z: ops.Concat(1)((x, z)), {"x": normal(2, 3), "z": normal(2, 4)})
    for name, make in (("ReduceSum", ops.ReduceSum), ("ReduceMean", ops.ReduceMean)):
        out.operator(f"{name}/02", lambda x, f=make(False): f(x, (0, 2)), {"x": normal(3, 4, 5)})
        out.operator(f"{name}/all", lambda x, f=make(False): f(x), {"x": normal(3, 4, 5)})
    labels = np.array([1, 0, -100, 9, 3, 3], np.int32)
    out.operator("CrossEntropyLoss", nn.CrossEntropyLoss(),
                 {"x": normal(6, 10) * np.float32(4), "labels": labels})
    out.case("Cast")
    values = np.array([-1.7, 2.5, -0.5, 1e6, 16777217, 0], np.float32)
    out.tensor("x", values)
    out.tensor("y", ops.Cast()(ms.Tensor(values), ms.int32))
    out.write("kernels.txt")


OPTIMIZERS = {
    "sgd": lambda p: nn.SGD(p, 0.1),
    "sgd/decay": lambda p: nn.SGD(p, 0.1, weight_decay=0.02),
    "sgd/momentum": lambda p: nn.SGD(p, 0.1, momentum=0.9),
    "sgd/dampening": lambda p: nn.SGD(p, 0.1, momentum=0.9, dampening=0.3, weight_decay=0.02),
    "sgd/nesterov": lambda p: nn.SGD(p, 0.1, momentum=0.9, nesterov=True, loss_scale=4.0,
                                     weight_decay=0.02),
    "momentum": lambda p: nn.Momentum(p, 0.1, 0.9),
    "momentum/nesterov": lambda p: nn.Momentum(p, 0.1, 0.9, weight_decay=0.02, loss_scale=4.0,
                                               use_nesterov=True),
    "adam": lambda p: nn.Adam(p, 0.01),
    "adam/decay": lambda p: nn.Adam(p, 0.01, beta1=0.8, beta2=0.99, eps=1e-5, weight_decay=0.02),
    "adam/nesterov": lambda p: nn.Adam(p, 0.01, use_nesterov=True, loss_scale=4.0),
}


def optimizers():
    out = Cases()
    for name, make in OPTIMIZERS.items():
        shape = (19,)  # Vector instructions, and a rest.
        weight = ms.Parameter(ms.Tensor(normal(*shape)), name="w")
        gamma = ms.Parameter(ms.Tensor(normal(*shape)), name="gamma")
        optimizer = make([weight, gamma])
        out.case(name)
        out.tensor("w", weight)
        out.tensor("gamma", gamma)
        for step in range(1, 6):
            gradients = (ms.Tensor(normal(*shape)), ms.Tensor(normal(*shape)))
            optimizer(gradients)
            out.tensor(f"dw.{step}", gradients[0])
            out.tensor(f"dgamma.{step}", gradients[1])
            # parameters_dict has the parameters, every state and the scalars.
            for key, value in optimizer.parameters_dict().items():
                out.tensor(f"{key}.{step}", value)
    out.write("optimizers.txt")


class Dense(nn.Cell):
    def __init__(self, weight, bias):
        super().__init__()
        self.weight = ms.Parameter(ms.Tensor(weight), name="weight")
        self.bias = ms.Parameter(ms.Tensor(bias), name="bias")
        self.matmul = ops.MatMul()
        self.add = ops.Add()

    def construct(self, x):
        return self.add(self.matmul(x, self.weight), self.bias)


class Network(nn.Cell):
    """The tutorial's, on images of 6 x 6."""

    def __init__(self, start):
        super().__init__()
        self.layer1 = Dense(start["layer1.weight"], start["layer1.bias"])
        self.layer2 = Dense(start["layer2.weight"], start["layer2.bias"])
        self.layer3 = Dense(start["layer3.weight"], start["layer3.bias"])
        self.relu = ops.ReLU()

    def construct(self, x):
        return self.layer3(self.relu(self.layer2(self.relu(self.layer1(x)))))


TRAININGS = {
    "sgd": lambda p: nn.SGD(p, 0.01),
    "sgd_momentum": lambda p: nn.SGD(p, 0.01, momentum=0.9),
    "momentum": lambda p: nn.Momentum(p, 0.01, 0.9),
    "adam": lambda p: nn.Adam(p, 0.001),
}


def training():
    out = Cases()
    start = {}
    for layer, (rows, columns) in enumerate(((36, 32), (32, 24), (24, 10)), 1):
        start[f"layer{layer}.weight"] = normal(rows, columns) / np.float32(np.sqrt(rows))
        start[f"layer{layer}.bias"] = normal(columns) * np.float32(0.1)
    labels = random.integers(0, 10, (3, 24)).astype(np.int32)
    x = normal(3, 24, 36) + normal(10, 36)[labels]  # Each digit has its own mean.
    out.case("network")
    for name, value in {**start, "x": x, "labels": labels}.items():
        out.tensor(name, value)
    for name, make in TRAININGS.items():
        net = Network(start)
        step = nn.TrainOneStepCell(nn.WithLossCell(net, nn.CrossEntropyLoss()),
                                   make(net.trainable_params()))
        step.set_train()
        losses = [float(step(ms.Tensor(x[i % 3]), ms.Tensor(labels[i % 3])).asnumpy())
                  for i in range(20)]
        out.case(name)
        out.tensor("losses", np.array(losses, np.float32))
    out.write("training.txt")


def graph_operator(out, name, function, inputs, differentiated=True):
    """Inputs x0, x1, ...; results y0, y1, ...; a random dy of y0, and d<input> of each f32 input."""
    tensors = [ms.Tensor(x) for x in inputs]
    results = function(*tensors)
    results = results if isinstance(results, (tuple, list)) else (results,)
    out.case(name)
    for i, x in enumerate(inputs):
        out.tensor(f"x{i}", x)
    for i, y in enumerate(results):
        out.tensor(f"y{i}", y)
    if not differentiated:
        return

    class First(nn.Cell):
        def construct(self, *arguments):
            y = function(*arguments)
            return y[0] if isinstance(y, (tuple, list)) else y

    dy = normal(*results[0].shape)
    gradients = ops.GradOperation(get_all=True, sens_param=True)(First())(*tensors, ms.Tensor(dy))
    out.tensor("dy", dy)
    assert len(gradients) == len(inputs)
    for i, x in enumerate(inputs):
        if x.dtype == np.float32:
            out.tensor(f"dx{i}", gradients[i])


def operators():
    """Operators with their attributes, as relayout/spmd/operator_kernel_test.cc lists them."""
    out = Cases()
    logits = normal(6, 4)
    log_probabilities = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    labels = np.array([2, 1, 0, 3, 1, 2], np.int32)
    weights = np.array([1, 2, 0.5, 4], np.float32)
    for reduction in ("mean", "sum", "none"):
        # Without reduction MindSpore does not write the loss of an ignored row.
        ignored = -100 if reduction == "none" else 1
        graph_operator(out, f"NLLLoss/{reduction}", ops.NLLLoss(reduction, ignored),
                       [log_probabilities, labels, weights])
        graph_operator(out, f"CrossEntropyLoss/{reduction}",
                       lambda x, t, w, r=reduction: ops.cross_entropy(x, t, w, 1, r),
                       [logits, labels, weights])
    graph_operator(out, "SparseSoftmaxCrossEntropyWithLogits",
                   ops.SparseSoftmaxCrossEntropyWithLogits(), [logits, labels])
    graph_operator(out, "SoftmaxCrossEntropyWithLogits", ops.SoftmaxCrossEntropyWithLogits(),
                   [logits, np.eye(4, dtype=np.float32)[labels]])
    graph_operator(out, "LayerNorm", ops.LayerNorm(1, 1, 1e-3),
                   [normal(3, 2, 4), normal(2, 4), normal(2, 4)])
    graph_operator(out, "LayerNorm/last", ops.LayerNorm(-1, -1),
                   [normal(3, 2, 4), normal(4), normal(4)])
    graph_operator(out, "LogSoftmax/0", ops.LogSoftmax(0), [normal(5, 3)])
    graph_operator(out, "Softmax/tuple", ops.Softmax((-2,)), [normal(2, 5, 3)])

    graph_operator(out, "StridedSlice/steps",
                   lambda x: ops.strided_slice(x, (0, 1), (4, 6), (1, 2)), [normal(4, 6, 2)],
                   differentiated=False)  # On a CPU it reads beyond its memory.
    graph_operator(out, "StridedSlice/back",
                   lambda x: ops.strided_slice(x, (0, -1), (4, -7), (1, -2)), [normal(4, 6)])
    graph_operator(out, "StridedSlice/masks",
                   lambda x: ops.StridedSlice(0b0001, 0b0011, 0, 0b1000, 0b0100)(
                       x, (7, 4, 1, 0), (9, 9, 2, 1), (1, 1, 1, 1)), [normal(4, 6, 3, 2)],
                   differentiated=False)
    graph_operator(out, "Slice", lambda x: ops.Slice()(x, (1, 2), (3, 2)), [normal(5, 4)])
    graph_operator(out, "Split", ops.Split(1, 3), [normal(4, 6)])
    graph_operator(out, "Concat", lambda x, z: ops.Concat(-1)((x, z)), [normal(4, 2), normal(4, 3)])
    graph_operator(out, "Stack", lambda x, z: ops.Stack(1)((x, z)), [normal(4, 2), normal(4, 2)])
    graph_operator(out, "Transpose", lambda x: ops.Transpose()(x, (0, 2, -1, 1)),
                   [normal(2, 3, 4, 5)])
    graph_operator(out, "BroadcastTo", lambda x: ops.BroadcastTo((3, -1, 6))(x), [normal(4, 1)])
    graph_operator(out, "Tile", lambda x: ops.Tile()(x, (3, 2, 1)), [normal(4, 2)])
    graph_operator(out, "ExpandDims", lambda x: ops.ExpandDims()(x, -1), [normal(4, 2)])
    graph_operator(out, "Flatten", ops.Flatten(), [normal(4, 2, 3)])

    ids = np.array([[3, 0], [2, 3]], np.int32)
    graph_operator(out, "Gather", lambda x, i: ops.Gather()(x, i, 1), [normal(3, 4, 2), ids])
    graph_operator(out, "EmbeddingLookup", lambda x, i: ops.EmbeddingLookup()(x, i, 2),
                   [normal(4, 3), ids + 1], differentiated=False)
    one, zero = np.array(2, np.float32), np.array(-1, np.float32)
    graph_operator(out, "OneHot", lambda i, a, b: ops.OneHot(-1)(i, 5, a, b), [ids, one, zero],
                   differentiated=False)
    graph_operator(out, "OneHot/0", lambda i, a, b: ops.OneHot(0)(i, 3, a, b), [ids, one, zero],
                   differentiated=False)

    graph_operator(out, "ReduceMean", lambda x: ops.ReduceMean(True)(x, (0, -1)), [normal(3, 2, 4)])
    graph_operator(out, "ReduceSum", lambda x: ops.ReduceSum()(x, ()), [normal(3, 4)])
    graph_operator(out, "BiasAdd", ops.BiasAdd(), [normal(3, 2, 2, 4), normal(2)])
    graph_operator(out, "Dense", ops.dense, [normal(2, 3, 4), normal(5, 4), normal(5)])
    graph_operator(out, "AddN", lambda x, z: ops.AddN()((x, z)), [normal(3, 4), normal(3, 4)])
    graph_operator(out, "RealDiv", ops.RealDiv(), [normal(3, 4), normal(4) + 3])
    graph_operator(out, "Sub", ops.Sub(), [normal(3, 1), normal(4)])
    positive = np.abs(normal(3, 4)) + np.float32(0.5)
    graph_operator(out, "Pow", lambda x: ops.Pow()(x, 2.5), [positive])
    graph_operator(out, "Log", ops.Log(), [positive])
    graph_operator(out, "Erf", ops.Erf(), [normal(3, 4)])
    graph_operator(out, "Gelu/erf", lambda x: ops.gelu(x, approximate="none"), [normal(3, 4)])
    graph_operator(out, "Cast", lambda x: ops.Cast()(x, ms.int32), [normal(3, 4) * 4],
                   differentiated=False)
    graph_operator(out, "Tril", lambda x: ops.tril(x, 1), [normal(2, 3, 4)])
    graph_operator(out, "Triu", lambda x: ops.triu(x, -1), [normal(2, 4, 3)])
    out.write("operators.txt")


if __name__ == "__main__":
    ms.set_context(mode=ms.PYNATIVE_MODE)
    ms.set_device("CPU")
    kernels()
    optimizers()
    training()
    operators()
