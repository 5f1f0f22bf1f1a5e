"""`medq score`: read stored replies as the leaderboard does and as their writers meant them."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from cli.access import Access
from cli.connection import connect
from cli.options import Json
from cli.output import PARTIAL, console, print_json, print_table, shown_errors
from medq.evaluation.v1 import evaluation_pb2 as pb
from medq.evaluation.v1 import evaluation_pb2_grpc as pb_grpc
from shared.errors import InvalidArgument
from shared.rows.fields import LETTERS
from shared.tables import TableRow, read_header, read_rows, separator_of

UNSCORED = "UNSCORED"
_COLUMNS = ("index", "question", "A", "B", "answer", "prediction")
_ADDED = ("official_choice", "official_correct", "strict_choice", "strict_correct")
_MOST_REPLIES, _MOST_BYTES = 5000, 2**19
_TOO_LONG = "the row is longer than 512 KiB"


def score(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="A TSV or CSV with index, question, A to E, answer, prediction."
        ),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", dir_okay=False, help="Where the scored copy goes; else NAME.scored.tsv beside it."),
    ] = None,
    access: Access,
    is_json: Json = False,
) -> None:
    """Score stored replies in both ways; the copy has the choices, and whether they are right.

    A reply that cannot be read counts as wrong in the accuracy. Rows that cannot be scored end the command with exit code 3.
    """
    target = out or file.with_suffix(".scored.tsv")
    with shown_errors(is_json):
        columns, rows = _read(file)
        with TemporaryDirectory(prefix="medq-") as folder, connect(Path(folder), access) as channels:
            scored = _scored(pb_grpc.EvaluationServiceStub(channels["evaluation"]), rows)
        _write(target, [*columns, *(name for name in _ADDED if name not in columns)], rows, scored)
    summary = summarised(scored)
    if is_json:
        print_json({**summary, "out": str(target)})
    else:
        _show(summary, target)
    if summary["not_scored"]:
        raise typer.Exit(PARTIAL)


def summarised(scored: Sequence[pb.ScoredReply]) -> dict[str, Any]:
    """Counts and shares of scored replies; a share of nothing is None.

    Returns: `n` of the replies that can be scored, `not_scored` by reason, `disagree` (the share whose two choices differ),
        and for `official` and `strict`: `accuracy` over all n, `accuracy_of_readable`, and `coverage` (the share with a choice).
    """
    replies = [reply for reply in scored if not reply.refusal]

    def reading(choices: list[str]) -> dict[str, float | None]:
        right = sum(choice == reply.answer for choice, reply in zip(choices, replies, strict=True))
        readable = sum(map(bool, choices))
        return {
            "accuracy": _share(right, len(replies)),
            "accuracy_of_readable": _share(right, readable),
            "coverage": _share(readable, len(replies)),
        }

    return {
        "n": len(replies),
        "not_scored": dict(Counter(reply.refusal for reply in scored if reply.refusal)),
        "official": reading([reply.official_choice for reply in replies]),
        "strict": reading([reply.strict_choice for reply in replies]),
        "disagree": _share(sum(reply.official_choice != reply.strict_choice for reply in replies), len(replies)),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _read(file: Path) -> tuple[list[str], list[TableRow]]:
    """The columns of a table, and its rows; where several columns have no name, they are left out."""
    place = Path(os.path.realpath(file))
    columns = [name for name in read_header(place, "table", "FILE") if name]
    rows = read_rows(place, "table", "FILE")
    missing = [name for name in _COLUMNS if name not in columns]
    if missing:
        remedy = f"Name the columns {', '.join(_COLUMNS)}; C, D and E where there are such options."
        message = f"The table has no column {', '.join(missing)}."
        raise InvalidArgument(message, field="FILE", value=file, remedy=remedy)
    return columns, rows


def _scored(stub: pb_grpc.EvaluationServiceStub, rows: Sequence[TableRow]) -> list[pb.ScoredReply]:
    """What the service says of each row, in their order; a row that cannot be trusted has the reason as its refusal."""
    scored: list[pb.ScoredReply] = []
    for batch in _batches(rows):
        replies = [reply for reply in batch if isinstance(reply, pb.StoredReply)]
        answered = iter(stub.ScoreReplies(pb.ScoreRepliesRequest(replies=replies)).replies)
        scored += [pb.ScoredReply(refusal=reply) if isinstance(reply, str) else next(answered) for reply in batch]
    return scored


def _batches(rows: Sequence[TableRow]) -> Iterator[list[pb.StoredReply | str]]:
    """Requests of about 512 KiB, 1 MiB at most; for a row that is no reply, the reason."""
    batch: list[pb.StoredReply | str] = []
    size = 0
    for row in rows:
        reply = row.fault.reason if row.fault else _reply(row.cells)
        batch.append(reply)
        size += 0 if isinstance(reply, str) else reply.ByteSize() + 8
        if size > _MOST_BYTES or len(batch) == _MOST_REPLIES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _reply(cells: Mapping[str, str]) -> pb.StoredReply | str:
    options = {letter: cells[letter] for letter in LETTERS if letter in cells}
    reply = pb.StoredReply(options=options, answer=cells["answer"], prediction=cells["prediction"])
    return _TOO_LONG if reply.ByteSize() > _MOST_BYTES else reply


def _write(target: Path, columns: Sequence[str], rows: Sequence[TableRow], scored: Sequence[pb.ScoredReply]) -> None:
    """The rows with the four columns; a row that cannot be scored is UNSCORED in each."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", newline="") as lines:
        table = csv.DictWriter(lines, columns, restval="", delimiter=separator_of(target), lineterminator="\n")
        table.writeheader()
        for row, reply in zip(rows, scored, strict=True):
            table.writerow({**row.cells, **dict(zip(_ADDED, _cells(reply), strict=True))})


def _cells(reply: pb.ScoredReply) -> tuple[str | int, ...]:
    """Choice and correctness, official and strict; the published evaluator itself counts what it cannot read as wrong."""
    if reply.refusal:
        return (UNSCORED,) * 4
    strict = int(reply.strict_choice == reply.answer) if reply.strict_choice else UNSCORED
    official = int(reply.official_choice == reply.answer)
    return reply.official_choice or UNSCORED, official, reply.strict_choice or UNSCORED, strict


def _show(summary: dict[str, Any], target: Path) -> None:
    names = ("accuracy", "accuracy_of_readable", "coverage")
    rows = [(way, *(_text(summary[way][name]) for name in names)) for way in ("official", "strict")]
    print_table(f"{summary['n']} replies", ("reading", "accuracy of all", "of the readable", "coverage"), rows)
    console.print(f"The two readings differ on {_text(summary['disagree'])} of the replies.")
    for reason, count in sorted(summary["not_scored"].items()):
        console.print(f"Not scored: {count} ({reason}).")
    console.print(f"Every reply: {target}")


def _text(share: float | None) -> str:
    return UNSCORED if share is None else f"{share:.3f}"
