"""What the loop keeps of a dataset that a step made: the rows of its files, an overall score, and what was left out."""

from __future__ import annotations

from dataclasses import asdict

from msgspec import to_builtins

from services.controller.ports import StepOutcome
from shared.left_out import facts_of
from shared.objects.dataset import iterate_rows, read_manifest, read_object
from shared.objects.store import ObjectStore
from shared.rows.benchmark import Rejection
from shared.rows.evaluation import Scores
from shared.rows.images import Input

#: The key of the configuration behind the step that imports questions about the pool.
_POOL_ANSWERS = {"import_pool": "pool_answers"}


def detail_of(objects: ObjectStore, step: str, uri: str) -> StepOutcome:
    """What is kept of the dataset of a step.

    Returns: `rows` of each of its files; of an evaluation `overall`, of what was brought in `left_out`.
    """
    if not uri:
        return {"rows": {}}
    manifest = read_manifest(objects, uri)
    rows = {name: entry.rows for name, entry in manifest.files.items() if entry.rows is not None}
    detail: StepOutcome = {"rows": rows}
    name = _POOL_ANSWERS.get(step, step.partition("_")[2])
    if manifest.kind == "image-set" and step.startswith("ingest_"):  # not where the index gives the set back
        detail["left_out"] = asdict(facts_of(name, "images", iterate_rows(objects, uri, Input)))
    elif manifest.kind == "benchmark":
        n_items = manifest.counts["items"]
        detail["left_out"] = asdict(facts_of(name, "rows", iterate_rows(objects, uri, Rejection), n_items))
    elif manifest.kind == "evaluation":
        detail["overall"] = to_builtins(read_object(objects, uri, Scores).perception.overall)
    return detail
