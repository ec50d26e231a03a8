#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exports the networks of this folder as MindIR: export.py OUT_DIR [NAME ...]. Needs MindSpore 2.10.

Tiny, so that each file has a few KB. What each shows is said in README.md of the folder above.
"""

import os
import sys

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, mint, nn, ops
from mindspore.common.initializer import initializer
from mindspore.parallel import Layout


def ones(*shape, dtype=np.float32):
    return Tensor(np.ones(shape, dtype))


def parameter(name, *shape, **more):
    return Parameter(initializer("ones", shape), name=name, **more)


class Mlp(nn.Cell):
    def __init__(self):
        super().__init__()
        self.first = nn.Dense(16, 32, activation="relu")
        self.second = nn.Dense(32, 4, has_bias=False)
        self.gelu = nn.GELU()
        self.first.matmul.shard(((2, 1), (2, 1)))
        self.first.bias_add.shard(((2, 2), (2,)))

    def construct(self, x):
        return self.second(self.gelu(self.first(x)))


class Block(nn.Cell):
    """A transformer block of two heads."""

    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm((16,))
        self.norm2 = nn.LayerNorm((16,))
        self.q = nn.Dense(16, 16)
        self.k = nn.Dense(16, 16)
        self.v = nn.Dense(16, 16)
        self.out = nn.Dense(16, 16)
        self.up = nn.Dense(16, 32)
        self.down = nn.Dense(32, 16)
        self.score = ops.BatchMatMul(transpose_b=True).shard(((2, 2, 1, 1), (2, 2, 1, 1)))
        self.mix = ops.BatchMatMul()
        self.softmax = nn.Softmax()
        self.dropout = nn.Dropout(p=0.1)
        self.gelu = nn.GELU(approximate=False)
        self.transpose = ops.Transpose()
        self.reshape = ops.Reshape()

    def heads(self, x):
        return self.transpose(self.reshape(x, (2, 4, 2, 8)), (0, 2, 1, 3))

    def construct(self, x):
        h = self.norm1(x)
        weight = self.softmax(self.score(self.heads(self.q(h)), self.heads(self.k(h))) / 8.0)
        mixed = self.mix(self.dropout(weight), self.heads(self.v(h)))
        x = x + self.out(self.reshape(self.transpose(mixed, (0, 2, 1, 3)), (2, 4, 16)))
        return x + self.down(self.gelu(self.up(self.norm2(x))))


class Embedding(nn.Cell):
    def __init__(self):
        super().__init__()
        self.word = nn.Embedding(10, 8)
        self.one_hot = nn.Embedding(10, 8, use_one_hot=True)
        self.lookup = nn.EmbeddingLookup(10, 8)
        self.position = parameter("position", 4, 8)
        self.table = parameter("table", 6, 8)
        self.gather = ops.Gather().shard(((2, 1), (1, 1)))

    def construct(self, ids):
        found = self.word(ids) + self.one_hot(ids) + self.lookup(ids)
        return found + self.position + self.gather(self.table, ids, 0)


class Llama(nn.Cell):
    """RMS norms (one of primitives, one fused), a rotated half and a gated product."""

    def __init__(self):
        super().__init__()
        self.scale = parameter("scale", 16)
        self.gamma = parameter("gamma", 16)
        self.q = nn.Dense(16, 16, has_bias=False)
        self.gate = nn.Dense(16, 32, has_bias=False)
        self.up = nn.Dense(16, 32, has_bias=False)
        self.down = nn.Dense(32, 16, has_bias=False)
        self.cos = ones(4, 8)
        self.silu = nn.SiLU()
        self.mean = ops.ReduceMean(True)
        self.concat = ops.Concat(-1)
        self.norm = ops.RmsNorm()
        self.scores = ops.BatchMatMul(transpose_b=True)
        self.mix = ops.BatchMatMul()

    def rms(self, x):
        return x * ops.rsqrt(self.mean(ops.square(x), -1) + 1e-6) * self.scale

    def construct(self, x):
        h = self.rms(x.astype(ms.float16).astype(ms.float32))
        q = self.q(h).reshape(2, 4, 2, 8).transpose(0, 2, 1, 3)
        q = q * self.cos + self.concat((ops.neg(q[..., 4:]), q[..., :4])) * self.cos
        mask = (1 - ops.tril(ops.ones((4, 4), ms.float32))) * -10000.0
        a = self.mix(ops.softmax(self.scores(q, q) + mask, -1), q)
        x = x + a.transpose(0, 2, 1, 3).reshape(2, 4, 16)
        h = self.norm(x, self.gamma)[0]
        return x + self.down(self.silu(self.gate(h)) * self.up(h))


class EncoderLayer(nn.Cell):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    def construct(self, x):
        return self.layer(x)


class Convolution(nn.Cell):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, has_bias=True)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU()
        self.max_pool = nn.MaxPool2d(2, 2)
        self.avg_pool = nn.AvgPool2d(2, 2)
        self.flatten = nn.Flatten()
        self.head = nn.Dense(16, 5)

    def construct(self, x):
        x = self.max_pool(self.relu(self.norm(self.conv(x))))
        return self.head(self.flatten(self.avg_pool(x)))


class Tied(nn.Cell):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 8)
        self.hidden = nn.Dense(8, 8, activation="gelu")
        self.matmul = ops.MatMul(transpose_b=True)

    def construct(self, ids):
        h = self.hidden(self.embedding(ids))
        return self.matmul(h.reshape(-1, 8), self.embedding.embedding_table)


class LazyBlock(nn.Cell):
    @ms.lazy_inline
    def __init__(self):
        super().__init__()
        self.dense = nn.Dense(16, 16)
        self.dense.matmul.shard(((2, 1), (4, 1)))
        self.norm = nn.LayerNorm((16,))

    def construct(self, x, mask):
        return self.norm(self.dense(x)) * mask, mask


class LazyInline(nn.Cell):
    """A sub-graph that is called twice and returns a tuple; its first weight used once more."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.CellList([LazyBlock() for _ in range(2)])
        self.head = nn.Dense(16, 16)
        self.head.weight = self.blocks[0].dense.weight

    def construct(self, x, mask):
        for block in self.blocks:
            x, mask = block(x, mask)
        return self.head(x)


class Recompute(nn.Cell):
    def __init__(self):
        super().__init__()
        self.a = nn.Dense(16, 16, activation="tanh")
        self.b = nn.Dense(16, 16)
        self.a.recompute()
        self.b.pipeline_stage = 1

    def construct(self, x):
        return self.b(self.a(x))


class Layouts(nn.Cell):
    """Annotations of every kind."""

    def __init__(self):
        super().__init__()
        layout = Layout((2, 2, 2), ("dp", "sp", "mp"))
        self.matmul = ops.MatMul().shard(
            (layout("dp", "mp"), layout("mp", "sp")), (layout(("dp", "mp"), "sp"),)
        )
        self.relu = ops.ReLU().shard(((2, 1),), ((2, 1),))
        self.relu.add_prim_attr("keep_alive", True)
        self.concat = ops.Concat(1).shard(((2, 1), (2, 1)))
        self.split = ops.Split(1, 2).shard(((2, 1),))
        self.sub = ops.Sub().shard(((2, 2), ()))
        self.gather = ops.Gather().shard(((1, 1), (1,)))
        self.gather.add_prim_attr("manual_split", ((4, 0), (4, 4)))
        self.weight = parameter("weight", 16, 8)
        self.table = parameter("table", 8, 16)
        self.ids = Tensor(np.zeros(4, np.int32))

    def construct(self, x):
        y = self.relu(self.matmul(x, self.weight))
        a, b = self.split(self.concat((y, y)))
        return self.sub(a, Tensor(1.0, ms.float32)), b, self.gather(self.table, self.ids, 0)


class FlashAttention(nn.Cell):
    def __init__(self):
        super().__init__()
        self.attention = ops.operations.nn_ops.FlashAttentionScore(2, input_layout="BNSD")
        self.mask = ones(4, 4, dtype=np.uint8)

    def construct(self, q, k, v):
        return self.attention(q, k, v, None, None, None, self.mask, None)[3]


class Loss(nn.Cell):
    def __init__(self):
        super().__init__()
        self.dense = nn.Dense(16, 10)
        self.cross_entropy = nn.CrossEntropyLoss()
        self.softmax_loss = nn.SoftmaxCrossEntropyWithLogits()
        self.sparse_loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")

    def construct(self, x, labels):
        z = self.dense(x)
        one_hot = ops.one_hot(labels, 10, Tensor(1.0, ms.float32), Tensor(0.0, ms.float32))
        return (
            self.cross_entropy(z, labels),
            self.softmax_loss(z, one_hot),
            self.sparse_loss(z, labels),
        )


class Mint(nn.Cell):
    def __init__(self):
        super().__init__()
        self.linear = mint.nn.Linear(16, 16)
        self.norm = mint.nn.LayerNorm(16)

    def construct(self, x):
        x = mint.add(self.norm(self.linear(x)), x, alpha=2)
        x = mint.sub(x, 1)
        x = mint.mean(mint.matmul(x, x.T), 0)
        x = mint.nn.functional.silu(mint.nn.functional.gelu(x))
        x = mint.reshape(mint.cat((x, x), 0), (2, -1))
        x = mint.stack((mint.transpose(x, 0, 1), mint.transpose(x, 0, 1)))
        return mint.flatten(mint.split(x, 1)[0])


class State(nn.Cell):
    """Parameters that the network itself writes, or that are whole numbers."""

    def __init__(self):
        super().__init__()
        self.cache = parameter("cache", 8, 16, requires_grad=False)
        self.step = Parameter(Tensor(0, ms.int32), name="step")
        self.weight = parameter("weight", 16, 16, parallel_optimizer=False)
        self.frozen = parameter("frozen", 16, requires_grad=False)

    def construct(self, x):
        ops.assign(self.cache, x)
        ops.assign_add(self.step, 1)
        return ops.matmul(x, self.weight) + self.cache * self.frozen


class IfElse(nn.Cell):
    def __init__(self):
        super().__init__()
        self.dense = nn.Dense(4, 4)

    def construct(self, x):
        if x.sum() < 100:
            x = self.dense(x)
        else:
            x = x * 2
        return x


class While(nn.Cell):
    def construct(self, x):
        while x.sum() < 100:
            x = x * 2
        return x


class Dynamic(nn.Cell):
    def construct(self, x):
        return ops.relu(x)


IDS = Tensor(np.zeros((2, 4), np.int32))
NETWORKS = {
    "mlp": (Mlp, [ones(8, 16)]),
    "block": (Block, [ones(2, 4, 16)]),
    "embedding": (Embedding, [IDS]),
    "llama": (Llama, [ones(2, 4, 16)]),
    "encoder_layer": (EncoderLayer, [ones(2, 4, 16)]),
    "convolution": (Convolution, [ones(2, 3, 8, 8)]),
    "tied": (Tied, [IDS]),
    "lazy_inline": (LazyInline, [ones(8, 16), ones(8, 16)]),
    "recompute": (Recompute, [ones(8, 16)]),
    "layouts": (Layouts, [ones(8, 16)]),
    "flash_attention": (FlashAttention, [ones(2, 2, 4, 8)] * 3),
    "loss": (Loss, [ones(8, 16), Tensor(np.zeros(8, np.int32))]),
    "mint": (Mint, [ones(8, 16)]),
    "state": (State, [ones(8, 16)]),
    "if_else": (IfElse, [ones(2, 4)]),
    "while": (While, [ones(2, 4)]),
    "dynamic": (Dynamic, [Tensor(shape=[None, 16], dtype=ms.float32)]),
}


def main():
    out = sys.argv[1]
    ms.set_context(mode=ms.GRAPH_MODE)
    for name in sys.argv[2:] or NETWORKS:
        network, inputs = NETWORKS[name]
        path = os.path.join(out, name)
        ms.export(network(), *inputs, file_name=path, file_format="MINDIR")
        os.chmod(path + ".mindir", 0o644)

    if len(sys.argv) == 2:
        # As if it were too large for one file: the graph, and weights that are not kept here.
        ms.train.serialization.TOTAL_SAVE = 1
        path = os.path.join(out, "split")
        ms.export(Mlp(), ones(8, 16), file_name=path, file_format="MINDIR")
        os.chmod(path + "_graph.mindir", 0o644)
        ms.export(Mlp(), ones(8, 16), file_name=os.path.join(out, "encrypted"), file_format="MINDIR",
                  enc_key=b"0123456789ABCDEF", enc_mode="AES-GCM")
        os.chmod(os.path.join(out, "encrypted_graph.mindir"), 0o644)


main()
