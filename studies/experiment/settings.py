"""How large an experiment is: all that its seeds have in common, in one place, with one digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from shared.errors import InvalidArgument


@dataclass(frozen=True)
class Settings:
    """What every seed of an experiment shares.

    Attributes:
        n_base, n_pool, n_dev, n_test, n_replay: Images of each split; the pool is that of the primary comparison.
        n_other_pool: Images of a pool in which left-out cells are more common.
        enrichment: How many times rarer the left-out cells are in the pool of the primary comparison than in test, E.
        size: Height and width of an image in pixels.
        base_epochs: Passes of the base model's training over its split.
        rounds: Trainings of each arm.
        budget: Images that an arm of budget 1 draws in a round; even, since one arm has half of it.
        questions_per_image: Questions with options about each drawn image.
        steps: Optimiser steps of a training.
        batch_size: Samples of a step.
        passes: Passes over the samples of a training set, as far as the steps allow: see `training_samples`.
        learning_rate: Peak of the cosine schedule of every round.
        alpha: Exponent of the weights of cells.
        dev_runs: Answers to each dev item, R of the paper.
        oracle_accuracy, expert_accuracy: Chances that the simulated oracle and expert are right, 0..1.
    """

    n_base: int = 36_000
    n_pool: int = 20_000
    n_other_pool: int = 6000
    n_dev: int = 600
    n_test: int = 1200
    n_replay: int = 6000
    enrichment: float = 10.0
    size: int = 96
    base_epochs: int = 1
    rounds: int = 3
    budget: int = 150
    questions_per_image: int = 3
    steps: int = 400
    batch_size: int = 32
    passes: int = 3
    learning_rate: float = 7e-4
    alpha: float = 2.0
    dev_runs: int = 5
    oracle_accuracy: float = 0.8
    expert_accuracy: float = 0.97

    def __post_init__(self) -> None:
        """Refuse a budget that has no half."""
        if self.budget < 2 or self.budget % 2:
            raise InvalidArgument(
                "A budget has a half.", field="budget", value=self.budget, remedy="Name an even number."
            )

    @property
    def training_samples(self) -> int:
        """Samples of each arm's training set, D = S * b / p: equal steps and equal passes, whatever its budget.

        S steps of b samples pass evenly over D samples, so each is seen S * b / D = p times. Of these D, N are new and replay
        gives the other D - N. D does not depend on N: what quality assurance and the expert leave out is filled up by replay,
        and the samples of earlier rounds count as new ones. From N = D on there is no replay, and new samples are seen
        S * b / N times, fewer than p.
        """
        return max(int(self.steps * self.batch_size // self.passes), 1)

    @property
    def digest(self) -> str:
        """SHA-256 of all values, the first 16 hex digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


FULL = Settings()
#: The seeds that are reported (docs/protocol.md).
REPORTED = range(101, 109)
#: For trying the command: a few images and steps; its figures mean nothing.
TINY = Settings(
    n_base=40,
    n_pool=60,
    n_other_pool=60,
    n_dev=20,
    n_test=20,
    n_replay=20,
    size=64,
    base_epochs=3,
    rounds=1,
    budget=2,
    questions_per_image=2,
    steps=2,
    batch_size=8,
    passes=2,
    learning_rate=2e-4,
    dev_runs=2,
)
