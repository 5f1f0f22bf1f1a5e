"""What a person or a program sees: tables and progress on standard error or a terminal, data on standard output.

Exit codes: 0 done; 1 failed; 2 wrong input or usage; 3 done, but a part was lost: a file, a row or a stored reply could not be
taken in, a question could not be answered, or an answer could not be evaluated; 4 a service does not answer; 130 interrupted.
What is left out on purpose (a repeated picture, a row of another split, an excluded leak, what quality assurance or an expert
takes out, what the budget does not cover) is told and leaves the code at 0.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared import errors
from shared.rows.evaluation import Description, Score
from shared.statistics import FEW_SOURCES
from shared.status import typed

#: Stands after an interval of few sources.
_FEW = " *"
DONE, FAILED, WRONG_INPUT, PARTIAL, NO_ANSWER, INTERRUPTED = 0, 1, 2, 3, 4, 130
#: Columns of a table of descriptions: the axes of a judge, 0 to 2, their sum, and the level that needs no judge.
GRADE_COLUMNS = ("compl.", "prec.", "cons.", "quality", "overall 0-8", "level", "judged", "UNSCORED")
#: For people; data go to standard output. What it prints is text as it stands: names of files may look like markup.
console = Console(stderr=True, highlight=False, markup=False, emoji=False)


def print_json(data: Mapping[str, Any]) -> None:
    """Write one JSON object to standard output."""
    sys.stdout.write(json.dumps(data, indent=2, sort_keys=True) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Show a table to a person."""
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*[str(cell) for cell in row])
    console.print(table)


def print_few_sources(scores: Iterable[Score]) -> None:
    """Say what the mark of few sources means, where one of the scores that were shown bears it."""
    if any(_is_few(score.n_sources) for score in scores):
        console.print(
            f"{_FEW.strip()} few sources: fewer than {FEW_SOURCES} patients or acquisitions, so the interval is wide."
        )


def score_text(score: Score) -> str:
    """A score with its interval: `0.713 [0.650, 0.771]`, or UNSCORED."""
    if score.value is None:
        return "UNSCORED"
    return interval_text(msgspec.to_builtins(score))


def grade_cells(scores: Description) -> tuple[object, ...]:
    """The cells of `GRADE_COLUMNS`."""
    axes = (scores.completeness, scores.preciseness, scores.consistency, scores.quality_accuracy, scores.overall)
    means = [interval_text(msgspec.to_builtins(mean)) for mean in (*axes, scores.level_accuracy)]
    return *means, scores.overall.n, scores.overall.unscored


def interval_text(interval: Mapping[str, Any] | None, sign: str = "") -> str:
    """A value with its limits, and a mark where they come from few sources; `sign` is "+" for a difference."""
    if interval is None or interval["value"] is None:
        return "-"
    few = _FEW if _is_few(interval.get("n_sources")) else ""
    value, low, high = (interval[name] for name in ("value", "low", "high"))
    if low is None or high is None:
        return f"{value:{sign}.3f}{few}"
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]{few}"


def _is_few(n_sources: int | None) -> bool:
    return n_sources is not None and n_sources < FEW_SOURCES


def coverage_text(score: Score) -> str:
    """The share of replies that could be read: `70.0 %`."""
    return "-" if score.coverage is None else f"{100 * score.coverage:.1f} %"


@contextmanager
def shown_errors(is_json: bool) -> Iterator[None]:
    """Turn a typed error into a message with its remedy and an exit code; nothing else is caught."""
    try:
        yield
    except KeyboardInterrupt:
        console.print("\nInterrupted. The same command goes on where it was.")
        raise typer.Exit(INTERRUPTED) from None
    except (errors.MedqError, grpc.RpcError) as error:
        known = typed(error)
        if is_json:
            print_json({"error": {"reason": known.reason, "message": known.message, **known.metadata}})
        else:
            console.print(Text.assemble(("Error: ", "bold red"), known.message))
            if known.field:
                console.print(f"  {known.field}: {known.value}" if known.value else f"  {known.field}")
            if known.remedy:
                console.print(f"  {known.remedy}")
        raise typer.Exit(_exit_code(known)) from None


def _exit_code(error: errors.MedqError) -> int:
    if isinstance(error, errors.InvalidArgument):
        return WRONG_INPUT
    if isinstance(error, errors.Unavailable | errors.DeadlineExceeded):
        return NO_ANSWER
    return FAILED
