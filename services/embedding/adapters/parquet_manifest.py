"""Reads a manifest in Parquet, in a child process (`parquet_reader`): a damaged file may end whoever reads it."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import msgspec

from services.embedding.adapters.child import Child, DeadError, LateError, Limits
from services.embedding.adapters.parquet_reader import Asked, Part, damaged
from shared.errors import InvalidArgument, MedqError, decode_error
from shared.tables import MOST_TABLE_BYTES, TableRow

MAGIC = b"PAR1"
_LONG = 100  # characters
_PROGRAM = ("-m", "services.embedding.adapters.parquet_reader")


def read_parquet(
    path: Path, wanted: Collection[str], field: str, most_bytes: int = MOST_TABLE_BYTES, limits: Limits | None = None
) -> tuple[list[TableRow], list[str]]:
    """The rows of a Parquet file, counted from line 2 as in a text with a header, and the names of all its columns.

    Args:
        path: Absolute, without links.
        wanted, field, most_bytes: See `parquet_reader.Asked`.
        limits: Of the child, for each thousand rows.

    Raises:
        InvalidArgument: It is no Parquet file, too large, damaged, or has two columns of one name.
        Unavailable: The child cannot be started.
    """
    child = Child(_PROGRAM, limits or Limits())
    try:
        child.await_ready()
        asked = msgspec.msgpack.encode(Asked(tuple(wanted), field, most_bytes))
        names = _part(child, os.fsencode(path), asked).names
        same: dict[str, str] = {}  # what stands in many rows lies in memory once
        rows = [_sharing(row, same) for part in iter(lambda: _part(child).rows, []) for row in part]
    except MedqError as error:
        if isinstance(error, InvalidArgument):
            error.field, error.value = field, path.name
        raise
    finally:
        child.end()
    return rows, names


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


def _sharing(row: TableRow, same: dict[str, str]) -> TableRow:
    """The row, its long texts as they were met first."""
    cells = {
        name: same.setdefault(value, value) if isinstance(value, str) and len(value) > _LONG else value
        for name, value in row.cells.items()
    }
    return replace(row, cells=cells)
