"""Reads a manifest in Parquet, in a child process (`parquet_reader`): a damaged file may end whoever reads it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from services.embedding.adapters.child import Child, DeadError, LateError, Limits
from services.embedding.adapters.parquet_reader import Asked, Part, damaged
from shared.errors import InvalidArgument, decode_error
from shared.tables import MOST_TABLE_BYTES, TableRow

MAGIC = b"PAR1"
_PROGRAM = ("-m", "services.embedding.adapters.parquet_reader")


def read_parquet(
    path: Path, wanted: Collection[str], field: str, most_bytes: int = MOST_TABLE_BYTES, limits: Limits | None = None
) -> tuple[list[str], Iterator[TableRow]]:
    """The names of all columns of a Parquet file, and its rows, counted from line 2 as in a text with a header.

    The child lives until the rows are read or the iterator is closed.

    Args:
        path: Absolute, without links.
        wanted, field, most_bytes: See `parquet_reader.Asked`.
        limits: Of the child, for each thousand rows.

    Raises:
        InvalidArgument: It is no Parquet file, too large, damaged, or has two columns of one name; what is wrong with rows is
            noticed where they stand.
        Unavailable: The child cannot be started.
    """
    parts = _parts(path, msgspec.msgpack.encode(Asked(tuple(wanted), field, most_bytes)), field, limits or Limits())
    return next(parts).names, (row for part in parts for row in part.rows)


def _parts(path: Path, asked: bytes, field: str, limits: Limits) -> Iterator[Part]:
    """The first part, which has the names, and those with rows."""
    child = Child(_PROGRAM, limits)
    try:
        child.await_ready()
        yield _part(child, os.fsencode(path), asked)
        while (part := _part(child)).rows:
            yield part
    except InvalidArgument as error:
        error.field, error.value = field, path.name
        raise
    finally:
        child.end()


def _part(child: Child, path: bytes = b"", asked: bytes = b"") -> Part:
    try:
        part = msgspec.msgpack.decode(child.ask(asked, path), type=Part)
    except (DeadError, msgspec.MsgspecError):
        raise damaged() from None
    except LateError:
        remedy = "Split it, or name the files in `image_path`."
        raise InvalidArgument("The manifest cannot be read: it takes too long.", remedy=remedy) from None
    if part.error is not None:
        raise decode_error(part.error)
    return part
