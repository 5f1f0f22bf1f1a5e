"""Reads the rows of a MedQ-Bench table, images left out: those are the image set's."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from services.evaluation.domain.benchmark import REQUIRED_COLUMNS
from shared.errors import InvalidArgument, NotFound
from shared.tables import TableRow, read_header, read_rows

_IMAGE_COLUMNS = frozenset({"image", "image_a", "image_b"})


def read_table(path: Path) -> list[TableRow]:
    """The rows of a table as text.

    Args:
        path: A UTF-8 file with a header, separated by tabs, or by commas where its name ends in `.csv`.

    Returns: One a row, in the file's order.

    Raises:
        NotFound: there is no such file.
        InvalidArgument: it is no such text, a needed column is missing, two have one name, or an index occurs twice.
    """
    if not os.path.isfile(path):  # unlike `Path.is_file` false, too, for a path that is too long
        remedy = "Give the path of a TSV file."
        raise NotFound("There is no such table.", field="items_uri", value=path, remedy=remedy)
    _require_columns(read_header(path, "table", "items_uri"), path)
    rows = read_rows(path, "table", "items_uri", _IMAGE_COLUMNS)
    _refuse_repeated_index(rows, path)
    return rows


def _require_columns(columns: Sequence[str], path: Path) -> None:
    missing = [column for column in REQUIRED_COLUMNS if column not in columns]
    if missing:
        raise InvalidArgument(
            f"The table has no column {', '.join(missing)}; its columns are {', '.join(columns)[:300]}.",
            field="items_uri",
            value=path,
            remedy="Name the columns index, image or image_path, question, A, B, C, D, answer, modality; separate by tabs.",
        )


def _refuse_repeated_index(rows: Sequence[TableRow], path: Path) -> None:
    counts = Counter(str(row.cells.get("index", "")).strip() for row in rows if not row.fault)
    repeated = sorted(index for index, n in counts.items() if index and n > 1)
    if repeated:
        raise InvalidArgument(
            f"{len(repeated)} values of the column `index` occur more than once: {', '.join(repeated[:5])}.",
            field="items_uri",
            value=path,
            remedy="Give each row an index of its own.",
        )
