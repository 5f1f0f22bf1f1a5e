"""The files of a development set: the table that experts fill in, the same as review tasks, and the table of questions."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from string import ascii_uppercase
from typing import Any

from cli import label_studio, review_files
from cli.dev_questions import DEV_COLUMNS, TEMPLATE_COLUMNS, BadRow, Cells, choices_of, dev_row
from cli.review_files import ASKED, DECIDED, Decisions
from shared.errors import InvalidArgument
from shared.synced import put_in_place
from shared.tables import TableRow, read_header, read_rows, separator_of

TABLE, REVIEW_CSV, REVIEW_JSON, REVIEW_XML = "questions.tsv", "questions.csv", "label-studio.json", "label-studio.xml"
#: A question is asked once: a task of a development set has no second revision.
_REVISION = 1


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    """Write rows under these columns; what a row does not have is empty."""
    with path.open("w", encoding="utf-8", newline="") as lines:
        table = csv.DictWriter(lines, columns, restval="", delimiter=separator_of(path), lineterminator="\n")
        table.writeheader()
        table.writerows({name: row.get(name, "") for name in columns} for row in rows)


def write_questions(folder: Path, rows: Sequence[Cells]) -> None:
    """Write what experts are asked, as a table and in the two forms of `medq review export`."""
    write_table(folder / TABLE, TEMPLATE_COLUMNS, rows)
    records = [_record(row) for row in rows]
    review_files.write_csv(folder / REVIEW_CSV, records)
    label_studio.write_json(folder / REVIEW_JSON, records)
    (folder / REVIEW_XML).write_text(label_studio.CONFIGURATION, encoding="utf-8")


def _record(row: Mapping[str, str]) -> dict[str, Any]:
    """A row as a review task without a proposal."""
    said = {name: row.get(name, "") for name in ASKED} | dict.fromkeys(DECIDED)
    absent = dict.fromkeys(("proposal", "self_answer", "self_entropy", "reference_answer", "agreement"))
    own = {"task_id": row["index"], "revision": _REVISION, "state": "open", "round": 0, "image": row["image_path"]}
    return said | absent | own | {"options": _lettered(row)}


def _lettered(row: Mapping[str, str]) -> dict[str, str]:
    return dict(zip(ascii_uppercase, choices_of(row), strict=False))


def read_questions(file: Path, folder: Path, seed: int) -> tuple[list[Cells], list[BadRow]]:
    """The questions of a filled file, and the rows that are none.

    Args:
        file: The table, or one of the two forms of review tasks; beside these lies the table that they were made of.
        folder: Where the images lie.
        seed: Of the options.

    Raises:
        InvalidArgument: It is none of them.
    """
    decisions = _decisions(file)
    if decisions is None:
        table = _table(file)
        bad: list[BadRow] = []
    else:
        table = [_filled(row, decisions) for row in _table(file.with_name(TABLE))]
        bad = [BadRow(one.task_id or one.place, one.why) for one in decisions.refused]
        known = {row.cells.get("index", "") for row in table}
        bad += [
            BadRow(one.task_id, "the table has no such question")
            for one in decisions.entered
            if one.task_id not in known
        ]
    good: dict[str, Cells] = {}
    for row in table:
        made = _made(row, folder, seed)
        if isinstance(made, BadRow):
            bad.append(BadRow(made.name or f"line {row.line}", made.reason))
        elif made["index"] in good:
            bad.append(BadRow(made["index"], "the index was used before"))
        else:
            good[made["index"]] = made
    return list(good.values()), bad


def _decisions(file: Path) -> Decisions | None:
    if file.suffix.lower() == ".json":
        return label_studio.read_json(file)
    if file.suffix.lower() == ".csv" and "task_id" in read_header(Path(os.path.realpath(file)), "table", "FILE"):
        return review_files.read_csv(file)
    return None


def _filled(row: TableRow, decisions: Decisions) -> TableRow:
    """A row of the table with what a review task decides about it; of two decisions neither counts."""
    mine = [one for one in decisions.entered if one.task_id == row.cells.get("index")]
    if not mine:
        return row
    if len({(one.action, one.answer) for one in mine}) > 1:
        return _with(row, reject="two decisions contradict each other")
    (decided, *_) = mine
    if decided.action == "reject":
        return _with(row, reject=decided.reason or "rejected")
    options = _lettered(row.cells)
    if not options:
        return _with(row, description=decided.answer)
    return _with(row, answer=options.get(decided.answer.strip(), decided.answer))


def _with(row: TableRow, **cells: str) -> TableRow:
    return TableRow(row.line, {**row.cells, **cells}, row.fault)


def _table(file: Path) -> list[TableRow]:
    place = Path(os.path.realpath(file))
    missing = {"index", "image_path", "question", "answer"}.difference(read_header(place, "table", "FILE"))
    if missing:
        remedy = "Fill in what `medq dev-set build` wrote; keep its columns."
        message = f"The table has no column {', '.join(sorted(missing))}."
        raise InvalidArgument(message, field="FILE", value=file.name, remedy=remedy)
    return read_rows(place, "table", "FILE")


def _made(row: TableRow, folder: Path, seed: int) -> Cells | BadRow:
    if row.fault:
        return BadRow("", row.fault.reason)
    made = dev_row(row.cells, seed)
    if isinstance(made, BadRow):
        return made
    path = PurePosixPath(made["image_path"])
    if path.is_absolute() or ".." in path.parts or not (folder / path).is_file():
        return BadRow(made["index"], "its image does not lie below the folder of the new table")
    return made


def write_dev(target: Path, rows: Sequence[Cells]) -> None:
    """Write a development set as `medq run` takes it; the file appears whole."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        write_table(partial, DEV_COLUMNS, rows)
        put_in_place(partial, target)
    finally:
        partial.unlink(missing_ok=True)
