"""The files that a run's configuration names, as small as they can be."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

_HEADER = "index\timage_path\tquestion\tA\tB\tanswer\tmodality\n"


def write_run_files(folder: Path, **changes) -> str:
    """A pool, three tables and a checkpoint folder below `folder`; gives the YAML of a run over them."""
    (folder / "pool").mkdir(parents=True)
    (folder / "pool" / "a.png").write_bytes(b"not looked at")
    for name in ("pool_answers", "dev", "test"):
        (folder / f"{name}.tsv").write_text(_HEADER + "1\ta.png\tIs it sharp?\tYes\tNo\tA\tmri\n")
    model = folder / "model"
    model.mkdir()
    for name in ("config.json", "tokenizer.json", "processor_config.json"):
        (model / name).write_text(json.dumps({}))
    (model / "model.safetensors").write_bytes(b"")
    content = {
        "name": "small",
        "rounds": 2,
        "data": {"pool": "pool", "pool_answers": "pool_answers.tsv", "dev": "dev.tsv", "test": "test.tsv"},
        "model": "model",
        "arms": ["failure_driven"],
        "evaluate": {"runs": 2},
        **changes,
        "annotate": {"oracle": "simulated", "expert": "simulated", **changes.get("annotate", {})},
    }
    return yaml.safe_dump(content)
