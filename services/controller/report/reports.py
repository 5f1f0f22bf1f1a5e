"""Reports of runs: what there is so far, and the files of a run that has ended."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from services.controller.domain.report import assemble
from services.controller.loop.calls import Collaborators
from services.controller.report.facts import arms_of, evaluations_of, measured_of
from services.controller.report.page import render
from shared.objects.dataset import read_manifest, write_dataset
from shared.objects.store import uri_of

#: The files of an ended run's report, in the order in which they are downloaded.


def report_of(with_: Collaborators, run_id: str, failure: str = "") -> dict[str, Any]:
    """`report.json` of a run, as far as it has come.

    Args:
        with_: Where its parts lie.
        run_id: The run.
        failure: The message of the step that failed, where that is not noted on the run yet.

    Raises:
        NotFound: There is no such run.
    """
    run = with_.store.get(run_id)
    arms = arms_of(with_.objects, run, with_.store.results(run_id))
    measured = measured_of(with_.store, with_.ledger, run, failure or run.failure)
    return assemble(run.configuration, arms, measured)


def encode(report: dict[str, Any]) -> str:
    """The bytes of `report.json`, as text."""
    return json.dumps(report, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def publish_report(with_: Collaborators, run_id: str, failure: str) -> str:
    """Make the dataset `report` of a run that has ended, and note on the run how it ended.

    Returns: Its URI.
    """
    run = with_.store.get(run_id)
    report = report_of(with_, run_id, failure)
    evaluations = evaluations_of(run, with_.store.results(run_id))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "report.json").write_text(encode(report), encoding="utf-8")
        (folder / "report.html").write_text(render(report, with_.objects), encoding="utf-8")
        with (folder / "answers.jsonl").open("wb") as target:
            for uri in evaluations:
                entry = read_manifest(with_.objects, uri).files["answers.jsonl"]
                target.write(with_.objects.read_bytes(uri_of(entry.sha256)))
        uri = write_dataset(
            with_.objects,
            "report",
            folder,
            counts={"evaluations": len(evaluations)},
            parents=sorted(set(evaluations)),
            configuration={},
            seed=run.configuration["seed"],
        )
    stops = "; ".join(f"{arm}: {told['stop_reason']}" for arm, told in report["arms"].items())
    with_.store.end(run_id, failure or stops, failure, uri)
    return uri
