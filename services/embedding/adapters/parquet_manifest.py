"""Reads a manifest in Parquet: the columns that are needed, a few rows at a time, and no more than fits.

A small file may hold large values: pages are compressed, and a value that occurs often is stored once. So what the file says
of its sizes is looked at before anything is read, a batch is so small that it fits whatever repeats in it, and what was read is
counted.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from shared.errors import InvalidArgument, MedqError
from shared.regular_files import open_regular
from shared.tables import MOST_COLUMNS, MOST_ROWS, MOST_TABLE_BYTES, TableRow, fault_of, require_own_names

MAGIC = b"PAR1"
_MOST_BATCH_BYTES = 256 << 20
_MOST_BATCH_ROWS = 1024
_LONG = 100  # characters


def read_parquet(
    path: Path, wanted: Collection[str], field: str, most_bytes: int = MOST_TABLE_BYTES
) -> tuple[list[TableRow], list[str]]:
    """The rows of a Parquet file, counted from line 2 as in a text with a header, and the names of all its columns.

    Args:
        path: Absolute, without links.
        wanted: Columns that are kept: text, numbers, bytes, or a struct that holds `bytes`.
        field: The input that named it.
        most_bytes: So much may the columns that are kept hold, repeated values counted each time.

    Raises:
        InvalidArgument: It is no Parquet file, too large, damaged, or has two columns of one name.
    """
    with open_regular(path, MOST_TABLE_BYTES, field) as source:
        try:
            file = parquet.ParquetFile(source, pre_buffer=False)
            names = _checked(file, path, field)
            kept = [name for name in names if name in wanted]
            return list(_rows(file, kept, most_bytes)), names
        except _RefusedError as error:
            message, remedy = f"The manifest cannot be read: {error}.", "Split it, or name the files in `image_path`."
        except MedqError:
            raise
        except Exception:  # the parser raises errors of many kinds
            message, remedy = "The manifest cannot be read: it is no Parquet file, or damaged.", "Write it again."
    raise InvalidArgument(message, field=field, value=path.name, remedy=remedy)


class _RefusedError(Exception):
    """Why a file is not read, in words of our own."""


def _checked(file: parquet.ParquetFile, path: Path, field: str) -> list[str]:
    """The names of the columns, where there are not too many, nor too many rows."""
    if file.metadata.num_columns > MOST_COLUMNS:
        raise _RefusedError(f"it has more than {MOST_COLUMNS} columns")
    if file.metadata.num_rows > MOST_ROWS:
        raise _RefusedError(f"it has more than {MOST_ROWS} rows")
    names: list[str] = file.schema_arrow.names
    require_own_names(names, path, "manifest", field)
    return names


def _rows(file: parquet.ParquetFile, names: list[str], most_bytes: int) -> Iterator[TableRow]:
    for name in names:
        _require_plain(name, file.schema_arrow.field(name).type)
    chunks = [size for group in range(file.metadata.num_row_groups) for size in _chunk_sizes(file, group, names)]
    if sum(chunks) > most_bytes:
        raise _too_much(most_bytes)
    left = most_bytes
    batch_rows = max(1, min(_MOST_BATCH_ROWS, _MOST_BATCH_BYTES // max(chunks, default=1)))
    long_texts: dict[str, str] = {}  # what stands in many rows lies in memory once
    line = 1
    for batch in file.iter_batches(batch_rows, columns=names, use_threads=False):
        for row in batch.to_pylist():
            line += 1
            cells = {name: _cell(row[name]) for name in names}
            for name, value in cells.items():
                if isinstance(value, str) and len(value) > _LONG:
                    left -= len(value)
                    cells[name] = long_texts.setdefault(value, value)
            if left < 0 or line > MOST_ROWS + 1:
                raise _too_much(most_bytes)
            yield TableRow(line, cells, fault_of(cells.values()))


def _chunk_sizes(file: parquet.ParquetFile, group: int, names: list[str]) -> Iterator[int]:
    """What the parts of the columns take that lie in one group of rows, not compressed, in bytes, as the file says."""
    columns = file.metadata.row_group(group)
    for place in range(columns.num_columns):
        column = columns.column(place)
        if column.path_in_schema.partition(".")[0] in names:
            yield max(1, column.total_uncompressed_size, column.total_compressed_size)


def _require_plain(name: str, kind: Any) -> None:
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    is_picture = name == "image" and pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
    if pa.types.is_nested(kind) and not is_picture:
        raise _RefusedError(f"its column {name} holds neither text nor numbers")


def _cell(value: Any) -> Any:
    """A picture, which is bytes or the struct {bytes, path} of the `datasets` library, in base64 as a text would have it."""
    if isinstance(value, dict):
        value = value["bytes"]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else "" if value is None else value


def _too_much(most_bytes: int) -> _RefusedError:
    return _RefusedError(f"the columns that are needed hold more than {most_bytes >> 20} MiB, or too many rows")
