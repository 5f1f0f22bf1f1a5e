"""Tests beside the test set, such as that of another site: each is reported alone, and none decides anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from msgspec import to_builtins

from services.controller.domain.comparisons import TestAnswers, round_gains
from services.controller.domain.evaluation_sets import test_set_of
from shared.rows.benchmark import Item
from shared.rows.evaluation import Scores

Json = dict[str, Any]


@dataclass(frozen=True)
class FurtherTest:
    """A further test, as far as it has been answered.

    Attributes:
        name: As the configuration names it.
        items: Its questions.
        scores: By arm, in the order of the configuration, and round.
        answers: Likewise.
    """

    name: str
    items: Sequence[Item]
    scores: Mapping[str, Mapping[int, Scores]]
    answers: TestAnswers


def further_tests(tests: Sequence[FurtherTest], *, seed: int) -> list[Json]:
    """The block `further_tests` of the report; `seed` is the run's."""
    return [_told(test, seed) for test in tests]


def _told(test: FurtherTest, seed: int) -> Json:
    gains = round_gains(test.answers, seed=seed)
    return {
        "name": test.name,
        "set": test_set_of(test.items),
        "arms": {
            arm: [
                {
                    "round": number,
                    "scores": to_builtins(scores),
                    "gain": asdict(gains[arm][number].over_base) if number in gains[arm] else None,
                }
                for number, scores in sorted(rounds.items())
            ]
            for arm, rounds in test.scores.items()
        },
    }
