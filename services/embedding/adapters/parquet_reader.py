"""The program that reads a Parquet manifest for the embedding service: `python -m services.embedding.adapters.parquet_reader`.

Arrow ends the whole process where some files are damaged, so it is this one, a `Child`. A small file may hold large values:
pages are compressed, and a value that occurs often is stored once. So what the file says of its sizes is looked at before
anything is read, a batch is so small that it fits whatever repeats in it, and what was read is counted.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from pyarrow import parquet

from services.embedding.adapters.child import serve
from shared.errors import InvalidArgument, MedqError, encode_error
from shared.regular_files import open_regular
from shared.tables import MOST_COLUMNS, MOST_ROWS, MOST_TABLE_BYTES, TableRow, fault_of, require_own_names

_MOST_BATCH_BYTES = 128 << 20
_MOST_BATCH_ROWS = 1024
_BUFFER = 1 << 20  # bytes read ahead; without it a whole column of a group of rows


class Asked(msgspec.Struct):
    """What is read of a file: the first question; after it each empty one is answered with more rows.

    Attributes:
        wanted: Columns that are kept: text, numbers, bytes, or a struct that holds `bytes`.
        field: The input that named the file.
        most_bytes: So much may the columns that are kept hold, repeated values counted each time.
    """

    wanted: tuple[str, ...]
    field: str
    most_bytes: int


class Part(msgspec.Struct):
    """An answer: first the names of all columns, then rows, none of them at the end; or why it is not read."""

    names: list[str] = []
    rows: list[TableRow] = []
    error: dict[str, Any] | None = None


class ParquetReader:
    """Answers about one file; keeps it open."""

    def __init__(self) -> None:
        self._parts: Iterator[Part] = iter(())

    def answer(self, path: bytes, asked: bytes, memory_mib: int) -> bytes:
        """The next part of a file, in MessagePack; where a path is given, the first one of that."""
        if path:
            self._parts = _parts(Path(os.fsdecode(path)), msgspec.msgpack.decode(asked, type=Asked))
        try:
            part = next(self._parts, Part())
        except MedqError as error:
            part = Part(error=encode_error(error))
        except MemoryError:
            part = Part(error=encode_error(_refused(f"reading it needs more than {memory_mib} MiB")))
        except Exception:  # the parser raises errors of many kinds
            part = Part(error=encode_error(damaged()))
        return msgspec.msgpack.encode(part)


def damaged() -> InvalidArgument:
    """The error for what is no Parquet file, or a broken one."""
    message = "The manifest cannot be read: it is no Parquet file, or damaged."
    return InvalidArgument(message, remedy="Write it again.")


def _parts(path: Path, asked: Asked) -> Iterator[Part]:
    with open_regular(path, MOST_TABLE_BYTES) as source:
        file = parquet.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER)
        names = _checked(file, path, asked.field)
        yield Part(names=names)
        for rows in _batches(file, [name for name in names if name in asked.wanted], asked.most_bytes):
            yield Part(rows=rows)


def _checked(file: parquet.ParquetFile, path: Path, field: str) -> list[str]:
    """The names of the columns, where there are not too many, nor too many rows."""
    if file.metadata.num_columns > MOST_COLUMNS:
        raise _refused(f"it has more than {MOST_COLUMNS} columns")
    if file.metadata.num_rows > MOST_ROWS:
        raise _refused(f"it has more than {MOST_ROWS} rows")
    names: list[str] = file.schema_arrow.names
    require_own_names(names, path, "manifest", field)
    return names


def _batches(file: parquet.ParquetFile, names: list[str], most_bytes: int) -> Iterator[list[TableRow]]:
    for name in names:
        _require_plain(name, file.schema_arrow.field(name).type)
    chunks = [size for group in range(file.metadata.num_row_groups) for size in _chunk_sizes(file, group, names)]
    if sum(chunks) > most_bytes:
        raise _too_much(most_bytes)
    left, line = most_bytes, 1
    batch_rows = max(1, min(_MOST_BATCH_ROWS, _MOST_BATCH_BYTES // max(chunks, default=1)))
    for batch in file.iter_batches(batch_rows, columns=names, use_threads=False):
        rows = []
        for row in batch.to_pylist():
            line += 1
            cells = {name: _cell(row[name]) for name in names}
            left -= sum(len(value) for value in cells.values() if isinstance(value, str))
            if left < 0 or line > MOST_ROWS + 1:
                raise _too_much(most_bytes)
            rows.append(TableRow(line, cells, fault_of(cells.values())))
        if rows:
            yield rows


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
        raise _refused(f"its column {name} holds neither text nor numbers")


def _cell(value: Any) -> str | float | bool:
    """Text or a number; a picture, which is bytes or the struct {bytes, path} of the `datasets` library, in base64."""
    if isinstance(value, dict):
        value = value["bytes"]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if value is None:
        return ""
    return value if isinstance(value, str | int | float | bool) else str(value)


def _refused(why: str) -> InvalidArgument:
    return InvalidArgument(
        f"The manifest cannot be read: {why}.", remedy="Split it, or name the files in `image_path`."
    )


def _too_much(most_bytes: int) -> InvalidArgument:
    return _refused(f"the columns that are needed hold more than {most_bytes >> 20} MiB, or too many rows")


if __name__ == "__main__":
    serve(ParquetReader().answer)
