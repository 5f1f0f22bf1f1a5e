"""The arms beside each other: by hand-made answers, and by the figures that evaluation and gains have of the same."""

import pytest

from services.controller.domain.comparisons import gain_on_test
from services.controller.domain.examples import examples
from services.controller.domain.gains import item_scores
from services.controller.domain.side_by_side import side_by_side
from services.evaluation.domain.scores import accuracy
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer
from tests.support.rows import build, image_id

#: Item to its modality, severity and slice.
ITEMS = {
    "1": ("ct", "mild", "known"),
    "2": ("ct", "severe", "left_out"),
    "3": ("mri", "mild", "left_out"),
    "4": ("mri", "none", ""),
}
RESULT = {"arm": "ours", "round": 2, "n_trainings": 2, "baseline": {"arm": "random"}}


def items():
    return [
        build(
            Item, item_id=name, image_id=image_id(name), modality=modality, severity=severity, slice=part, scope="",
            question_type="what", options={"A": "Yes", "B": "No"}, answer="A", source_id=f"s{name}",
        )
        for name, (modality, severity, part) in ITEMS.items()
    ]  # fmt: skip


def answer(name, correct, **said):
    letter = {True: "A", False: "B", None: None}[correct]
    described = {"item_id": name, "source_id": f"s{name}", "modality": ITEMS[name][0], "question_type": "what"}
    return build(Answer, **described, choice=letter, correct=correct, scored=letter is not None, **said)


def answers(*right, unscored=()):
    return [answer(name, name in right, evaluated=name not in unscored) for name in ITEMS]


ANSWERS = {
    "random": {0: answers("1"), 1: answers("1", "4"), 2: answers("1", "4")},
    "ours": {0: answers("1"), 1: answers("1", "2"), 2: answers("2", "3", "4")},
}


def shown(told=ANSWERS, **result):
    return side_by_side(told, {**RESULT, **result}, items(), seed=3)


def test_each_value_has_the_accuracy_of_the_base_model_and_of_each_arm():
    of = shown()["axes"]["modality"]["mri"]
    assert (of["base"]["value"], of["base"]["n"]) == (0.0, 2)
    assert {name: one["accuracy"]["value"] for name, one in of["arms"].items()} == {"ours": 1.0, "random": 0.5}
    assert {name: one["gain"]["value"] for name, one in of["arms"].items()} == {"ours": 1.0, "random": 0.5}
    assert of["arms"]["ours"]["over_random"]["value"] == 0.5
    assert of["arms"]["random"]["over_random"] is None


def test_a_table_with_slices_is_broken_down_by_them_and_one_without_is_not():
    axes = shown()["axes"]
    assert {value: of["base"]["n"] for value, of in axes["slice"].items()} == {"known": 1, "left_out": 2}
    assert axes["scope"] == {}


def test_limits_are_those_of_the_evaluation_and_of_the_gains():
    of = shown()["axes"]["question_type"]["what"]["arms"]["ours"]
    scored = accuracy(ANSWERS["ours"][2], seed=3)
    assert (of["accuracy"]["low"], of["accuracy"]["high"]) == (scored.low, scored.high)
    gain = gain_on_test(item_scores(ANSWERS["ours"][0]), item_scores(ANSWERS["ours"][2]), 3, "ours", 2)
    assert (of["gain"]["low"], of["gain"]["high"]) == (gain.low, gain.high)


def test_the_arm_of_the_result_comes_first_and_one_that_stopped_before_is_shown_at_its_last_round():
    assert list(shown()["rounds"]) == ["ours", "random"]
    stopped = {**ANSWERS, "random": {0: answers("1"), 1: answers("1", "4")}}
    assert shown(stopped, baseline=None)["rounds"] == {"ours": 2, "random": 1}


def test_where_the_base_model_comes_out_the_last_training_is_shown():
    assert shown(round=0)["rounds"] == {"ours": 2, "random": 2}


@pytest.mark.parametrize("told", [{}, {"ours": {0: answers("1")}, "random": ANSWERS["random"]}])
def test_before_a_training_there_is_nothing_to_show(told):
    assert shown(told, round=0, n_trainings=0) is None
    assert shown(told) is None


def test_what_we_could_not_evaluate_is_in_no_figure():
    told = {"ours": {0: answers("1"), 2: answers("1", unscored=("2",))}}
    of = shown(told, baseline=None)["axes"]["modality"]["ct"]
    assert (of["base"]["n"], of["arms"]["ours"]["accuracy"]["n"]) == (2, 1)


def test_of_each_modality_the_first_image_that_came_right_and_the_first_that_came_wrong_are_shown():
    found = shown()["examples"]
    first_of_mri = min("34", key=image_id)
    assert [(one["item_id"], one["arms"]["ours"]["is_right"]) for one in found] == [
        ("2", True), ("1", False), (first_of_mri, True),
    ]  # fmt: skip
    assert found[0]["base"] == {"text": "No", "is_right": False}
    assert found[1]["arms"]["random"] == {"text": "Yes", "is_right": True}


def test_an_arm_that_could_not_be_evaluated_there_is_left_out_of_an_example():
    told = {**ANSWERS, "random": {**ANSWERS["random"], 2: answers("1", unscored=("2",))}}
    assert set(shown(told)["examples"][0]["arms"]) == {"ours"}


def test_a_reply_without_a_choice_is_shown_as_it_is_and_short():
    base = [answer("1", None, answer="x" * 1000), *answers()[1:]]
    told = {"ours": {0: base, 2: answers("1")}}
    assert shown(told, baseline=None)["examples"][0]["base"]["text"] == "x" * 200


def test_a_table_of_many_modalities_has_a_dozen_examples():
    asked = {f"{n}": build(Item, item_id=f"{n}", image_id=image_id(n), modality=f"m{n:02}") for n in range(20)}
    before, after = (
        [build(Answer, item_id=name, choice="A", correct=right) for name in asked] for right in (False, True)
    )
    found = examples({"ours": after}, before, asked)
    assert [one["modality"] for one in found] == [f"m{n:02}" for n in range(12)]
