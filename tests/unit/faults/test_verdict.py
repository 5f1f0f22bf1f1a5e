"""The judge of the fault suite sees what is lost, doubled, changed or left open."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medq.controller.v1.controller_pb2 import Cost, LedgerEntry
from tests.faults.run import Run
from tests.faults.verdict import Calm, Done, Verdict, judge
from tests.support.finished_run import Remembered
from tests.support.tiny_study import MAX_IN_FLIGHT


def entry(key: str, state: str = "settled", kind: str = "oracle") -> LedgerEntry:
    return LedgerEntry(cost=Cost(key=key, kind=kind), attempt=1, state=state)


def decisions(*ids: str) -> bytes:
    return b"".join(json.dumps({"decision_id": name}).encode() + b"\n" for name in ids)


def left_in(folder: Path, accuracy: float = 0.5) -> Run:
    folder.mkdir()
    report = {"arms": {"a": accuracy}, "measured": {"seconds": len(folder.name)}}
    (folder / "report.json").write_text(json.dumps(report, indent=2))
    (folder / "answers.jsonl").write_text("{}\n")
    return Run(folder, 0, ())


@pytest.fixture
def calm(tmp_path: Path) -> Calm:
    costs = [entry("1"), entry("2"), entry("compute/annotate", kind="compute")]
    return Calm(left_in(tmp_path / "calm"), Remembered([decisions("a", "b")], costs))


def verdict(
    tmp_path: Path, calm: Calm, remembered: Remembered, accuracy: float = 0.5, n_kills: int = 1, least_unknown: int = 0
) -> Verdict:
    run = left_in(tmp_path / "harmed", accuracy)
    return judge("case", 1.0, Done(1, n_kills, least_unknown), run, remembered, calm)


def test_the_same_survives(tmp_path: Path, calm: Calm) -> None:
    assert verdict(tmp_path, calm, calm.remembered).problems == ()


def test_a_lost_and_a_doubled_annotation_are_counted(tmp_path: Path, calm: Calm) -> None:
    found = verdict(tmp_path, calm, Remembered([decisions("b", "b")], calm.remembered.costs))
    assert (found.n_lost, found.n_doubled) == (1, 1)
    assert found.problems


def test_another_figure_in_the_report_is_a_problem(tmp_path: Path, calm: Calm) -> None:
    assert verdict(tmp_path, calm, calm.remembered, accuracy=0.6).problems == ("the report differs",)


@pytest.mark.parametrize(
    ("extra", "n_kills", "is_survived"),
    [
        ([entry("1", "unknown")] * MAX_IN_FLIGHT, 1, True),
        ([entry("1", "unknown")] * (MAX_IN_FLIGHT + 1), 1, False),
        ([entry("1", "unknown")], 0, False),
        ([entry("1", "released")] * (MAX_IN_FLIGHT + 1), 0, True),
        ([entry("1", "reserved")], 1, False),
        ([entry("1", "a state of tomorrow")], 1, False),
        ([entry("1")], 1, False),
    ],
)
def test_unknown_calls_are_bounded_by_the_kills_and_nothing_stays_open(
    tmp_path: Path, calm: Calm, extra: list[LedgerEntry], n_kills: int, is_survived: bool
) -> None:
    left = Remembered(calm.remembered.decisions, [*calm.remembered.costs, *extra])
    assert (verdict(tmp_path, calm, left, n_kills=n_kills).problems == ()) is is_survived


def test_a_case_that_did_no_harm_shows_nothing(tmp_path: Path, calm: Calm) -> None:
    found = judge("case", 1.0, Done(0, 0), left_in(tmp_path / "harmed"), calm.remembered, calm)
    assert found.problems


@pytest.mark.parametrize("n_unknown", [0, 1])
def test_a_kill_that_must_meet_a_call_in_flight_shows_nothing_where_it_met_none(
    tmp_path: Path, calm: Calm, n_unknown: int
) -> None:
    left = Remembered(calm.remembered.decisions, [*calm.remembered.costs, *[entry("1", "unknown")] * n_unknown])
    found = verdict(tmp_path, calm, left, least_unknown=1)
    assert (found.problems == ()) is (n_unknown >= 1)


@pytest.mark.parametrize("state", ["unknown", "released"])
def test_a_call_that_was_made_and_never_settled_is_a_problem(tmp_path: Path, calm: Calm, state: str) -> None:
    left = Remembered(calm.remembered.decisions, [entry("1"), entry("2", state), *calm.remembered.costs[2:]])
    assert verdict(tmp_path, calm, left).problems == ("the ledger does not settle each call once",)


@pytest.mark.parametrize(("key", "is_survived"), [("compute/annotate/2", True), ("compute/annotate", False)])
def test_a_step_that_was_begun_anew_is_another_piece_of_work(
    tmp_path: Path, calm: Calm, key: str, is_survived: bool
) -> None:
    left = Remembered(calm.remembered.decisions, [*calm.remembered.costs, entry(key, kind="compute")])
    assert (verdict(tmp_path, calm, left).problems == ()) is is_survived


def test_work_that_is_not_settled_is_a_problem(tmp_path: Path, calm: Calm) -> None:
    left = Remembered(calm.remembered.decisions, calm.remembered.costs[:2])
    assert verdict(tmp_path, calm, left).problems
