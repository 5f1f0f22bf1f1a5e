"""The smallest study over which both rounds of the loop run through all of their steps."""

from __future__ import annotations

from pathlib import Path

import yaml

N_ROUNDS = 2
MAX_IN_FLIGHT = 2


def write_tiny_study(folder: Path) -> None:
    """Phantoms, a base model that has seen a few of them so that it answers with letters, and `run.yaml`."""
    from studies.base_model import BaseTraining, pretrain_base
    from studies.folder import write_study
    from studies.plan import StudyPlan

    plan = StudyPlan(n_base=32, n_pool=30, n_dev=10, n_test=8, n_replay=4, size=64, seed=7, rare_ratio=0.3)
    write_study(folder, plan)
    model = pretrain_base(folder, folder / "base-model", BaseTraining(epochs=4, batch_size=16, seed=7))
    write_config(folder / "run.yaml", model=str(model.relative_to(folder)))


def write_config(path: Path, **changes: object) -> Path:
    """A run's YAML over the study in the same folder."""
    data = {name: f"{name}.tsv" for name in ("pool_answers", "dev", "test", "replay")}
    content = {
        "name": "tiny",
        "seed": 7,
        "rounds": N_ROUNDS,
        "data": {"pool": "pool", **data, "simulated_images": "The images are phantoms."},
        "model": "base-model/model",
        "evaluate": {"runs": 3, "max_new_tokens": 2},
        "select": {"budget": 6, "tau_sim": 0.3},
        "annotate": {"oracle": "simulated", "expert": "simulated", "max_in_flight": MAX_IN_FLIGHT},
        "build": {"replay_ratio": 0.5},
        "train": {"learning_rate": 2e-4, "epochs": 1, "batch_size": 8},
        # Both rounds shall run, whatever so few questions say of them.
        "stop": {"patience": 3, "overall_allowance": 1.0, "modality_allowance": 1.0},
        **changes,
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path
