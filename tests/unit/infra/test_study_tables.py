"""The tables of the study on the pages: made from rows, placed between marks, silent about nothing."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from infra.study_tables import all_tables, headline_table, page_with, picture, summaries_of
from studies.experiment.figures import budget_figure
from studies.experiment.results import write_results
from studies.experiment.settings import FULL, TINY
from studies.experiment.summary import summarise
from tests.support.experiments import results_of

ARMS = {"failure_contrast": [0.5, 0.70], "random": [0.5, 0.60], "random_2x": [0.5, 0.65], "random_16x": [0.5, 0.66]}
SEEDS = [results_of(3, ARMS), results_of(4, {**ARMS, "failure_contrast": [0.5, 0.72]})]
SUMMARIES = {"sample-efficiency": summarise("sample-efficiency", SEEDS, TINY)}


def row_of(table: str, first: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {first}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_endpoint_stands_in_the_first_row_with_both_differences() -> None:
    table = headline_table(SUMMARIES)
    _, before, random, ours, over_base, over_random = row_of(table, "**all of test**")
    assert (before, random, ours) == ("50.0 %", "60.0 %", "71.0 %")
    assert over_base.startswith("+21.0 [8.3, 33.7]")
    assert over_random == "+11.0 [−1.7, 23.7] (holds 0)"


def test_a_ratio_that_is_not_reached_says_so() -> None:
    assert "Even 16 times as many random images did not reach" in headline_table(SUMMARIES)
    assert "the ratio is > 16 [> 16, > 16]" in headline_table(SUMMARIES).replace("\n", " ")


def test_other_ways_to_choose_stand_below_the_endpoint_where_they_were_run() -> None:
    assert "Other ways to choose" not in headline_table(SUMMARIES)
    arms = {**ARMS, "novelty": [0.5, 0.64]}
    table = headline_table({"sample-efficiency": summarise("sample-efficiency", [results_of(3, arms)], TINY)})
    _, seeds, reached, over_random, ours_over, _ = row_of(table, "unlike what the base model was taught")
    assert (seeds, reached, over_random, ours_over) == ("1", "64.0 %", "+4.0", "+6.0")


def test_other_pools_and_longer_training_stand_below_where_they_were_run() -> None:
    assert "The same comparison" not in headline_table(SUMMARIES)
    longer = {f"{arm}_steps4": scores for arm, scores in ARMS.items() if arm != "random_2x"}
    rows = [replace(row, against="random_steps4") for row in results_of(3, longer).rows]
    mixed = [replace(row, pool="pool-30", mix="pool-30", enrichment=1.0) for row in results_of(3, ARMS).rows]
    results = [results_of(3, ARMS), results_of(3, {}, block="steps4"), results_of(3, {}, block="pools")]
    results[1:] = [replace(one, rows=tuple(of)) for one, of in zip(results[1:], (rows, mixed), strict=True)]
    table = headline_table({"sample-efficiency": summarise("sample-efficiency", results, TINY)})
    table = table[table.index("The same comparison") :]
    assert row_of(table, "as above")[1:] == ["10.0", "1", "60.0 %", "70.0 %", "+10.0", "> 16"]
    assert row_of(table, "trained 4 times as long")[1:6] == ["10.0", "1", "60.0 %", "70.0 %", "+10.0"]
    assert row_of(table, "a pool with 30 % of it")[1:3] == ["1.0", "1"]


def test_every_arm_has_a_row() -> None:
    tables = all_tables(SUMMARIES)
    assert [row_of(tables, name.replace("_", " ") + " |")[2] for name in ARMS] == ["2", "2", "2", "2"]


def test_an_experiment_that_adds_nothing_to_another_has_no_table(tmp_path: Path) -> None:
    assert summaries_of(tmp_path) == {}
    write_results(tmp_path, results_of(3, ARMS, settings=FULL.digest))
    assert list(summaries_of(tmp_path)) == ["sample-efficiency"]  # `scaling` has the primary block too


def test_a_part_replaces_what_was_between_the_marks_alone() -> None:
    begun = "# Page\n<!-- study: made by `python -m infra.study_tables` -->\nold\n<!-- study: end -->\nafter\n"
    once = page_with(begun, "new")
    assert "old" not in once
    assert (once.startswith("# Page\n"), once.endswith("<!-- study: end -->\nafter\n")) == (True, True)
    assert page_with(once, "new") == once


def test_the_picture_is_a_file_of_its_own_in_the_colours_of_the_pages() -> None:
    root = ElementTree.fromstring(picture(budget_figure(SUMMARIES["sample-efficiency"]["pools"][0])))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    style, title, *_ = root
    assert "--ours" in (style.text or "")
    assert (title.text or "").startswith("Accuracy on test")


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="marks"):
        page_with("# Page\n", "new")
