"""`kill -9`, then the same command again, until the run ends: nothing is lost, nothing happens twice, the report is the same."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.support.finished_run import ARM, OneTurn, Remembered, lasting, remembered
from tests.support.kill_points import kill_after, kill_at_cost
from tests.support.killing import Chain, kill_at_boundaries, kill_at_random, kill_from_outside
from tests.support.tiny_study import MAX_IN_FLIGHT

pytestmark = pytest.mark.timeout(900)
N_SHARES = 3
SCHEDULES = (*(f"share {share}" for share in range(N_SHARES)), "random", "costs", "outside")
Chains = dict[str, Future[Chain]]


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory, study: Path, pool: ProcessPoolExecutor) -> Chains:
    """All chains at once: at each start they mostly wait, for a second, until their loop is taken up again."""
    config = study / "run.yaml"

    def folder() -> Path:
        return tmp_path_factory.mktemp("killed")

    def draw(seed: int, most: int, n: int) -> list[int]:
        return [int(moment) for moment in np.random.default_rng(seed).integers(1, most, size=n)]

    shares = {
        f"share {share}": pool.submit(kill_at_boundaries, config, folder(), share, N_SHARES)
        for share in range(N_SHARES)
    }
    return {
        **shares,
        # A start passes some dozens of moments, but none of the ledger; a run passes about a thousand, the oracle's some 60.
        "random": pool.submit(kill_at_random, config, folder(), kill_after, draw(5, 450, 8)),
        "costs": pool.submit(kill_at_random, config, folder(), kill_at_cost, draw(8, 14, 8)),
        "outside": pool.submit(kill_from_outside, config, folder()),
    }


@pytest.fixture(scope="module")
def calm(turn: OneTurn, pool: ProcessPoolExecutor) -> Remembered:
    """What the services remember of the run that nobody disturbed."""
    return remembered(turn.out, pool)


def test_every_step_boundary_was_hit(chains: Chains, turn: OneTurn):
    """Before the loop remembers what a step gave, and after: each step of a run, of what arms share and of both rounds."""
    services = [
        f"{step['arm']}/{step['round']}/{verb} {step['step']}"
        for step in turn.report["measured"]["steps"]
        for verb in ("start", "wait")
    ]
    own = [f"{ARM}/{number}/{step}" for number in (0, 1) for step in ("decide", "complete")]
    steps = [*services, *own, f"{ARM}/2/decide", f"{ARM}/2/stop", "-/0/check_inputs", "-/0/publish_report"]
    hit = [boundary for share in range(N_SHARES) for boundary in chains[f"share {share}"].result().boundaries]
    assert sorted(hit) == sorted(f"{step} {side}" for step in steps for side in ("before", "after"))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_report_is_that_of_a_run_that_nobody_disturbed(chains: Chains, turn: OneTurn, schedule: str):
    """Byte for byte, outside `measured`. Random moments lie around any commit and rename, or around entries of the ledger."""
    out = chains[schedule].result().out
    assert lasting(out) == lasting(turn.out)
    assert (out / "answers.jsonl").read_bytes() == (turn.out / "answers.jsonl").read_bytes()


def test_the_status_of_a_killed_run_is_where_it_was_killed(chains: Chains):
    status = chains["outside"].result().status
    assert (status["state"], status["arm"], status["step"]) == ("stopped", ARM, "train")
    assert "goes on" in status["message"]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_decisions_and_costs_are_there_once(chains: Chains, calm: Remembered, pool: ProcessPoolExecutor, schedule: str):
    chain = chains[schedule].result()
    after = remembered(chain.out, pool)
    assert after.decisions == calm.decisions
    ids = [json.loads(line)["decision_id"] for text in after.decisions for line in text.splitlines()]
    assert ids
    assert len(set(ids)) == len(ids)

    settled = [entry.cost for entry in after.costs if entry.state == "settled"]
    others = [entry for entry in after.costs if entry.state != "settled"]
    assert {entry.state for entry in others} <= {"unknown"}
    assert Counter(cost.key for cost in settled) == Counter(entry.cost.key for entry in calm.costs)
    calm_calls = {entry.cost.key: entry.cost for entry in calm.costs if entry.cost.kind != "compute"}
    assert {cost.key: cost for cost in settled if cost.kind != "compute"} == calm_calls
    in_flight = [entry for entry in others if entry.cost.kind != "compute"]
    assert len(in_flight) <= MAX_IN_FLIGHT * chain.n_kills
    assert in_flight or schedule != "costs", "no kill met a call in flight, so this shows nothing: draw other moments"
