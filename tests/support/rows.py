"""Builders of rows: a valid one of each type, with what a test says of it."""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

from msgspec.structs import replace

from infra.row_examples import EXAMPLES
from shared.rows.fields import Row

RowT = TypeVar("RowT", bound=Row)


def build(row: type[RowT], **said: Any) -> RowT:
    """A row like the example of its type, but for what is said: `build(Item, answer="B")`."""
    example = EXAMPLES[row]
    assert isinstance(example, row)
    return replace(example, **said)


def image_id(name: object) -> str:
    """The id of an image that a test calls `name`: 64 hex digits."""
    return hashlib.sha256(str(name).encode()).hexdigest()


def image_uri(name: object) -> str:
    """The URI of an image that a test calls `name`."""
    return f"sha256:{image_id(name)}"
