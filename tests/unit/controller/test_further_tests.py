"""The block of the further tests, and the models that are told of it."""

from services.controller.domain.further_tests import FurtherTest, further_tests
from shared.pages.further_tests import models_of
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer
from tests.support.reports import scores
from tests.support.rows import build


def answers(n_right):
    return [build(Answer, item_id=str(n), source_id=f"s{n}", scored=True, correct=n < n_right) for n in range(4)]


def told():
    items = [build(Item, item_id=str(n), source_id=f"s{n}") for n in range(4)]
    rounds = {"ours": {0: 1, 1: 3, 2: 2}, "random": {0: 1, 1: 1}}
    test = FurtherTest(
        "site_b",
        items,
        {arm: {number: scores(n / 4) for number, n in own.items()} for arm, own in rounds.items()},
        {arm: {number: answers(n) for number, n in own.items()} for arm, own in rounds.items()},
    )
    return further_tests([test], seed=0)[0]


def test_it_has_the_accuracy_of_each_round_and_its_gain_over_the_base_model():
    test = told()
    assert (test["name"], test["set"]["n_items"], test["set"]["n_sources"]) == ("site_b", 4, 4)
    of_rounds = [(one["scores"]["perception"]["overall"]["value"], one["gain"]) for one in test["arms"]["ours"]]
    assert [value for value, _ in of_rounds] == [0.25, 0.75, 0.5]
    assert [gain and gain["value"] for _, gain in of_rounds] == [None, 0.5, 0.25]


def test_the_base_model_and_what_comes_out_of_each_arm_are_told():
    arms = {
        "ours": {"strategy": "failure_contrast", "promoted": {"round": 1}},
        "random": {"strategy": "random", "promoted": {"round": 0}},
    }
    assert [(name, facts["round"]) for name, facts in models_of(told(), arms)] == [
        ("base model", 0),
        ("ours, round 1", 1),
    ]
    at_work = {"ours": {"promoted": None}, "random": {"promoted": None}}
    assert [name for name, _ in models_of(told(), at_work)] == ["base model"]
    assert models_of({"arms": {"ours": []}}, at_work) == []
