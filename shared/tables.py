"""Tables that people bring, CSV and TSV, row by row; pandas would rename, cut, shift and fill where one is not as it seems.

What is wrong with a whole table refuses it, by the line and without a word of what it holds. What is wrong with a row is a fault
of that row, and the others stand.
"""

from __future__ import annotations

import codecs
import csv
import io
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from shared.errors import InvalidArgument
from shared.regular_files import open_regular

#: The largest table: of most, what it holds lies in memory at last.
MOST_TABLE_BYTES = 2 << 30
MOST_ROWS = 1_000_000
MOST_COLUMNS = 10_000
#: Longest row, in characters: one picture in base64. The parser needs four bytes for each.
LONGEST_ROW = 64 << 20
#: Most separators and lines of a row; a text between quotation marks may hold some.
_MOST_SEPARATORS = _MOST_LINES_OF_A_ROW = 4 * MOST_COLUMNS
#: Most lines of all, empty ones among them.
_MOST_LINES = 4 * MOST_ROWS
#: Longest header line, in characters.
_LONGEST_HEADER = 1_000_000
#: Stands for what a marked column holds.
HELD = "..."
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
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


class _BadTableError(Exception):
    """What is wrong with a whole table, in words of our own."""


def separator_of(path: Path, header: str = "\t") -> str:
    """What stands between the cells of a row.

    Args:
        path: A name that ends in `.csv` or `.tsv` says it.
        header: The first line says it of a file of another name, such as one out of a cache: a tab if it holds one.
    """
    return _SEPARATORS.get(path.suffix.lower(), "\t" if "\t" in header else ",")


def read_header(path: Path, what: str, field: str) -> list[str]:
    """The names of the columns.

    Args:
        path: A UTF-8 file; absolute and without links (`shared.paths.local_path`, `os.path.realpath`).
        what: What people call it: `table`, `manifest`.
        field: The input that named it.

    Raises:
        InvalidArgument: It is no file, empty, not UTF-8, too large, or names two columns alike.
    """
    with _opened(path, what, field) as (header, _):
        return header


def read_rows(
    path: Path, what: str, field: str, skipped: Collection[str] = (), marked: Collection[str] = ()
) -> list[TableRow]:
    """All that `iterate_rows` gives; raises as that."""
    return list(iterate_rows(path, what, field, skipped, marked))


def iterate_rows(
    path: Path, what: str, field: str, skipped: Collection[str] = (), marked: Collection[str] = ()
) -> Iterator[TableRow]:
    """The rows of a table, one at a time; lines without any text are no rows.

    Args:
        path, what, field: See `read_header`.
        skipped: Columns that are not kept.
        marked: Columns of which is only kept whether a cell holds something: it is `HELD` there.

    Raises:
        InvalidArgument: As `read_header`, or it has too many rows, or a quotation mark is never closed; this is noticed where
            it stands, behind good rows.
    """
    with _opened(path, what, field) as (_, lines):
        yield from _rows(lines, skipped, marked)


@contextmanager
def _opened(path: Path, what: str, field: str) -> Iterator[tuple[list[str], _Lines]]:
    """The names of the columns, and all lines. Whatever is wrong while the block reads them is told without quoting them."""
    csv.field_size_limit(sys.maxsize)  # a cell may hold a picture; the length of a row is bounded
    with open_regular(path, MOST_TABLE_BYTES, field) as source:
        try:
            text = io.TextIOWrapper(source, "utf-8-sig", newline="")
            first = text.readline(_LONGEST_HEADER + 1)
            separator = separator_of(path, first)
            header = _header(first, separator)
            require_own_names(header, path, what, field)
            text.seek(0)
            yield header, _Lines(text, separator)
        except UnicodeDecodeError:
            why = _bad_line(source)
        except csv.Error:
            why = "a line is no row of a table"
        except OSError:
            why = "the file ended in an error"
        except _BadTableError as error:
            why = str(error)
        else:
            return
    raise InvalidArgument(
        f"The {what} cannot be read: {why}.",
        field=field,
        value=path.name,
        remedy="Save it as UTF-8 text with a header line, cells separated by commas (.csv) or tabs (.tsv).",
    )


def _header(line: str, separator: str) -> list[str]:
    if len(line) > _LONGEST_HEADER:
        raise _BadTableError(f"its first line is longer than {_LONGEST_HEADER} characters")
    header = next(csv.reader([line], delimiter=separator), [])
    if not any(header):
        raise _BadTableError("it is empty")
    if len(header) > MOST_COLUMNS:
        raise _BadTableError(f"it has more than {MOST_COLUMNS} columns")
    return header


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


class _Lines:
    """The lines of a table with a last one of our own; no row of them becomes larger than what we hold at once.

    Args:
        text: The file, as text.
        separator: What stands between cells.
    """

    def __init__(self, text: io.TextIOWrapper, separator: str) -> None:
        self._text, self.separator = text, separator
        self._is_over = False
        self._n, self._chars_left = 0, MOST_TABLE_BYTES  # a file of the system may be longer than it says
        self.begin_row()

    def begin_row(self) -> None:
        """What is read from here on belongs to another row."""
        self._row_left, self._separators_left = LONGEST_ROW, _MOST_SEPARATORS
        self._last_line = self._n + _MOST_LINES_OF_A_ROW

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._is_over:
            raise StopIteration
        line = self._text.readline(self._row_left + 1)
        self._n += 1
        self._row_left -= len(line)
        self._chars_left -= len(line)
        self._separators_left -= line.count(self.separator)
        if self._row_left < 0 or self._separators_left < 0 or self._n > self._last_line:
            raise _BadTableError(f"the row at line {self._n} is too long; is a quotation mark never closed?")
        if self._chars_left < 0 or self._n > _MOST_LINES:
            raise _BadTableError("it is too long")
        if not line:
            self._is_over = True
            return _END
        return line if line.endswith(("\n", "\r")) else f"{line}\n"


def _rows(lines: _Lines, skipped: Collection[str], marked: Collection[str]) -> Iterator[TableRow]:
    reader = csv.reader(lines, delimiter=lines.separator)
    header = next(reader)
    kept = [name if name not in skipped else "" for name in header]
    line, n = reader.line_num + 1, 0
    lines.begin_row()
    for row in reader:
        lines.begin_row()
        if row == [_END]:
            return
        if row and row[-1].endswith(_END):
            opened = reader.line_num - row[-1].count("\n")
            raise _BadTableError(f"a quotation mark is opened in line {opened} and never closed")
        if len(row) >= len(header) or any(cell.strip() for cell in row):
            n += 1
            if n > MOST_ROWS:
                raise _BadTableError(f"it has more than {MOST_ROWS} rows")
            cells = {name: cell for name, cell in zip(kept, row, strict=False) if name}
            cells |= {name: HELD for name in marked if cells.get(name, "").strip()}
            yield TableRow(line, cells, _fault_of_length(len(row), len(header)) or fault_of(row))
        line = reader.line_num + 1


def _fault_of_length(n: int, n_columns: int) -> Fault | None:
    if n < n_columns:
        return Fault(f"the row has {n} of {n_columns} fields", _LENGTH_REMEDY)
    return Fault(f"the row has {n} fields, the header has {n_columns}", _LENGTH_REMEDY) if n > n_columns else None


def _bad_line(source: BinaryIO) -> str:
    """Which line is not UTF-8."""
    source.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    number = 1
    for piece in iter(partial(source.read, 1 << 20), b""):
        try:
            decoder.decode(piece)
        except UnicodeDecodeError as error:
            number += error.object[: error.start].count(b"\n")
            break
        number += piece.count(b"\n")
    return f"line {number} is not UTF-8"
