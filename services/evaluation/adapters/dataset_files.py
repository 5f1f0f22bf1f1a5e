"""Writes the files of a dataset by the ending of their names and stores them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared.objects.dataset import JsonObject, write_dataset, write_rows
from shared.objects.store import ObjectStore


def publish(
    objects: ObjectStore,
    kind: str,
    files: Mapping[str, Any],
    *,
    counts: Mapping[str, int],
    parents: Sequence[str],
    configuration: JsonObject,
    seed: int = 0,
) -> str:
    """Store a dataset; the same content has the same URI.

    Args:
        objects: Where.
        kind: What it holds.
        files: Name to content: rows for `.jsonl`, an array for `.npy`, an object for `.json`.
        counts: As `write_dataset`.
        parents: As `write_dataset`.
        configuration: As `write_dataset`.
        seed: As `write_dataset`.

    Returns: The dataset's URI.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in files.items():
            _write(folder / file, content)
        return write_dataset(
            objects, kind, folder, counts=counts, parents=parents, configuration=configuration, seed=seed
        )


def _write(path: Path, content: Any) -> None:
    if path.suffix == ".jsonl":
        write_rows(path, content)
    elif path.suffix == ".npy":
        np.save(path, content, allow_pickle=False)
    else:
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
        path.write_text(text + "\n", encoding="utf-8")
