"""How a finished run routed its questions, and what that was worth, where the truth is known: a study on phantoms.

    python -m benchmarks.routing OUT

OUT is the folder of `medq demo` or `medq run`, with `report.json` and the state beside it. One JSON object goes to standard
output: for each arm and each round after the cold start the shares of the routes, and how often what was adopted is right.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.objects.dataset import read_manifest, read_object, read_rows
from shared.objects.folder import FolderObjectStore
from shared.objects.store import ObjectStore
from shared.rows.annotation import Decision, KnownAnswer, Summary

_KNOWN_ANSWERS = 1  # among the parents of decisions


def figures(objects: ObjectStore, uri: str) -> dict[str, Any]:
    """Shares and accuracies of one set of decisions; a rejected question is in none of them."""
    rows, summary = read_rows(objects, uri, Decision), read_object(objects, uri, Summary)
    known = read_rows(objects, read_manifest(objects, uri).parents[_KNOWN_ANSWERS], KnownAnswer)
    truth = {(row.image_id, row.question, *sorted(row.options.items())): row.answer for row in known}
    right = [truth[row.image_id, row.question, *sorted(row.options.items())] for row in rows]
    tau = summary.calibration.tau_entropy if summary.calibration else float(summary.policy["tau_entropy"])
    confident = [row.entropy is not None and row.entropy < tau for row in rows]
    routes = [row.audited_route or row.route for row in rows]
    own = [row.self_answer == answer for row, answer in zip(rows, right, strict=True)]
    reference = [row.reference_answer == answer for row, answer in zip(rows, right, strict=True)]
    return {
        "questions": len(rows),
        "tau_entropy": round(tau, 4),
        "confident": _share(confident),
        "right_of_confident": _share(_where(own, confident)),
        "self": _share([route == "self" for route in routes]),
        "wrong_of_self": _share([not is_right for is_right in _where(own, [route == "self" for route in routes])]),
        "reference": _share([route == "reference" for route in routes]),
        "wrong_of_reference": _share(
            [not is_right for is_right in _where(reference, [route == "reference" for route in routes])]
        ),
        "expert": _share([route == "expert" for route in routes]),
        "expert_and_audit": summary.review_share,
        "wrong_of_labels": _share([row.answer != answer for row, answer in zip(rows, right, strict=True)]),
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
