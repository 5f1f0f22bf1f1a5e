"""How much an arm trains on in a round: equal steps, and equal passes over new samples, whatever its budget."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Exposure:
    """What a training sees.

    Attributes:
        n_new: New samples of a round, N.
        n_replay: Replayed samples in its dataset, R.
        steps: Optimiser steps, S.
        passes: How often each sample of the dataset is seen, the new ones among them.
    """

    n_new: int
    n_replay: int
    steps: int
    passes: float


def exposure(budget: int, questions_per_image: int, steps: int, batch_size: int, passes: float) -> Exposure:
    """The replay that gives each arm the same steps and the same passes over its new samples.

    S steps of b samples are S * b exposures. A training passes evenly over its dataset of N + R samples, so each is seen
    S * b / (N + R) times. This is p where N + R = S * b / p: hence R = S * b / p - N, and new samples fill N * p of the S * b
    exposures. From N = S * b / p on there is no replay, and new samples are seen S * b / N times, fewer than p.

    A dataset holds the new samples of its own round alone: those of earlier rounds are looked at for repeats and are not
    trained on again, as the model that they made is trained further. So N is the same in every round, and steps and passes
    are equal between arms in each. What quality assurance and the expert leave out makes N smaller than is counted here: by
    d samples of D, passes rise by the factor D / (D - d).

    Args:
        budget: Images of a round.
        questions_per_image: Samples that each gives; N is their product.
        steps: S, at least 1.
        batch_size: b, at least 1.
        passes: p, above 0.
    """
    n_new, exposures = budget * questions_per_image, steps * batch_size
    n_replay = max(int(exposures // passes) - n_new, 0)
    return Exposure(n_new, n_replay, steps, exposures / (n_new + n_replay))
