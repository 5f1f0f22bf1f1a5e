"""What a case left, held against what the undisturbed run left."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from tests.faults.run import Run
from tests.support.finished_run import Remembered, lasting
from tests.support.tiny_study import MAX_IN_FLIGHT


@dataclass(frozen=True)
class Verdict:
    """A line of the table.

    Attributes:
        case: Its name.
        seconds: How long its run took.
        n_harms: Kills, restarts, cuts and whatever else was done.
        n_repeats: How often the command was given again.
        problems: What differs from the undisturbed run; empty where it survived.
        n_lost, n_doubled: Annotations that are missing, or there more than once.
        n_unknown: Oracle and expert calls that stand as `unknown` in the ledger.
    """

    case: str
    seconds: float
    n_harms: int
    n_repeats: int
    problems: tuple[str, ...]
    n_lost: int = 0
    n_doubled: int = 0
    n_unknown: int = 0


@dataclass(frozen=True)
class Calm:
    """What the undisturbed run left."""

    run: Run
    remembered: Remembered


def judge(case: str, seconds: float, n_harms: int, n_kills: int, run: Run, left: Remembered, calm: Calm) -> Verdict:
    """Hold a run that ended, and what the services remember of it, against the undisturbed one."""
    problems = [] if n_harms else ["no harm was done: another seed chooses another step"]
    if lasting(run.out) != lasting(calm.run.out):
        problems.append("the report differs")
    if (run.out / "answers.jsonl").read_bytes() != (calm.run.out / "answers.jsonl").read_bytes():
        problems.append("the answers differ")
    ids, expected = _decision_ids(left), _decision_ids(calm.remembered)
    n_lost = sum((expected - ids).values())
    n_doubled = sum((ids - expected).values())
    if left.decisions != calm.remembered.decisions:
        problems.append("the annotations differ")
    settled = Counter(entry.cost.key for entry in left.costs if entry.state == "settled")
    if settled != Counter(entry.cost.key for entry in calm.remembered.costs):
        problems.append("the ledger does not settle each call once")
    others = [entry for entry in left.costs if entry.state != "settled" and entry.cost.kind != "compute"]
    if {entry.state for entry in others} - {"unknown"}:
        problems.append("a reservation is open")
    if len(others) > MAX_IN_FLIGHT * n_kills:
        problems.append(f"{len(others)} unknown calls after {n_kills} kills")
    return Verdict(case, seconds, n_harms, len(run.failures), tuple(problems), n_lost, n_doubled, len(others))


def _decision_ids(remembered: Remembered) -> Counter[str]:
    return Counter(str(json.loads(line)["decision_id"]) for text in remembered.decisions for line in text.splitlines())
