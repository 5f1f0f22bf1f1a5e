"""Reads the rows of a MedQ-Bench table, images left out: those are the image set's."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from services.evaluation.domain.benchmark import PAIR_COLUMNS, missing_columns
from shared.errors import InvalidArgument, NotFound
from shared.tables import TableRow, read_header, read_rows


def read_table(path: Path) -> list[TableRow]:
    """The rows of a table as text.

    Args:
        path: A UTF-8 file with a header; `shared.tables.separator_of` says what its cells are separated by.

    Returns: One a row, in the file's order.

    Raises:
        NotFound: there is no such file.
        InvalidArgument: it is no such text, a needed column is missing, two have one name, or an index occurs twice.
    """
    if not os.path.lexists(path):  # unlike `Path.exists` false, too, for a path that is too long
        remedy = "Give the path of a TSV file."
        raise NotFound("There is no such table.", field="items_uri", value=path, remedy=remedy)
    _require_columns(read_header(path, "table", "items_uri"), path)
    rows = read_rows(path, "table", "items_uri", skipped=["image"], marked=PAIR_COLUMNS)
    _refuse_repeated_index(rows, path)
    return rows


def _require_columns(columns: Sequence[str], path: Path) -> None:
    missing = missing_columns(columns)
    if missing:
        raise InvalidArgument(
            # Not which: the first line of a file that is no table may be a token, or a patient.
            f"The table has no column {', '.join(missing)} among its {len(columns)}.",
            field="items_uri",
            value=path,
            remedy="Name the columns index, image or image_path, question, A, B, C, D, answer, modality, or description in place "
            "of question to answer; separate by tabs.",
        )


def _refuse_repeated_index(rows: Sequence[TableRow], path: Path) -> None:
    counts = Counter(str(row.cells.get("index", "")).strip() for row in rows if not row.fault)
    repeated = {index for index, n in counts.items() if index and n > 1}
    if repeated:
        again = [row.line for row in rows if not row.fault and str(row.cells.get("index", "")).strip() in repeated]
        raise InvalidArgument(
            f"{len(repeated)} values of the column `index` occur more than once: "
            f"lines {', '.join(map(str, again[:5]))}{', ...' if len(again) > 5 else ''}.",
            field="items_uri",
            value=path,
            remedy="Give each row an index of its own.",
        )
