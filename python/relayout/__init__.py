# SPDX-License-Identifier: Apache-2.0
"""relayout converts distributed MindSpore checkpoints from one sharding to another.

>>> import relayout
>>> relayout.convert("src_checkpoints", "dst_checkpoints",
...                  source_strategy="src_strategy.ckpt", target_strategy="dst_strategy.ckpt")

Needs neither MindSpore nor numpy. All paths may be str or os.PathLike. Functions may be called from
any thread; long ones let other threads run and stop on Ctrl-C.
"""

from relayout._arguments import Step
from relayout._convert import Note, Report, convert
from relayout._core import __version__
from relayout._errors import Error, InputError, MachineError, OutOfMemoryError
from relayout._strategy import (
    Layout,
    MergeReport,
    Placement,
    Strategy,
    load_strategy,
    merge_strategies,
    ranks_for,
)

__all__ = [
    "Error",
    "InputError",
    "Layout",
    "MachineError",
    "MergeReport",
    "Note",
    "OutOfMemoryError",
    "Placement",
    "Report",
    "Step",
    "Strategy",
    "__version__",
    "convert",
    "load_strategy",
    "merge_strategies",
    "ranks_for",
]

# Shown, and pickled, under the name by which users know them.
for _name in __all__:
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = __name__
del _name
