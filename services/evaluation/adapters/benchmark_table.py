"""Reads the rows of a MedQ-Bench TSV, images left out: those are the image set's."""

from __future__ import annotations

import csv
import os
import re
import sys
from pathlib import Path

import pandas as pd

from services.evaluation.domain.benchmark import REQUIRED_COLUMNS
from shared.errors import InvalidArgument, NotFound

_IMAGE_COLUMNS = frozenset({"image", "image_a", "image_b"})


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a table as text.

    Args:
        path: A UTF-8 file with a header, separated by tabs, or by commas where its name ends in `.csv`.

    Returns: One mapping a row, column to text, in the file's order.

    Raises:
        NotFound: there is no such file.
        InvalidArgument: it is not tab-separated text, a needed column is missing, rows are longer than the header,
            or an index occurs twice.
    """
    if not os.path.isfile(path):  # unlike `Path.is_file` false, too, for a path that is too long
        remedy = "Give the path of a TSV file."
        raise NotFound("There is no such table.", field="items_uri", value=path, remedy=remedy)
    try:
        frame = pd.read_csv(
            path,
            sep="," if path.suffix.lower() == ".csv" else "\t",
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            usecols=lambda column: column not in _IMAGE_COLUMNS,
        )
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InvalidArgument(
            f"The table cannot be read: {_what_is_wrong(path, error)}.",
            field="items_uri",
            value=path,
            remedy="Save it as tab-separated UTF-8 text with a header line.",
        ) from None
    frame = frame.fillna("")  # a row with fewer fields than the header
    _require_columns(frame, path)
    _refuse_shape(path)
    _refuse_repeated_index(frame["index"].str.strip(), path)
    rows: list[dict[str, str]] = frame.to_dict("records")
    return rows


def _what_is_wrong(path: Path, error: Exception) -> str:
    """The line and what is wrong in it, as far as that is known; nothing of what the line holds."""
    if isinstance(error, UnicodeDecodeError):
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    line.decode()
                except UnicodeDecodeError:
                    return f"line {number} is not UTF-8"
    row = re.search(r"inside string starting at row (\d+)", str(error))
    if row:
        return f"a quotation mark is opened in line {int(row.group(1)) + 1} and never closed"
    fields = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    if fields:
        return f"line {fields.group(2)} has {fields.group(3)} fields, the header has {fields.group(1)}"
    return "it is empty" if isinstance(error, pd.errors.EmptyDataError) else "it is no table"


def _refuse_shape(path: Path) -> None:
    """Refuse two columns of one name, and a row that is longer than the header: pandas renames the one and cuts the other."""
    csv.field_size_limit(sys.maxsize)  # a cell may hold a picture
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        rows = csv.reader(lines, delimiter="," if path.suffix.lower() == ".csv" else "\t")
        header = next(rows, [])
        too_long = [number for number, row in enumerate(rows, 2) if len(row) > len(header)]
    named = [name for name in header if name]
    if len(set(named)) < len(named):
        what, remedy = (
            "Two columns of the table have one name.",
            "Keep one of them; each name stands once, `answer` too.",
        )
    elif too_long:
        what = f"{len(too_long)} rows have more fields than the header, the first is row {too_long[0]}."
        remedy = "Name every column, also an empty one at the end, and quote a text that holds the separator."
    else:
        return
    raise InvalidArgument(what, field="items_uri", value=path, remedy=remedy)


def _require_columns(frame: pd.DataFrame, path: Path) -> None:
    if not isinstance(frame.index, pd.RangeIndex):  # pandas would shift the columns
        raise InvalidArgument(
            "The rows have more fields than the header.",
            field="items_uri",
            value=path,
            remedy="Name every column, also an empty one at the end.",
        )
    seen = [str(column) for column in frame.columns]
    missing = [column for column in REQUIRED_COLUMNS if column not in seen]
    if missing:
        raise InvalidArgument(
            f"The table has no column {', '.join(missing)}; its columns are {', '.join(seen)[:300]}.",
            field="items_uri",
            value=path,
            remedy="Name the columns index, image or image_path, question, A, B, C, D, answer, modality; separate by tabs.",
        )


def _refuse_repeated_index(index: pd.Series[str], path: Path) -> None:
    repeated = sorted(set(index[index.duplicated() & (index != "")]))
    if repeated:
        raise InvalidArgument(
            f"{len(repeated)} values of the column `index` occur more than once: {', '.join(repeated[:5])}.",
            field="items_uri",
            value=path,
            remedy="Give each row an index of its own.",
        )
