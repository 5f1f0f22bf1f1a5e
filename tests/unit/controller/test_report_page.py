"""The page of a report: its order of thought, what it says of what is simulated, and that nothing can break out of it."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import jsonschema
import pytest
from msgspec.structs import replace

from services.controller.domain.comparisons import ArmGain, RoundGain
from services.controller.domain.report import assemble
from services.controller.domain.round_facts import ArmFacts
from services.controller.report.page import render
from shared.objects.folder import FolderObjectStore
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer, Scores
from shared.statistics import Interval
from tests.support.loop_services import put_image
from tests.support.reports import MEASURED, configuration, decided
from tests.support.rows import build

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "report.schema.json").read_text())
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """Headings in order, the tags that stand in it, and the ids of sections that are open."""

    def __init__(self, text):
        super().__init__()
        self.text, self.headings, self.tags, self.opened, self._level = text, [], [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if re.fullmatch("h[1-6]", tag):
            self._level = int(tag[1])
            self.headings.append((self._level, ""))

    def handle_endtag(self, tag):
        if re.fullmatch("h[1-6]", tag):
            self._level = 0

    def handle_data(self, data):
        if self._level:
            self.headings[-1] = (self._level, self.headings[-1][1] + data)

    def named(self, level):
        return [" ".join(text.split()) for at, text in self.headings if at == level]


def answers(number, right):
    return [
        build(
            Answer, item_id=str(n), round=number, choice="C" if n < right else "A", correct=n < right, source_id=f"s{n}"
        )
        for n in range(20)
    ]


def gained(value, low, high):
    interval = Interval(value, low, high, 20, 20)
    return RoundGain(interval, interval)


GAINED, OVER_RANDOM = gained(0.3, 0.1, 0.5), Interval(0.2, 0.05, 0.35, 20, 20)


@pytest.fixture
def shown(tmp_path):
    """A report of a failure-driven and a random arm after one training, and its page; one image is in the store."""
    objects = FolderObjectStore(tmp_path)
    image_id = put_image(objects).removeprefix("sha256:")

    def show(
        gain=GAINED, over=OVER_RANDOM, name="failure_driven", items=None, description=None, strategy="failure_driven",
        n_failed=1, **said,
    ):  # fmt: skip
        searched = {
            "name": name, "cell": "modality:ct+attribute:rings", "n_failed": n_failed, "n_drawn": 2,
            "failed_image_ids": [image_id] * n_failed,
            "drawn_image_ids": [image_id, "1" * 64], "enrichment": {"n_known": 2, "n_with_it": 1, "pool_share": 0.03},
        }  # fmt: skip
        first = dataclasses.replace(decided(0, 0.5), searches=[searched])
        second = dataclasses.replace(decided(1, 0.7), test_gain=gain, selection=None, summary=None)
        first, second = (
            dataclasses.replace(of, test=replace(of.test, description=description)) for of in (first, second)
        )
        arms = [
            ArmFacts(name, strategy, "capability_driven", "rounds", [first, second]),
            ArmFacts("random", "random", "capability_driven", "rounds", [first, second]),
        ]
        asked = items or [build(Item, item_id=str(n), image_id=image_id) for n in range(20)]
        told = {arm.name: {0: answers(0, 10), 1: answers(1, 16)} for arm in arms}
        compared = [ArmGain(name, "random", 1, over)]
        report = assemble(configuration(**said), arms, MEASURED, compared, [], told, asked)
        return report, Page(render(report, objects))

    return show


def test_the_result_is_the_one_heading_of_the_page_and_the_rest_is_in_order(shown):
    report, page = shown()
    assert [text.replace("\u00a0", " ") for text in page.named(1)] == [report["result"]["text"]]
    assert page.named(2)[:9] == [
        "Which questions it answers",
        "Where the gain lies",
        "Where it was weak, and where it is now",
        "What it went looking for",
        "Who answered",
        "The same image, before and after",
        "From failures to training data",
        "What was not used",
        "What is simulated, and who did the rest",
    ]


def test_a_draw_for_which_no_failure_asked_says_so_and_shows_none(shown):
    text = " ".join(shown(strategy="novelty", n_failed=0)[1].text.split())
    assert "no failure asked for them." in text
    assert "the model failed here" not in text
    assert "these were drawn from the pool" in text
    asked = " ".join(shown()[1].text.split())
    assert "no failure asked for them." not in asked
    assert "so these were drawn from the pool" in asked
    assert "chance said which dev images count as failed" in shown(strategy="shuffled_failures")[1].text


def test_no_level_of_heading_is_left_out(shown):
    levels = [level for level, _ in shown()[1].headings]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_what_was_not_used_is_open_and_the_tables_fold(shown):
    folds = [attrs for tag, attrs in shown()[1].tags if tag == "details" and attrs.get("class") == "fold"]
    assert [attrs.get("id") for attrs in folds if "open" in attrs] == ["left-out"]
    assert len(folds) > 5


def test_every_chart_has_a_title_and_a_table_behind_it(shown):
    _, page = shown()
    assert len(re.findall("<svg ", page.text)) == len(
        re.findall(r"<svg [^>]*role=\"img\"[^>]*><title>[^<]+</title>", page.text)
    )
    figures = re.findall("<figure.*?</figure>", page.text, re.DOTALL)
    assert (
        len(figures) == 8
    )  # accuracy on test and dev, by modality, severity and scope, weakness before and after of two arms
    assert all("<svg" in figure and "<table" in figure for figure in figures)


def test_the_page_is_one_file_without_scripts(shown):
    _, page = shown()
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    addresses = [attrs[name] for _, attrs in page.tags for name in ("src", "href") if name in attrs]
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in addresses)
    assert not [name for _, attrs in page.tags for name in attrs if name == "style" or name.startswith("on")]


def test_tables_figures_and_cards_name_what_is_simulated(shown):
    _, page = shown()
    assert "simulated: oracle, expert" in page.text
    assert page.text.count('class="badge attention"') > 4
    _, real = shown(oracle="gpt-4o", expert="review")
    assert "nothing is simulated" in real.text
    assert "simulated oracle" not in real.text


def test_what_arms_have_simulated_is_named_once_in_badges_and_by_arm_in_the_list(shown):
    _, page = shown(arms=["random", {"name": "clean", "annotate": {"simulated_oracle_accuracy": 1.0}}])
    assert "simulated: oracle, expert" in page.text
    assert page.text.count("The annotation oracle is simulated") == 2
    assert "Arm clean: The annotation oracle is simulated" in page.text


def test_a_training_says_its_steps_and_samples(shown):
    text = " ".join(shown()[1].text.split())
    assert re.search(r"7 optimiser steps over these \d+ samples. Loss at the first logged step", text)


def test_tiles_say_gain_and_distance_from_random_with_their_intervals(shown):
    text = " ".join(shown()[1].text.split())
    assert '+30.0</span> <span class="note">points [10.0, 50.0]</span>' in text
    assert '+20.0</span> <span class="note">points [5.0, 35.0]</span>' in text


def test_a_gain_that_holds_zero_is_called_none_everywhere(shown):
    text = " ".join(shown(gain=gained(0.02, -0.01, 0.05))[1].text.replace("\u00a0", " ").split())
    assert "from 50.0 % before, +2.0 points [−1.0, 5.0]: not told apart from no gain" in text
    assert "points [−1.0, 5.0], not told apart from no gain" in text


def test_an_image_that_is_not_there_is_a_cell_with_the_reason(shown):
    _, page = shown()
    missing = [attrs for tag, attrs in page.tags if attrs.get("class") == "picture missing"]
    assert missing
    assert all("not in the store" in attrs["aria-label"] for attrs in missing)


def test_the_find_is_said_beside_what_the_pool_has(shown):
    text = " ".join(shown()[1].text.split())
    assert "rings in CT" in text
    assert "1 of 2 found show it; 3.0 % of the pool does" in text


def test_the_rows_of_table_one_are_the_base_model_and_each_arm_with_what_it_gained(shown):
    table = re.search("Which questions it answers.*?</table>", shown()[1].text, re.DOTALL)[0]
    text = " ".join(re.sub("<[^>]+>", " ", table).split())
    assert "What 20 questions Overall 40 questions" in text
    assert re.search(r"base model before any training 50\.0 % \[[\d., ]+\] 50\.0 %", text)
    assert re.search(r"failure driven after 1 training 80\.0 % \[[\d., ]+\] \+30\.0", text)
    assert "random images after 1 training 80.0 %" in text


def test_descriptions_have_their_columns_in_table_one(shown):
    table = re.search(
        "Which questions it answers.*?</table>", shown(description=build(Scores).description)[1].text, re.DOTALL
    )[0]
    assert table.count("1.25 [0.88, 1.62]") == 3 * 4  # base model and two arms on each axis
    assert table.count("5.00 [3.50, 6.50]") == 3


def test_slices_of_a_study_and_of_any_table_have_their_panel(shown):
    for part, title in (
        ("left_out", "What the base model was taught, and what it never saw"),
        ("night", "Slices of the test set"),
    ):
        asked = [build(Item, item_id=str(n), slice=part) for n in range(20)]
        assert f"<figcaption>{title}" in shown(items=asked)[1].text
    assert "Slices of the test set" not in shown()[1].text


def test_what_random_gave_by_modality_stands_beside_it(shown):
    table = re.search("<figcaption>Modality.*?</figure>", shown()[1].text, re.DOTALL)[0]
    assert "over random images" in table
    assert re.search(r"CT</th><td class=\"n\">20</td>", table)


def test_rounds_of_all_arms_stand_beside_each_other(shown):
    table = re.search("From failures to training data.*?</table>", shown()[1].text, re.DOTALL)[0]
    text = " ".join(re.sub("<[^>]+>", " ", table).split())
    assert "failure driven round 0 random images round 0" in text
    assert "failures on dev 1 of 4 1 of 4" in text


def test_a_report_with_arms_beside_each_other_fits_its_schema(shown):
    jsonschema.validate(shown()[0], SCHEMA)


def test_examples_show_what_each_model_answered(shown):
    text = " ".join(re.sub("<[^>]+>", " ", shown()[1].text).split())
    assert "base model wrong Noise failure driven right Metal artifact random images right Metal artifact" in text


def test_before_and_after_count_what_was_lost_too(shown):
    text = " ".join(shown()[1].text.split())
    assert "6 were wrong and are right now, and 0 were right and are wrong now" in text


@pytest.mark.parametrize("field", ["question", "option", "attribute", "arm"])
def test_hostile_names_questions_and_answers_stay_text(shown, field):
    asked = [build(Item, item_id=str(n)) for n in range(20)]
    if field == "question":
        asked = [replace(item, question=HOSTILE) for item in asked]
    elif field == "option":
        asked = [replace(item, options=dict.fromkeys("ABCD", HOSTILE)) for item in asked]
    elif field == "attribute":
        asked = [replace(item, attribute=HOSTILE) for item in asked]
    _, page = shown(items=asked, name=HOSTILE if field == "arm" else "failure_driven")
    assert "&lt;script&gt;" in page.text
    assert "script" not in {tag for tag, _ in page.tags}
    assert not [attrs for tag, attrs in page.tags if "onerror" in attrs]
