"""Of which pool images the model is least sure: a peer of the contrast that looks at no failure and no label."""

from __future__ import annotations

import math
from collections.abc import Sequence

from shared.entropy import trajectory_entropy


def uncertainty(answers: Sequence[Sequence[float]]) -> float | None:
    """The mean over some questions of H^traj (Eq. 3) of the model's greedy answer to each.

    Uncertainty sampling asks for labels where the model is least sure (Settles 2009, section 3.1). H^traj is minus the mean
    log-probability of the answer's tokens: the least confident answer has the highest. Between two options that order is also the
    order by the entropy over the options.

    Args:
        answers: Of each question the log-probabilities, in nats, of the tokens that carry the answer; none: they cannot be used.

    Returns: Nats per token, at least 0, six digits; None where no answer can be used.
    """
    entropies = [trajectory_entropy(logprobs) for logprobs in answers if len(logprobs)]
    return round(math.fsum(entropies) / len(entropies), 6) if entropies else None
