"""The arms beside each other on test: accuracy by question type, modality, severity, scope and slice, and answers to look at.

Every arm is shown after as many trainings, so that the figures agree with the sentence of the result.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from services.controller.domain.comparisons import TestAnswers, gain_on_test
from services.controller.domain.examples import examples
from services.controller.domain.gains import ItemScores, item_scores
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer
from shared.statistics import Interval, bootstrap_mean

Json = dict[str, Any]
#: What figures are broken down by: attributes of an item, in the order of the page.
AXES = ("question_type", "modality", "severity", "scope", "slice")


def side_by_side(answers: TestAnswers, result: Json, items: Sequence[Item], *, seed: int) -> Json | None:
    """The block `side_by_side` of the report.

    Args:
        answers: Every answer on test, by arm and round; each question is answered once.
        result: The block `result`: its arm comes first, and its round says after how many trainings arms are compared; where
            the base model comes out, after all.
        items: The questions of test.
        seed: Of the run.

    Returns: `rounds`, arm to the round that it is shown at, an arm that stopped before at its last; `axes`, axis to value to
        `base`, the accuracy of the base model, and `arms`, arm to `accuracy`, `gain` over the base model and `over_random`
        (None for the random arm, or without one), intervals of 95 % that resample sources; and `examples`. None before the arm
        of the result was trained and evaluated.
    """
    first, number = result["arm"], result["round"] or result["n_trainings"]
    if not number or not {0, number} <= answers.get(first, {}).keys():
        return None
    newest = {arm: max((one for one in rounds if one <= number), default=0) for arm, rounds in answers.items()}
    trained = sorted((arm for arm, found in newest.items() if found), key=lambda arm: arm != first)
    asked = {item.item_id: item for item in items if item.options}
    models = {arm: _Model.of(answers[arm][newest[arm]], asked) for arm in trained}
    random = result["baseline"]["arm"] if result["baseline"] else ""
    base = _Model.of(answers[first][0], asked)
    compared = _Compared(base, models, random, number, seed)
    return {
        "rounds": {arm: newest[arm] for arm in trained},
        "axes": {axis: compared.by_value({name: getattr(item, axis) for name, item in asked.items()}) for axis in AXES},
        "examples": examples({arm: model.rows for arm, model in models.items()}, base.rows, asked),
    }


@dataclass(frozen=True)
class _Model:
    """Answers of one model, and the scores of their items."""

    rows: Sequence[Answer]
    scores: ItemScores

    @classmethod
    def of(cls, rows: Sequence[Answer], asked: Collection[str]) -> _Model:
        own = [row for row in rows if row.item_id in asked]
        return cls(own, item_scores(own))

    def among(self, names: Collection[str]) -> _Model:
        """What it answered of the items of these names."""
        scores = {name: score for name, score in self.scores.items() if name in names}
        return _Model([row for row in self.rows if row.item_id in names], scores)


@dataclass(frozen=True)
class _Compared:
    """The base model and, by arm, the models beside it; `random` is the arm that they are compared with, or ""."""

    base: _Model
    models: Mapping[str, _Model]
    random: str
    number: int
    seed: int

    def by_value(self, values: Mapping[str, str]) -> Json:
        """Figures by value, sorted; `values` is item to value, and those without one are left out."""
        return {
            value: self._figures({name for name in values if values[name] == value}) for value in _different(values)
        }

    def _figures(self, names: set[str]) -> Json:
        base, models = self.base.among(names), {arm: model.among(names) for arm, model in self.models.items()}

        def gain(before: _Model, arm: str) -> Json:
            return asdict(gain_on_test(before.scores, models[arm].scores, self.seed, arm, self.number))

        def over_random(arm: str) -> Json | None:
            return gain(models[self.random], arm) if self.random in models and arm != self.random else None

        return {
            "base": asdict(self._accuracy(base)),
            "arms": {
                arm: {
                    "accuracy": asdict(self._accuracy(model)),
                    "gain": gain(base, arm),
                    "over_random": over_random(arm),
                }
                for arm, model in models.items()
            },
        }

    def _accuracy(self, model: _Model) -> Interval:
        """As the scores of the evaluation have it: the same rows in the same order, resampled by the same seed."""
        evaluated = [row for row in model.rows if row.evaluated]
        right, sources = [row.correct is True for row in evaluated], [row.source_id for row in evaluated]
        return bootstrap_mean(right, sources, np.random.default_rng(self.seed))


def _different(values: Mapping[str, str]) -> list[str]:
    return sorted(set(values.values()) - {""})
