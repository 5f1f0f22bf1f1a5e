"""Reports of runs: what there is so far, and the files of a run that has ended."""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace

from services.controller.domain.comparisons import arm_gains, round_gains
from services.controller.domain.report import assemble
from services.controller.report.facts import (
    arms_of,
    evaluations_of,
    further_of,
    measured_of,
    sets_of,
    test_answers,
    test_items,
)
from services.controller.report.page import render
from services.controller.store.ledger import Ledger
from services.controller.store.runs import Result, RunRow, RunStore
from shared.objects.dataset import iterate_rows, publish, read_file
from shared.objects.store import ObjectStore
from shared.rows.encoding import encode_json
from shared.rows.evaluation import Answer

_KIND, _JSON = "report", "report.json"


class Reports:
    """Makes reports.

    Args:
        objects: Where the datasets of a run lie.
        store: What its steps gave.
        ledger: What it cost.
    """

    def __init__(self, objects: ObjectStore, store: RunStore, ledger: Ledger) -> None:
        self._objects = objects
        self._store = store
        self._ledger = ledger

    def get(self, run_id: str, failure: str = "") -> dict[str, Any]:
        """`report.json` of a run, as far as it has come.

        Args:
            run_id: The run.
            failure: The message of the step that failed, where that is not noted on the run yet.

        Raises:
            NotFound: There is no such run.
        """
        run, results = self._store.get(run_id), self._store.results(run_id)
        measured = self._measured(run, results, failure or run.failure)
        answers, seed = test_answers(self._objects, run, results, "test"), run.configuration["seed"]
        arms = arms_of(self._objects, run, results, round_gains(answers, seed=seed))
        items = test_items(self._objects, results, "test")
        further = further_of(self._objects, run, results)
        return assemble(
            run.configuration, arms, measured, arm_gains(answers, seed=seed), sets_of(results), answers, items, further
        )

    def text(self, run_id: str) -> str:
        """`report.json` as text: what was published of a run that has ended, with its costs of today; else as far as it has come.

        Raises:
            NotFound: There is no such run.
        """
        run = self._store.get(run_id)
        if not run.report_uri:
            return encode(self.get(run_id))
        published = json.loads(read_file(self._objects, run.report_uri, _JSON, _KIND))
        measured = self._measured(run, self._store.results(run_id), run.failure)
        return encode({**published, "measured": {**published["measured"], **measured}})

    def _measured(self, run: RunRow, results: list[Result], failure: str) -> dict[str, Any]:
        """The block of times and costs; a cost may still be settled when the run has ended."""
        return measured_of(run, results, self._ledger.all_entries(run.run_id), failure)

    def publish(self, run_id: str, failure: str) -> str:
        """Make the dataset `report` of a run that has ended, and note on the run how it ended.

        Returns: Its URI.
        """
        run, report = self._store.get(run_id), self.get(run_id, failure)
        evaluations = evaluations_of(run, self._store.results(run_id))
        uri = publish(
            self._objects,
            _KIND,
            {
                _JSON: encode(report),
                "report.html": render(report, self._objects),
                # An evaluation that arms share has the name of the first.
                "answers.jsonl": (
                    row if row.arm == one.arm else replace(row, arm=one.arm)
                    for one in evaluations
                    for row in iterate_rows(self._objects, one.uri, Answer)
                ),
            },
            counts={"evaluations": len(evaluations)},
            parents=sorted({one.uri for one in evaluations}),
            configuration={},
            seed=run.configuration["seed"],
        )
        stops = "; ".join(f"{name}: {arm['stop_reason']}" for name, arm in report["arms"].items())
        self._store.end(run_id, failure or stops, failure, uri)
        return uri


def encode(report: dict[str, Any]) -> str:
    """The bytes of `report.json`, as text."""
    return encode_json(report, indent=2) + "\n"
