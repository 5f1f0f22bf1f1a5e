"""Review tasks as Label Studio has them: JSON with `data`, `predictions` and `annotations`, both ways.

Source: https://labelstud.io/guide/task_format, and the labelling configuration `CONFIGURATION` below.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cli.review_files import Decisions, Entered, Refused, decision_of
from shared.errors import InvalidArgument
from shared.regular_files import read_regular

#: What to paste into a project's labelling interface.
CONFIGURATION = """<View>
  <Image name="image" value="$image" zoom="true" zoomControl="true"/>
  <Header value="$question"/>
  <Choices name="answer" toName="image" value="$choices" choice="single-radio"/>
  <TextArea name="description" toName="image" rows="6" maxSubmissions="1" editable="true"/>
  <Choices name="action" toName="image" choice="single-radio">
    <Choice value="accept"/>
    <Choice value="edit"/>
    <Choice value="reject"/>
  </Choices>
  <TextArea name="reason" toName="image" maxSubmissions="1"/>
</View>
"""
_MOST_BYTES = 1 << 30
_SKIPPED = "skipped in Label Studio"
_NOT_ACCEPTED = "not accepted in a Label Studio review"


def write_json(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write records as tasks to import into a project."""
    tasks = [_task(record) for record in records]
    path.write_text(json.dumps(tasks, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Decisions:
    """The decisions of a project's JSON export; a task without an annotation is undecided.

    Raises:
        InvalidArgument: It is no such export.
    """
    try:
        tasks = json.loads(read_regular(Path(os.path.realpath(path)), _MOST_BYTES))
    except (ValueError, RecursionError):
        tasks = None
    if not isinstance(tasks, list):
        raise InvalidArgument(
            "The file is no export of Label Studio.",
            field="file",
            value=path.name,
            remedy="Export the project as JSON.",
        )
    found = [_decision(f"task {number}", task) for number, task in enumerate(tasks, 1)]
    entered = [one for one in found if isinstance(one, Entered)]
    refused = [one for one in found if isinstance(one, Refused)]
    return Decisions(entered, refused, sum(one is None for one in found))


def _task(record: Mapping[str, Any]) -> dict[str, Any]:
    options = record["options"]
    choices = [{"value": letter, "html": f"{letter}: {text}"} for letter, text in options.items()]
    oracle = "oracle (simulated)" if record["is_reference_simulated"] else "oracle"
    said = {"proposal": record["proposal"], "model": record["self_answer"], oracle: record["reference_answer"]}
    predictions = [
        {"model_version": who, "score": None, "result": _answer(answer, options)}
        for who, answer in said.items()
        if answer is not None
    ]
    return {
        "data": {**record, "image": record["image"] or record["image_uri"], "choices": choices},
        "predictions": predictions,
        "annotations": [_annotation(record)] if record["action"] else [],
    }


def _annotation(record: Mapping[str, Any]) -> dict[str, Any]:
    is_rejected = record["action"] == "reject"
    result = [] if is_rejected else _answer(record["answer"] or "", record["options"])
    result.append(_choice("action", record["action"]))
    if record["reason"]:
        result.append(_text("reason", record["reason"]))
    return {
        "result": result,
        "was_cancelled": is_rejected,
        "ground_truth": False,
        "lead_time": record["active_seconds"],
        "completed_by": {"email": record["reviewer"]},
        "created_at": record["decided_at"],
        "reviews": [{"accepted": record["action"] == "accept"}],
    }


def _answer(answer: str, options: Mapping[str, str]) -> list[dict[str, Any]]:
    return [_choice("answer", answer) if options else _text("description", answer)]


def _choice(name: str, value: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "image", "type": "choices", "value": {"choices": [value]}}


def _text(name: str, value: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "image", "type": "textarea", "value": {"text": [value]}}


def _decision(place: str, task: Any) -> Entered | Refused | None:
    """What one task decides; None where nobody has."""
    data, annotations = (task.get("data"), task.get("annotations")) if isinstance(task, dict) else (None, None)
    if not isinstance(data, dict) or not isinstance(annotations or [], list):
        return Refused(place, "", "it has no data or annotations of a task")
    if not annotations:
        return None
    task_id = str(data.get("task_id", ""))
    annotation = annotations[0]
    if len(annotations) > 1 or not isinstance(annotation, dict):
        return Refused(place, task_id, f"it has {len(annotations)} annotations; keep the one that counts")
    try:
        return decision_of(place, {**data, **_read(annotation, data)})
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return Refused(place, task_id, "its annotation is not of the form of Label Studio")


def _read(annotation: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a decision in an annotation."""
    said = {one["from_name"]: _first(one["value"]) for one in annotation.get("result") or []}
    answer = str(said.get("answer") or said.get("description") or "")
    reason = str(said.get("reason") or "")
    reviews: Sequence[Mapping[str, Any]] = annotation.get("reviews") or []
    action = said.get("action") or ""
    if annotation.get("was_cancelled"):
        action, reason = "reject", reason or _SKIPPED
    elif not action and answer:
        action = "accept" if answer == data.get("proposal") else "edit"
    elif not action and reviews:
        is_accepted = bool(reviews[-1]["accepted"])
        action, reason = ("accept", reason) if is_accepted else ("reject", reason or _NOT_ACCEPTED)
    if annotation.get("was_cancelled") or (action == "reject" and answer == data.get("proposal")):
        answer = ""  # what was filled in before the expert came
    return {
        "action": action,
        "answer": answer,
        "reason": reason,
        "active_seconds": annotation.get("lead_time"),
        "reviewer": _reviewer(annotation.get("completed_by")),
    }


def _first(value: Mapping[str, Any]) -> Any:
    """What a result says: one choice, or a text, which may stand in several pieces."""
    if "choices" in value:
        (choice,) = value["choices"]
        return choice
    text = value["text"]
    return "\n".join(text) if isinstance(text, list) else text


def _reviewer(completed_by: Any) -> str:
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email") or completed_by.get("id")
    return f"Label Studio user {completed_by}" if isinstance(completed_by, int) else str(completed_by or "")
