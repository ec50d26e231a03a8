# SPDX-License-Identifier: Apache-2.0
"""relayout.train: training on ranks that are threads, or processes of mpirun. Skipped (77) without
numpy, or where the package was built without oneDNN."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import textwrap
import time
import traceback
import unittest

from case import ROOT, Case

import relayout

SKIPPED = 77
TUTORIAL = ROOT / "examples" / "tutorial" / "tutorial.py"


def samples(count: int) -> dict[str, numpy.ndarray]:
    """Points whose class a network can learn."""
    random = numpy.random.default_rng(1)
    label = random.integers(0, 4, count).astype("int32")
    x = random.normal(size=(count, 12)).astype("float32")
    x[numpy.arange(count), label] += 4
    return {"x": x, "label": label}


def network(net: relayout.NetworkBuilder, x: relayout.NetworkTensor) -> relayout.NetworkTensor:
    for name, width in (("layer1", 16), ("layer2", 4)):
        with net.scope(name):
            weight = net.parameter("weight", (x.shape[-1], width), initializer="normal(0.3)")
            bias = net.parameter("bias", (width,))
            x = net.matmul(x, weight) + bias
        if name == "layer1":
            x = net.relu(x)
    return x


def cut_network(net: relayout.NetworkBuilder, x: relayout.NetworkTensor) -> relayout.NetworkTensor:
    with net.scope("layer1"):
        weight = net.parameter("weight", (12, 16), initializer="normal(0.3)")
        x = net.matmul(x, weight).cut((2, 1), (1, 2)) + net.parameter("bias", (16,))
    x = net.relu(x)
    with net.scope("layer2"):
        weight = net.parameter("weight", (16, 4), initializer="normal(0.3)")
        return net.matmul(x, weight).cut((1, 4), (4, 1)) + net.parameter("bias", (4,))


def dataset(
    comm: train.Comm, full_batch: bool = False, pipeline_stages: int = 1
) -> train.TensorDataset:
    shards = 1 if full_batch else comm.size // pipeline_stages
    return train.TensorDataset(
        samples(96), batch_size=32 // shards, num_shards=shards, shard_id=comm.rank % shards
    )


def model_on(comm: train.Comm, function=network, **parallel: object) -> train.Model:
    return train.Model(
        function,
        "cross_entropy",
        train.Adam(learning_rate=0.02),
        comm=comm,
        parallel=train.Parallel(**parallel),
    )


def losses_on(ranks: int, function=network, epochs: int = 3, **parallel: object) -> list[float]:
    def main(comm: train.Comm) -> list[float]:
        recorder = train.LossRecorder()
        how = {key: parallel[key] for key in ("full_batch", "pipeline_stages") if key in parallel}
        data = dataset(comm, **how)
        model_on(comm, function, **parallel).train(epochs, data, recorder)
        return recorder.losses

    results = train.run_ranks(ranks, main)
    assert len({tuple(losses) for losses in results.values()}) == 1, results
    return results[0]


class Training(Case):
    def assert_close(self, got: list[float], want: list[float], tolerance: float = 1e-5) -> None:
        numpy.testing.assert_allclose(got, want, rtol=tolerance)

    def test_losses_on_any_number_of_ranks(self) -> None:
        alone = losses_on(1)
        self.assertEqual(len(alone), 9)
        self.assertLess(alone[-1], alone[0] / 2)
        stages = {"layer1": 0, "layer2": 1}
        pipeline = {"pipeline_stages": 2, "stages": stages, "micro_size": 2}
        for ranks, function, parallel in (
            (2, network, {}),
            (4, network, {}),
            (4, cut_network, {}),
            (4, cut_network, {"full_batch": True}),
            (4, network, {"enable_parallel_optimizer": True, "parallel_optimizer_threshold": 0}),
            (4, network, {"mode": "auto_propagation"}),
            (4, cut_network, {"mode": "auto_search", "full_batch": True}),
            (4, network, pipeline),
            (4, network, {**pipeline, "full_batch": True, "enable_parallel_optimizer": True}),
        ):
            with self.subTest(ranks=ranks, function=function.__name__, **parallel):
                self.assert_close(losses_on(ranks, function, **parallel), alone)

    def test_without_run_ranks(self) -> None:
        comm = train.Comm()
        self.assertEqual((comm.rank, comm.size), (0, 1))
        recorder = train.LossRecorder()
        model_on(comm).train(3, dataset(comm), [recorder])
        self.assertEqual(recorder.losses, losses_on(1))

    def test_saved_loaded_and_gone_on_with(self) -> None:
        whole = losses_on(4, cut_network, epochs=6)

        def first(comm: train.Comm) -> str:
            config = train.CheckpointConfig(
                save_checkpoint_steps=3,
                keep_checkpoint_max=1,
                integrated_save=False,
                append_info=["epoch_num", {"step_num": 5, "note": "é", "best": 0.5}],
            )
            save = train.ModelCheckpoint("net", self.folder / f"src/rank_{comm.rank}", config)
            model = model_on(comm, cut_network)
            model.train(3, dataset(comm), save)
            if comm.rank == 0:
                model.strategy.save(self.folder / "src.ckpt")
            return save.latest_ckpt_file_name

        files = train.run_ranks(4, first)
        self.assertEqual(files[2], str(self.folder / "src/rank_2/net-3_3.ckpt"))
        file = train.load_checkpoint(files[2])
        self.assertEqual(file["layer1.weight"].shape, (12, 8))
        self.assertEqual(file["layer1.weight"].dtype, numpy.float32)
        facts = [file[name].item() for name in ("epoch_num", "step_num", "best")]
        self.assertEqual(facts + [file["note"]], [3, 14, 0.5, "é"])
        with self.assertRaisesRegex(relayout.MissingTensorError, "net-3_3.ckpt: .*called weight"):
            file["weight"]
        # The same ranks go on, and two others with what was converted.
        two = self.folder / "two"

        def prepare(comm: train.Comm) -> None:
            model = model_on(comm, full_batch=True)
            model.build(dataset(comm, True))
            if comm.rank == 0:
                model.strategy.save(self.folder / "dst.ckpt")

        train.run_ranks(2, prepare)
        relayout.convert(
            self.folder / "src",
            two,
            source_strategy=self.folder / "src.ckpt",
            target_strategy=self.folder / "dst.ckpt",
        )

        def go_on(path: str, function, **parallel: object):
            def main(comm: train.Comm) -> tuple[train.LoadReport, list[float]]:
                data = dataset(comm, bool(parallel))
                model = model_on(comm, function, **parallel)
                model.build(data)
                checkpoint = train.load_checkpoint(path.format(rank=comm.rank))
                report = train.load_param_into_net(model, checkpoint)
                recorder = train.LossRecorder()
                model.train(3, data, recorder)
                return report, recorder.losses

            return main

        for ranks, main in (
            (4, go_on(str(self.folder / "src/rank_{rank}/net-3_3.ckpt"), cut_network)),
            (2, go_on(str(two / "rank_{rank}/checkpoint_{rank}.ckpt"), network, full_batch=True)),
        ):
            report, losses = train.run_ranks(ranks, main)[0]
            self.assertEqual(report.param_not_load, ())
            self.assertEqual(report.ckpt_not_load, ("epoch_num", "step_num", "note", "best"))
            self.assert_close(losses, whole[9:])

    def test_predict(self) -> None:
        x = samples(12)["x"]

        def on_all(comm: train.Comm):
            model = model_on(comm, cut_network, full_batch=True)
            model.train(5, dataset(comm, True))
            return model.predict(x), model.accuracy(dataset(comm, True))

        def on_own_rows(comm: train.Comm):
            model = model_on(comm)
            model.train(5, dataset(comm))
            own = x[comm.rank * 3 : comm.rank * 3 + 3]
            return model.predict(own), model.accuracy(dataset(comm, True))

        alone, accuracy = train.run_ranks(1, lambda comm: self.trained_alone(comm, x))[0]
        self.assertEqual((alone.shape, alone.dtype), ((12, 4), numpy.float32))
        self.assertGreater(accuracy, 0.8)
        for logits, share in train.run_ranks(4, on_all).values():
            numpy.testing.assert_allclose(logits, alone, rtol=1e-4, atol=1e-5)
            self.assertEqual(share, accuracy)
        for rank, (logits, share) in train.run_ranks(4, on_own_rows).items():
            numpy.testing.assert_allclose(
                logits, alone[rank * 3 : rank * 3 + 3], rtol=1e-4, atol=1e-5
            )
            self.assertEqual(share, accuracy)

    def trained_alone(self, comm: train.Comm, x: numpy.ndarray):
        model = model_on(comm)
        model.train(5, dataset(comm))
        return model.predict(x), model.accuracy(dataset(comm))

    def test_network_that_is_there(self) -> None:
        """In the place of a function; and the values that MindSpore exported it with."""
        net = relayout.NetworkBuilder()
        built = net.build(network(net, net.input("x", (32, 12))))
        recorder = train.LossRecorder()
        model = train.Model(built, "cross_entropy", train.Adam(learning_rate=0.02))
        model.train(3, dataset(train.Comm()), recorder)
        self.assertEqual(recorder.losses, losses_on(1))
        path = ROOT / "tests/data/mindir/mlp.mindir"
        exported = relayout.read_mindir(path, constants=True)
        values = train.load_mindir(path)

        def main(comm: train.Comm):
            model = train.Model(exported, comm=comm, parallel=train.Parallel(full_batch=True))
            model.build_predict(exported.inputs[0].shape)
            report = train.load_param_into_net(model, values, slice_whole=True)
            return report, model.state()

        for report, state in train.run_ranks(4, main).values():
            self.assertEqual(report, ((), ()))
            for name, tensor in state.items():
                numpy.testing.assert_array_equal(tensor.numpy(), values[name][tensor.slices])

    def test_state_and_strategy(self) -> None:
        def main(comm: train.Comm):
            model = model_on(comm, cut_network, full_batch=True)
            self.assertIn("not built", repr(model))
            model.build(dataset(comm, True))
            return model.state(), model.strategy

        results = train.run_ranks(4, main)
        whole = numpy.full((12, 16), numpy.nan, "float32")
        for state, strategy in results.values():
            weight = state["layer1.weight"]
            self.assertEqual(weight.shape, (12, 16))
            self.assertEqual(str(weight.layout), "{a:2,b:2} (-,b)")
            self.assertEqual(weight.layout.mesh, strategy.strategy["layer1.weight"][0].layout.mesh)
            whole[weight.slices] = weight.numpy()
            self.assertEqual(state["moment1.layer1.weight"].numpy().shape, (12, 8))
            self.assertEqual(state["global_step"].numpy().tolist(), [0])
        alone = train.Model(network, "cross_entropy", train.SGD())
        alone.build_predict((3, 12))
        self.assertEqual(list(alone.state()), [f"layer{i}.{n}" for i in (1, 2) for n in WB])
        numpy.testing.assert_array_equal(whole, alone.state()["layer1.weight"].numpy())

    def test_files(self) -> None:
        model = train.Model(network, "cross_entropy", train.SGD())
        model.build_predict((3, 12))
        path = self.folder / "net.ckpt"
        train.save_checkpoint(model, path, append_dict={"epoch_num": 7})
        file = train.load_checkpoint(path, filter_prefix="layer2")
        self.assertEqual(list(file), ["layer1.weight", "layer1.bias", "epoch_num"])
        names = train.load_checkpoint(path, choice_func=lambda name: name.endswith("bias"))
        self.assertEqual(list(names), ["layer1.bias", "layer2.bias"])
        with self.assertRaises(ZeroDivisionError):
            train.load_checkpoint(path, choice_func=lambda name: 1 / 0)
        changed = {**train.load_checkpoint(path), "layer1.bias": numpy.ones(16, "float32")}
        report = train.load_param_into_net(model, changed)
        self.assertEqual(report, ((), ("epoch_num",)))
        self.assertEqual(model.state()["layer1.bias"].numpy().sum(), 16)
        train.save_checkpoint(changed, self.folder / "net.safetensors")
        again = train.load_checkpoint(self.folder / "net.safetensors")
        numpy.testing.assert_array_equal(again["layer1.weight"], changed["layer1.weight"])

    def test_datasets(self) -> None:
        write_digits(self.folder, train=40, test=10)
        data = train.MnistDataset(self.folder, batch_size=16, shuffle_seed=3)
        self.assertEqual(len(data), 2)
        self.assertEqual(data.tensors[0], ("image", "float32", (16, 1, 28, 28)))
        image, label = data.batch(1, epoch=1)
        self.assertEqual((image.shape, label.dtype), ((16, 1, 28, 28), numpy.int32))
        rest = data.with_options(batch_size=8, num_shards=2, shard_id=1, drop_remainder=False)
        self.assertEqual(len(rest), 3)
        self.assertEqual(len(train.MnistDataset(self.folder, "test", batch_size=5)), 2)


WB = ("weight", "bias")


class Failures(Case):
    """What goes wrong in one place ends everywhere, soon, with one exception."""

    def test_exception_in_a_callback(self) -> None:
        class Fails(train.Callback):
            def on_step_end(self, progress: train.Progress) -> None:
                if progress.step == 2:
                    raise LookupError("enough")

        seen = {}

        def main(comm: train.Comm) -> None:
            callbacks = [Fails(), train.LossRecorder()] if comm.rank == 2 else train.LossMonitor(0)
            try:
                model_on(comm).train(100, dataset(comm), callbacks)
            except Exception as error:
                seen[comm.rank] = str(error)
                raise

        try:
            train.run_ranks(4, main)
        except LookupError as error:
            self.assertEqual(str(error), "enough")
            frames = traceback.extract_tb(error.__traceback__)
        self.assertEqual(frames[-1].name, "on_step_end")
        for rank in (0, 1, 3):
            self.assertEqual(seen[rank], "rank 2: on_step_end: LookupError: enough")

    def test_exception_in_a_rank(self) -> None:
        def main(comm: train.Comm) -> None:
            if comm.rank == 1:
                raise LookupError("gone")
            model_on(comm).train(1000, dataset(comm))

        began = time.monotonic()
        with self.assertRaisesRegex(LookupError, "gone"):
            train.run_ranks(4, main)
        self.assertLess(time.monotonic() - began, 60)

    def test_a_rank_that_has_ended(self) -> None:
        def main(comm: train.Comm):
            model = model_on(comm)
            model.build(dataset(comm))
            return comm, model

        comm, model = train.run_ranks(1, main)[0]
        for use in (lambda: comm.rank, comm.barrier, lambda: model.train(1, dataset(train.Comm()))):
            with self.assertRaisesRegex(relayout.InputError, "the rank has ended"):
                use()
        self.assertEqual(model.state()["layer1.bias"].numpy().shape, (16,))

    def test_a_builder_that_has_ended(self) -> None:
        kept = []

        def keeping(net, x):
            kept.extend([net, x])
            return network(net, x)

        train.Model(keeping).build_predict((3, 12))
        for use in (lambda: kept[1].shape, lambda: kept[0].relu(kept[1])):
            with self.assertRaisesRegex(relayout.InputError, "the network is written"):
                use()

    def test_interrupt(self) -> None:
        """Ctrl-C: ranks in the engine and in Python code end, and KeyboardInterrupt is raised. So
        does one that is alone."""
        script = """
            import numpy, time
            from relayout import train
            def network(net, x):
                return net.matmul(x, net.parameter("w", (4, 4), initializer="normal"))
            def main(comm):
                x = {"x": numpy.ones((8, 4), "float32"), "label": numpy.zeros(8, "int32")}
                model = train.Model(network, "cross_entropy", comm=comm)
                data = train.TensorDataset(x, batch_size=2)
                model.train(1, data)
                if comm.rank == 0:
                    print("ready", flush=True)
                if WHERE == "python":
                    while True:
                        time.sleep(0.01)
                model.train(10**9, data)
            try:
                main(train.Comm()) if WHERE == "alone" else train.run_ranks(3, main)
            except KeyboardInterrupt:
                print("stopped", flush=True)
            """
        for where in ("python", "engine", "alone"):
            text = textwrap.dedent(script).replace("WHERE", repr(where))
            with subprocess.Popen(
                [sys.executable, "-c", text], stdout=subprocess.PIPE, text=True
            ) as process:
                self.addCleanup(process.kill)
                self.assertEqual(process.stdout.readline(), "ready\n")
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.communicate(timeout=60)[0], "stopped\n")
                self.assertEqual(process.returncode, 0)

    def test_messages(self) -> None:
        data = dataset(train.Comm())

        def unlike(comm: train.Comm) -> None:
            saves = [train.ModelCheckpoint("a", self.folder)] if comm.rank == 1 else []
            model_on(comm).train(1, dataset(comm), saves)

        def broken(net, x):
            return net.matmul(x, net.parameter("w", (5, 5)))

        def wrong_shape(comm: train.Comm) -> None:
            model = model_on(comm)
            model.build(dataset(comm))
            train.load_param_into_net(model, {"layer1.bias": numpy.ones(3, "float32")})

        alone = train.Comm()
        for message, call in (
            ("mode='manual': it is one of semi_auto", lambda: model_on(alone, mode="manual")),
            ("1 rank cannot be dealt evenly", lambda: model_on(alone, pipeline_stages=3)),
            ("hinge", lambda: train.Model(network, "hinge")),
            ("learning_rate", lambda: rated(-1).build(data)),
            ("MatMul.*12.*5", lambda: train.Model(broken, "cross_entropy").build(data)),
            ("returns 5, which is no", lambda: train.Model(lambda net, *xs: [5]).build(data)),
            ("no parameters yet; build", lambda: model_on(alone).strategy),
            ("epoch=0: give 1 or more", lambda: model_on(alone).train(0, data)),
            ("usage='all': it is one of", lambda: train.MnistDataset(self.folder, "all")),
            ("train-images-idx3-ubyte", lambda: train.MnistDataset(self.folder)),
            ("x: networks run on float32", lambda: train.TensorDataset({"x": numpy.ones((4, 2))})),
            ("append_info has 'lr'", lambda: saving(append_info=["lr"])),
            ("format='pt'", lambda: saving(format="pt")),
            ("style='loud'", lambda: train.LossMonitor(style="loud")),
            ("0 ranks: give 1 to", lambda: train.run_ranks(0, print)),
            ("threads=-1: give 1 to", lambda: train.run_ranks(1, print, threads=-1)),
            ("rank 0 has 0 ModelCheckpoint .*rank 1 has 1", lambda: train.run_ranks(2, unlike)),
            (r"layer1.bias.*f32\[3\].*", lambda: train.run_ranks(2, wrong_shape)),
        ):
            with self.subTest(message), self.assertRaisesRegex(Exception, message):
                call()
        with self.assertRaises(TypeError):
            model_on(alone).train(1, data, [print])

    def test_without_the_module(self) -> None:
        package = self.folder / "package" / "relayout"
        ignored = shutil.ignore_patterns("_train.*", "__pycache__")
        shutil.copytree(os.path.dirname(relayout.__file__), package, ignore=ignored)
        done = subprocess.run(
            [sys.executable, "-c", "import relayout, relayout.train"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(package.parent)},
        )
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr.splitlines()[-1], "ImportError: .*libdnnl-dev.*pip install")


def rated(learning_rate: float) -> train.Model:
    return train.Model(network, "cross_entropy", train.SGD(learning_rate))


def saving(**config: object) -> train.ModelCheckpoint:
    return train.ModelCheckpoint("net", ".", train.CheckpointConfig(**config))


def write_digits(folder: pathlib.Path, train: int, test: int) -> None:
    """IDX files whose images show what their labels say: a bright row."""
    for prefix, count in (("train", train), ("t10k", test)):
        random = numpy.random.default_rng(count)
        labels = (numpy.arange(count) % 10).astype("uint8")
        images = random.integers(0, 60, (count, 28, 28)).astype("uint8")
        images[numpy.arange(count), labels * 2 + 4] += 190
        for name, head, array in (
            ("images-idx3", (0x803, count, 28, 28), images),
            ("labels-idx1", (0x801, count), labels),
        ):
            content = struct.pack(f">{len(head)}I", *head) + array.tobytes()
            (folder / f"{prefix}-{name}-ubyte").write_bytes(content)


class Tutorial(Case):
    """examples/tutorial/tutorial.py at a small size."""

    def setUp(self) -> None:
        super().setUp()
        (self.folder / "data").mkdir()
        write_digits(self.folder / "data", train=1280, test=64)

    def run_flow(
        self,
        *arguments: str,
        launcher: tuple[str, ...] = (),
        program: tuple[str, ...] = (sys.executable, str(TUTORIAL)),
    ) -> str:
        done = subprocess.run(
            [*launcher, *program, *arguments, "--hidden", "32"],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env={**os.environ, "DATA_PATH": str(self.folder / "data")},
            timeout=120,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def log(self, rank: int) -> list[str]:
        return (self.folder / f"log_output/1/rank.{rank}/stdout").read_text().splitlines()

    def test_flows(self) -> None:
        out = self.run_flow("train_saving", "--epochs", "2", "--losses", "losses.csv")
        self.assertEqual(out.splitlines(), self.log(0))
        self.assertEqual(self.log(7), self.log(0))
        self.assertRegex(self.log(7)[0], r"^epoch: 1, step: 20, loss is [0-9.]+$")
        self.assertEqual(len(self.log(7)), 4)
        losses = (self.folder / "losses.csv").read_text().splitlines()
        self.assertEqual((len(losses), losses[0]), (81, "step,loss"))
        self.assertTrue((self.folder / "src_checkpoints/rank_7/checkpoint-2_40.ckpt").is_file())
        out = self.run_flow("retrain", "--only_compile=1")
        self.assertIn("converted src_checkpoints -> dst_checkpoints: 8 ranks -> 4, ", out)
        self.assertTrue((self.folder / "dst_checkpoints/rank_3/checkpoint_3.ckpt").is_file())
        self.run_flow("retrain", "--epochs", "1")
        self.assertRegex(self.log(3)[0], "^epoch: 1, step: 20, loss is ")
        self.run_flow("infer", "--only_compile=1")
        self.run_flow("infer", "--logits", "logits.csv")
        logits = numpy.loadtxt(self.folder / "logits.csv", delimiter=",")
        predictions, labels, accuracy = self.log(1)
        self.assertEqual(predictions.split()[1:], [str(best) for best in logits.argmax(axis=1)])
        self.assertRegex(predictions, "^predictions:( [0-9]){10}$")
        self.assertEqual(labels, "labels:      0 1 2 3 4 5 6 7 8 9")
        self.assertRegex(accuracy, r"^accuracy: [01]\.[0-9]{4} of 64 images$")

    def test_as_the_program_in_cpp(self) -> None:
        """Losses, strategies and checkpoints are the same, byte by byte."""
        program = os.environ.get("RELAYOUT_TUTORIAL")
        if program is None:
            self.skipTest("RELAYOUT_TUTORIAL does not name it")
        made = []
        for name in ("python", "cpp"):
            self.run_flow("train_saving", "--epochs=1", "--losses=losses.csv",
                          **({} if name == "python" else {"program": (program,)}))  # fmt: skip
            files = {
                str(path.relative_to(self.folder)): path.read_bytes()
                for path in self.folder.rglob("*")
                if path.is_file() and "data" not in path.parts
            }
            made.append(files)
            shutil.rmtree(self.folder / "src_checkpoints")
        self.assertIn("src_checkpoints/rank_5/checkpoint-1_40.ckpt", made[0])
        self.assertEqual(made[0].keys(), made[1].keys())
        for name in made[0]:
            self.assertTrue(made[0][name] == made[1][name], name)

    def test_pipeline_flows(self) -> None:
        """The loss goes on falling where it was."""

        def losses() -> list[float]:
            return [float(line.split()[-1]) for line in self.log(3) if "loss is" in line]

        self.run_flow("pipeline_train", "--epochs", "1", "--print_steps", "8")
        folder = self.folder / "src_pipeline_strategys"
        names = sorted(path.name for path in folder.iterdir())
        self.assertEqual(names, ["src_strategy_0.ckpt", "src_strategy_4.ckpt"])
        before = losses()
        self.run_flow("retrain_pipeline", "--only_compile=1")
        self.run_flow("retrain_pipeline", "--epochs", "1", "--print_steps", "8")
        after = losses()
        self.assertEqual((len(before), len(after)), (5, 5))
        self.assertLess(before[-1], before[0] - 0.05)
        self.assertLess(after[0], before[-1])
        self.assertLess(after[-1], after[0])


class Mpi(Tutorial):
    """Processes in the place of threads; without what Tutorial does."""

    test_pipeline_flows = None
    test_as_the_program_in_cpp = None

    def setUp(self) -> None:
        super().setUp()
        mpirun = shutil.which("mpirun")
        folder = os.path.dirname(relayout.__file__)
        if mpirun is None or not any(re.match(r"_mpi\..*so", name) for name in os.listdir(folder)):
            self.skipTest("there is no mpirun, or the package was built without MPI")
        self.mpirun = (mpirun, "--allow-run-as-root", "--oversubscribe", "-n")

    def test_flows(self) -> None:
        arguments = ("--epochs", "1", "--batch_size", "32")
        out = self.run_flow("train_saving", *arguments, launcher=(*self.mpirun, "8"))
        self.assertEqual(out.count("epoch: 1, step: 20, loss is "), 8)
        self.run_flow("retrain", "--only_compile=1", launcher=(*self.mpirun, "4"))
        out = self.run_flow("retrain", *arguments, launcher=(*self.mpirun, "4"))
        self.assertEqual(out.count("epoch: 1, step: 20, loss is "), 4)


if __name__ == "__main__":
    try:
        import numpy

        from relayout import train
    except ImportError as missing:
        print(f"skipped: {missing}")
        sys.exit(SKIPPED)
    unittest.main()
