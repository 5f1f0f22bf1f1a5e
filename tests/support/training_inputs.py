"""A tiny model and a dataset in an object store, to be trained on and with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from services.training.job.model_files import store_model
from shared.objects.dataset import write_dataset
from shared.objects.store import ObjectStore
from studies.tiny_model import build_tiny_checkpoint

N_SAMPLES = 8


def put_inputs(objects: ObjectStore, folder: Path) -> tuple[str, str]:
    """Their URIs, model and dataset."""
    build_tiny_checkpoint(folder / "base", ["Is this image dark?", "A", "B"], seed=1, image_size=32)
    (folder / "dataset").mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for i in range(N_SAMPLES):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / "dataset" / f"{i}.png")
        turns = [{"from": "human", "value": "<image>\nIs this image dark?"}, {"from": "gpt", "value": "AB"[i % 2]}]
        rows.append({"id": f"s{i}", "images": [f"{i}.png"], "conversations": turns})
    (folder / "dataset" / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    model = store_model(objects, folder / "base", folder / "staging", parents=[], configuration={}, seed=0)
    dataset = write_dataset(objects, "dataset", folder / "dataset", counts={}, parents=[], configuration={}, seed=0)
    return model, dataset
