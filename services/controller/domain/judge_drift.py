"""Whether the judge of descriptions changed during a run: then scores of its rounds do not compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.controller.domain.round_facts import ArmFacts
from shared.rows.evaluation import Description

#: By how much the mean sum (0..8) of a level of the frozen anchor set may differ from that of the first evaluation. Each level
#: has three pairs, so one grade that changes by one (0.33) passes, and two (0.67) do not. Ours.
TOLERANCE = 0.5


@dataclass(frozen=True)
class Drift:
    """A judge that is no longer the one of the first evaluation of the run.

    Attributes:
        arm, round, split: The evaluation at which it is seen.
        level: Of the anchor set; "" where another model judges.
        before, after: The mean sum of that level in the first evaluation, and here; None where another model judges, or where
            the level could not be judged.
        text: The same in words.
    """

    arm: str
    round: int
    split: str
    level: str
    before: float | None
    after: float | None
    text: str


def judge_drift(arms: Sequence[ArmFacts], tolerance: float = TOLERANCE) -> list[Drift]:
    """Where the judge differs from that of the first evaluation: by name, by a level's mean, or by a level that is missing.

    Args:
        arms: In the order of the configuration.
        tolerance: Difference of means that is none.
    """
    judged = list(_judged(arms))
    if not judged:
        return []
    first = judged[0][3]
    return [
        drift for arm, number, split, now in judged[1:] for drift in _since(first, now, arm, number, split, tolerance)
    ]


def _judged(arms: Sequence[ArmFacts]) -> Iterator[tuple[str, int, str, Description]]:
    for arm in arms:
        for facts in arm.rounds:
            for split, scores in (("dev", facts.dev), ("test", facts.test)):
                if scores is not None and scores.description is not None and scores.description.judge:
                    yield arm.name, facts.round, split, scores.description


def _since(
    first: Description, now: Description, arm: str, number: int, split: str, tolerance: float
) -> Iterator[Drift]:
    if now.judge != first.judge:
        yield Drift(arm, number, split, "", None, None, f"{now.judge} judged, and {first.judge} before.")
    for level in sorted(first.anchors.keys() | now.anchors.keys()):
        before, after = first.anchors.get(level), now.anchors.get(level)
        if before is None or after is None:
            text = f"The {level} anchors could not be judged each time, so nobody knows whether the judge changed."
            yield Drift(arm, number, split, level, before, after, text)
        elif abs(after - before) > tolerance:
            text = f"The judge gave the {level} anchors {after:.2f} of 8 on average, and {before:.2f} before."
            yield Drift(arm, number, split, level, before, after, text)
