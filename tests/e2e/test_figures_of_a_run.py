"""The benchmarks that read a finished run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.benchmarks import figures_of
from tests.support.finished_run import OneTurn, read_report
from tests.support.tiny_study import N_ROUNDS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def out(turn: OneTurn, study: Path, tmp_path: Path) -> Path:
    """A copy of the run with its study in it, as `medq demo` leaves them."""
    copy = tmp_path / "out"
    shutil.copytree(turn.out, copy, ignore=shutil.ignore_patterns("*.sock"))
    (copy / "study").symlink_to(study)
    return copy


def test_what_the_controller_adds_is_a_share_of_each_round(out: Path) -> None:
    measured = figures_of("controller", "--out", out, "--run", "run")["runs"]["run"]
    assert [one["round"] for one in measured["rounds"]] == list(range(N_ROUNDS))
    assert 0 <= measured["share"] < 1
    assert all(one["overhead_seconds"] <= one["wall_seconds"] for one in measured["rounds"])


def test_left_out_cells_and_the_others_make_up_the_whole(out: Path) -> None:
    found = figures_of("left_out", out)
    rounds = [
        f"{name}, round {one['round']}" for name, arm in read_report(out)["arms"].items() for one in arm["rounds"]
    ]
    assert list(found) == rounds
    for shares in found.values():
        parts = [shares[part] for part in ("left_out", "known") if shares[part] is not None]
        assert min(parts) <= shares["overall"] <= max(parts)


def test_every_question_after_the_cold_start_has_a_route(out: Path) -> None:
    (found,) = figures_of("routing", out).values()
    assert found["questions"] > 0
    assert found["self"] + found["reference"] + found["expert"] == pytest.approx(1.0, abs=1e-3)
