"""What is counted of a finished run: accuracies by hand, draws and labels against what is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.rows.annotation import Decision, KnownAnswer
from shared.rows.evaluation import Answer
from shared.rows.selection import Sample
from studies.experiment.blocks import Arm, Run
from studies.experiment.material import Material
from studies.experiment.results import OnReal, Shortfall
from studies.experiment.rows_of_runs import Made, Truth, rows_of
from studies.experiment.settings import TINY
from studies.folder import POOL_COLUMNS, write_rows
from tests.support.rows import build, image_id

RINGS, NOISE = ("ct", "rings", "severe"), ("ct", "noise", "mild")
OPTIONS = {"A": "Yes", "B": "No"}
RUN = Run("pool-3", (Arm("random", "random"),))


@pytest.fixture
def material(tmp_path: Path) -> Material:
    """A pool of 10 images, one with rings, which are left out; test has rings as often as noise."""

    def rows(split: str, strata: list[tuple[str, str, str]]) -> list[dict[str, str]]:
        named = ("modality", "attribute", "severity")
        return [
            {"image_path": f"{split}/{i}.png", **dict(zip(named, one, strict=True))} for i, one in enumerate(strata)
        ]

    pool = rows("pool", [RINGS] + [NOISE] * 9)
    write_rows(tmp_path / "pool_answers.tsv", pool)
    write_rows(tmp_path / "pool-3.tsv", [{"image_path": row["image_path"]} for row in pool], POOL_COLUMNS)
    write_rows(tmp_path / "test.tsv", rows("test", [RINGS, NOISE]))
    return Material(tmp_path, tmp_path, frozenset({RINGS[:2]}), frozenset(), 4)


def known(name: str, stratum: tuple[str, str, str]) -> KnownAnswer:
    modality, attribute, severity = stratum
    return build(
        KnownAnswer, image_id=image_id(name), question="Noise?", options=OPTIONS, answer="A", answer_text="Yes",
        modality=modality, attribute=attribute, severity=severity,
    )  # fmt: skip


def answer(stratum: tuple[str, str, str], correct: bool | None, **changes: object) -> Answer:
    modality, attribute, severity = stratum
    values = {
        "modality": modality,
        "attribute": attribute,
        "severity": severity,
        "arm": "random",
        "round": 0,
        "split": "test",
    }
    return build(Answer, **{"correct": correct, "question_type": "what", "evaluated": True, **values, **changes})


KNOWN = [known("rings", RINGS), known("noise", NOISE)]


def test_accuracies_are_right_of_all_evaluated_and_the_pools_mix_weighs_them(material: Material):
    answers = [answer(RINGS, True), answer(RINGS, False), answer(NOISE, True), answer(NOISE, None)]
    answers += [answer(NOISE, True), answer(NOISE, True), answer(RINGS, None, evaluated=False)]
    answers += [answer(RINGS, True, question_type="description")]
    found = Truth(material, RUN, KNOWN).accuracy_of(answers)
    assert (found.n, found.unscored) == (6, 1)
    assert (found.overall, found.known, found.left_out) == (pytest.approx(4 / 6), 0.75, 0.5)
    assert (found.pool_mix, found.pool_mix_covered) == (pytest.approx(0.1 * 0.5 + 0.9 * 0.75), 1.0)
    assert found.by["severity"] == {"severe": 0.5, "mild": 0.75}


def test_enrichment_is_the_share_in_test_over_that_in_the_pool(material: Material):
    assert Truth(material, RUN, KNOWN).enrichment == pytest.approx(0.5 / 0.1)


def test_a_draw_counts_left_out_images_wrong_labels_and_what_the_expert_saw(material: Material):
    made = Made(
        [build(Sample, image_id=image_id(name)) for name in ("rings", "noise")],
        [
            label("rings", "A", expert_action="accept"),
            label("noise", "B"),
            label("noise", None, expert_action="reject"),
            build(
                Decision,
                image_id=image_id("noise"),
                question="Describe.",
                options={},
                answer="Noise.",
                expert_action="",
            ),
        ],
    )
    draw = Truth(material, RUN, KNOWN).draw_of(made)
    assert (draw.n_images, draw.n_left_out, draw.n_labels, draw.n_wrong, draw.n_expert) == (2, 1, 2, 1, 1)
    again = Truth(material, RUN, KNOWN).draw_of(Made(list(reversed(made.samples)), []))
    assert (draw.images, again.n_labels) == (again.images, 0)


def label(name: str, letter: str | None, expert_action: str = "") -> Decision:
    return build(
        Decision,
        image_id=image_id(name),
        question="Noise?",
        options=OPTIONS,
        answer=letter,
        expert_action=expert_action,
    )


def test_a_round_has_the_draw_that_its_model_learned_from(material: Material):
    answers = [answer(RINGS, False, round=0), answer(RINGS, True, round=1), answer(RINGS, True, round=1, split="dev")]
    made = {("random", 0): Made([build(Sample, image_id=image_id("rings"))], [])}
    overall = {"value": 0.25, "n": 8, "unscored": 1, "n_sources": 6}
    on_real = [{"round": 1, "scores": {"perception": {"overall": overall}}, "gain": None}]
    tests = [{"name": "real", "arms": {"random": on_real}}]
    report = {"arms": {"random": {"stop_reason": "rounds", "rounds": []}}, "further_tests": tests}
    base, first = rows_of(5, "primary", RUN, TINY, material, report, answers, made, KNOWN)
    assert (base.round, base.draw, base.accuracy.overall) == (0, None, 0.0)
    assert (base.real, first.real) == (None, OnReal(accuracy=0.25, n=8, unscored=1, n_sources=6))
    assert first.draw is not None
    assert (first.round, first.draw.n_left_out, first.accuracy.overall, first.accuracy.n) == (1, 1, 1.0, 1)
    assert (first.seed, first.budget, first.steps, first.enrichment) == (5, TINY.budget, TINY.steps, 5.0)


def test_an_arm_that_drew_less_than_it_was_asked_for_says_so_even_where_a_draw_gave_nothing(material: Material):
    def shortfall_after(*selected: int) -> object:
        draws = [{"selection": {"selected": n, "requested": 10}} for n in selected]
        arm = {"stop_reason": "no_samples", "rounds": [*draws, {"selection": None}]}
        report = {"arms": {"random": arm}, "further_tests": []}
        (row,) = rows_of(5, "primary", RUN, TINY, material, report, [answer(RINGS, True)], {}, KNOWN)
        return row.shortfall

    assert shortfall_after(10, 10) is None
    assert shortfall_after(10, 7, 0) == Shortfall(n_images=17, n_asked=30)
