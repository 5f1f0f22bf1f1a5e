"""The YAML of a run over a study folder, as a user would write it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def write_run_file(
    folder: Path,
    name: str,
    model: Path,
    settings: Mapping[str, Any],
    *,
    simulated_images: str,
    file_name: str = "run.yaml",
) -> Path:
    """Write the file of a run beside the TSVs of a study folder; its oracle and its expert are simulated.

    Args:
        folder: Holds pool.tsv, pool_answers.tsv, dev.tsv, test.tsv and replay.tsv.
        name: Names the run in its report.
        model: The checkpoint to start from; written relative to the folder.
        settings: What differs from the defaults of a run.
        simulated_images: What the report says of the images.
        file_name: Of the file.

    Returns: The file, for `medq run --config`. The enrichment of its pool is said by the report.
    """
    data: dict[str, Any] = {
        "pool": "pool.tsv",
        "pool_answers": "pool_answers.tsv",
        "dev": "dev.tsv",
        "test": "test.tsv",
        "replay": "replay.tsv",
        "simulated_images": simulated_images,
        **settings.get("data", {}),
    }
    data.setdefault("enrichment", enrichment_of(folder, data["pool"]))
    annotate = {"oracle": "simulated", "expert": "simulated", **settings.get("annotate", {})}
    content = {"name": name, **settings, "data": data, "annotate": annotate, "model": os.path.relpath(model, folder)}
    path = folder / file_name
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def enrichment_of(folder: Path, pool: str) -> float | None:
    """How many times more common the left-out cells of a study are in test than in a pool; None where that is not known.

    Args:
        folder: Of the study; one without `study.json` knows nothing.
        pool: The pool's manifest, such as `pool.tsv`.
    """
    study = folder / "study.json"
    pools = json.loads(study.read_bytes()).get("pools", {}) if study.exists() else {}
    enrichment: float | None = pools.get(Path(pool).stem, {}).get("enrichment_of_test")
    return enrichment
