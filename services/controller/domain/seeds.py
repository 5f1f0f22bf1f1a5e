"""How every seed of a run follows from the one in its configuration."""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, arm: str, round_number: int, step: str) -> int:
    """The seed of a step: the first 31 bits of sha256("seed/arm/round/step").

    Evaluation does not use it: there the run's own seed keys the noise, so that arms and rounds are compared under the same
    noise and the base model is answered once for all arms.

    Args:
        seed: The run's seed.
        arm: Name of the arm.
        round_number: The round, from 0.
        step: Name of the step.

    Returns: 0 <= seed < 2**31 (numpy's and torch's seeds are that small); other arguments give another seed but for chance.
    """
    digest = hashlib.sha256(f"{seed}/{arm}/{round_number}/{step}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
