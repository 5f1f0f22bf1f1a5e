"""How much an arm trains on in a round: equal steps, and equal passes over new samples, whatever its budget."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Exposure:
    """What a training sees.

    Attributes:
        total_samples: Samples of its dataset that replay fills up, D.
        n_replay: Replayed samples among them where no new one is left out, max(D - N, 0).
        passes: How often each sample of the dataset is seen then, the new ones among them.
    """

    total_samples: int
    n_replay: int
    passes: float


def exposure(n_new: int, steps: int, batch_size: int, passes: float) -> Exposure:
    """The dataset that gives each arm the same steps and the same passes over its new samples.

    S steps of b samples are S * b exposures. A training passes evenly over its dataset of D samples, so each is seen S * b / D
    times: p times where D = S * b / p. Of these D samples N are new and D - N replayed, so new samples fill N * p of the S * b
    exposures. From N = D on there is no replay, and new samples are seen S * b / N times, fewer than p.

    D does not depend on N: what quality assurance and the expert leave out of the new samples is filled up by replay, and
    steps and passes stay equal. The samples of earlier rounds are trained on again and count in N, which grows by the round while
    steps and passes stay.

    Args:
        n_new: Samples that the drawn images of a round give at most, N: images times questions an image.
        steps: S, at least 1.
        batch_size: b, at least 1.
        passes: p, above 0.
    """
    total = max(int(steps * batch_size // passes), 1)
    return Exposure(total, max(total - n_new, 0), steps * batch_size / max(total, n_new))
