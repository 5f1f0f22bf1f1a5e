import numpy as np
import pytest

from services.oracle.domain.questions import QuestionTemplate, capability_driven, seed_rule, templates_of
from shared.errors import InvalidArgument
from shared.rows.benchmark import Item
from studies.findings import plan_findings
from studies.images.degradations import DEGRADATIONS
from studies.plan import StudyPlan
from studies.questions import ask_all
from tests.support.rows import build

ATTRIBUTES = ("motion", "noise", "")
TEMPLATES = [
    QuestionTemplate(f"{kind} {attribute} {i}?", {"A": "Yes", "B": "No"}, kind, attribute, "general", "mri")
    for kind in ("yes_no", "what", "how")
    for attribute in ATTRIBUTES
    for i in range(2)
]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(5))
def test_questions_of_the_capability_come_first_then_neutral_ones_then_the_rest(seed):
    chosen = capability_driven(TEMPLATES, "attribute:noise", len(TEMPLATES), rng(seed))
    assert [t.attribute for t in chosen] == ["noise"] * 6 + [""] * 6 + ["motion"] * 6
    assert len({t.question for t in chosen}) == len(TEMPLATES)


@pytest.mark.parametrize("seed", range(5))
def test_each_question_type_comes_once_before_any_comes_twice(seed):
    chosen = capability_driven(TEMPLATES, "attribute:motion", 3, rng(seed))
    assert {t.question_type for t in chosen} == {"yes_no", "what", "how"}


@pytest.mark.parametrize("capability", ["modality:mri", "severity:mild", "modality:mri+attribute:other", ""])
def test_a_capability_that_fits_all_leaves_the_choice_to_chance(capability):
    first = {capability_driven(TEMPLATES, capability, 1, rng(seed))[0].question for seed in range(200)}
    assert len(first) == len(TEMPLATES)


@pytest.mark.parametrize("seed", range(5))
def test_of_a_cell_questions_with_more_of_its_values_come_first_and_those_with_another_value_last(seed):
    labels = [("mri", "motion"), ("mri", ""), ("", "motion"), ("", ""), ("ct", "motion"), ("mri", "noise")]
    templates = [
        QuestionTemplate(f"{modality} {attribute}?", {"A": "Yes", "B": "No"}, "what", attribute, "general", modality)
        for modality, attribute in labels
    ]
    chosen = capability_driven(templates, "modality:mri+attribute:motion", len(templates), rng(seed))
    found = [labels.index((t.modality, t.attribute)) for t in chosen]
    assert (found[0], sorted(found[1:3]), found[3], sorted(found[4:])) == (0, [1, 2], 3, [4, 5])


def test_question_type_is_a_capability_too():
    assert {t.question_type for t in capability_driven(TEMPLATES, "question_type:how", 6, rng())} == {"how"}


def test_seed_rule_asks_the_same_of_every_image_and_each_type_once_before_any_twice():
    asked = [t.question for t in seed_rule(TEMPLATES, 5, seed=3)]
    assert asked == [t.question for t in seed_rule(TEMPLATES[::-1], 5, seed=3)]
    assert {t.question_type for t in seed_rule(TEMPLATES, 3, seed=3)} == {"yes_no", "what", "how"}
    without_one = [t for t in TEMPLATES if t.question != asked[4]]
    assert [t.question for t in seed_rule(without_one, 4, seed=3)] == asked[:4]


def test_another_seed_gives_another_list_and_none_prefers_a_question():
    first = [seed_rule(TEMPLATES, 1, seed)[0].question for seed in range(900)]
    counts = [first.count(t.question) for t in TEMPLATES]
    assert min(counts) > 20
    assert max(counts) < 90


def test_the_same_generator_state_gives_the_same_questions():
    assert capability_driven(TEMPLATES, "attribute:noise", 4, rng(3)) == capability_driven(
        TEMPLATES, "attribute:noise", 4, rng(3)
    )


CELL = "modality:ct+attribute:rings"


def about(question: str, kind: str = "yes_no", options: tuple[str, ...] = ("Yes", "No")) -> QuestionTemplate:
    """A question about an image that shows noise, whatever its text asks about."""
    return QuestionTemplate(question, dict(zip("ABCD", options, strict=False)), kind, "noise", "general", "ct")


SHOWS_RINGS, SHOWS_NOISE = about("Does it show ring artifacts?"), about("Does it show noise?")
IS_FREE, RATE = about("Is it free of degradation?"), about("How good is it?", "how", ("Good", "Bad"))
WHAT_WITH, WHAT_WITHOUT = (
    about("What is it?", "what", ("Rings", "Noise")),
    about("What is it?", "what", ("Metal", "Noise")),
)


@pytest.mark.parametrize("seed", range(5))
def test_of_each_type_the_question_that_names_the_attribute_of_the_cell_is_asked(seed):
    every = [SHOWS_NOISE, IS_FREE, WHAT_WITHOUT, RATE, WHAT_WITH, SHOWS_RINGS]
    chosen = capability_driven(every, CELL, 6, rng(seed), {"noise", "rings", "metal"})
    assert chosen[:3] == (SHOWS_RINGS, WHAT_WITH, RATE)
    assert chosen[-1] == SHOWS_NOISE


def test_a_question_about_another_attribute_is_asked_only_where_nothing_else_is_left():
    chosen = capability_driven([SHOWS_NOISE, WHAT_WITH, WHAT_WITHOUT], CELL, 2, rng(), {"noise", "rings"})
    assert chosen == (WHAT_WITH, WHAT_WITHOUT)
    assert capability_driven([SHOWS_NOISE], CELL, 2, rng(), {"noise", "rings"}) == (SHOWS_NOISE,)


def test_the_two_rules_ask_different_questions_about_the_images_of_a_study():
    """Of three questions about an image they have fewer than two in common, where there is something to choose from."""
    common = []
    for source, finding in enumerate(plan_findings(StudyPlan(n_pool=120), "pool")):
        names = frozenset(DEGRADATIONS[finding.modality])
        known = [
            QuestionTemplate(
                one.text, dict(zip("ABCD", one.options, strict=False)), one.question_type, finding.attribute, "", ""
            )
            for one in ask_all(finding, names, rng(source))
            if one.options
        ]
        assert len(known) > 6
        drawn_for = sorted(names - {"none"})[source % (len(names) - 1)]
        by_cell = capability_driven(
            known, f"modality:{finding.modality}+attribute:{drawn_for}", 3, rng(source), names - {"none"}
        )
        by_seed = seed_rule(known, 3, seed=0)
        common.append(sum(one in by_seed for one in by_cell))
    assert np.mean(common) / 3 < 0.6


def test_with_no_more_questions_than_are_asked_the_two_rules_cannot_differ():
    few = [SHOWS_NOISE, WHAT_WITH, RATE]
    by_cell = capability_driven(few, CELL, 3, rng(), {"noise", "rings"})
    assert sorted(one.question for one in by_cell) == sorted(one.question for one in seed_rule(few, 3, seed=0))


def test_more_questions_than_there_are_gives_all_of_them_and_none_gives_none():
    assert len(capability_driven(TEMPLATES[:2], "attribute:noise", 9, rng())) == 2
    assert capability_driven([], "attribute:noise", 3, rng()) == ()
    assert seed_rule(TEMPLATES, 0, seed=0) == ()


def test_a_negative_number_of_questions_is_refused():
    with pytest.raises(InvalidArgument):
        capability_driven(TEMPLATES, "", -1, rng())
    with pytest.raises(InvalidArgument):
        seed_rule(TEMPLATES, -1, seed=0)


def test_a_template_of_several_items_is_one_question_with_each_of_its_labellings_once():
    rows = [
        build(Item, item_id=str(number), attribute=attribute, answer=answer)
        for number, (attribute, answer) in enumerate([("noise", "A"), ("motion", "B"), ("noise", "C")])
    ]
    rows.append(build(Item, item_id="9", question="Another?"))
    found = templates_of(rows)
    assert found == templates_of(rows[::-1])
    (_, labellings) = found
    assert [template.attribute for template in labellings] == ["motion", "noise"]
