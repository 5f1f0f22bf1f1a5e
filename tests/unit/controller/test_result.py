"""The sentence at the top of a report: a gain is one only where its interval is above zero, and random is never left out."""

import pytest

from services.controller.domain.annotators import conditions_of
from services.controller.domain.result import Baseline, Result, result_of, sentence
from shared.pages.words import limits
from tests.support.reports import configuration


def score(value):
    return {"value": value, "low": value - 0.05, "high": value + 0.05, "n": 900, "n_sources": 300}


def gain(value, low, high):
    return {"value": value, "low": low, "high": high, "n": 900, "n_sources": 300}


GAINED = Result(
    arm="a", round=2, n_trainings=2, n_answers=1450, accuracy=score(0.702), base=score(0.588),
    gain=gain(0.114, 0.079, 0.148), stop_reason="rounds",
)  # fmt: skip


def said(**changed):
    return sentence(Result(**{**vars(GAINED), **changed}))


def test_a_gain_above_zero_is_told_as_one():
    assert said() == (
        "After 1,450 new answers the model is right on 70.2 % of the test questions, up from 58.8 %, +11.4 points [7.9, 14.8]. "
        "No random arm was run to compare with."
    )


@pytest.mark.parametrize(("low", "high"), [(-0.01, 0.03), (0.0, 0.03), (-0.03, 0.0)])
def test_a_gain_whose_interval_holds_zero_is_not_told_apart_from_none(low, high):
    text = said(gain=gain(0.01, low, high))
    assert f"from 58.8 % before, +1.0 points {limits(gain(0.01, low, high))}: not told apart from no gain." in text
    assert "up from" not in text


def test_a_loss_is_told_as_one():
    assert "right on 55.0 % of the test questions, down from 58.8 %, −3.8 points [−6.0, −1.0]." in said(
        accuracy=score(0.55), gain=gain(-0.038, -0.06, -0.01)
    )


def test_without_an_interval_no_gain_is_told():
    assert "from 58.8 % before; no interval says whether that is a gain." in said(gain=gain(0.114, None, None))


@pytest.mark.parametrize(
    ("over", "ending"),
    [
        (gain(0.078, 0.031, 0.124), "gave 62.4 %: the difference is +7.8 points [3.1, 12.4]."),
        (gain(0.01, -0.02, 0.04), "gave 62.4 %: the difference is +1.0 points [−2.0, 4.0], not told apart from none."),
        (gain(-0.05, -0.08, -0.02), "gave 62.4 %, which is more: the difference is −5.0 points [−8.0, −2.0]."),
        (None, "gave 62.4 %; no interval says whether the two differ."),
    ],
)
def test_what_random_gave_is_told_with_what_the_interval_says(over, ending):
    text = said(has_random=True, baseline=Baseline("random", 1450, score(0.624), over))
    assert text.endswith(f"As many answers about random images {ending}")


def test_random_with_another_number_of_answers_says_how_many():
    text = said(has_random=True, baseline=Baseline("random", 1200, score(0.624), None))
    assert "1,200 answers about random images gave 62.4 %" in text


def test_a_random_arm_that_is_behind_is_told():
    assert said(has_random=True).endswith("The random arm has no result after as many trainings.")


def test_an_arm_that_draws_at_random_says_so():
    assert said(is_random=True).endswith("Its images were drawn at random.")


def test_where_no_round_was_better_the_base_model_comes_out():
    assert said(round=0, accuracy=score(0.588), gain=None).startswith(
        "1,450 new answers did not make the model better on the development questions, "
        "so the base model comes out: it is right on 58.8 % of the test questions."
    )


def test_before_the_first_training_there_is_no_gain_to_tell():
    text = said(round=0, n_trainings=0, n_answers=0, accuracy=score(0.588), gain=None, stop_reason="no_failures")
    assert text.startswith(
        "Before any training the model is right on 58.8 % of the test questions. Nothing was trained:"
    )


def test_a_run_that_stopped_on_the_way_says_so():
    assert said(stop_reason=None).endswith("The run has not come to its end.")


def test_a_run_without_a_measurement_says_so():
    assert sentence(Result()) == "Nothing has been measured on the test questions. The run has not come to its end."


def test_what_is_simulated_and_how_common_the_weakness_is_stand_beside_the_gain():
    configured = configuration()
    configured["data"] |= {"simulated_images": "Drawn.", "enrichment": 10.0}
    text = result_of({}, [], conditions_of(configured))
    assert text["conditions"] == "on synthetic degradations, simulated oracle and expert, at enrichment 10"
    assert said(conditions=text["conditions"]).endswith(f"Measured {text['conditions']}.")


def test_a_part_that_arms_simulate_differently_is_named_once():
    arms = ["failure_contrast", {"name": "clean", "annotate": {"simulated_oracle_accuracy": 1.0}}]
    assert conditions_of(configuration(arms=arms)) == "simulated oracle and expert"


def test_a_run_without_simulated_parts_has_no_conditions():
    assert conditions_of(configuration(oracle="gpt-4o", expert="review")) == ""
    assert conditions_of(configuration(oracle="gpt-4o")) == "simulated expert"
    assert "Measured" not in said()


def arm(strategy, values, n_answers=450, promoted=None):
    rounds = [
        {
            "round": number,
            "test": {"perception": {"overall": score(value)}},
            "test_gain": {"over_base": gain(value - values[0], 0.01, 0.2)} if number else None,
            "n_answers": number * n_answers,
        }
        for number, value in enumerate(values)
    ]
    number = len(values) - 1 if promoted is None else promoted
    return {"strategy": strategy, "stop_reason": "rounds", "promoted": {"round": number}, "rounds": rounds}


def test_the_first_arm_that_is_not_random_is_told_of_and_compared_at_the_same_round():
    arms = {"chance": arm("random", [0.5, 0.55, 0.6]), "ours": arm("failure_driven", [0.5, 0.65, 0.6], promoted=1)}
    over = [{"arm": "chance", "other": "ours", "round": number, "gain": gain(-0.1, -0.15, -0.05)} for number in (1, 2)]
    result = result_of(arms, over)
    assert (result["arm"], result["round"], result["n_answers"]) == ("ours", 1, 450)
    assert result["baseline"]["accuracy"]["value"] == 0.55
    turned = result["baseline"]["over"]
    assert (turned["value"], turned["low"], turned["high"]) == (0.1, 0.05, 0.15)
    assert result["text"].endswith(
        "As many answers about random images gave 55.0 %: the difference is +10.0 points [5.0, 15.0]."
    )


def test_of_several_random_arms_the_one_with_as_many_answers_is_compared():
    chance = {"chance_half": 225, "chance": 450, "chance_4x": 1800}
    arms = {name: arm("random", [0.5, 0.55, 0.6], n_answers) for name, n_answers in chance.items()}
    ours = {"ours": arm("failure_driven", [0.5, 0.65, 0.7])}
    assert result_of({**arms, **ours}, [])["baseline"]["arm"] == "chance"
    assert result_of({**arms, **ours, "chance": arm("random", [0.5])}, [])["baseline"]["arm"] == "chance_half"


def test_one_round_is_enough_for_a_result():
    result = result_of({"ours": arm("failure_driven", [0.5, 0.6])}, [])
    assert result["text"] == (
        "After 450 new answers the model is right on 60.0 % of the test questions, up from 50.0 %, +10.0 points [1.0, 20.0]. "
        "No random arm was run to compare with."
    )


def test_a_report_without_arms_has_a_result():
    assert result_of({}, [])["arm"] == ""
