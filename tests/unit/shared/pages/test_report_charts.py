"""The charts of a run: which arm is which, what is bought, and how many columns a heat map may have."""

import pytest

from shared.pages.report_charts import MOST_COLUMNS, accuracy_curve, answered, curve_rows, weakness_maps


def score(value):
    return {"value": value, "low": value - 0.05, "high": value + 0.05, "n": 60, "n_sources": 20}


def arm(strategy, values, cells=()):
    rounds = [
        {"round": number, "n_answers": 450 * number, "test": {"perception": {"overall": score(value)}}, "dev": None}
        for number, value in enumerate(values)
    ]
    weakness = {"round": len(values) - 1, "axis": "attribute", "cells": list(cells)}
    return {"strategy": strategy, "rounds": rounds, "weakness": weakness}


def report(**arms):
    return {"result": {"arm": next(iter(arms))}, "test_set": {"guessing": 0.36}, "arms": arms}


def cell(modality, value, before, after, n=10):
    return {
        "modality": modality,
        "value": value,
        "before": {**score(before), "n": n},
        "after": {**score(after), "n": n},
    }


def test_arms_are_drawn_against_answers_bought_random_in_grey_and_guessing_named():
    told = report(ours=arm("failure_driven", [0.5, 0.6]), chance=arm("random", [0.5, 0.55]))
    drawing = accuracy_curve(told, "test")
    assert 'class="curve ours"' in drawing
    assert 'class="curve random"' in drawing
    assert all(text in drawing for text in ("ours 60.0 %", "random images 55.0 %", "guessing 36.0 %", ">450<"))
    assert [(row["arm"], row["round"], row["n_answers"]) for row in curve_rows(told)] == [
        ("ours", 0, 0), ("ours", 1, 450), ("random images", 0, 0), ("random images", 1, 450),
    ]  # fmt: skip


def test_what_was_not_measured_is_not_drawn():
    assert accuracy_curve(report(ours=arm("failure_driven", [0.5])), "dev") == ""
    assert weakness_maps(report(ours=arm("failure_driven", [0.5])), "ours") == []


def test_weakness_is_drawn_before_and_after_with_its_numbers():
    cells = [cell("ct", "rings", 0.58, 0.3), cell("mri", "none", 0.15, 0.29)]
    before, after = weakness_maps(report(ours=arm("failure_driven", [0.5, 0.6], cells)), "ours")
    assert (before["caption"], after["caption"]) == ("before any training", "after 1 training")
    assert all(text in before["svg"] for text in (">58<", ">15<", ">CT<", ">rings<", ">no degradation<"))
    assert ">30<" in after["svg"]


def test_the_base_model_alone_has_one_map():
    maps = weakness_maps(report(ours=arm("failure_driven", [0.5], [cell("ct", "rings", 0.5, 0.5)])), "ours")
    assert [one["key"] for one in maps] == ["before"]


def test_a_heat_map_shows_the_columns_of_the_most_questions():
    cells = [cell("ct", f"a{n:02}", 0.5, 0.5, n=n + 1) for n in range(MOST_COLUMNS + 5)]
    before, _ = weakness_maps(report(ours=arm("failure_driven", [0.5, 0.6], cells)), "ours")
    assert (before["n_columns"], before["n_left_out"]) == (MOST_COLUMNS, 5)
    assert ">a04<" not in before["svg"]
    assert ">a05<" in before["svg"]


def test_who_answered_goes_from_the_model_to_the_expert_and_says_which_errors_were_corrected():
    row = {"n": 10, "error": {}, "review_share": 0.1}
    shares = {"expert": 0.2, "reference": 0.5, "self": 0.3}
    told = answered({"by_route": {name: {**row, "share": share} for name, share in shares.items()}})
    assert [(one["name"], one["is_corrected"]) for one in told["routes"]] == [
        ("the model itself", False), ("the oracle", False), ("an expert", True),
    ]  # fmt: skip
    assert told["svg"].count("<rect") == 3


@pytest.mark.parametrize("by_route", [{}, {"self": {"n": 0, "share": 0.0}}])
def test_a_round_in_which_nobody_answered_has_an_empty_bar(by_route):
    assert answered({"by_route": by_route})["routes"] == []


def test_cells_lead_where_they_are_told_to_and_otherwise_nowhere():
    told = report(ours=arm("failure_driven", [0.5, 0.6], [cell("ct", "noise", 0.5, 0.25)]))
    plain = weakness_maps(told, "ours")[0]["svg"]
    assert 'role="img"' in plain
    assert "<a " not in plain
    linked = weakness_maps(told, "ours", lambda one: f'/cells?{one["modality"]}&{one["value"]}"><b>')[0]["svg"]
    assert 'role="group"' in linked
    assert '<a href="/cells?ct&amp;noise&#34;&gt;&lt;b&gt;" aria-label="CT, noise: 50.0 % of 10">' in linked
