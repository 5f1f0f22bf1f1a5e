"""The file of one run of an experiment: its arms differ in what each of them says, and in nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studies.experiment.blocks import Run
from studies.experiment.material import Material, write_answers
from studies.experiment.settings import Settings
from studies.real_slice import FURTHER_TESTS
from studies.run_file import write_run_file

_IMAGES = "The images are phantoms: drawings with degradations computed from physics."


def run_id_of(block: str, run: Run) -> str:
    """The name of a run among those of a seed."""
    return f"{block}-{run.pool}"


def write_experiment_run(material: Material, block: str, run: Run, seed: int, settings: Settings) -> Path:
    """Write the file of a run into the study folder.

    Args:
        material: Of the seed.
        block: Which the run is of.
        run: Its pool and arms.
        seed: From which the run derives its draws.
        settings: What all arms share.

    Returns: The file, for `medq run --config`.
    """
    name = run_id_of(block, run)
    data = {
        "pool": f"{run.pool}.tsv",
        "pool_answers": write_answers(material.folder, run.pool, run.answers),
        "further_tests": FURTHER_TESTS,
    }
    arms = [arm.section(settings, material.n_dev_images) for arm in run.arms]
    content = {"seed": seed, "arms": arms, "data": data, **_shared(settings)}
    return write_run_file(
        material.folder, name, material.model, content, simulated_images=_IMAGES, file_name=f"{name}.yaml"
    )


def _shared(settings: Settings) -> dict[str, Any]:
    """What all arms share; each goes through all of its rounds, whatever dev says."""
    return {
        "rounds": settings.rounds,
        "evaluate": {"runs": settings.dev_runs, "extractor": "likelihood", "answer_form": "open"},
        "annotate": {
            "questions_per_image": settings.questions_per_image,
            "simulated_oracle_accuracy": settings.oracle_accuracy,
            "simulated_expert_accuracy": settings.expert_accuracy,
        },
        # What draws by uncertainty asks the model about every image of the pool: no arm sees less of it than another.
        "select": {"alpha": settings.alpha, "uncertainty_candidates": settings.n_pool},
        "build": {"total_samples": settings.training_samples, "replay_earlier": True},
        "train": {"learning_rate": settings.learning_rate, "batch_size": settings.batch_size, "warmup_ratio": 0.1},
        "stop": {"patience": settings.rounds + 1, "overall_allowance": 1.0, "modality_allowance": 1.0},
    }
