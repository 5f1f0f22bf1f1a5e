"""The program that decodes a manifest in Parquet: the columns that are needed, a few rows at a time, and no more than fits.

The file is its standard input. A small file may hold large values: pages are compressed, and a value that occurs often is
stored once. So what the file says of its sizes is looked at before anything is read, and a batch is so small that it fits
whatever repeats in it. Where the file lies about its sizes, the limit on memory holds (`adapters.child`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
from pyarrow import parquet

from services.embedding.adapters.child import serve
from shared.tables import MOST_COLUMNS, MOST_ROWS

_MOST_BATCH_BYTES = 64 << 20
_MOST_BATCH_ROWS = 1024
_BUFFER = 1 << 20  # bytes that are read ahead, where it would be a whole column of a group of rows


class Wanted(msgspec.Struct):
    """What is asked for.

    Attributes:
        columns: Those that are kept: text, numbers, bytes, or a struct that holds `bytes`.
        most_bytes: So much may they hold, as the file says.
    """

    columns: list[str]
    most_bytes: int


class Piece(msgspec.Struct):
    """A part of the answer: first the names of all columns, then rows until there are none.

    Attributes:
        names: Of the columns, in the first piece.
        rows: Cells of the columns that are kept.
        refused: Why the file is not read, in words of our own.
    """

    names: list[str] = []
    rows: list[dict[str, Any]] = []
    refused: str = ""


def pieces(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The names of the columns, the rows, and at the end a piece without any; or why there are no more."""
    try:
        file = parquet.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER)
        yield Piece(names=_checked(file))
        yield from _rows(file, [name for name in file.schema_arrow.names if name in wanted.columns], wanted.most_bytes)
        yield Piece()
    except _RefusedError as error:
        yield Piece(refused=str(error))
    except MemoryError:
        yield Piece(refused="it needs too much memory")
    except Exception:  # the parser raises errors of many kinds
        yield Piece(refused="it is no Parquet file, or damaged")


class _RefusedError(Exception):
    """Why a file is not read, in words of our own."""


def _checked(file: parquet.ParquetFile) -> list[str]:
    """The names of the columns, where there are not too many, nor too many rows."""
    if file.metadata.num_columns > MOST_COLUMNS:
        raise _RefusedError(f"it has more than {MOST_COLUMNS} columns")
    if file.metadata.num_rows > MOST_ROWS:
        raise _RefusedError(f"it has more than {MOST_ROWS} rows")
    names: list[str] = file.schema_arrow.names
    return names


def _rows(file: parquet.ParquetFile, names: Sequence[str], most_bytes: int) -> Iterator[Piece]:
    for name in names:
        _require_plain(name, file.schema_arrow.field(name).type)
    chunks = [size for group in range(file.metadata.num_row_groups) for size in _chunk_sizes(file, group, names)]
    if sum(chunks) > most_bytes:
        raise _RefusedError(too_much(most_bytes))
    batch_rows = max(1, min(_MOST_BATCH_ROWS, _MOST_BATCH_BYTES // max(chunks, default=1)))
    for batch in file.iter_batches(batch_rows, columns=list(names), use_threads=False):
        if rows := [{name: _cell(value) for name, value in row.items()} for row in batch.to_pylist()]:
            yield Piece(rows=rows)


def _chunk_sizes(file: parquet.ParquetFile, group: int, names: Sequence[str]) -> Iterator[int]:
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


def _cell(value: Any) -> str | float | bytes | None:
    """A picture is bytes, or the struct {bytes, path} of the `datasets` library; of other values the text counts."""
    if isinstance(value, dict):
        value = value["bytes"]
    return value if isinstance(value, str | float | bytes | None) else str(value)


def too_much(most_bytes: int) -> str:
    """Why a file is refused that holds more."""
    return f"the columns that are needed hold more than {most_bytes >> 20} MiB, or too many rows"


def main() -> None:
    """Serve the parent: it asks for the first piece by a `Wanted`, and then for one after the other."""
    pa.set_memory_pool(pa.system_memory_pool())  # others reserve more than they use, and the limit counts that
    told: Iterator[Piece] = iter(())

    def answer(_: bytes, wanted: bytes, __: int) -> bytes:
        nonlocal told
        if wanted:
            told = pieces(sys.stdin.buffer, msgspec.msgpack.decode(wanted, type=Wanted))
        try:
            return msgspec.msgpack.encode(next(told, Piece()))
        except MemoryError:
            return msgspec.msgpack.encode(Piece(refused="it needs too much memory"))

    serve(answer)


if __name__ == "__main__":
    main()
