"""The loop from end to end by the installed command, on a study of a few images; its figures are recomputed from its answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from tests.support.finished_run import ARM, OneTurn, read_answers
from tests.support.medq_processes import Ended
from tests.support.tiny_study import N_ROUNDS, write_config

pytestmark = pytest.mark.timeout(240)

ANSWER_KEYS = {
    *("arm", "round", "seed", "item_id", "source_id", "modality", "question_type", "attribute", "severity", "scope"),
    *("run", "model", "split", "answer", "gold", "choice", "scored", "correct", "tokens", "logprob_sum"),
    *("evaluated", "level", "judgement"),
}
AXES = ("modality", "question_type", "attribute", "severity", "scope")
SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def accuracy(rows: list[dict]) -> dict[str, float | None]:
    """The figures of a score, but for its interval: an unreadable reply is wrong, what was not evaluated is in none."""
    evaluated = [row for row in rows if row["evaluated"]]
    readable = [row for row in evaluated if row["choice"] is not None]
    right = sum(row["choice"] == row["gold"] for row in readable)
    return {
        "value": share(right, len(evaluated)),
        "n": len(evaluated),
        "unscored": len(rows) - len(evaluated),
        "scored": share(right, len(readable)),
        "coverage": share(len(readable), len(evaluated)),
        "n_sources": len({row["source_id"] for row in evaluated}),
    }


def test_the_run_ends_well_and_prints_its_report(turn: OneTurn):
    assert turn.code == 0
    assert json.loads(turn.printed) == turn.report


def test_the_report_is_as_its_schema_says(turn: OneTurn):
    jsonschema.validate(turn.report, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert turn.report["is_complete"]


def test_the_first_round_is_the_base_model_and_both_trainings_follow(turn: OneTurn):
    arm = turn.report["arms"][ARM]
    assert [one["round"] for one in arm["rounds"]] == list(range(N_ROUNDS + 1))
    assert arm["stop_reason"] == "rounds"
    for one in arm["rounds"][:-1]:
        for step in ("failures", "selection", "annotation", "dataset", "training"):
            assert one[step], f"round {one['round']} has no {step}"
    imported = next(step["uri"] for step in turn.report["measured"]["steps"] if step["step"] == "import_model")
    trained = [step["uri"] for step in turn.report["measured"]["steps"] if step["step"] == "train"]
    models = [{row["model"] for row in read_answers(turn.out) if row["round"] == number} for number in range(3)]
    assert models == [{imported}, {trained[0]}, {trained[1]}]


def test_answers_have_the_promised_keys(turn: OneTurn):
    answers = read_answers(turn.out)
    assert all(row.keys() == ANSWER_KEYS for row in answers)
    places = [(row["arm"], row["round"], row["split"], row["item_id"], row["run"]) for row in answers]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("split", ["dev", "test"])
def test_every_accuracy_follows_from_the_answers(turn: OneTurn, split: str):
    answers = read_answers(turn.out)
    for one in turn.report["arms"][ARM]["rounds"]:
        rows = [row for row in answers if (row["round"], row["split"]) == (one["round"], split)]
        told = one[split]["perception"]
        expected = {"overall": accuracy(rows)}
        for axis in AXES:
            for value in {row[axis] for row in rows if row[axis]}:
                expected[f"by_{axis}", value] = accuracy([row for row in rows if row[axis] == value])
        found = {"overall": told["overall"]} | {
            (f"by_{axis}", value): score for axis in AXES for value, score in told[f"by_{axis}"].items()
        }
        assert found.keys() == expected.keys()
        for place, score in found.items():
            figures = {name: value for name, value in score.items() if name not in ("low", "high")}
            assert figures == pytest.approx(expected[place], abs=1e-12), place
            if score["low"] is not None:
                assert score["low"] <= score["value"] <= score["high"], place


def test_an_answer_without_a_choice_is_neither_scored_nor_correct(turn: OneTurn):
    for row in read_answers(turn.out):
        assert row["evaluated"]
        assert row["scored"] == (row["choice"] is not None)
        assert row["correct"] == (row["choice"] == row["gold"] if row["scored"] else None)


def test_the_page_shows_everything_without_fetching_anything(turn: OneTurn):
    page = (turn.out / "report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
    assert not re.findall(r"""(?:src|href|action)\s*=\s*["']?\s*(?:https?:)?//[^"'>\s]+""", page)
    assert not re.findall(r"""(?:url\(|@import)\s*["']?(?:https?:)?//""", page)


def test_a_second_process_sees_the_run_go(turn: OneTurn):
    running = [status for status in turn.statuses if status["state"] == "running"]
    steps = {(status["round"], status["step"]) for status in running if status["arm"] == ARM}
    assert {step for _, step in steps} >= {"train"}
    assert {status["run_id"] for status in running} == {"run"}
    at_work = [status for status in running if status["operation_id"]]
    assert all(status["operation_id"].startswith("run/") for status in at_work)
    assert {status["operation"]["state"] for status in at_work} >= {"OPERATION_STATE_RUNNING"}


def test_the_same_command_again_changes_nothing(turn: OneTurn, study: Path, medq: Callable[..., Ended]):
    before = {path.name: path.read_bytes() for path in turn.out.iterdir() if path.name.startswith("report")}
    again = medq("run", "--config", study / "run.yaml", "--out", turn.out, "--json")
    assert again.code == 0, again.err
    assert {name: (turn.out / name).read_bytes() for name in before} == before


def test_another_configuration_in_the_same_folder_is_refused(turn: OneTurn, study: Path, medq: Callable[..., Ended]):
    other = write_config(study / "other.yaml", seed=8)
    refused = medq("run", "--config", other, "--out", turn.out, "--json")
    told = json.loads(refused.out)["error"]
    assert (refused.code, told["reason"]) == (1, "ALREADY_EXISTS")
    assert "another" in told["remedy"].lower()
    assert medq("report", "--out", turn.out, "--json").code == 0


def test_status_of_a_folder_that_nobody_works_on_says_how_the_run_ended(turn: OneTurn, medq: Callable[..., Ended]):
    asked = medq("status", "--out", turn.out, "--json")
    (run,) = json.loads(asked.out)["runs"]
    assert (asked.code, run["state"], run["message"]) == (0, "succeeded", f"{ARM}: rounds")
    assert {(score["round"], score["split"]) for score in run["scores"]} >= {(0, "test"), (N_ROUNDS, "test")}


def test_a_report_that_was_deleted_is_fetched_again(turn: OneTurn, medq: Callable[..., Ended]):
    before = (turn.out / "report.json").read_bytes()
    (turn.out / "report.json").unlink()
    assert medq("report", "--out", turn.out, "--json").code == 0
    assert (turn.out / "report.json").read_bytes() == before


def test_status_of_a_folder_without_a_run_says_what_to_do(tmp_path: Path, medq: Callable[..., Ended]):
    asked = medq("status", "--out", tmp_path / "new", "--json")
    error = json.loads(asked.out)["error"]
    assert (asked.code, error["reason"], error["value"]) == (1, "FAILED_PRECONDITION", "new")
    assert "medq run" in error["remedy"]
    assert not (tmp_path / "new").exists()
