"""Rows as JSON and back: UTF-8, keys sorted, a line a row. What a reader would refuse is refused when it is written."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from shared.errors import InvalidArgument
from shared.rows.fields import Row

RowT = TypeVar("RowT", bound=Row)


def to_json(row: Row, indent: int | None = None) -> str:
    """A row as JSON.

    Raises:
        InvalidArgument: A field is of another type or out of its range, or a number is not finite.
    """
    text = encode_json(msgspec.to_builtins(row), indent)
    _decode(text, type(row), "A row cannot be written")
    return text


def from_json(data: bytes, row: type[RowT], name: str) -> RowT:
    """An object or a row from its JSON.

    Raises:
        InvalidArgument: It is not JSON, or lacks a field, or a field is of another type or out of its range.
    """
    return _decode(data, row, f"{name} does not fit its schema")


def from_lines(lines: Iterable[bytes], row: type[RowT], name: str) -> Iterator[RowT]:
    """The rows of a file of JSON lines, one at a time; empty lines are passed over. Raises as `from_json`, with the line."""
    decode = _decoder(row).decode
    for number, line in enumerate(lines, 1):
        try:
            yield decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            if line.strip():
                _decode(line, row, f"Line {number} of {name} does not fit its schema")


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a file that comes in pieces; a line may be longer than a piece."""
    begun: list[bytes] = []
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        begun.append(first)
        if others:
            yield b"".join(begun)
            yield from others[:-1]
            begun = [others[-1]]
    yield b"".join(begun)


def encode_json(value: Any, indent: int | None = None) -> str:
    """JSON with sorted keys.

    Raises:
        InvalidArgument: It holds NaN, an infinite number, or what is not JSON.
    """
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=indent)
    except (TypeError, ValueError):
        raise InvalidArgument(
            "The value is not JSON: a number is not finite, or a type is unknown.", field="rows"
        ) from None


def _decode(data: str | bytes, row: type[RowT], what: str) -> RowT:
    try:
        decoded: RowT = _decoder(row).decode(data)
        return decoded
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # It names a field and a type; the value, which it quotes for a choice, may be a patient's.
        told = re.sub(r"value '.*'", "value", str(error), flags=re.DOTALL)
        reason = told if isinstance(error, msgspec.ValidationError) else "it is not JSON"
        raise InvalidArgument(f"{what}: {reason}.", field="rows", value=row.__name__) from None


@functools.cache
def _decoder(row: type[RowT]) -> msgspec.json.Decoder[RowT]:
    return msgspec.json.Decoder(row)
