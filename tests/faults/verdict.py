"""What a case left, held against what the undisturbed run left."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from tests.faults.run import Run
from tests.support.finished_run import Remembered, lasting
from tests.support.tiny_study import MAX_IN_FLIGHT

#: States of an entry of the ledger to which nothing more happens.
_ENDED = {"settled", "unknown", "released"}


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
class Done:
    """The harm that was done.

    Attributes:
        n: How often, of whatever sort.
        n_kills: How often a process was killed; each kill may leave `MAX_IN_FLIGHT` calls that were perhaps made.
        least_unknown: How many such calls there must be, or the kills met none.
    """

    n: int
    n_kills: int
    least_unknown: int = 0


@dataclass(frozen=True)
class Calm:
    """What the undisturbed run left."""

    run: Run
    remembered: Remembered


def judge(case: str, seconds: float, harm: Done, run: Run, left: Remembered, calm: Calm) -> Verdict:
    """Hold a run that ended, and what the services remember of it, against the undisturbed one."""
    problems = [] if harm.n else ["no harm was done: another seed chooses another step"]
    if lasting(run.out) != lasting(calm.run.out):
        problems.append("the report differs")
    if (run.out / "answers.jsonl").read_bytes() != (calm.run.out / "answers.jsonl").read_bytes():
        problems.append("the answers differ")
    ids, expected = _decision_ids(left), _decision_ids(calm.remembered)
    n_lost = sum((expected - ids).values())
    n_doubled = sum((ids - expected).values())
    if left.decisions != calm.remembered.decisions:
        problems.append("the annotations differ")
    calls, work = _settled(left)
    calm_calls, calm_work = _settled(calm.remembered)
    # A step that failed and was begun anew is another piece of work; the calls in it are the same.
    if calls != calm_calls or calm_work.keys() - work.keys() or any(n > 1 for n in work.values()):
        problems.append("the ledger does not settle each call once")
    states = Counter(entry.state for entry in left.costs if entry.cost.kind != "compute")
    if states.keys() - _ENDED:
        problems.append("a reservation is open")
    n_unknown = states["unknown"]
    if n_unknown > MAX_IN_FLIGHT * harm.n_kills:
        problems.append(f"{n_unknown} unknown calls after {harm.n_kills} kills")
    if n_unknown < harm.least_unknown:
        problems.append("no kill met a call in flight, so this shows nothing")
    return Verdict(case, seconds, harm.n, len(run.failures), tuple(problems), n_lost, n_doubled, n_unknown)


def _settled(remembered: Remembered) -> tuple[Counter[str], Counter[str]]:
    """How often each key is settled: of calls to oracle and expert, and of the services' own work."""
    settled = [entry.cost for entry in remembered.costs if entry.state == "settled"]
    calls = Counter(cost.key for cost in settled if cost.kind != "compute")
    return calls, Counter(cost.key for cost in settled if cost.kind == "compute")


def _decision_ids(remembered: Remembered) -> Counter[str]:
    return Counter(str(json.loads(line)["decision_id"]) for text in remembered.decisions for line in text.splitlines())
