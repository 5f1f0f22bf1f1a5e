"""What every harm has: a world, a seed's draws, and a count."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from tests.faults.run import Step
from tests.faults.world import World


@dataclass
class Harm:
    """What a case does.

    Attributes:
        n: How often harm was done.
        least_unknown: Calls that the ledger must show as `unknown`, or the harm met none in flight.
    """

    world: World
    rng: np.random.Generator
    cut_seconds: float
    n: int = 0
    least_unknown: int = 0

    def at_step(self, step: Step) -> None:
        """Called at each new step, in the order of the run: do nothing."""

    def pause(self, seconds: float) -> None:
        """Let the run go on for a while."""
        threading.Event().wait(seconds)
