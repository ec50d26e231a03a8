# SPDX-License-Identifier: Apache-2.0
"""Train on 8 ranks, convert, and go on with 4: MindSpore's tutorial of distributed checkpoints. The
program of docs/tutorial.md in Python; for the flows,

    PROGRAM="python3 .../examples/tutorial/tutorial.py" .../examples/tutorial/run_saving.sh

or by hand, with DATA_PATH naming MNIST's files or those of make_data:

    python tutorial.py train_saving                 # 8 ranks -> src_strategy.ckpt, src_checkpoints
    python tutorial.py retrain --only_compile=1     # -> dst_strategy.ckpt, dst_checkpoints
    python tutorial.py retrain                      # 4 ranks, from dst_checkpoints
    python tutorial.py infer --only_compile=1
    python tutorial.py infer                        # 4 ranks: predictions, and how many are right

and from a pipeline: pipeline_train, then retrain_pipeline with and without --only_compile=1. Ranks
are the processes of mpirun, or without it threads.
"""

import argparse
import contextlib
import math
import os
import pathlib
import sys

import numpy

import relayout
from relayout import mindspore, train

# ------------------------------------------------------------------------------------ the networks


def dense(net, name, x, width, cuts=None):
    with net.scope(name):
        weight = net.parameter("weight", (x.shape[-1], width), initializer="normal")
        bias = net.parameter("bias", (width,), initializer="normal")
        product = net.matmul(x, weight)
        return (product.cut(*cuts) if cuts else product) + bias


def dense_network(hidden, layer1, layer3):
    """With cuts for the products of two layers; the others have their batch cut."""

    def network(net, image):
        x = net.flatten(image)
        x = net.relu(dense(net, "layer1", x, hidden, layer1))
        x = net.relu(dense(net, "layer2", x, hidden))
        return dense(net, "layer3", x, 10, layer3)

    return network


def nn_dense(net, name, x, width):
    """MindSpore's nn.Dense."""
    inputs = x.shape[-1]
    with net.scope(name):
        weight = net.parameter("weight", (width, inputs), initializer=f"he_uniform({5**0.5})")
        bias = net.parameter("bias", (width,), initializer=f"uniform({1 / math.sqrt(inputs)})")
        return net.bias_add(net.matmul(x, weight, transpose_b=True), bias)


def nn_dense_network(hidden):
    def network(net, image):
        x = net.flatten(image)
        x = net.relu(nn_dense(net, "layer1", x, hidden))
        x = net.relu(nn_dense(net, "layer2", x, hidden))
        return nn_dense(net, "layer3", x, 10)

    return network


# ------------------------------------------------------------------------------------- what all do


def open_data(options, usage, batch_size):
    """The same on all ranks, as in MindSpore's tutorial."""
    if "DATA_PATH" not in os.environ:
        sys.exit("DATA_PATH is not set; it names the folder with MNIST's files, or make_data's")
    return train.MnistDataset(os.environ["DATA_PATH"], usage, batch_size=batch_size)


def model_of(comm, options, network, parallel):
    optimizer = {
        "sgd": train.SGD(options.learning_rate),
        "momentum": train.Momentum(options.learning_rate, 0.9),
        "adam": train.Adam(options.learning_rate),
    }[options.optimizer]
    return train.Model(network, "cross_entropy", optimizer, comm=comm, parallel=parallel)


def say(line):
    """At once and in one piece, as other processes write too."""
    sys.stdout.flush()
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


@contextlib.contextmanager
def output_of(comm, options):
    """What a rank prints is in log_output/1/rank.N/stdout: mpirun sees to it for processes."""
    if "OMPI_COMM_WORLD_RANK" in os.environ:
        yield say
        return
    path = pathlib.Path(options.log_output, "1", f"rank.{comm.rank}", "stdout")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", buffering=1) as file:

        def write(line):
            file.write(f"{line}\n")
            if comm.rank == 0:
                say(line)

        yield write


def save_strategy(comm, model, path):
    if comm.rank == 0:
        pathlib.Path(path).parent.mkdir(exist_ok=True)
        model.strategy.save(path, overwrite=True)
    comm.barrier()


def fit(comm, options, write, model, data, epochs, directory=None):
    losses = train.LossRecorder()
    monitor = train.LossMonitor(options.print_steps, style="tutorial", print=write)
    callbacks = [monitor, losses]
    if directory:
        config = train.CheckpointConfig(
            save_checkpoint_steps=1000,
            keep_checkpoint_max=1,
            integrated_save=False,
            append_info=["epoch_num", "step_num"],
        )
        folder = f"{directory}/rank_{comm.rank}"
        callbacks.append(train.ModelCheckpoint("checkpoint", folder, config))
    model.train(options.epochs or epochs, data, callbacks)
    if comm.rank == 0 and options.losses:
        rows = [f"{step},{numpy.float32(loss)!s}\n" for step, loss in enumerate(losses.losses, 1)]
        pathlib.Path(options.losses).write_text("step,loss\n" + "".join(rows))


def begin(comm, options, write, model, data, epochs, directory):
    """Trains from initial values, or those of a checkpoint."""
    if options.init_checkpoints_dir:
        load(comm, write, model, options.init_checkpoints_dir)
    fit(comm, options, write, model, data, epochs, directory)


def load(comm, write, model, directory):
    path = f"{directory}/rank_{comm.rank}/checkpoint_{comm.rank}.ckpt"
    param_not_load, _ = train.load_param_into_net(model, train.load_checkpoint(path))
    if param_not_load:
        write(f"not in {path}, so as they begin: {', '.join(param_not_load)}")


def convert(source, source_strategy, target, target_strategy):
    """From 8 ranks to 4; the processes of mpirun do it together."""
    report = relayout.convert(
        source,
        target,
        source_strategy=source_strategy,
        target_strategy=target_strategy,
        overwrite=True,
    )
    counts = f"{report.source_rank_count} ranks -> {report.target_rank_count}"
    say(f"converted {source} -> {target}: {counts}, {report.value_count} values")


# ------------------------------------------------------------------------------------ the programs

ON_8 = {"layer1": ((2, 1), (1, 2)), "layer3": ((2, 2), (2, 1))}
ON_4 = {"layer1": ((1, 4), (4, 1)), "layer3": ((2, 2), (2, 1))}


def train_saving(options):
    def main(comm):
        model = model_of(comm, options, dense_network(options.hidden, **ON_8), train.Parallel())
        data = open_data(options, "train", options.batch_size)
        model.build(data)
        save_strategy(comm, model, options.src_strategy_file or "src_strategy.ckpt")
        if not options.only_compile:
            with output_of(comm, options) as write:
                source = options.src_checkpoints_dir or "src_checkpoints"
                begin(comm, options, write, model, data, 10, source)

    train.run_ranks(options.ranks or 8, main)


def retrain(options):
    strategy = options.dst_strategy_file or "dst_strategy.ckpt"
    converted = options.dst_checkpoints_dir or "dst_checkpoints"
    parallel = train.Parallel(full_batch=True, enable_parallel_optimizer=True)

    def main(comm):
        model = model_of(comm, options, dense_network(options.hidden, **ON_4), parallel)
        data = open_data(options, "train", options.batch_size)
        model.build(data)
        save_strategy(comm, model, strategy)
        if not options.only_compile:
            with output_of(comm, options) as write:
                load(comm, write, model, converted)
                fit(comm, options, write, model, data, 3)

    train.run_ranks(options.ranks or 4, main)
    if options.only_compile:
        convert_saved(options, converted, strategy)


def infer(options):
    strategy = options.dst_strategy_file or "dst_strategy.ckpt"
    converted = options.dst_checkpoints_dir or "dst_checkpoints"
    parallel = train.Parallel(enable_parallel_optimizer=True)

    def main(comm):
        model = model_of(comm, options, dense_network(options.hidden, **ON_4), parallel)
        model.build_predict((1, 1, 28, 28))
        save_strategy(comm, model, strategy)
        if not options.only_compile:
            with output_of(comm, options) as write:
                load(comm, write, model, converted)
                print_predictions(comm, options, write, model)

    train.run_ranks(options.ranks or 4, main)
    if options.only_compile:
        convert_saved(options, converted, strategy)


def convert_saved(options, converted, strategy):
    source = options.src_checkpoints_dir or "src_checkpoints"
    convert(source, options.src_strategy_file or "src_strategy.ckpt", converted, strategy)


def print_predictions(comm, options, write, model):
    rows = open_data(options, "test", 1)
    first = [rows.batch(i) for i in range(min(10, len(rows)))]
    logits = [model.predict(image)[0] for image, _ in first]
    if comm.rank == 0 and options.logits:
        lines = [",".join(str(number) for number in row) + "\n" for row in logits]
        pathlib.Path(options.logits).write_text("".join(lines))
    write(f"predictions: {' '.join(str(row.argmax()) for row in logits)}")
    write(f"labels:      {' '.join(str(label[0]) for _, label in first)}")
    rest = rows.with_options(batch_size=min(len(rows), 64), drop_remainder=False)
    write(f"accuracy: {model.accuracy(rest):.4f} of {len(rows)} images")


def pipeline_train(options):
    parallel = train.Parallel(
        enable_parallel_optimizer=True,
        pipeline_stages=2,
        stages={"layer1": 0, "layer2": 1, "layer3": 1},
        micro_size=4,
    )

    def main(comm):
        model = model_of(comm, options, nn_dense_network(options.hidden), parallel)
        data = open_data(options, "train", options.batch_size)
        model.build(data)
        save_strategy(comm, model, "src_pipeline_strategys/src_strategy_{rank}.ckpt")
        if not options.only_compile:
            with output_of(comm, options) as write:
                source = options.src_checkpoints_dir or "src_checkpoints_pipeline"
                begin(comm, options, write, model, data, 3, source)

    train.run_ranks(options.ranks or 8, main)


def retrain_pipeline(options):
    strategy = options.dst_strategy_file or "dst_pipeline_strategy.ckpt"
    converted = options.dst_checkpoints_dir or "dst_checkpoints_pipeline"
    merged = options.src_strategy_file or "src_pipeline_strategy.ckpt"
    parallel = train.Parallel(full_batch=True)

    def main(comm):
        model = model_of(comm, options, nn_dense_network(options.hidden), parallel)
        data = open_data(options, "train", options.batch_size)
        model.build(data)
        save_strategy(comm, model, strategy)
        if options.only_compile:
            if comm.rank == 0:
                mindspore.merge_pipeline_strategys("src_pipeline_strategys", merged)
            comm.barrier()
            return
        with output_of(comm, options) as write:
            load(comm, write, model, converted)
            fit(comm, options, write, model, data, 3)

    train.run_ranks(options.ranks or 4, main)
    if options.only_compile:
        source = options.src_checkpoints_dir or "src_checkpoints_pipeline"
        convert(source, merged, converted, strategy)


def options_of(arguments):
    programs = (train_saving, retrain, infer, pipeline_train, retrain_pipeline)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", choices=[program.__name__ for program in programs])
    parser.add_argument("--ranks", type=int, help="instead of the tutorial's 8 or 4")
    parser.add_argument("--only_compile", type=int, default=0, help="1: compile and convert only")
    parser.add_argument("--epochs", type=int, help="instead of the tutorial's 10 (later ones 3)")
    parser.add_argument("--batch_size", type=int, default=32, help="rows that a rank is fed")
    parser.add_argument("--hidden", type=int, default=512, help="width of the layers")
    parser.add_argument("--optimizer", default="sgd", choices=("sgd", "momentum", "adam"))
    parser.add_argument("--learning_rate", type=float, default=0.01)
    parser.add_argument("--print_steps", type=int, default=20)
    for name in ("strategy_file", "checkpoints_dir"):
        parser.add_argument(f"--src_{name}")
        parser.add_argument(f"--dst_{name}")
    parser.add_argument("--init_checkpoints_dir", help="begin with DIR/rank_x/checkpoint_x.ckpt")
    parser.add_argument("--logits", help="infer: rank 0 writes the network's results to this file")
    parser.add_argument("--losses", help="rank 0 writes lines of step,loss to this file")
    parser.add_argument("--log_output", default="log_output")
    options = parser.parse_args(arguments)
    options.main = next(program for program in programs if program.__name__ == options.program)
    return options


if __name__ == "__main__":
    options = options_of(sys.argv[1:])
    options.main(options)
