"""What `medq demo` runs on: phantoms, the base model that the repository holds, and three rounds of two arms side by side.

Everything that is small here is small so that it ends within minutes on two cores; the paper's values are the defaults of a
run's configuration. The learning rate is larger than the paper's because the model has under a million parameters.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from studies.demo_base import EVALUATE, FOLDER, LEFT_OUT, WEAK
from studies.folder import write_study
from studies.plan import StudyPlan
from studies.real_slice import FURTHER_TESTS, write_real_slice
from studies.run_file import write_run_file

OnProgress = Callable[[str, int, int, str], None]
"""Called with what is being done, how much of it is done, how much there is, and the unit."""

PHANTOMS: Final = "The images are phantoms: drawings with degradations computed from physics."
#: What differs from the defaults of a run.
SETTINGS: dict[str, Any] = {
    "rounds": 3,
    "arms": ["failure_contrast", "random"],
    "evaluate": EVALUATE,
    "select": {"budget": 80, "alpha": 2.0},
    # 300 steps of 32 pass three times over 3,200 samples: those that were annotated, and replayed ones.
    "build": {"total_samples": 3200, "replay_earlier": True},
    "train": {"learning_rate": 7e-4, "steps": 300, "batch_size": 32, "warmup_ratio": 0.1},
    "stop": {"patience": 3, "overall_allowance": 1.0, "modality_allowance": 1.0},
}


def demo_plan(seed: int) -> StudyPlan:
    """The sizes of the demo's splits; its left-out cells are those of the base model, whatever the seed."""
    return StudyPlan(
        n_base=0,
        n_pool=4000,
        n_dev=400,
        n_test=600,
        n_replay=1000,
        seed=seed,
        left_out=LEFT_OUT,
        weak=WEAK,
        rare_ratio=0.055,
    )


def prepare(folder: Path, seed: int, on_progress: OnProgress) -> Path:
    """Make the demo's images and configuration, and put the base model beside them; what is there already stays.

    Args:
        folder: Where to.
        seed: Of the phantoms and of the run.
        on_progress: Told how far it is.

    Returns: The configuration, for `medq run --config`.
    """
    drawing, model = "drawing phantoms of five modalities", folder / "base-model" / "model"
    write_study(folder, demo_plan(seed), lambda done, total: on_progress(drawing, done, total, "images"))
    write_real_slice(folder)
    if not model.is_dir():
        shutil.copytree(FOLDER, model)
    settings = {**SETTINGS, "seed": seed, "data": {"further_tests": FURTHER_TESTS}}
    return write_run_file(folder, "demo", model, settings, simulated_images=PHANTOMS)
