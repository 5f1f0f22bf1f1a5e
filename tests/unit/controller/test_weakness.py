"""Where a model is weak, and what changed: by hand-made answers."""

import pytest

from services.controller.domain.changes import changes
from services.controller.domain.weakness import weakness
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer
from tests.support.rows import build


def answer(item, correct, attribute="noise", **said):
    choice = {True: "A", False: "B", None: None}[correct]
    return build(
        Answer,
        item_id=item, source_id=item, modality="ct", attribute=attribute, question_type="what", evaluated=True,
        scored=choice is not None, correct=correct, choice=choice, gold="A", **said,
    )  # fmt: skip


def item(name, **said):
    return build(Item, item_id=name, options={"A": "Yes", "B": "No"}, answer="A", question=f"{name}?", **said)


BEFORE = [answer("1", False), answer("2", True), answer("3", False, "rings"), answer("4", None, "rings")]
AFTER = [answer("1", True), answer("2", False), answer("3", True, "rings"), answer("4", False, "rings")]


def test_a_cell_has_the_share_of_wrong_answers_before_and_after():
    found = weakness({0: BEFORE, 1: AFTER}, 1, seed=0)
    assert (found["round"], found["axis"]) == (1, "attribute")
    told = {cell["value"]: (cell["before"]["value"], cell["after"]["value"]) for cell in found["cells"]}
    assert told == {"noise": (0.5, 0.5), "rings": (1.0, 0.5)}  # an unreadable reply is wrong
    assert all(cell["before"]["low"] <= cell["before"]["value"] <= cell["before"]["high"] for cell in found["cells"])


def test_the_base_model_alone_has_no_after():
    found = weakness({0: BEFORE, 1: AFTER}, 0, seed=0)
    assert [cell["after"] for cell in found["cells"]] == [None, None]
    assert weakness({}, 0, seed=0) is None


def test_what_we_could_not_evaluate_and_descriptions_are_in_no_cell():
    rows = [*BEFORE, answer("5", False)]
    rows[-1] = build(Answer, item_id="5", evaluated=False, correct=None, scored=False, attribute="noise", modality="ct")
    rows.append(build(Answer, item_id="6", question_type="description", attribute="noise", modality="ct"))
    assert sum(cell["before"]["n"] for cell in weakness({0: rows}, 0, seed=0)["cells"]) == len(BEFORE)


def test_without_attributes_cells_are_of_the_type_of_question():
    rows = [answer("1", False, ""), answer("2", True, "")]
    found = weakness({0: rows}, 0, seed=0)
    assert (found["axis"], [cell["value"] for cell in found["cells"]]) == ("question_type", ["what"])


def test_the_same_answers_give_the_same_figures():
    assert weakness({0: BEFORE, 1: AFTER}, 1, seed=3) == weakness({0: BEFORE[::-1], 1: AFTER[::-1]}, 1, seed=3)


def items():
    attributes = {"1": "noise", "2": "noise", "3": "rings", "4": "rings"}
    return [item(name, attribute=attribute, modality="ct") for name, attribute in attributes.items()]


def test_changes_count_both_ways():
    found = changes({0: BEFORE, 1: AFTER}, 1, items())
    assert (found["n"], found["n_became_right"], found["n_became_wrong"]) == (4, 2, 1)


@pytest.mark.parametrize(("rounds", "number"), [({0: BEFORE}, 0), ({0: BEFORE}, 1), ({}, 1)])
def test_the_same_model_has_no_changes(rounds, number):
    assert changes(rounds, number, items()) is None
