"""Review tasks out to files and back: nothing is lost, and what is hostile stays text."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli import label_studio, review_files
from cli.commands.review import listed
from cli.review_files import ACTIONS, Entered, record_of
from medq.oracle.v1 import review_pb2 as pb
from shared.errors import InvalidArgument

HOSTILE = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "''=1", "'", "''", "'tis", "＝1", '"', "a,b;c", "a\r\nb",
    "", " ", "Ünïcode 画像 🩻", "a\u2028b", "\ufeff=1", "{}", "null",
]  # fmt: skip
#: Any text that a message can carry.
TEXTS = st.one_of(
    st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
)
FORMATS = [
    (review_files.write_csv, review_files.read_csv, "t.csv"),
    (label_studio.write_json, label_studio.read_json, "t.json"),
]


def task(**changes: Any) -> pb.ReviewTask:
    given = {
        "task_id": "0" * 32, "revision": 1, "state": pb.TASK_STATE_OPEN, "run_id": "run", "arm": "arm", "round": 2,
        "decision_id": "d", "image_id": "1" * 64, "image_uri": "sha256:" + "1" * 64, "modality": "ct", "question": "What?",
        "options": {"A": "Noise", "B": "Blur"}, "proposal": "A", "route": "expert", "agreement": 0.0,
        "self_annotation": pb.Annotation(answer="B", entropy=0.25), "reference_annotation": pb.Annotation(answer="A"),
    }  # fmt: skip
    return pb.ReviewTask(**{**given, **changes})


def decided(
    action: str, answer: str | None, reason: str, seconds: float, reviewer: str, **changes: Any
) -> pb.ReviewTask:
    decision = pb.ReviewDecision(
        action=ACTIONS[action], answer=answer, reason=reason, active_seconds=seconds, reviewer=reviewer
    )
    return task(state=pb.TASK_STATE_DECIDED, decision=decision, **changes)


def test_a_listed_task_tells_round_0_and_shortens_long_texts():
    cells = listed(record_of(task(round=0, question="How does it look? " * 20), ""))
    assert cells[:4] == ["0" * 32, "open", "run", "0"]
    assert len(cells[4]) <= 60
    assert cells[4].startswith("How does it look? ")
    assert cells[4].endswith(" ...")


@pytest.mark.parametrize(("write", "read", "name"), FORMATS)
@given(
    question=TEXTS,
    options=st.one_of(st.just({}), st.dictionaries(st.sampled_from("ABCD"), TEXTS, min_size=1)),
    proposal=st.one_of(st.none(), TEXTS.filter(bool)),
    edited=TEXTS.filter(str.strip),
    action=st.sampled_from([*ACTIONS]),
    reason=TEXTS,
    seconds=st.floats(0, 86_400),
    reviewer=TEXTS.filter(bool),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_decisions_come_back_as_they_were_written(
    tmp_path: Path, write, read, name, question, options, proposal, edited, action, reason, seconds, reviewer
) -> None:
    if options and proposal is not None:
        proposal = sorted(options)[0]
    if action == "accept" and proposal is None:
        action = "edit"
    answer = {"accept": proposal, "edit": sorted(options)[-1] if options else edited, "reject": None}[action]
    reason = reason or ("why" if action == "reject" else "")
    given = decided(action, answer, reason, seconds, reviewer, question=question, options=options, proposal=proposal)
    write(tmp_path / name, [record_of(given, "")])
    found = read(tmp_path / name)
    assert found.refused == []
    (entered,) = found.entered
    assert (entered.task_id, entered.revision, entered.action) == (given.task_id, 1, action)
    assert (entered.answer, entered.reason, entered.reviewer) == (answer or "", reason, reviewer)
    assert entered.active_seconds == seconds


@given(cells=st.lists(TEXTS, min_size=1, max_size=3))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_cell_is_a_formula_and_each_reads_as_it_was(tmp_path: Path, cells: list[str]) -> None:
    for cell in cells:
        escaped = review_files._escaped(cell)
        assert not escaped.startswith(tuple("=+-@\t\r\n"))
        assert review_files._unescaped(escaped) == cell


def test_the_csv_says_all_that_the_task_says(tmp_path: Path) -> None:
    review_files.write_csv(tmp_path / "t.csv", [record_of(task(question="=cmd()"), "pictures/1.png")])
    assert (tmp_path / "t.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with (tmp_path / "t.csv").open(encoding="utf-8-sig", newline="") as lines:
        (row,) = csv.DictReader(lines)
    assert row.keys() == {*review_files.ASKED, *review_files.DECIDED}
    assert row["question"] == "'=cmd()"
    assert json.loads(row["options"]) == {"A": "Noise", "B": "Blur"}
    assert (row["self_answer"], row["self_entropy"], row["reference_answer"]) == ("B", "0.25", "A")
    assert (row["image"], row["state"], row["agreement"], row["action"]) == ("pictures/1.png", "open", "0.0", "")


def test_label_studio_gets_the_three_annotations_and_the_choices(tmp_path: Path) -> None:
    label_studio.write_json(tmp_path / "t.json", [record_of(task(), "")])
    (written,) = json.loads((tmp_path / "t.json").read_text())
    assert {one["model_version"]: one["result"][0]["value"] for one in written["predictions"]} == {
        "proposal": {"choices": ["A"]},
        "model": {"choices": ["B"]},
        "oracle": {"choices": ["A"]},
    }
    assert written["data"]["choices"][1] == {"value": "B", "html": "B: Blur"}
    assert written["data"]["image"] == "sha256:" + "1" * 64
    assert written["annotations"] == []


def exported(tmp_path: Path, *annotations: Any, **changes: Any) -> Any:
    """What is read of a task that Label Studio exports with these annotations."""
    label_studio.write_json(tmp_path / "t.json", [record_of(task(**changes), "")])
    (written,) = json.loads((tmp_path / "t.json").read_text())
    written["annotations"] = list(annotations)
    (tmp_path / "t.json").write_text(json.dumps([written]))
    found = label_studio.read_json(tmp_path / "t.json")
    return [*found.entered, *found.refused]


def choice(name: str, value: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "image", "type": "choices", "value": {"choices": [value]}}


def text(name: str, *values: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "image", "type": "textarea", "value": {"text": list(values)}}


def annotation(*result: Any, **changes: Any) -> dict[str, Any]:
    return {"result": list(result), "was_cancelled": False, "lead_time": 4.5, "completed_by": 7, **changes}


def test_what_label_studio_exports_is_read(tmp_path: Path) -> None:
    (one,) = exported(tmp_path, annotation(choice("answer", "A")))
    assert (one.action, one.answer, one.active_seconds, one.reviewer) == ("accept", "A", 4.5, "Label Studio user 7")
    (one,) = exported(tmp_path, annotation(choice("answer", "B"), completed_by={"id": 7, "email": "ann@x.org"}))
    assert (one.action, one.answer, one.reviewer) == ("edit", "B", "ann@x.org")
    (one,) = exported(tmp_path, annotation(choice("answer", "A"), was_cancelled=True, lead_time=None))
    assert (one.action, one.answer, one.reason, one.active_seconds) == ("reject", "", "skipped in Label Studio", None)
    (one,) = exported(tmp_path, annotation(choice("answer", "A"), choice("action", "reject"), text("reason", "No.")))
    assert (one.action, one.answer, one.reason) == ("reject", "", "No.")
    (one,) = exported(tmp_path, annotation(text("description", "Noise.", "Bad.")), options={}, proposal="Good.")
    assert (one.action, one.answer) == ("edit", "Noise.\nBad.")
    (one,) = exported(tmp_path, annotation(reviews=[{"accepted": False}, {"accepted": True}]))
    assert (one.action, one.answer) == ("accept", "")


@pytest.mark.parametrize(
    "annotations",
    [
        [annotation(choice("answer", "A")), annotation(choice("answer", "B"))],
        [annotation()],
        [annotation({"from_name": "answer"})],
        [annotation({"from_name": "answer", "value": {"choices": ["A", "B"]}})],
        [annotation(choice("answer", "A"), lead_time="soon")],
        [annotation(choice("action", "maybe"))],
        [annotation(text("reason", "\ud800"), choice("action", "reject"))],
        ["no annotation"],
    ],
)
def test_a_strange_annotation_is_refused_by_its_place(tmp_path: Path, annotations: list[Any]) -> None:
    (refused,) = exported(tmp_path, *annotations)
    assert not isinstance(refused, Entered)
    assert refused.place == "task 1"


@pytest.mark.parametrize("content", ["", "{}", "[1,", '"x"', "[" * 100_000])
def test_what_is_no_export_of_label_studio_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(InvalidArgument):
        label_studio.read_json(tmp_path / "t.json")


def test_bad_rows_of_a_csv_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    rows = [
        "task_id,revision,action,answer,reason,active_seconds,reviewer",
        "a,1,accept,,,10,ann",
        "b,one,accept,,,10,ann",
        "c,1,perhaps,,,10,ann",
        "d,1, REJECT ,,no liver,,ann",
        "e,1,,,,,",
        ",1,accept,,,10,ann",
        "f,1,edit,B,,soon,ann",
        "g,1,accept",
    ]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    found = review_files.read_csv(tmp_path / "t.csv")
    assert [one.task_id for one in found.entered] == ["a", "d"]
    assert (found.entered[1].action, found.entered[1].active_seconds) == ("reject", None)
    assert [one.place for one in found.refused] == ["line 3", "line 4", "line 7", "line 8", "line 9"]
    assert found.n_undecided == 1
