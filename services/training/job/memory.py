"""Whether a device has the memory that a training needs: asked before the weights are read."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText

from services.training.domain.memory import BatchSize, Memory, ModelSize, Tower, memory_needed
from services.training.job.sample_encoder import Longest
from shared.errors import FailedPrecondition

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Devices:
    """What trains: one process on the CPU or a GPU each, all processes with as many samples."""

    is_gpu: bool
    n_processes: int

    @property
    def n_shards(self) -> int:
        """Processes that share one model's weights; on a CPU each has the whole."""
        return self.n_processes if self.is_gpu else 1

    def available(self) -> int:
        """Bytes that this process may still take: of its GPU, or its part of what this machine or container has left."""
        if self.is_gpu:
            return int(torch.cuda.mem_get_info()[0])
        return available_memory() // max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def require_memory(folder: Path, longest: Longest, batch_size: int, devices: Devices) -> Memory:
    """Check that training fits, by the sizes in `config.json` alone.

    Args:
        folder: The checkpoint.
        longest: The longest sample.
        batch_size: Samples of one forward pass of a device.
        devices: What trains.

    Returns: What a device needs.

    Raises:
        FailedPrecondition: It has less.
    """
    model = model_size(folder)
    # Both families join four patches into one image token.
    batch = BatchSize(batch_size, longest.tokens, 4 * longest.image_tokens, longest.answer_tokens)
    needed = memory_needed(model, batch, is_gpu=devices.is_gpu, n_shards=devices.n_shards)
    available = devices.available()
    if needed.total <= available:
        return needed
    parts = ", ".join(
        f"{name} {_gib(size)}"
        for name, size in (
            ("weights", needed.weights),
            ("gradients", needed.gradients),
            ("optimiser", needed.optimiser),
            (f"activations of {batch_size} samples of up to {longest.tokens} tokens", needed.working),
        )
    )
    fixed = needed.total - needed.working
    raise FailedPrecondition(
        f"Training of all {model.n_parameters:,} parameters needs {_gib(needed.total)} ({parts}); "
        f"there are {_gib(available)}.",
        field="batch_size" if fixed < available else "model",
        value=batch_size if fixed < available else model.n_parameters,
        remedy=(
            "Lower batch_size and raise gradient_accumulation by as much, or use smaller images."
            if fixed < available
            else "Share the model among more GPUs (kubernetes.gpus, kubernetes.nodes), or start from a smaller model."
        ),
    )


def model_size(folder: Path) -> ModelSize:
    """The sizes of a checkpoint, without its weights; a part that its configuration does not describe has none."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        model: Any = AutoModelForImageTextToText.from_config(config, trust_remote_code=False)
    text = config.get_text_config()
    return ModelSize(
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        text=_tower(text),
        vision=_tower(getattr(config, "vision_config", None)),
        vocabulary=int(getattr(text, "vocab_size", 0)),
    )


def available_memory() -> int:
    """Bytes of main memory that can still be had: what the kernel offers, or what a container's limit leaves of it."""
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    offered = int(lines["MemAvailable"].split()[0]) * 1024
    with suppress(OSError, ValueError):  # no container, or "max": no limit
        limit, used = (int((_CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        return max(0, min(offered, limit - used))
    return offered


def _tower(config: Any) -> Tower:
    return Tower(*(int(getattr(config, name, 0)) for name in ("num_hidden_layers", "hidden_size", "intermediate_size")))


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
