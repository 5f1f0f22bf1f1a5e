"""What training needs from outside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from services.training.job.log import TrainingProgress
from services.training.job.spec import TrainingJob


class TrainingLauncher(Protocol):
    """Runs a fine-tuning job somewhere."""

    def run(
        self, job: TrainingJob, on_progress: Callable[[TrainingProgress], None], is_cancelled: Callable[[], bool]
    ) -> str:
        """Run the job to its end, or go on with it where it was stopped or is still running.

        Args:
            job: What to train; its key names it.
            on_progress: Called for each optimiser step, in order; of one that several attempts made, perhaps again.
            is_cancelled: Asked about once a second or more often. What it raises ends the wait, not the job's memory:
                the next call goes on.

        Returns: `sha256:<hex>` of the trained `model`; again the same one where it was finished before.

        Raises:
            MedqError: The job's own error, or `Internal` with the end of its log where it died without one.
            Cancelled: It was called off.
            Conflict: The same job is at work elsewhere, and cannot be followed.
        """
        ...


class TrainingProcess(Protocol):
    """Runs a job whose inputs lie in folders of this machine."""

    def run(
        self, spec_path: Path, on_progress: Callable[[TrainingProgress], None], is_cancelled: Callable[[], bool]
    ) -> None:
        """Run the job to its end, or go on from its newest checkpoint.

        Args:
            spec_path: JSON file of a `TrainingSpec`; the result is in its `result_folder` afterwards.
            on_progress: Called for each optimiser step, in order.
            is_cancelled: Asked a few times a second.

        Raises:
            MedqError: As `TrainingLauncher.run`; the checkpoints stay.
        """
        ...
