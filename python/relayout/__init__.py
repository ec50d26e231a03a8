# SPDX-License-Identifier: Apache-2.0
"""relayout converts distributed MindSpore checkpoints from one sharding to another.

>>> import relayout
>>> relayout.convert("src_checkpoints", "dst_checkpoints",
...                  source_strategy="src_strategy.ckpt", target_strategy="dst_strategy.ckpt")

Needs neither MindSpore nor numpy. All paths may be str or os.PathLike. Functions may be called from
any thread; long ones let other threads run and stop on Ctrl-C.
"""

from relayout._arguments import Step
from relayout._checkpoint import Checkpoint, DLPack, Tensor
from relayout._checkpoint import open as open
from relayout._compare import Difference, DiffReport, VerifyReport, diff, verify
from relayout._convert import Note, Report, UnifiedOptions, convert
from relayout._core import __version__
from relayout._errors import Error, InputError, MachineError, MissingTensorError, OutOfMemoryError
from relayout._infer import (
    InferredStrategy,
    OperatorCuts,
    infer_predict_layout,
    infer_strategy,
    infer_train_layout,
)
from relayout._network import (
    Input,
    Network,
    NetworkBuilder,
    NetworkTensor,
    Operator,
    Parameter,
    read_mindir,
)
from relayout._plan import (
    Copy,
    ExplainedTensor,
    Plan,
    PlannedSource,
    PlannedTarget,
    TargetShard,
    plan,
)
from relayout._strategy import (
    Layout,
    MergeReport,
    Placement,
    Strategy,
    load_strategy,
    merge_strategies,
    ranks_for,
)

# Without open, so that `from relayout import *` leaves Python's own alone.
__all__ = [
    "Checkpoint",
    "Copy",
    "DLPack",
    "DiffReport",
    "Difference",
    "Error",
    "ExplainedTensor",
    "InferredStrategy",
    "Input",
    "InputError",
    "Layout",
    "MachineError",
    "MergeReport",
    "MissingTensorError",
    "Network",
    "NetworkBuilder",
    "NetworkTensor",
    "Note",
    "Operator",
    "OperatorCuts",
    "OutOfMemoryError",
    "Parameter",
    "Placement",
    "Plan",
    "PlannedSource",
    "PlannedTarget",
    "Report",
    "Step",
    "Strategy",
    "TargetShard",
    "Tensor",
    "UnifiedOptions",
    "VerifyReport",
    "__version__",
    "convert",
    "diff",
    "infer_predict_layout",
    "infer_strategy",
    "infer_train_layout",
    "load_strategy",
    "merge_strategies",
    "plan",
    "ranks_for",
    "read_mindir",
    "verify",
]

# Shown, and pickled, under the name by which users know them.
for _name in __all__:
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = __name__
del _name
