"""When the loop stops getting better, and when a round made something worse. It knows intervals of gains, not how they arose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.errors import InvalidArgument
from shared.statistics import Interval


def is_plateau(gains: Sequence[Interval], *, minimum_gain: float, patience: int) -> bool:
    """Whether each of the last `patience` rounds is known to have gained less than is worth while.

    A round counts where the upper limit of its paired gain on the same development items is strictly below the minimum. A wide
    interval is no evidence of a plateau, and a round without an interval (nothing scored) breaks the row.

    Args:
        gains: Gain of each round over the one before it, oldest first; the first round has none before it.
        minimum_gain: Smallest worthwhile gain, in the unit of the scores (0..1).
        patience: Rounds in a row, at least 1.

    Returns: True where the loop should stop.
    Raises: InvalidArgument: patience is below 1.
    Source: section 2.4 ("terminates when performance on D_dev plateaus"); the rule is ours.
    """
    if patience < 1:
        raise InvalidArgument("Patience is at least one round.", field="patience", value=patience)
    last = gains[-patience:]
    return len(last) == patience and all(gain.high is not None and gain.high < minimum_gain for gain in last)


@dataclass(frozen=True)
class Regression:
    """A modality that lost more than it may, or of which nobody knows.

    Attributes:
        modality: Its name.
        loss: By how much its score fell, above 0; None where none of its items could be evaluated in both rounds.
        allowance: By how much it was allowed to fall.
    """

    modality: str
    loss: float | None
    allowance: float


def regression_gate(gains: Mapping[str, Interval], *, allowance: float) -> tuple[Regression, ...]:
    """The modalities for which the round may not be promoted.

    The estimate decides, not its limit: with few items a real loss is seldom certain, and a false alarm costs a round while a
    missed one costs patients of that modality.

    Args:
        gains: Modality to the paired gain of this round over the promoted model, of each modality that was evaluated before.
        allowance: Largest loss that is tolerated, at least 0, in the unit of the scores; equal is tolerated.

    Returns: What lost too much or is not evaluated any more, sorted by modality; empty where the round may be promoted.
    Raises: InvalidArgument: the allowance is negative.
    """
    if not allowance >= 0:
        raise InvalidArgument("An allowance is not negative.", field="allowance", value=allowance)
    losses = {modality: None if gain.value is None else -gain.value for modality, gain in sorted(gains.items())}
    return tuple(
        Regression(modality, loss, allowance)
        for modality, loss in losses.items()
        if loss is None or loss > allowance + 1e-12
    )
