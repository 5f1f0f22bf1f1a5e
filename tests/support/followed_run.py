"""A run that no process works on, with a sample that can be followed back to its errors, and an error forward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.controller.domain.ledger import Cost, Limits
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer
from shared.rows.failures import CapabilityErrorRate, Failure, PrototypeRow
from shared.rows.selection import Sample, Selection
from tests.support.resting_run import RUN, RestingRun
from tests.support.rows import build

CELL = "modality:ct+attribute:metal_artifact"


@contextmanager
def followed_run(out: Path, **said: str) -> Iterator[RestingRun]:
    """The run: decision `d0` about `sample-0`, drawn for item 17 of dev; `said` is of the decision."""
    run = RestingRun(out)
    decision = run.decision(0, prototype_id="p000", capability=CELL, route="expert", expert_action="edit", **said)
    run.note("import_dev", run.put("benchmark", {"items.jsonl": [build(Item)], "report.jsonl": []}), arm="-")
    for number, rights in enumerate([(False, False), (True, False)]):
        rows = [build(Answer, run=place, correct=right) for place, right in enumerate(rights)]
        run.note("evaluate_dev", run.put("evaluation", {"answers.jsonl": rows}), round_number=number)
    mined = {
        "failures.jsonl": [build(Failure)],
        "prototypes.jsonl": [build(PrototypeRow)],
        "capabilities.jsonl": [build(CapabilityErrorRate)],
    }
    run.note("mine_failures", run.put("failures", mined))
    samples = [build(Sample, sample_id="sample-0", prototype_id="p000", capability=CELL)]
    run.note(
        "select_samples",
        run.put("selection", {"samples.jsonl": samples, "selection.json": build(Selection, fallback="")}),
    )
    run.note("annotate", run.put("decisions", {"decisions.jsonl": [decision], "unanswered.jsonl": []}))
    run.train_on([decision])
    cost = Cost(f"{RUN}/failure_driven/0/oracle/sample-0/aa", "oracle", usd=0.25, tokens=900)
    run.ledger.reserve(RUN, [cost], Limits(), "r1")
    run.ledger.settle(RUN, [cost], is_on_record=False)
    yield run
    run.close()
