import numpy as np
import pytest

from services.oracle.domain.questions import QuestionTemplate, capability_driven, seed_rule, templates_by
from shared.errors import InvalidArgument
from shared.rows.benchmark import Item
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


def test_seed_rule_ignores_the_capability_and_takes_each_question_equally_often():
    first = [seed_rule(TEMPLATES, 1, rng(seed))[0].question for seed in range(900)]
    counts = [first.count(t.question) for t in TEMPLATES]
    assert min(counts) > 20
    assert max(counts) < 90


def test_the_same_generator_state_gives_the_same_questions():
    assert capability_driven(TEMPLATES, "attribute:noise", 4, rng(3)) == capability_driven(
        TEMPLATES, "attribute:noise", 4, rng(3)
    )
    assert seed_rule(TEMPLATES, 4, rng(3)) == seed_rule(TEMPLATES, 4, rng(3))


def test_more_questions_than_there_are_gives_all_of_them_and_none_gives_none():
    assert len(capability_driven(TEMPLATES[:2], "attribute:noise", 9, rng())) == 2
    assert capability_driven([], "attribute:noise", 3, rng()) == ()
    assert seed_rule(TEMPLATES, 0, rng()) == ()


def test_a_negative_number_of_questions_is_refused():
    with pytest.raises(InvalidArgument):
        capability_driven(TEMPLATES, "", -1, rng())
    with pytest.raises(InvalidArgument):
        seed_rule(TEMPLATES, -1, rng())


def test_a_template_of_several_items_is_one_question_with_each_of_its_labellings_once():
    rows = [
        build(Item, item_id=str(number), attribute=attribute, answer=answer)
        for number, (attribute, answer) in enumerate([("noise", "A"), ("motion", "B"), ("noise", "C")])
    ]
    rows.append(build(Item, item_id="9", question="Another?"))
    found = templates_by(lambda row: row.modality, rows)
    assert found == templates_by(lambda row: row.modality, rows[::-1])
    (_, labellings) = found["ct"]
    assert [template.attribute for template in labellings] == ["motion", "noise"]
