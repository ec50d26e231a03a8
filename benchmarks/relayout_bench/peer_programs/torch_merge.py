# SPDX-License-Identifier: Apache-2.0
"""torch_merge.py dcp|safetensors SHARDS TARGET: PyTorch's converters of shards into whole tensors.

dcp: dcp_to_torch_save, one file. safetensors: consolidate_safetensors_files, with 2 threads."""

import json
import sys
import time
from pathlib import Path

from torch.distributed.checkpoint._consolidate_hf_safetensors import consolidate_safetensors_files
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save


def names_in(folder: Path) -> list[str]:
    names: set[str] = set()
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            names |= json.loads(file.read(size)).keys()
    return sorted(names - {"__metadata__"})


kind, shards, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
target.mkdir(parents=True)
begin = time.perf_counter()
if kind == "dcp":
    dcp_to_torch_save(shards, target / "whole.pt")
else:
    consolidate_safetensors_files(str(shards), str(target), dict.fromkeys(names_in(shards), 1), 2)
print(f"{time.perf_counter() - begin:.6f}")
