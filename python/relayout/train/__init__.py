# SPDX-License-Identifier: Apache-2.0
"""Trains networks on ranks, as MindSpore does on devices: with the strategies that
relayout.infer_strategy() works out, and with MindSpore's checkpoints.

>>> from relayout import train
>>> def main(comm):
...     data = train.MnistDataset("mnist", batch_size=32, num_shards=8, shard_id=comm.rank)
...     model = train.Model(network, comm=comm, loss_fn="cross_entropy",
...                         optimizer=train.SGD(learning_rate=0.01))
...     save = train.ModelCheckpoint("checkpoint", f"src_checkpoints/rank_{comm.rank}",
...                                  train.CheckpointConfig(integrated_save=False))
...     model.train(10, data, [train.LossMonitor(20), save])
>>> train.run_ranks(8, main)

Needs numpy, and the library oneDNN where relayout was built and where it runs.
"""

try:
    from relayout import _train  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"relayout.train cannot be used here ({error}): it is there only where relayout was built "
        "with oneDNN, and runs where that library is. On Debian: apt-get install libdnnl-dev, and "
        "install relayout again from its source (pip install .)"
    ) from error

from relayout.train._callbacks import (
    Callback,
    CheckpointConfig,
    LossMonitor,
    LossRecorder,
    ModelCheckpoint,
    Progress,
)
from relayout.train._checkpoints import (
    LoadedCheckpoint,
    LoadReport,
    load_checkpoint,
    load_mindir,
    load_param_into_net,
    save_checkpoint,
)
from relayout.train._data import Dataset, MnistDataset, TensorDataset
from relayout.train._model import SGD, Adam, Model, Momentum, Parallel, StateTensor
from relayout.train._ranks import Comm, run_ranks

__all__ = [
    "SGD",
    "Adam",
    "Callback",
    "CheckpointConfig",
    "Comm",
    "Dataset",
    "LoadReport",
    "LoadedCheckpoint",
    "LossMonitor",
    "LossRecorder",
    "MnistDataset",
    "Model",
    "ModelCheckpoint",
    "Momentum",
    "Parallel",
    "Progress",
    "StateTensor",
    "TensorDataset",
    "load_checkpoint",
    "load_mindir",
    "load_param_into_net",
    "run_ranks",
    "save_checkpoint",
]

# Shown under the name by which users know them.
for _name in __all__:
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = __name__
del _name
