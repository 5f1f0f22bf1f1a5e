"""What was gained on test: each round over the base model and over the round before, each arm over the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from services.controller.domain.gains import ItemScores, accuracy_gain, item_scores
from services.controller.domain.seeds import derive_seed
from shared.rows.evaluation import Answer
from shared.statistics import Interval

#: Arm to round to every answer on test.
TestAnswers = Mapping[str, Mapping[int, Sequence[Answer]]]


@dataclass(frozen=True)
class RoundGain:
    """What a round gained on test, in the unit of the scores (-1..1).

    Attributes:
        over_base: Over round 0 of the same arm.
        over_previous: Over the round before.
    """

    over_base: Interval
    over_previous: Interval


@dataclass(frozen=True)
class ArmGain:
    """How far `arm` is above `other` after the same number of trainings, on the same test items."""

    arm: str
    other: str
    round: int
    gain: Interval


def round_gains(answers: TestAnswers, *, seed: int) -> dict[str, dict[int, RoundGain]]:
    """Paired gains of the rounds of each arm.

    Args:
        answers: By arm and round.
        seed: Of the run; each round's resampling follows from it.

    Returns: Arm to round to its gains; none for the base model, nor where the round to compare with has no answers.
    """
    return {
        arm: {
            number: RoundGain(
                gain_on_test(rounds[0], own, seed, arm, number),
                gain_on_test(rounds[number - 1], own, seed, arm, number),
            )
            for number, own in sorted(rounds.items())
            if number > 0 and 0 in rounds and number - 1 in rounds
        }
        for arm, rounds in _scores(answers).items()
    }


def arm_gains(answers: TestAnswers, *, seed: int) -> list[ArmGain]:
    """Paired gains between arms.

    Args:
        answers: By arm, in the order of the configuration, and round.
        seed: As for `round_gains`.

    Returns: Each pair of arms at each round from 1 on that both have; the base model is the same for all.
    """
    scores = _scores(answers)
    return [
        ArmGain(arm, other, number, gain_on_test(scores[other][number], scores[arm][number], seed, arm, number))
        for arm, other in combinations(scores, 2)
        for number in sorted(scores[arm].keys() & scores[other].keys())
        if number > 0
    ]


def gain_on_test(before: ItemScores, after: ItemScores, seed: int, arm: str, number: int) -> Interval:
    """The paired gain of `after`, scores of round `number` of `arm`, over `before`; `seed` is the run's."""
    return accuracy_gain(before, after, seed=derive_seed(seed, arm, number, "test_gain"))


def _scores(answers: TestAnswers) -> dict[str, dict[int, ItemScores]]:
    return {arm: {number: item_scores(rows) for number, rows in rounds.items()} for arm, rounds in answers.items()}
