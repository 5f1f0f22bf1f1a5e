"""Some steps of training whose processes share weights, gradients and moments by torch's own FSDP, on gloo.

    python -m torch.distributed.run --standalone --nproc-per-node=2 -m tests.support.sharded_steps CHECKPOINT DATA OUT

The trainer shares a model on GPUs alone (accelerate refuses elsewhere), so this is its loop by hand: the same samples, loss and
divisor. Losses of the steps go to OUT as JSON. With one process nothing is shared.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from services.training.domain.loss import n_to_divide_by, sft_loss
from services.training.job.finetune import load_processor, load_trainable
from services.training.job.sample_encoder import SampleEncoder, read_samples

N_STEPS, LEARNING_RATE = 4, 3e-3


def main() -> None:
    """Train, and write the curve."""
    checkpoint, data, out = (Path(argument) for argument in sys.argv[1:])
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    encoder, samples = SampleEncoder(load_processor(checkpoint), data), read_samples(data / "train.jsonl")
    model: Any = load_trainable(checkpoint)
    if world > 1:
        share(model, world)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    curve = []
    for _ in range(N_STEPS):
        batch = encoder(samples[rank::world])
        labels = batch.pop("labels")
        n = torch.tensor(n_to_divide_by(labels, "token_mean"))
        dist.all_reduce(n)
        loss = sft_loss(model(**batch).logits, labels, "token_mean", n)
        (loss * world).backward()  # gradients are averaged over the processes
        optimizer.step()
        optimizer.zero_grad()
        total = loss.detach()
        dist.all_reduce(total)
        curve.append(float(total))
    if rank == 0:
        out.write_text(json.dumps({"curve": curve, "is_shared": type(next(model.parameters())).__name__ == "DTensor"}))
    dist.destroy_process_group()
    # Not by a return: gloo's threads outlive the group, and one that lets go of a tensor while the interpreter ends aborts.
    os._exit(0)


def share(model: Any, world: int) -> None:
    """Each layer by itself, then the rest."""
    mesh = init_device_mesh("cpu", (world,))
    for module in model.modules():
        if type(module).__name__ in model._no_split_modules:
            fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)


if __name__ == "__main__":
    main()
