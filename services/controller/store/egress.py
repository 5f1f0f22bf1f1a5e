"""The table of what left: rows are added before anything is sent, and never changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields

import sqlalchemy as sa

from services.controller.domain.egress import Leaving
from shared.database import SERIAL, insert_new, reader

METADATA = sa.MetaData()
_TABLE = sa.Table(
    "egress",
    METADATA,
    sa.Column("sequence", SERIAL, primary_key=True, autoincrement=True),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("place", sa.Integer, nullable=False),  # in the request
    sa.Column("run_id", sa.Text, nullable=False, index=True),
    sa.Column("noted_at", sa.Float, nullable=False),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("image_id", sa.Text, nullable=False),
    sa.Column("text_sha256", sa.Text, nullable=False),
    sa.Column("n_bytes", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("request_id", "place"),
)


@dataclass(frozen=True)
class Left:
    """A row: what left, for which run ("" for none), and when it was noted (seconds since 1970)."""

    leaving: Leaving
    run_id: str
    noted_at: float


class EgressLog:
    """What left, in the order in which it was noted.

    Args:
        engine: The controller's database.
        now: Seconds since 1970.
    """

    def __init__(self, engine: sa.Engine, now: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._now = now

    def record(self, run_id: str, request_id: str, leaving: Sequence[Leaving]) -> None:
        """Add rows, all or none; the same request again adds none."""
        same = {"request_id": request_id, "run_id": run_id, "noted_at": self._now()}
        rows = [{"place": place, **same, **asdict(one)} for place, one in enumerate(leaving)]
        with self._engine.begin() as connection:
            insert_new(connection, _TABLE, rows)

    def page(self, run_id: str, limit: int, after: int = 0) -> tuple[list[Left], int | None]:
        """Rows of a run ("": of all), and the sequence number to go on after (None at the end)."""
        query = sa.select(_TABLE).where(_TABLE.c.sequence > after).order_by(_TABLE.c.sequence).limit(limit + 1)
        if run_id:
            query = query.where(_TABLE.c.run_id == run_id)
        with reader(self._engine).connect() as connection:
            rows = connection.execute(query).all()
        names = [field.name for field in fields(Leaving)]
        found = [
            Left(Leaving(**{name: getattr(row, name) for name in names}), row.run_id, row.noted_at)
            for row in rows[:limit]
        ]
        return found, rows[limit - 1].sequence if len(rows) > limit else None
