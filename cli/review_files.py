"""Review tasks as files that experts fill in elsewhere: what a task says as a record, decisions as they come back, and CSV.

A cell that a spreadsheet would take for a formula gets an apostrophe in front, which is taken away again when it is read.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medq.oracle.v1 import review_pb2 as pb
from shared import tables

#: What a task says, then what is decided about it; the columns of the CSV, and in Label Studio the fields of `data`.
ASKED = (
    "task_id", "revision", "state", "run_id", "arm", "round", "decision_id", "image_id", "image_uri", "image", "modality",
    "question", "question_type", "attribute", "options", "proposal", "self_answer", "self_entropy", "reference_answer",
    "is_reference_simulated", "agreement", "route", "route_reason",
)  # fmt: skip
DECIDED = ("action", "answer", "reason", "active_seconds", "reviewer", "decided_at")
ACTIONS = {"accept": pb.REVIEW_ACTION_ACCEPT, "edit": pb.REVIEW_ACTION_EDIT, "reject": pb.REVIEW_ACTION_REJECT}
_NAMES = {value: name for name, value in ACTIONS.items()}
#: What a cell that begins so is to a spreadsheet: a formula, or (the last six) a character that it drops before it looks.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


@dataclass(frozen=True)
class Entered:
    """A decision as a file has it.

    Attributes:
        place: Where in the file: `line 3`, `task 7`.
        task_id, revision: What it is about.
        action: "accept", "edit" or "reject".
        answer, reason: Texts; "" for none.
        active_seconds: None where the file does not say.
        reviewer: Who; "" where the file does not say.
    """

    place: str
    task_id: str
    revision: int
    action: str
    answer: str
    reason: str
    active_seconds: float | None
    reviewer: str


@dataclass(frozen=True)
class Refused:
    """What cannot be entered: where it stands, the task, and why."""

    place: str
    task_id: str
    why: str


@dataclass(frozen=True)
class Decisions:
    """What a file holds: decisions, what cannot be read as one, and how many tasks nobody has decided."""

    entered: Sequence[Entered]
    refused: Sequence[Refused]
    n_undecided: int


def record_of(task: pb.ReviewTask, image: str) -> dict[str, Any]:
    """A task as a record; what is absent is None.

    Args:
        task: The task.
        image: Where its picture was written, or "".
    """
    own = task.self_annotation
    record = {name: getattr(task, name) for name in ASKED if hasattr(task, name)}
    record |= {
        "image": image,
        "state": pb.TaskState.Name(task.state).removeprefix("TASK_STATE_").lower(),
        "options": dict(sorted(task.options.items())),
        "proposal": _optional(task, "proposal"),
        "self_answer": _optional(own, "answer"),
        "self_entropy": _optional(own, "entropy"),
        "reference_answer": _optional(task.reference_annotation, "answer"),
        "agreement": _optional(task, "agreement"),
    }
    decided = dict.fromkeys(DECIDED)
    if task.HasField("decision"):
        decision = task.decision
        decided |= {
            "action": _NAMES.get(decision.action, ""),
            "answer": _optional(decision, "answer"),
            "reason": decision.reason,
            "active_seconds": decision.active_seconds,
            "reviewer": decision.reviewer,
            "decided_at": decision.decide_time.ToJsonString(),
        }
    return {name: record[name] for name in ASKED} | decided


def write_csv(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write records as a CSV that spreadsheets open as it is: UTF-8 with its mark, a header, a row a task."""
    with path.open("w", encoding="utf-8-sig", newline="") as target:
        writer = csv.writer(target)
        columns = (*ASKED, *DECIDED)
        writer.writerow(columns)
        for record in records:
            writer.writerow([_escaped(_cell(record[name])) for name in columns])


def read_csv(path: Path) -> Decisions:
    """The decisions of a CSV; a row without an action is undecided.

    Raises:
        InvalidArgument: It is no table.
    """
    entered: list[Entered] = []
    refused: list[Refused] = []
    n_undecided = 0
    for row in tables.read_rows(Path(os.path.realpath(path)), "table", "file"):
        cells = {name: _unescaped(str(cell)) for name, cell in row.cells.items()}
        place = f"line {row.line}"
        if row.fault is not None:
            refused.append(Refused(place, cells.get("task_id", ""), row.fault.reason))
        elif not cells.get("action", "").strip():
            n_undecided += 1
        else:
            found = decision_of(place, cells)
            (entered if isinstance(found, Entered) else refused).append(found)  # type: ignore[arg-type]
    return Decisions(entered, refused, n_undecided)


def decision_of(place: str, fields: Mapping[str, Any]) -> Entered | Refused:
    """A decision from the fields of a record, or why it is none; whether it fits its task is for the service to say."""
    task_id, action = str(fields.get("task_id", "")).strip(), str(fields.get("action", "")).strip().lower()
    if not task_id:
        return Refused(place, "", "it names no task_id")
    if action not in ACTIONS:
        return Refused(place, task_id, f"the action is none of {', '.join(ACTIONS)}")
    try:
        revision = int(str(fields.get("revision", "")))
    except ValueError:
        return Refused(place, task_id, "the revision is no whole number")
    seconds = fields.get("active_seconds")
    try:
        active_seconds = None if seconds in (None, "") else float(str(seconds))
    except ValueError:
        return Refused(place, task_id, "active_seconds is no number")
    answer, reason, reviewer = (str(fields.get(name) or "") for name in ("answer", "reason", "reviewer"))
    if not _is_unicode(task_id + answer + reason + reviewer):
        return Refused(place, "", "a text holds half a character")
    return Entered(place, task_id, revision, action, answer, reason, active_seconds, reviewer)


def _is_unicode(text: str) -> bool:
    """False of a lone surrogate, which JSON can write and no message can carry."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _optional(message: Any, name: str) -> Any:
    return getattr(message, name) if message.HasField(name) else None


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _escaped(cell: str) -> str:
    return f"'{cell}" if _is_formula(cell) or _is_marked(cell) else cell


def _unescaped(cell: str) -> str:
    return cell[1:] if _is_marked(cell) else cell


def _is_formula(cell: str) -> bool:
    return cell.startswith(_FORMULA)


def _is_marked(cell: str) -> bool:
    """An apostrophe before a formula, or before another apostrophe: so what is marked is never mistaken for a text as it was."""
    return cell.startswith("'") and cell[1:].startswith((*_FORMULA, "'"))
