# SPDX-License-Identifier: Apache-2.0
"""Networks and the strategies inferred for them."""

from __future__ import annotations

import json
import unittest
from collections.abc import Sequence

from case import ROOT, Case

import relayout

DATA = ROOT / "tests" / "data"


def layouts(strategy: relayout.Strategy) -> dict[str, list[tuple[int, int, str]]]:
    """Without shapes, which protobuf files do not state."""
    return {
        name: [(place.stage, place.first_rank, str(place.layout)) for place in places]
        for name, places in strategy.items()
    }


TUTORIAL_TEXT = """\
x input f32[32,1,28,28]
layer1.weight parameter f32[784,512]
layer1.bias parameter f32[512]
layer2.weight parameter f32[512,512]
layer2.bias parameter f32[512]
layer3.weight parameter f32[512,10]
layer3.bias parameter f32[10]
#0 Flatten (x) -> f32[32,784]
#1 MatMul (#0, layer1.weight) -> f32[32,512] cuts ((2,1),(1,2))
#2 Add (#1, layer1.bias) -> f32[32,512]
#3 ReLU (#2) -> f32[32,512]
#4 MatMul (#3, layer2.weight) -> f32[32,512] cuts ((1,4),(4,1))
#5 Add (#4, layer2.bias) -> f32[32,512]
#6 ReLU (#5) -> f32[32,512]
#7 MatMul (#6, layer3.weight) -> f32[32,10] cuts ((2,2),(2,1))
#8 Add (#7, layer3.bias) -> f32[32,10]
return #8
"""


def tutorial() -> relayout.Network:
    net = relayout.NetworkBuilder()

    def dense(
        name: str, x: relayout.NetworkTensor, width: int, *cuts: Sequence[int]
    ) -> relayout.NetworkTensor:
        with net.scope(f"{name}-Dense"):
            weight = net.parameter("weight", (x.shape[-1], width))
            bias = net.parameter("bias", (width,))
            return net.matmul(x, weight).cut(*cuts) + bias

    x = net.flatten(net.input("x", (32, 1, 28, 28)))
    x = net.relu(dense("layer1", x, 512, (2, 1), (1, 2)))
    x = net.relu(dense("layer2", x, 512, (1, 4), (4, 1)))
    return net.build(dense("layer3", x, 10, (2, 2), (2, 1)))


class Networks(Case):
    def test_tutorial(self) -> None:
        network = tutorial()
        self.assertEqual(str(network), TUTORIAL_TEXT)
        self.assertEqual(repr(network), "<relayout.Network of 9 operators, 6 parameters>")
        self.assertEqual(network.inputs, (("x", "float32", (32, 1, 28, 28)),))
        self.assertEqual(list(network.parameters)[:2], ["layer1.weight", "layer1.bias"])
        weight = network.parameters["layer1.weight"]
        self.assertEqual(weight, ("layer1.weight", "float32", (784, 512), True))
        matmul = network.operators[1]
        self.assertEqual(matmul.type, "MatMul")
        self.assertEqual(matmul.name, "Default/layer1-Dense/MatMul-op0")
        self.assertEqual((matmul.cuts, matmul.shapes), (((2, 1), (1, 2)), ((32, 512),)))
        self.assertIsNone(network.operators[0].cuts)

    def test_numbers_beside_tensors(self) -> None:
        net = relayout.NetworkBuilder()
        x = net.input("x", (4, 8))
        network = net.build(x * 2.0 / 3.0 + 1.0 - 0.5)
        self.assertIn("Muls (x) -> f32[4,8] other=2", str(network))
        self.assertIn("Divs (#0) -> f32[4,8] other=3", str(network))
        self.assertIn("Add (#1, const f32[]) -> f32[4,8]", str(network))
        self.assertIn("Sub (#2, const f32[]) -> f32[4,8]", str(network))
        ids = net.input("ids", (4,), "int32")
        self.assertEqual((ids + 1).dtype, "int32")
        self.assertEqual((ids + 0.5).dtype, "float32")
        with self.assertRaisesRegex(TypeError, "a number, not 'a'"):
            x + "a"  # type: ignore[operator]

    def test_every_short_method(self) -> None:
        net = relayout.NetworkBuilder()
        ids = net.input("ids", (2, 6), "int32")
        table = net.parameter("table", (50, 8), "float16", trained=False)
        x = net.cast(net.gather(table, ids), "f32")
        self.assertEqual(repr(x), "<relayout.NetworkTensor float32[2, 6, 8]>")
        x = net.layer_norm(x, net.parameter("gamma", (8,)), net.parameter("beta", (8,)))
        x = net.rms_norm(net.tanh(x) * 2.0 + 1, net.parameter("scale", (8,)))
        heads = net.transpose(net.reshape(x, (2, 6, 2, -1)), (0, 2, 1, 3))
        scores = net.matmul(heads, heads, transpose_b=True)
        self.assertEqual(scores.shape, (2, 2, 6, 6))
        a, b, c = net.split(net.dropout(net.softmax(scores), 0.9), -1, 3)
        x = net.concat([c, a / b], -1)
        x = net.squeeze(net.expand_dims(net.sigmoid(x) - x * x, 1), (1,))
        total = net.reduce_sum(
            net.gelu(net.reduce_mean(net.silu(x), (1, 2), keep_dims=True)), (1, 2)
        )
        labels = net.one_hot(net.constant((2,), "int32"), 4)
        loss = net.softmax_cross_entropy(net.bias_add(total, net.parameter("bias", (4,))), labels)
        self.assertEqual((loss.shape, loss.output(1).shape), ((2,), (2, 4)))
        likely = net.log_softmax(net.broadcast_to(net.constant((1, 4)), (2, -1)))
        product = net.matmul(net.parameter("w", (4, 2)), likely, transpose_a=True, transpose_b=True)
        self.assertEqual(product.cut_outputs((2, 1)).shape, (2, 2))
        clipped = net.apply("ClipByValue", net.flatten(x), min=None, max=1.0)
        network = net.build(loss, product, net.relu(clipped))
        self.assertFalse(network.parameters["table"].trained)
        self.assertIn(" ClipByValue (", str(network))
        self.assertTrue(str(network).endswith("return #26.0 #29 #32\n"), str(network)[-40:])

    def test_constants_with_values(self) -> None:
        net = relayout.NetworkBuilder()
        x = net.input("x", (2, 2))
        self.assertEqual(repr(net.constant_of(0.5)), "<relayout.NetworkTensor float32[]>")
        self.assertEqual(net.constant_of(3, "int64").dtype, "int64")
        with self.assertRaisesRegex(relayout.InputError, "i8 has no number 300"):
            net.constant_of(300, "int8")
        with self.assertRaisesRegex(relayout.InputError, "is no float64"):
            net.constant_of(2**53 + 1, "int64")
        try:
            import numpy
        except ImportError:
            self.skipTest("needs numpy")
        mask = net.constant_of(numpy.triu(numpy.full((2, 2), -1e4, numpy.float32), 1))
        self.assertEqual((mask.dtype, mask.shape), ("float32", (2, 2)))
        self.assertEqual((x + mask).shape, (2, 2))
        for dtype in (numpy.float16, numpy.int32, numpy.bool_, ">i8"):
            array = numpy.ones((3, 1), dtype)
            self.assertEqual(net.constant_of(array).dtype, array.dtype.name)
        self.assertEqual(net.constant_of([[1, 2]], "int32").shape, (1, 2))
        self.assertEqual(net.constant_of(numpy.float64(1)).shape, ())

    def test_losses(self) -> None:
        net = relayout.NetworkBuilder()
        x = net.input("x", (4, 10))
        labels = net.input("labels", (4,), "int32")
        for loss in (
            net.cross_entropy(x, labels),
            net.nll_loss(net.log_softmax(x), labels, ignored=-1),
            net.reduce_mean(net.square(net.sqrt(net.exp(net.rsqrt(x))))),
        ):
            self.assertEqual(loss.shape, ())
        network = tutorial()
        trained = network.with_loss()
        self.assertEqual(trained.inputs[-1], ("label", "int32", (32,)))
        self.assertEqual(trained.operators[-1].type, "CrossEntropyLoss")
        self.assertEqual(trained.operators[:-1], network.operators)
        with self.assertRaisesRegex(relayout.InputError, "there is no loss 'l2'; there are"):
            network.with_loss("l2")
        with self.assertRaisesRegex(relayout.InputError, "an input 'label' of its own"):
            trained.with_loss()

    def test_element_types(self) -> None:
        class Spelled:
            """As mindspore's and numpy's types are."""

            def __init__(self, text: str) -> None:
                self.text = text

            def __str__(self) -> str:
                return self.text

        net = relayout.NetworkBuilder()
        for dtype, name in (
            ("float32", "float32"),
            ("bf16", "bfloat16"),
            (Spelled("Float16"), "float16"),
            (Spelled("mindspore.int64"), "int64"),
            (bool, "bool"),
        ):
            self.assertEqual(net.constant((1,), dtype).dtype, name)
        with self.assertRaisesRegex(relayout.InputError, "'float31' is no element type"):
            net.constant((1,), "float31")

    def test_mistakes_are_raised_where_they_happen(self) -> None:
        net = relayout.NetworkBuilder()
        x = net.input("x", (4, 8))
        weight = net.parameter("w", (7, 8))
        for message, wrong in (
            ("8 columns of .4,8. against 7 rows of .7,8.", lambda: net.matmul(x, weight)),
            ("two parameters are called 'w'", lambda: net.parameter("w", (1,))),
            ("input 'x' is no operator's result", lambda: x.cut((2, 1))),
            ("has 1 result, there is no result 1", lambda: net.relu(x).output(1)),
            ("result -1: results are counted from 0", lambda: net.relu(x).output(-1)),
            ("ReLU: a tensor of another network", lambda: relayout.NetworkBuilder().relu(x)),
            (
                "ReLu.*: the shapes of results are not known.*near it: ReLU",
                lambda: net.apply("ReLu", x),
            ),
            ("a dimension of -1", lambda: net.input("y", (-1,))),
            ("17 dimensions: at most 16 can be", lambda: net.input("y", (1,) * 17)),
            ("a dimension=.* is out of range", lambda: net.input("y", (1 << 64,))),
            ("no element type", lambda: net.apply("Cast", x, dtype="no")),
            ("an attribute is out of range", lambda: net.apply("ReLU", x, axis=1 << 64)),
        ):
            with self.assertRaisesRegex(relayout.InputError, message):
                wrong()
        for unlike in (object(), ["a"], {"a": 1}):
            with self.assertRaisesRegex(TypeError, "an attribute is a bool"):
                net.apply("ReLU", x, axis=unlike)  # type: ignore[arg-type]
        # The network is as it was but for what was right: two operators whose results were asked.
        self.assertEqual([op.type for op in net.build(net.relu(x)).operators], ["ReLU"] * 3)

    def test_larger_batch(self) -> None:
        net = relayout.NetworkBuilder()
        x = net.reshape(net.input("x", (4, 6, 8)), (24, 8))
        network = net.build(net.reshape(net.relu(x), (4, 48)))
        larger = network.with_batch(8)
        self.assertEqual([op.shapes[0] for op in larger.operators], [(192, 8), (192, 8), (32, 48)])
        self.assertEqual(str(network.with_batch(1)), str(network))
        with self.assertRaisesRegex(relayout.InputError, "a batch 0 times as large"):
            network.with_batch(0)

    def test_read_mindir(self) -> None:
        with self.assertRaisesRegex(relayout.InputError, "no_such.mindir"):
            relayout.read_mindir(self.folder / "no_such.mindir")
        (self.folder / "bad.mindir").write_bytes(b"\xff" * 100)
        with self.assertRaisesRegex(relayout.InputError, "bad.mindir"):
            relayout.read_mindir(self.folder / "bad.mindir")
        for file in sorted((DATA / "strategies").glob("*.mindir")):
            network = relayout.read_mindir(file)
            self.assertEqual(network.inputs[0].name, "x")
            self.assertIn("layer1.weight", network.parameters)
            self.assertEqual(len(network.operators), 9)


class Strategies(Case):
    def test_tutorial(self) -> None:
        inferred = relayout.infer_strategy(
            tutorial(), devices=8, full_batch=True, optimizer="momentum", optimizer_parallel=True
        )
        self.assertEqual(repr(inferred), "<relayout.InferredStrategy of 9 operators, 1 stage>")
        strategy = inferred.strategy
        self.assertEqual((strategy.rank_count, strategy.stage_count, len(strategy)), (8, 1, 12))
        texts = {name: str(place.layout) for name, (place,) in strategy.items()}
        self.assertEqual(texts["layer1.weight"], "{a:2,b:2,c:2} (-,b) opt:all")
        self.assertEqual(texts["moments.layer2.weight"], "{a:4,b:2} (a,-) opt:all")
        self.assertEqual(texts["layer3.bias"], "{a:8} (-)")
        self.assertEqual(inferred.operators[1].cuts, ((2, 1), (1, 2)))
        self.assertEqual(inferred.operators[3][:3], (0, "ReLU", "Default/ReLU-op0"))
        self.assertEqual(str(inferred.network), TUTORIAL_TEXT)

    def test_as_mindspore_wrote_it(self) -> None:
        """The same network and options as in the fixture that MindSpore's compiler wrote."""
        folder = DATA / "strategies"
        inferred = relayout.infer_strategy(folder / "save_8.mindir", devices=8)
        wanted = relayout.load_strategy(folder / "save_8_0.ckpt")
        self.assertEqual(layouts(inferred.strategy), layouts(wanted))
        # Exported for the batch of one device, 1.
        inferred = relayout.infer_strategy(
            folder / "infer_4.mindir", devices=4, phase="predict", optimizer_parallel=True
        )
        wanted = relayout.load_strategy(folder / "infer_4_0.ckpt")
        self.assertEqual(layouts(inferred.strategy), layouts(wanted))

    def test_save(self) -> None:
        inferred = relayout.infer_strategy(tutorial(), devices=4)
        for name in ("s.ckpt", "s.json"):
            path = self.folder / name
            self.assertEqual(inferred.save(path), (str(path),))
            self.assertEqual(layouts(relayout.load_strategy(path)), layouts(inferred.strategy))
            with self.assertRaisesRegex(relayout.InputError, "exists; use overwrite=True"):
                inferred.save(path)
            inferred.save(path, overwrite=True)
        self.assertIn("parallel_layout_item", json.loads((self.folder / "s.json").read_text()))
        with self.assertRaises(relayout.InputError):
            inferred.save("")

    def test_stages(self) -> None:
        inferred = relayout.infer_strategy(
            tutorial(), devices=16, stages=2, stage={"layer1": 0, "layer2": 1, "layer3": 1}
        )
        with self.assertRaisesRegex(relayout.InputError, "put {stage} into it"):
            inferred.save(self.folder / "s.ckpt")
        (self.folder / "stages").mkdir()
        files = inferred.save(self.folder / "stages" / "s_{stage}.ckpt")
        self.assertEqual([file[-8:] for file in files], ["s_0.ckpt", "s_1.ckpt"])
        files = inferred.save(self.folder / "s_{rank}.ckpt")
        self.assertEqual([file[-8:] for file in files], ["s_0.ckpt", "s_8.ckpt"])
        merged = self.folder / "merged.ckpt"
        self.assertEqual(inferred.save(merged, merged=True), (str(merged),))
        by_stage = relayout.load_strategy(self.folder / "stages")
        self.assertEqual(layouts(relayout.load_strategy(merged)), layouts(by_stage))
        self.assertEqual(layouts(inferred.strategy), layouts(by_stage))
        self.assertEqual({op.stage for op in inferred.operators}, {0, 1})

    def test_layouts_as_mindspore_has_them(self) -> None:
        train = relayout.infer_train_layout(
            tutorial(), devices=8, full_batch=True, optimizer="adam", optimizer_parallel=True
        )
        self.assertEqual(
            train["layer1.weight"],
            ([2, 2, 2], [-1, 1], [196, 256], 0, True, "optimizer_4", [784, 512]),
        )
        self.assertEqual(train["moment1.layer1.weight"], train["layer1.weight"])
        predict = relayout.infer_predict_layout(tutorial(), devices=8, full_batch=True)
        self.assertEqual(
            predict["layer2.weight"], ([4, 2], [1, -1], [128, 512], 0, True, "", [512, 512])
        )
        self.assertEqual(list(predict), list(tutorial().parameters))
        stages = {"stages": 2, "stage": {"layer1": 0, "layer2": 1, "layer3": 1}}
        of_last = relayout.infer_train_layout(tutorial(), devices=16, rank=15, **stages)
        self.assertIn("accu_grads.layer2.weight", of_last)
        self.assertNotIn("layer1.weight", of_last)
        with self.assertRaisesRegex(relayout.InputError, "rank 8: there are 8 ranks"):
            relayout.infer_predict_layout(tutorial(), devices=8, rank=8)

    def test_errors(self) -> None:
        network = tutorial()
        for message, options in (
            ("cannot be laid out on 0 devices", {"devices": 0}),
            ("devices=.* is out of range", {"devices": 1 << 70}),
            ("phase='eval': it is one of train, predict", {"devices": 8, "phase": "eval"}),
            ("mode='manual': it is one of", {"devices": 8, "mode": "manual"}),
            ("search='luck': it is one of", {"devices": 8, "mode": "auto", "search": "luck"}),
            ("sgdd", {"devices": 8, "optimizer": "sgdd"}),
            ("layer9", {"devices": 8, "stages": 2, "stage": {"layer9": 1}}),
            ("no parameter is called or under 'head'", {"devices": 8, "frozen": ["head"]}),
        ):
            with self.assertRaisesRegex(relayout.InputError, message):
                relayout.infer_strategy(network, **options)


if __name__ == "__main__":
    unittest.main()
