"""The GPUs that this process and its children may use."""

from __future__ import annotations

import os
from pathlib import Path


def visible_gpus(devices: Path = Path("/dev")) -> tuple[str, ...]:
    """The GPUs by the names that `CUDA_VISIBLE_DEVICES` takes, found without loading PyTorch.

    Args:
        devices: Where NVIDIA's driver has a file `nvidia<n>` for each.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(name for name in named.split(",") if name not in ("", "-1"))
    return tuple(str(number) for number, _ in enumerate(devices.glob("nvidia[0-9]*")))
