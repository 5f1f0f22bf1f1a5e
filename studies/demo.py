"""What `medq demo` runs on: phantoms, a base model trained on some of them, and the configuration of two rounds.

Everything that is small here is small so that it ends within minutes on two cores; the paper's values are the defaults of a
run's configuration. The learning rate is larger than the paper's because the model has under a million parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from studies.base_model import BaseTraining, pretrain_base
from studies.folder import write_study
from studies.plan import StudyPlan
from studies.run_file import write_run_file

OnProgress = Callable[[str, int, int, str], None]
"""Called with what is being done, how much of it is done, how much there is, and the unit."""

#: The question alone, answered by an option's text: a model this small learns that far better than letters.
ANSWER_FORM: Final = "open"
#: What differs from the defaults of a run.
SETTINGS: dict[str, Any] = {
    "rounds": 2,
    "arms": ["failure_contrast"],
    "evaluate": {"runs": 5, "extractor": "likelihood", "answer_form": ANSWER_FORM},
    "select": {"budget": 150},
    "build": {"replay_ratio": 4.0},
    "train": {"learning_rate": 5e-4, "epochs": 2, "batch_size": 32, "warmup_ratio": 0.1},
    "stop": {"patience": 2},
}

#: One degradation of each modality. More weaknesses than these cannot be mended with the few images of two short rounds.
LEFT_OUT = frozenset(
    {
        ("mri", "aliasing"),
        ("ct", "rings"),
        ("endoscopy", "bubbles"),
        ("fundus", "colour"),
        ("histopathology", "compression"),
    }
)


def demo_plan(seed: int) -> StudyPlan:
    """The sizes of the demo's splits."""
    return StudyPlan(
        n_base=3000, n_pool=1000, n_dev=200, n_test=300, n_replay=600, seed=seed, left_out=LEFT_OUT, rare_ratio=0.2
    )


def prepare(folder: Path, seed: int, on_progress: OnProgress) -> Path:
    """Make the demo's images, base model and configuration; what is there already stays.

    Args:
        folder: Where to.
        seed: Of the phantoms, of the base model and of the run.
        on_progress: Told how far it is.

    Returns: The configuration, for `medq run --config`.
    """
    drawing, training = "drawing phantoms of five modalities", "training the base model"
    write_study(folder, demo_plan(seed), lambda done, total: on_progress(drawing, done, total, "images"))
    model = pretrain_base(
        folder,
        folder / "base-model",
        BaseTraining(seed=seed, answer_form=ANSWER_FORM),
        lambda done, total: on_progress(training, done, total, "steps"),
    )
    text = "The images are phantoms: drawings with degradations computed from physics."
    return write_run_file(folder, "demo", model, {**SETTINGS, "seed": seed}, simulated_images=text)
