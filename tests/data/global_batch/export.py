#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exports networks whose exports hold numbers of the batch: export.py OUT_DIR.

Needs MindSpore 2.10. Each network is exported for a batch of 4 (NAME.mindir) and of 32; of the
latter the results of each operator are kept (NAME_32.txt). Tiny, so that each file has a few KB.
"""

import os
import sys

import mindspore as ms
import numpy as np
from mindspore import Tensor, mint, nn, ops

WIDTH, HEADS, LENGTH, WORDS = 8, 2, 6, 12


class Attention(nn.Cell):
    """With shapes taken from x.shape, as most people write it."""

    def __init__(self):
        super().__init__()
        self.q = nn.Dense(WIDTH, WIDTH)
        self.k = nn.Dense(WIDTH, WIDTH)
        self.v = nn.Dense(WIDTH, WIDTH)
        self.out = nn.Dense(WIDTH, WIDTH)

    def heads(self, x):
        batch, length, _ = x.shape
        return x.reshape(batch, length, HEADS, -1).transpose(0, 2, 1, 3)

    def construct(self, x):
        batch, length, width = x.shape
        q, k, v = self.heads(self.q(x)), self.heads(self.k(x)), self.heads(self.v(x))
        scores = ops.matmul(q, k.swapaxes(-1, -2)) * 0.5
        mixed = ops.matmul(ops.softmax(scores, -1), v)
        return self.out(mixed.transpose(0, 2, 1, 3).reshape(batch, length, width))


class Gpt(nn.Cell):
    """Positions broadcast to the batch, slices that end where the batch does, tied words."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.places = nn.Embedding(LENGTH, WIDTH)
        self.attention = Attention()
        self.norm = nn.LayerNorm((WIDTH,))
        self.range = Tensor(np.arange(LENGTH), ms.int32)
        self.slice = ops.StridedSlice()
        self.product = ops.MatMul(transpose_b=True)

    def construct(self, ids):
        batch, length = ids.shape
        given = self.slice(ids, (0, 0), (batch, length - 1), (1, 1))
        places = ops.broadcast_to(self.range[: length - 1].expand_dims(0), (batch, length - 1))
        x = self.words(given) + self.places(places)
        x = x + self.attention(self.norm(x))
        logits = self.product(x.reshape(-1, x.shape[-1]), self.words.embedding_table)
        return logits, ids[:, 1:].reshape(-1)


class SequenceFirst(nn.Cell):
    """The batch is dim 1, and inside of merged dims."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Dense(WIDTH, 3 * WIDTH)
        self.out = nn.Dense(WIDTH, WIDTH)

    def construct(self, x):
        x = x.swapaxes(0, 1)
        length, batch, width = x.shape
        qkv = self.qkv(x).reshape(length, batch, HEADS, 3 * width // HEADS)
        q, k, v = ops.split(qkv, width // HEADS, -1)
        q = q.reshape(length, batch * HEADS, -1).swapaxes(0, 1)
        k = k.reshape(length, batch * HEADS, -1).transpose(1, 2, 0)
        v = v.reshape(length, batch * HEADS, -1).swapaxes(0, 1)
        weights = ops.softmax(ops.bmm(q, k), -1).reshape(batch, HEADS, length, length)
        weights = (weights + 1.0).reshape(batch * HEADS, length, length)
        mixed = ops.bmm(weights, v).swapaxes(0, 1).reshape(length, batch, width)
        return self.out(mixed).swapaxes(0, 1)


class Mask(nn.Cell):
    """Constants of the batch: ones, a range of rows, tiles."""

    def __init__(self):
        super().__init__()
        self.low = Tensor(np.tril(np.ones((1, LENGTH, LENGTH))), ms.float32)

    def construct(self, ids):
        batch, length = ids.shape
        mask = ops.not_equal(ids, 0).astype(ms.float32).reshape(batch, 1, length)
        mask = mask * ops.ones((batch, length, 1), ms.float32) * self.low
        rows = ops.arange(batch).reshape(batch, 1) + ids
        tiles = ops.tile(self.low, (batch, 1, 1)) + mask
        zeros = ops.zeros((batch, 2, length), ms.float32)
        return ops.concat((tiles, zeros), 1), rows, mask.reshape(batch, 1, length, length)


class Mint(nn.Cell):
    def __init__(self):
        super().__init__()
        self.linear = mint.nn.Linear(WIDTH, WIDTH)

    def construct(self, x):
        batch, length, width = x.shape
        x = self.linear(x)
        mean = mint.broadcast_to(mint.mean(x, (1,), keepdim=True), (batch, length, width))
        x = mint.cat((x - mean, mint.zeros((batch, length, 1))), 2)
        x = mint.reshape(mint.split(x, 3, 2)[0], (batch * length, 3))
        x = mint.matmul(x, mint.ones((3, width))).reshape(batch, length, width)
        best, places = mint.max(x, 1)
        return best, places, mint.narrow(x, 1, 0, 2), mint.stack([x, x], 1), mint.flatten(x, 1)


def ids(batch):
    return Tensor(np.ones((batch, LENGTH), np.int32))


def rows(batch):
    return Tensor(np.ones((batch, LENGTH, WIDTH), np.float32))


NETWORKS = {
    "gpt": (Gpt, ids),
    "sequence_first": (SequenceFirst, rows),
    "mask": (Mask, ids),
    "mint": (Mint, rows),
}


def main():
    ms.set_context(mode=ms.GRAPH_MODE)
    for name, (network, make) in NETWORKS.items():
        for batch, suffix in ((4, ""), (32, "_32")):
            path = os.path.join(sys.argv[1], name + suffix)
            ms.export(network(), make(batch), file_name=path, file_format="MINDIR")
            os.chmod(path + ".mindir", 0o644)


main()
