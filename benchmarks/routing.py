"""How a finished run routed its questions, and what that was worth, where the truth is known: a study on phantoms.

    python -m benchmarks.routing OUT

OUT is the folder of `medq demo` or `medq run`, with `report.json` and the state beside it. One JSON object goes to standard
output: for each arm and each round after the cold start the shares of the routes, and how often what was adopted is right;
then, for other target error rates, where the same answers would have gone. Descriptions are not counted: whether one is
right is a matter of degree.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.oracle.domain.calibration import calibrate_entropy_threshold, reviews_of
from shared.objects.dataset import read_manifest, read_object, read_rows
from shared.objects.folder import FolderObjectStore
from shared.objects.store import ObjectStore
from shared.rows.annotation import Decision, KnownAnswer, Summary, Unanswered

_KNOWN_ANSWERS = 1  # among the parents of decisions


TARGETS = (0.08, 0.1, 0.12, 0.14, 0.16, 0.2)


def figures(objects: ObjectStore, uri: str) -> dict[str, Any]:
    """Shares and accuracies of the decisions on questions with options; a rejected question is in none of them."""
    rows = [row for row in read_rows(objects, uri, Decision) if row.options]
    summary = read_object(objects, uri, Summary)
    parents = read_manifest(objects, uri).parents
    known = read_rows(objects, parents[_KNOWN_ANSWERS], KnownAnswer)
    truth = {(row.image_id, row.question, *sorted(row.options.items())): row.answer for row in known}
    right = [truth[row.image_id, row.question, *sorted(row.options.items())] for row in rows]
    tau = summary.calibration.tau_entropy if summary.calibration else float(summary.policy["tau_entropy"])
    earlier: list[list[Decision | Unanswered]] = [
        [*read_rows(objects, parent, Decision), *read_rows(objects, parent, Unanswered)]
        for parent in parents
        if read_manifest(objects, parent).kind == "decisions"
    ]
    reviews = reviews_of(earlier, float(summary.policy["tau_agreement"]))
    fits = [calibrate_entropy_threshold(*reviews, target_error_rate=target) for target in TARGETS]
    return {
        "questions": len(rows),
        **routed(rows, right, tau),
        "expert_and_audit": _share([row.route in ("expert", "audit") for row in rows]),
        "wrong_of_labels": _share([row.answer != answer for row, answer in zip(rows, right, strict=True)]),
        "at_other_targets": {
            str(fit.target_error_rate): {"is_met": fit.is_met, **routed(rows, right, fit.tau_entropy)} for fit in fits
        },
    }


def routed(rows: Sequence[Decision], right: Sequence[str], tau: float) -> dict[str, Any]:
    """Where a threshold sends answers, and how often what is adopted unseen is wrong."""
    is_sure = [row.entropy is not None and row.entropy < tau for row in rows]
    is_unsure = [row.entropy is not None and row.entropy >= tau for row in rows]
    is_self = [sure and row.agreement == 1 for row, sure in zip(rows, is_sure, strict=True)]
    own = [row.self_answer == answer for row, answer in zip(rows, right, strict=True)]
    reference = [row.reference_answer == answer for row, answer in zip(rows, right, strict=True)]
    return {
        "tau_entropy": round(tau, 4),
        "sure": _share(is_sure),
        "right_of_sure": _share(_where(own, is_sure)),
        "self": _share(is_self),
        "wrong_of_self": _share([not is_right for is_right in _where(own, is_self)]),
        "reference": _share(is_unsure),
        "wrong_of_reference": _share([not is_right for is_right in _where(reference, is_unsure)]),
        "expert": _share([not (own or other) for own, other in zip(is_self, is_unsure, strict=True)]),
    }


def _where(values: Sequence[bool], chosen: Sequence[bool]) -> list[bool]:
    return [value for value, is_chosen in zip(values, chosen, strict=True) if is_chosen]


def _share(values: Sequence[bool]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def main() -> None:
    """Print the figures of a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the run")
    out: Path = parser.parse_args().out
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    objects = FolderObjectStore(out / "state" / "objects")
    found = {
        f"{step['arm']}, round {step['round']}": figures(objects, step["uri"])
        for step in report["measured"]["steps"]
        if step["step"] == "annotate" and step["round"] > 0
    }
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
