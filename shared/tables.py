"""Tables that people bring, CSV and TSV, row by row; pandas would rename, cut, shift and fill where one is not as it seems.

What is wrong with a whole table refuses it, by the line and without a word of what it holds. What is wrong with a row is a fault
of that row, and the others stand.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from shared.errors import InvalidArgument

#: Longest header line that is looked at, in characters.
_LONGEST_HEADER = 1_000_000
#: A last line of our own: where a cell swallows it, that cell's quotation mark is never closed.
_END = "\0end of the table\0"
_LENGTH_REMEDY = "give it a cell for each column, and put a text that holds the separator between quotation marks"


class Fault(NamedTuple):
    """Why a row cannot be trusted, as `the row has 3 of 9 fields`, and what can be done about it; neither is a whole sentence."""

    reason: str
    remedy: str


@dataclass(frozen=True)
class TableRow:
    """A row.

    Attributes:
        line: Where it begins; the header is line 1.
        cells: Column to text; columns that are not there, or were not asked for, are absent.
        fault: None where it can be trusted.
    """

    line: int
    cells: Mapping[str, Any]
    fault: Fault | None = None


def separator_of(path: Path) -> str:
    """A comma where the name ends in `.csv`, else a tab."""
    return "," if path.suffix.lower() == ".csv" else "\t"


def read_header(path: Path, what: str, field: str) -> list[str]:
    """The names of the columns.

    Args:
        path: A UTF-8 file.
        what: What people call it: `table`, `manifest`.
        field: The input that named it.

    Raises:
        InvalidArgument: It is empty, not UTF-8, or names two columns alike.
        OSError: It cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            header = next(csv.reader([lines.readline(_LONGEST_HEADER)], delimiter=separator_of(path)), [])
    except UnicodeDecodeError:
        raise _refused(f"The {what} cannot be read: {_bad_line(path)}.", path, field) from None
    if not any(header):
        raise _refused(f"The {what} cannot be read: it is empty.", path, field)
    require_own_names(header, path, what, field)
    return header


def read_rows(path: Path, what: str, field: str, skipped: Collection[str] = ()) -> list[TableRow]:
    """The rows of a table; lines without any text are no rows.

    Args:
        path, what, field: See `read_header`.
        skipped: Columns that are not kept.

    Raises:
        InvalidArgument: As `read_header`, or a quotation mark is never closed.
    """
    read_header(path, what, field)
    csv.field_size_limit(sys.maxsize)  # a cell may hold a picture
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return list(_rows(csv.reader(_with_end(lines), delimiter=separator_of(path)), skipped))
    except UnicodeDecodeError:
        raise _refused(f"The {what} cannot be read: {_bad_line(path)}.", path, field) from None
    except csv.Error as error:
        raise _refused(f"The {what} cannot be read: {error}.", path, field) from None


def require_own_names(columns: Iterable[str], path: Path, what: str, field: str) -> None:
    """Refuse two columns of one name; several may have none.

    Raises:
        InvalidArgument: There are two.
    """
    named = [name for name in columns if name]
    if len(set(named)) < len(named):
        raise InvalidArgument(
            f"Two columns of the {what} have one name.",
            field=field,
            value=path.name,
            remedy="Keep one of them; each name stands once, `answer` too.",
        )


def fault_of(cells: Iterable[object]) -> Fault | None:
    """What is wrong with cells whatever the kind of table."""
    is_torn = any(isinstance(cell, str) and "\0" in cell for cell in cells)
    return Fault("the row holds a NUL byte", "save the table as UTF-8 text again") if is_torn else None


def _rows(reader: Any, skipped: Collection[str]) -> Iterator[TableRow]:
    header = next(reader)
    kept = [name if name not in skipped else "" for name in header]
    line = reader.line_num + 1
    for row in reader:
        if row == [_END]:
            return
        if row and row[-1].endswith(_END):
            opened = reader.line_num - row[-1].count("\n")
            raise csv.Error(f"a quotation mark is opened in line {opened} and never closed")
        if len(row) >= len(header) or any(cell.strip() for cell in row):
            cells = {name: cell for name, cell in zip(kept, row, strict=False) if name}
            yield TableRow(line, cells, _fault_of_length(len(row), len(header)) or fault_of(row))
        line = reader.line_num + 1


def _fault_of_length(n: int, n_columns: int) -> Fault | None:
    if n < n_columns:
        return Fault(f"the row has {n} of {n_columns} fields", _LENGTH_REMEDY)
    return Fault(f"the row has {n} fields, the header has {n_columns}", _LENGTH_REMEDY) if n > n_columns else None


def _with_end(lines: Iterable[str]) -> Iterator[str]:
    line = "\n"
    for line in lines:
        yield line if line.endswith(("\n", "\r")) else f"{line}\n"
    yield _END


def _bad_line(path: Path) -> str:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return f"line {number} is not UTF-8"
    return "it is not UTF-8"


def _refused(message: str, path: Path, field: str) -> InvalidArgument:
    kind = "comma-separated" if separator_of(path) == "," else "tab-separated"
    remedy = f"Save it as {kind} UTF-8 text with a header line."
    return InvalidArgument(message, field=field, value=path.name, remedy=remedy)
