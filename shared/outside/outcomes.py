"""The table of what outside calls brought: paid for once, so kept before anything else can fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic

import msgspec
import sqlalchemy as sa

from shared.database import insert_new, insist, reader
from shared.outside.call import T


def outcomes_table(metadata: sa.MetaData) -> sa.Table:
    """The table, as a service's migrations make it."""
    return sa.Table(
        "outside_outcomes",
        metadata,
        sa.Column("work_id", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )


class StoredOutcomes(Generic[T]):
    """An `OutcomeStore` in a service's database.

    Args:
        engine: The database.
        table: By `outcomes_table`.
        kind: What a row holds, a dataclass of JSON's types.
    """

    def __init__(self, engine: sa.Engine, table: sa.Table, kind: type[T]) -> None:
        self._engine = engine
        self._table = table
        self._kind = kind

    def outcomes(self, work_id: str, kind: str) -> dict[str, T]:
        """See the port."""
        mine = (self._table.c.work_id == work_id) & (self._table.c.kind == kind)
        with reader(self._engine).connect() as connection:
            return self._decoded(connection, mine)

    @insist
    def keep_outcomes(self, work_id: str, kind: str, outcomes: Mapping[str, T]) -> dict[str, T]:
        """See the port; it outlasts an outage of the database, since these were paid for."""
        same = {"work_id": work_id, "kind": kind}
        rows = [
            {"key": key, "body": msgspec.json.encode(outcome).decode(), **same}
            for key, outcome in sorted(outcomes.items())
        ]
        with self._engine.begin() as connection:
            insert_new(connection, self._table, rows)
            mine = (self._table.c.work_id == work_id) & self._table.c.key.in_(list(outcomes))
            return self._decoded(connection, mine)

    def _decoded(self, connection: sa.Connection, where: sa.ColumnElement[bool]) -> dict[str, T]:
        rows = connection.execute(sa.select(self._table.c.key, self._table.c.body).where(where)).all()
        return {row.key: msgspec.json.decode(row.body, type=self._kind) for row in rows}
