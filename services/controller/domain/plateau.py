"""When the loop stops getting better, and when a round made something worse. It knows intervals of gains, not how they arose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.errors import InvalidArgument
from shared.statistics import Interval

#: From the upper limit of a 95 % interval to that of one side alone (z 1.645 instead of 1.960).
ONE_SIDE = 0.8393

#: Stands for all items together where losses are named by modality.
OVERALL = "overall"

Verdict = Literal["worthwhile", "plateau", "unclear"]


def verdict_on(gain: Interval, *, minimum_gain: float, excluded_gain: float) -> Verdict:
    """What the gain of a round says.

    Args:
        gain: Paired gain over the round before on the same development items, with its 95 % interval.
        minimum_gain: Smallest worthwhile gain, in the unit of the scores (0..1).
        excluded_gain: A gain that must not be missed.

    Returns: "worthwhile": the estimate is above the minimum; "plateau": it is not, and with one-sided 95 % confidence the true
        gain is below `excluded_gain`; "unclear": it is not, and this set of items cannot exclude that gain.
    """
    if gain.value is None:
        return "unclear"
    if gain.value > minimum_gain:
        return "worthwhile"
    if gain.high is None or gain.value + ONE_SIDE * (gain.high - gain.value) >= excluded_gain:
        return "unclear"
    return "plateau"


def is_plateau(
    gains: Sequence[Interval], *, minimum_gain: float, excluded_gain: float = 0.03, patience: int = 1
) -> bool:
    """Whether each of the last `patience` rounds was a plateau, by `verdict_on`.

    Its two errors, with a patience of 1: at a true gain of `excluded_gain` an arm stops falsely in at most 5 % of rounds,
    whatever the set of items (up to the error of the interval). At a true gain of 0 it stops within two rounds in at least 80 %
    where the standard error of the gain is at most 0.56 of `excluded_gain`. `docs/stopping.md` has the simulation.

    Args:
        gains: Gain of each round over the one before it, oldest first; the first round has none before it.
        minimum_gain: As for `verdict_on`.
        excluded_gain: As for `verdict_on`.
        patience: Rounds in a row, at least 1.

    Returns: True where the loop should stop.
    Raises: InvalidArgument: patience is below 1.
    Source: section 2.4 ("terminates when performance on D_dev plateaus"); the rule is ours.
    """
    if patience < 1:
        raise InvalidArgument("Patience is at least one round.", field="patience", value=patience)
    last = gains[-patience:]
    verdicts = {verdict_on(gain, minimum_gain=minimum_gain, excluded_gain=excluded_gain) for gain in last}
    return len(last) == patience and verdicts == {"plateau"}


@dataclass(frozen=True)
class Regression:
    """A modality that lost more than it may, or of which nobody knows.

    Attributes:
        modality: Its name; "overall" for all items together.
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
        gains: Modality to the paired gain of this round over the promoted round that was best at it, of each modality that
            was evaluated before.
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
