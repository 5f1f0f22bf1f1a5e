"""Table and page of an experiment are made of its results alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.errors import AlreadyExists, DataLoss
from studies.experiment.page import render, write_page
from studies.experiment.results import OnReal, Shortfall, path_of, read_results, write_results
from studies.experiment.sentence import headline, remarks
from studies.experiment.settings import FULL, TINY
from studies.experiment.summary import summarise, write_summary
from tests.support.experiments import arm_round, results_of

RANDOM = {
    "random": [0.5, 0.60],
    "random_half": [0.5, 0.55],
    "random_2x": [0.5, 0.65],
    "random_4x": [0.5, 0.7],
    "random_8x": [0.5, 0.75],
    "random_16x": [0.5, 0.8],
}
SEEDS = [
    results_of(3, {"failure_contrast": [0.5, 0.70], **RANDOM}),
    results_of(4, {"failure_contrast": [0.5, 0.72], **RANDOM}),
]


def arm_of(summary, name):
    return next(arm for arm in summary["pools"][0]["arms"] if arm["name"] == name)


def test_the_endpoint_is_ours_minus_random_over_paired_seeds():
    ours = arm_of(summarise("sample-efficiency", SEEDS, TINY), "failure_contrast")
    over = ours["over_against"]["overall"]
    assert (over["value"], over["n"]) == (pytest.approx(0.11), 2)
    assert over["high"] - over["value"] == pytest.approx(12.706 * 0.01, abs=1e-4)
    assert ours["over_base"]["overall"]["value"] == pytest.approx(0.21)
    assert (ours["draw"]["left_out"], ours["draw"]["wrong"], ours["draw"]["expert"]) == (0.5, 0.05, 0.2)


def test_an_arm_is_measured_against_the_base_model_that_it_began_with():
    elsewhere = results_of(3, {"novelty": [0.4, 0.6]})
    summary = summarise("sample-efficiency", [SEEDS[0], elsewhere], TINY)
    gained = [arm_of(summary, name)["over_base"]["overall"]["value"] for name in ("failure_contrast", "novelty")]
    assert gained == pytest.approx([0.2, 0.2])
    assert summary["pools"][0]["base"]["overall"]["value"] == 0.5


def test_the_ratio_stands_in_the_summary_as_text_and_number():
    (ratio,) = summarise("sample-efficiency", SEEDS, TINY)["pools"][0]["ratios"]
    assert ratio["value"] == pytest.approx(2 ** (2 + 0.01 / 0.05))
    assert ratio["text"].startswith("4.6 [4.0, ")


def test_a_seed_without_a_block_is_in_none_of_its_figures():
    alone = results_of(9, {"failure_contrast": [0.5, 0.1]})
    summary = summarise("sample-efficiency", [*SEEDS, alone], TINY)
    ours = arm_of(summary, "failure_contrast")
    assert (ours["n_seeds"], ours["over_against"]["overall"]["n"], summary["pools"][0]["ratios"][0]["n"]) == (3, 2, 2)


def test_arms_are_measured_against_ours_and_never_against_a_control_of_it():
    clean = {"failure_contrast_clean": [0.5, 0.9], "novelty": [0.5, 0.6]}
    rows = [
        arm_round(arm, 3, score, number, strategy=arm.removesuffix("_clean"))
        for arm, scores in clean.items()
        for number, score in enumerate(scores)
    ]
    alone = results_of(3, {})
    summary = summarise("sample-efficiency", [type(alone)(**{**_fields(alone), "rows": tuple(rows)})], TINY)
    assert arm_of(summary, "novelty")["ours_over"]["overall"]["value"] is None


def test_an_arm_that_ended_early_counts_with_its_last_model_and_is_told():
    rows = [arm_round("random", 3, score, number, stop_reason="no_samples") for number, score in enumerate((0.5, 0.6))]
    short = results_of(3, {"failure_contrast": [0.5, 0.6, 0.7]})
    summary = summarise("sample-efficiency", [type(short)(**{**_fields(short), "rows": (*short.rows, *rows)})], TINY)
    random = arm_of(summary, "random")
    assert (random["n_ended_early"], random["accuracy"]["overall"]["value"]) == (1, 0.6)
    assert arm_of(summary, "failure_contrast")["over_against"]["overall"]["value"] == pytest.approx(0.1)


def test_an_arm_that_drew_fewer_images_than_asked_is_told_by_seed():
    assert not any("fewer" in line for line in remarks(summarise("sample-efficiency", SEEDS, TINY)["pools"][0]))
    rows = [arm_round("k_centre", 4, 0.6, n, shortfall=Shortfall(1250, 1300)) for n in (0, 1)]
    short = type(SEEDS[1])(**{**_fields(SEEDS[1]), "rows": (*SEEDS[1].rows, *rows)})
    summary = summarise("sample-efficiency", [SEEDS[0], short], TINY)
    told = "Drew fewer images than asked, over all rounds: k centre, seed 4 (1,250 of 1,300)."
    assert told in remarks(summary["pools"][0])
    assert told in render(summary)


def _fields(results):
    return {name: getattr(results, name) for name in results.__struct_fields__}


def test_real_images_stand_on_a_line_of_their_own():
    assert summarise("sample-efficiency", SEEDS, TINY)["pools"][0]["real"] is None
    rows = [
        arm_round(arm, seed, 0.5, number, real=OnReal(accuracy=share, n=246, unscored=0, n_sources=6))
        for seed, shares in ((3, (0.25, 0.5)), (4, (0.75, 0.5)))
        for arm in ("failure_contrast", "random")
        for number, share in enumerate(shares)
    ]
    alone = results_of(3, {})
    summary = summarise("sample-efficiency", [type(alone)(**{**_fields(alone), "rows": tuple(rows)})], TINY)
    (line,) = [line for line in remarks(summary["pools"][0]) if "real images" in line]
    assert "246 questions about real images of 6 sources" in line
    assert "base model 50.0 % (2 seeds), failure contrast 50.0 % (2 seeds), random 50.0 % (2 seeds)" in line
    assert "no more" in line
    assert line in render(summary)


def test_the_sentence_says_on_what():
    told = headline(summarise("sample-efficiency", SEEDS, TINY))
    assert "+11.0 points" in told
    assert "not told apart from none" in told
    assert told.endswith("over 2 seeds, on synthetic degradations, simulated oracle and expert, at enrichment 10.0.")
    assert "Nothing can be said yet" in headline(summarise("ablation", [], TINY))


def test_the_same_results_give_the_same_files(tmp_path: Path):
    for results in reversed(SEEDS):
        write_results(tmp_path, results)
    read = read_results(tmp_path, ("primary",), TINY.digest)
    assert [one.seed for one in read] == [3, 4]
    assert read == SEEDS
    write_summary(tmp_path, summarise("sample-efficiency", read, TINY))
    again = json.loads((tmp_path / "experiment.json").read_text(encoding="utf-8"))
    assert again == json.loads(json.dumps(summarise("sample-efficiency", SEEDS, TINY)))


def test_results_of_other_settings_or_none_are_refused(tmp_path: Path):
    write_results(tmp_path, SEEDS[0])
    with pytest.raises(AlreadyExists, match="other settings"):
        read_results(tmp_path, ("primary",), FULL.digest)
    path_of(tmp_path, 3, "primary").write_text("{}", encoding="utf-8")
    with pytest.raises(DataLoss, match="no results"):
        read_results(tmp_path, ("primary",), TINY.digest)


@pytest.mark.parametrize("name", ["sample-efficiency", "scaling", "ablation"])
def test_the_page_says_first_what_was_gained_and_that_it_is_simulated(name: str, tmp_path: Path):
    extra = results_of(3, {"no_human_in_the_loop": [0.5, 0.66]})
    ours = results_of(3, {"failure_contrast_2x": [0.5, 0.8]})
    own = [
        *SEEDS,
        extra,
        type(ours)(**{**_fields(ours), "rows": tuple(arm_round("failure_contrast_2x", 3, 0.8, n) for n in (0, 1))}),
    ]
    summary = summarise(name, own, TINY)
    write_page(tmp_path, summary)
    page = (tmp_path / "experiment.html").read_text(encoding="utf-8")
    assert page == render(summary)
    assert page.index("points of accuracy against random drawing") < page.index("<table")
    assert "simulated: images, oracle, expert" in page
    assert "4.6 [4.0" in page
    assert ("without human-in-the-loop" in page) == (name == "ablation")
    assert ("by severity" in page) == (name == "scaling")
    assert "http" not in page.replace("http-equiv", "")
