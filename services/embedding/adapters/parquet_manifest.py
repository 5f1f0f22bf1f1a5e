"""Reads a manifest in Parquet. A child process decodes it (`adapters.parquet_reader`); here its rows are counted and judged."""

from __future__ import annotations

import base64
from collections.abc import Collection, Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from services.embedding.adapters.parquet_reader import Piece, Wanted, too_much
from services.embedding.adapters.readers import Child, DeadError, LateError, Limits
from shared.errors import InvalidArgument
from shared.regular_files import open_regular
from shared.tables import MOST_ROWS, MOST_TABLE_BYTES, TableRow, fault_of, require_own_names

MAGIC = b"PAR1"
_PROGRAM = ("-m", "services.embedding.adapters.parquet_reader")
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
        Unavailable: The process that decodes it does not start.
    """
    with open_regular(path, MOST_TABLE_BYTES, field) as source:
        told = _told(source, Wanted(list(wanted), most_bytes))
        try:
            names = next(told).names
            require_own_names(names, path, "manifest", field)
            return list(_rows(told, most_bytes)), names
        except _RefusedError as error:
            message, remedy = f"The manifest cannot be read: {error}.", "Write it again, split it, or use `image_path`."
        finally:
            told.close()
    raise InvalidArgument(message, field=field, value=path.name, remedy=remedy)


class _RefusedError(Exception):
    """Why a file is not read, in words of our own."""


def _told(source: BinaryIO, wanted: Wanted) -> Generator[Piece]:
    """What the child tells, up to the end; the child ends with it."""
    child = Child(_PROGRAM, Limits(), source)
    try:
        child.await_ready()
        question = msgspec.msgpack.encode(wanted)
        while True:
            piece = msgspec.msgpack.decode(child.ask(question, b""), type=Piece)
            if piece.refused:
                raise _RefusedError(piece.refused)
            yield piece
            if not piece.rows and not question:
                return
            question = b""
    except (DeadError, LateError, msgspec.MsgspecError):
        raise _RefusedError("it ended the process that reads it, or took too long") from None
    finally:
        child.end()


def _rows(told: Iterator[Piece], most_bytes: int) -> Iterator[TableRow]:
    left, line = most_bytes, 1
    long_texts: dict[str, str] = {}  # what stands in many rows lies in memory once
    for piece in told:
        for row in piece.rows:
            line += 1
            cells: dict[str, Any] = {name: _text(value) for name, value in row.items()}
            for name, value in cells.items():
                if isinstance(value, str) and len(value) > _LONG:
                    left -= len(value)
                    cells[name] = long_texts.setdefault(value, value)
            if left < 0 or line > MOST_ROWS + 1:
                raise _RefusedError(too_much(most_bytes))
            yield TableRow(line, cells, fault_of(cells.values()))


def _text(value: object) -> object:
    """A picture in base64, as a text would have it."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else "" if value is None else value
