"""What training needs from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class TrainingProgress:
    """How far a job is.

    Args:
        step: Optimiser steps done, from 1.
        n_steps: Optimiser steps of the whole job.
        loss: Of this step, in nats.
        learning_rate: Of this step.
    """

    step: int
    n_steps: int
    loss: float
    learning_rate: float


class TrainingLauncher(Protocol):
    """Runs a fine-tuning job somewhere."""

    def run(
        self,
        spec_path: Path,
        on_progress: Callable[[TrainingProgress], None],
        is_cancelled: Callable[[], bool],
    ) -> None:
        """Run the job to its end, or go on with it where it was stopped.

        Args:
            spec_path: JSON file of a `TrainingSpec`; the result is in its `result_folder` afterwards.
            on_progress: Called for each optimiser step, in order.
            is_cancelled: Asked a few times a second.

        Raises:
            MedqError: the job's own error, or `Internal` with the end of its log where it died without one.
            Cancelled: it was called off; its checkpoints stay.
        """
        ...
