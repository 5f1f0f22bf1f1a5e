"""What became of the inputs of ingests: every question about it, answered for a few inputs at a time or one after the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import sqlalchemy as sa

from services.embedding.store.tables import INPUTS, STORED, InputRow
from shared.database import reader
from shared.rows.images import part_of
from shared.rows.vocabulary import UNKNOWN

_AT_ONCE = 500  # bound variables of one statement stay far below every database's limit
_ROWS = sa.select(*(INPUTS.c[name] for name in InputRow.__dataclass_fields__))


def find_rows(
    engine: sa.Engine, query: sa.Select[Any], key: sa.Column[str], keys: Collection[str]
) -> Iterator[sa.Row[Any]]:
    """The rows of a query that have one of these keys."""
    wanted = sorted(keys)
    for start in range(0, len(wanted), _AT_ONCE):
        with reader(engine).connect() as connection:
            yield from connection.execute(query.where(key.in_(wanted[start : start + _AT_ONCE]))).all()


class Inputs:
    """The recorded inputs, in the service's own database.

    Args:
        engine: The database.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def of(self, operation_id: str, names: Collection[str]) -> dict[str, InputRow]:
        """Those of these inputs of an ingest that have an outcome, by name: they need not be read again."""
        query = _ROWS.where(INPUTS.c.operation_id == operation_id)
        found = find_rows(self._engine, query, INPUTS.c.name, names)
        return {row.name: InputRow(**row._mapping) for row in found}

    def of_images(self, operation_id: str, image_ids: Collection[str]) -> list[InputRow]:
        """The stored inputs of an ingest that hold these images."""
        found = find_rows(self._engine, _ROWS.where(_stored(operation_id)), INPUTS.c.image_id, image_ids)
        return [InputRow(**row._mapping) for row in found]

    def part_names(self, operation_id: str) -> Iterator[str]:
        """The names of those inputs of an ingest that are one image of a file of several."""
        mine = (INPUTS.c.operation_id == operation_id) & INPUTS.c.name.contains("#")
        return (name for name in self._stream(sa.select(INPUTS.c.name).where(mine)) if part_of(name))

    def stored_images(self, operation_id: str) -> Iterator[str]:
        """The images of the stored inputs of an ingest; one that several inputs hold comes several times."""
        return self._stream(sa.select(INPUTS.c.image_id).where(_stored(operation_id)))

    def untold_images(self, operation_id: str) -> Iterator[str]:
        """Those of `stored_images` of which an input, maybe not the only one, tells no modality."""
        untold = (INPUTS.c.modality == UNKNOWN) & (INPUTS.c.modality_from == "")
        return self._stream(sa.select(INPUTS.c.image_id).where(_stored(operation_id) & untold))

    def _stream(self, query: sa.Select[Any]) -> Iterator[str]:
        """The texts that a query finds; they do not lie in memory together."""
        with reader(self._engine).connect() as connection:
            yield from connection.execution_options(yield_per=_AT_ONCE).execute(query).scalars()


def _stored(operation_id: str) -> sa.ColumnElement[bool]:
    return (INPUTS.c.operation_id == operation_id) & (INPUTS.c.status == STORED)
