"""The rows of a finished run: from its answers, draws and labels, and from what the study knows about its images."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.rows.annotation import Decision, KnownAnswer
from shared.rows.evaluation import Answer
from shared.rows.selection import Sample
from studies.experiment.blocks import Arm, Run
from studies.experiment.estimates import post_stratified
from studies.experiment.material import Material, Stratum, strata_of
from studies.experiment.results import Accuracy, ArmRound, Draw, OnReal, Shortfall
from studies.experiment.settings import Settings
from studies.folder import POOL_ANSWERS
from studies.plan import Cell
from studies.real_slice import REAL

#: Axes of answers whose values get an accuracy of their own.
AXES = ("question_type", "modality", "severity", "scope")
#: In the place of an axis: question types of the left-out cells alone. What and Yes/No tell what the new words gave.
LEFT_OUT_TYPES = "left_out_by_question_type"
_DESCRIPTION = "description"
_Asked = tuple[str, str, tuple[str, ...]]


@dataclass(frozen=True)
class Made:
    """What a round of an arm drew and labelled."""

    samples: Sequence[Sample]
    decisions: Sequence[Decision]


class Truth:
    """What a study knows about the images of a run.

    Args:
        material: Of the seed.
        run: Its pool, and the pool whose mix counts.
        known: What the simulated oracle and expert know of the images that were drawn.
    """

    def __init__(self, material: Material, run: Run, known: Sequence[KnownAnswer]) -> None:
        self.left_out, self._weak = material.left_out, material.weak
        self._cells = {row.image_id: (row.modality, row.attribute) for row in known}
        self._letters = {_asked(row): row.answer for row in known}
        answers, folder = material.folder / POOL_ANSWERS, material.folder
        self.mix = strata_of(answers, folder / f"{run.mix}.tsv")
        pool = strata_of(answers, folder / f"{run.pool}.tsv")
        test = strata_of(folder / "test.tsv")
        self.enrichment = _left_out_share(test, self.left_out) / _left_out_share(pool, self.left_out)

    def draw_of(self, made: Made) -> Draw:
        """What was drawn, and how good its labels are."""
        labels = [row for row in made.decisions if row.answer is not None and row.options]
        right = [self._letters[_asked(row)] for row in labels]
        ids = "\n".join(sorted(row.image_id for row in made.samples))
        return Draw(
            n_images=len(made.samples),
            n_left_out=sum(self._cells[row.image_id] in self.left_out for row in made.samples),
            n_labels=len(labels),
            n_wrong=sum(row.answer != letter for row, letter in zip(labels, right, strict=True)),
            n_expert=sum(bool(row.expert_action) for row in labels),
            images=hashlib.sha256(ids.encode()).hexdigest()[:16],
        )

    def accuracy_of(self, answers: Sequence[Answer]) -> Accuracy:
        """How good answers on test are."""
        asked = [row for row in answers if row.question_type != _DESCRIPTION]
        rows = [row for row in asked if row.evaluated]
        strata: dict[Stratum, list[bool]] = defaultdict(list)
        for row in rows:
            strata[row.modality, row.attribute, row.severity].append(row.correct is True)
        right = {stratum: (sum(found), len(found)) for stratum, found in strata.items()}
        pool_mix, covered = post_stratified(right, self.mix)
        slices = _grouped(rows, self._slice)
        return Accuracy(
            n=len(rows),
            unscored=len(asked) - len(rows),
            overall=_share(rows),
            known=_share(slices["known"]),
            weak=_share(slices["weak"]),
            left_out=_share(slices["left_out"]),
            pool_mix=pool_mix,
            pool_mix_covered=covered,
            by={**{axis: _by(rows, axis) for axis in AXES}, LEFT_OUT_TYPES: _by(slices["left_out"], "question_type")},
        )

    def _slice(self, row: Answer) -> str:
        cell = (row.modality, row.attribute)
        return "left_out" if cell in self.left_out else "weak" if cell in self._weak else "known"


def rows_of(
    seed: int,
    block: str,
    run: Run,
    settings: Settings,
    material: Material,
    report: Mapping[str, Any],
    answers: Sequence[Answer],
    made: Mapping[tuple[str, int], Made],
    known: Sequence[KnownAnswer],
) -> Iterator[ArmRound]:
    """A row for each arm and round of a run.

    Args:
        seed, block, run, settings, material: What was run.
        report: Its `report.json`.
        answers: Its `answers.jsonl`.
        made: Arm and round to what was drawn and labelled in it.
        known: What its simulated oracle and expert know of the images that were drawn.
    """
    truth = Truth(material, run, known)
    on_test: dict[tuple[str, int], list[Answer]] = defaultdict(list)
    for answer in answers:
        if answer.split == "test":
            on_test[answer.arm, answer.round].append(answer)
    for arm in run.arms:
        told = report["arms"][arm.name]
        for number in sorted(place[1] for place in on_test if place[0] == arm.name):
            learned = made.get((arm.name, number - 1))
            yield ArmRound(
                seed=seed,
                block=block,
                pool=run.pool,
                mix=run.mix,
                enrichment=round(truth.enrichment, 3),
                **_settings_of(arm, settings, material),
                round=number,
                stop_reason=told["stop_reason"] or "",
                accuracy=truth.accuracy_of(on_test[arm.name, number]),
                draw=truth.draw_of(learned) if learned else None,
                shortfall=_shortfall(told),
                real=_on_real(report, arm.name, number),
            )


def _on_real(report: Mapping[str, Any], arm: str, number: int) -> OnReal | None:
    """What the report says of the real images."""
    tests = {test["name"]: test["arms"] for test in report["further_tests"]}
    rounds = {facts["round"]: facts["scores"]["perception"]["overall"] for facts in tests.get(REAL, {}).get(arm, [])}
    if number not in rounds:
        return None
    score = rounds[number]
    return OnReal(score["value"], score["n"], score["unscored"], score["n_sources"] or 0)


def _settings_of(arm: Arm, settings: Settings, material: Material) -> dict[str, Any]:
    return {
        "arm": arm.name,
        "strategy": arm.strategy,
        "against": arm.against,
        "multiple": arm.multiple,
        "budget": arm.images(settings, material.n_dev_images),
        "steps": settings.steps * arm.steps_factor,
    }


def _shortfall(arm: Mapping[str, Any]) -> Shortfall | None:
    """What the draws of an arm lacked, by its report: a draw that gave nothing counts too, and no training follows it."""
    draws = [facts["selection"] for facts in arm["rounds"] if facts["selection"]]
    drawn, asked = (sum(draw[name] for draw in draws) for name in ("selected", "requested"))
    return Shortfall(drawn, asked) if drawn < asked else None


def _by(rows: Sequence[Answer], axis: str) -> dict[str, float]:
    """Accuracy by each value of an axis that occurs."""
    groups = _grouped(rows, lambda row: getattr(row, axis))
    return {value: _share(group) or 0.0 for value, group in sorted(groups.items()) if value}


def _grouped(rows: Sequence[Answer], name: Callable[[Answer], str]) -> Mapping[str, list[Answer]]:
    groups: dict[str, list[Answer]] = defaultdict(list)
    for row in rows:
        groups[name(row)].append(row)
    return groups


def _share(rows: Collection[Answer]) -> float | None:
    """Right of all; None of nothing."""
    return sum(row.correct is True for row in rows) / len(rows) if rows else None


def _left_out_share(strata: Counter[Stratum], left_out: Collection[Cell]) -> float:
    return sum(n for stratum, n in strata.items() if stratum[:2] in left_out) / strata.total()


def _asked(row: KnownAnswer | Decision) -> _Asked:
    return row.image_id, row.question, tuple(text for _, text in sorted(row.options.items()))
