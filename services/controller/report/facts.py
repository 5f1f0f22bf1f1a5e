"""Collects what a run's steps gave, for its report: from the rows of the loop and the datasets that they name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from services.controller.domain.ledger import Entry, totals
from services.controller.domain.report import ArmFacts, RoundFacts
from services.controller.store.runs import Result, RunRow
from shared.objects.dataset import read_manifest, read_rows
from shared.objects.store import ObjectStore, uri_of

_EVALUATIONS = ("evaluate_dev", "evaluate_test")
#: The step whose detail says why an arm stopped.
STOP = "stop"


def arms_of(objects: ObjectStore, run: RunRow, results: list[Result]) -> list[ArmFacts]:
    """The arms of a run with all that is known of their rounds."""
    asked = run.configuration["annotate"]["questions"]
    arms = []
    for arm in run.configuration["arms"]:
        own = [result for result in results if result.arm == arm["name"]]
        rounds = sorted({result.round for result in own})
        stops = [str(result.detail["reason"]) for result in own if result.step == STOP]
        facts = [_round(objects, number, own) for number in rounds]
        arms.append(
            ArmFacts(
                arm["name"], arm["strategy"], arm["questions"] or asked, stops[0] if stops else None, facts
            )
        )
    return arms


def measured_of(run: RunRow, results: list[Result], costs: Iterable[Entry], failure: str) -> dict[str, Any]:
    """Every time, cost and URI of a run."""
    steps = [
        {
            "arm": result.arm, "round": result.round, "step": result.step, "service": result.service,
            "operation_id": result.operation_id, "uri": result.uri, "worked_seconds": result.worked_seconds,
            "attempts": result.attempts,
        }
        for result in results
        if result.operation_id
    ]  # fmt: skip
    return {
        "run_id": run.run_id,
        "create_time": datetime.fromtimestamp(run.created_at, UTC).isoformat(),
        "failure": failure or None,
        "steps": steps,
        "ledger": totals(costs),
    }


def evaluations_of(run: RunRow, results: list[Result]) -> list[str]:
    """URIs of a run's evaluations: by arm in the order of the configuration, round, dev before test."""
    order = {arm["name"]: place for place, arm in enumerate(run.configuration["arms"])}
    found = [result for result in results if result.step in _EVALUATIONS]
    found.sort(key=lambda result: (order[result.arm], result.round, _EVALUATIONS.index(result.step)))
    return [result.uri for result in found]


def read_json(objects: ObjectStore, uri: str, name: str) -> dict[str, Any]:
    """A file of a dataset that holds one JSON object."""
    content: dict[str, Any] = json.loads(
        objects.read_bytes(uri_of(read_manifest(objects, uri).files[name].sha256))
    )
    return content


def _round(objects: ObjectStore, number: int, results: list[Result]) -> RoundFacts:
    by_step = {result.step: result for result in results if result.round == number}

    def of(step: str, name: str) -> dict[str, Any] | None:
        return read_json(objects, by_step[step].uri, name) if step in by_step else None

    return RoundFacts(
        round=number,
        dev=of("evaluate_dev", "scores.json"),
        test=of("evaluate_test", "scores.json"),
        failures=_failures(objects, by_step),
        selection=of("select_samples", "selection.json"),
        decisions=_decisions(objects, by_step),
        dataset=_dataset(objects, by_step),
        training=of("train", "training.json"),
        decision=by_step["decide"].detail if "decide" in by_step else None,
    )


def _failures(objects: ObjectStore, by_step: Mapping[str, Result]) -> dict[str, Any] | None:
    if "mine_failures" not in by_step:
        return None
    uri = by_step["mine_failures"].uri
    manifest = read_manifest(objects, uri)
    return {
        "capabilities": read_rows(objects, uri, "capabilities.jsonl"),
        "prototypes": read_rows(objects, uri, "prototypes.jsonl"),
        "counts": dict(manifest.counts),
    }


def _decisions(objects: ObjectStore, by_step: Mapping[str, Result]) -> dict[str, Any] | None:
    if "annotate" not in by_step:
        return None
    uri = by_step["annotate"].uri
    return {
        "rows": read_rows(objects, uri, "decisions.jsonl"),
        "summary": read_json(objects, uri, "summary.json"),
    }


def _dataset(objects: ObjectStore, by_step: Mapping[str, Result]) -> dict[str, Any] | None:
    if "build_dataset" not in by_step:
        return None
    uri = by_step["build_dataset"].uri
    manifest = read_manifest(objects, uri)
    return {
        "counts": dict(manifest.counts),
        "dropped": read_rows(objects, uri, "dropped.jsonl"),
    }
