"""What training needs from outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from services.training.job.spec import TrainingJob


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
        job: TrainingJob,
        on_progress: Callable[[TrainingProgress], None],
        is_cancelled: Callable[[], bool],
    ) -> str:
        """Run the job to its end, or go on with it where it was stopped or is still running.

        Args:
            job: What to train; its key names it.
            on_progress: Called for each optimiser step, in order; of one that several attempts made, perhaps again.
            is_cancelled: Asked about once a second or more often. What it raises ends the wait, not the job's memory:
                the next call goes on.

        Returns: `sha256:<hex>` of the trained `model`; again the same one where it was finished before.

        Raises:
            MedqError: the job's own error, or `Internal` with the end of its log where it died without one.
            Cancelled: it was called off.
            Conflict: the same job is at work elsewhere, and cannot be followed.
        """
        ...


class TrainingProcess(Protocol):
    """Runs a job whose inputs lie in folders of this machine."""

    def run(
        self,
        spec_path: Path,
        on_progress: Callable[[TrainingProgress], None],
        is_cancelled: Callable[[], bool],
    ) -> None:
        """Run the job to its end, or go on from its newest checkpoint.

        Args:
            spec_path: JSON file of a `TrainingSpec`; the result is in its `result_folder` afterwards.
            on_progress: Called for each optimiser step, in order.
            is_cancelled: Asked a few times a second.

        Raises:
            MedqError: as `TrainingLauncher.run`; the checkpoints stay.
        """
        ...


@dataclass(frozen=True)
class Leak:
    """Why an image may not be trained on.

    Args:
        reason: "same_pixels", "perceptual_hash", "patient" or "session".
        guard_image_id: The guarded image that it touches.
    """

    reason: str
    guard_image_id: str


class LeakageGate(Protocol):
    """Says which images are too near to the development and test sets."""

    def check(
        self,
        image_ids: Sequence[str],
        image_set_uris: Sequence[str],
        guard_uris: Sequence[str],
        phash_distance: int,
    ) -> dict[str, Leak]:
        """Check images; whatever keeps it from checking all of them is raised, never taken for "no leak".

        Args:
            image_ids: The candidates, each described in one of the image sets.
            image_set_uris: `sha256:<hex>` of image sets.
            guard_uris: `sha256:<hex>` of the guarded image sets, at least one.
            phash_distance: Hamming distance at which two images count as one.

        Returns: The leaking ones by image id.
        """
        ...
