# SPDX-License-Identifier: Apache-2.0
"""torch_save_shards.py TENSORS.json FOLDER RANKS: checkpoints for PyTorch's converters.

TENSORS.json is a list of [name, "bf16" or "f32", shape]. Matrices are cut by rows over the ranks,
which are processes of this machine; FOLDER/dcp and FOLDER/safetensors get the checkpoint in
PyTorch's own format and as sharded safetensors."""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Replicate, Shard

DTYPES = {"bf16": torch.bfloat16, "f32": torch.float32}


def local_part(mesh: DeviceMesh, dtype: str, shape: list[int]) -> DTensor:
    is_cut = len(shape) == 2
    local = [shape[0] // mesh.size(), *shape[1:]] if is_cut else shape
    contents = torch.randn(local).to(DTYPES[dtype])
    return DTensor.from_local(
        contents, mesh, [Shard(0) if is_cut else Replicate()], run_check=False
    )


def save(rank: int, tensors: list[tuple[str, str, list[int]]], folder: Path, ranks: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", store=dist.FileStore(str(folder / "store"), ranks), rank=rank, world_size=ranks
    )
    mesh = DeviceMesh("cpu", list(range(ranks)))
    state = {name: local_part(mesh, dtype, shape) for name, dtype, shape in tensors}
    dcp.save(state, checkpoint_id=folder / "dcp")
    writer = HuggingFaceStorageWriter(
        str(folder / "safetensors"),
        save_distributed=True,
        fqn_to_index_mapping=dict.fromkeys(state, 1),
    )
    dcp.save(state, storage_writer=writer)
    dist.destroy_process_group()


if __name__ == "__main__":
    described, target, count = (
        json.loads(Path(sys.argv[1]).read_text()),
        Path(sys.argv[2]),
        sys.argv[3],
    )
    target.mkdir(parents=True)
    torch.multiprocessing.spawn(save, (described, target, int(count)), nprocs=int(count))
