"""The tables of the SQLite event bus: a log, and for each group what of it is still to be done.

events    offset, topic, event_id, key, headers, data      appended to, never changed
cursors   group, topic -> offset                           up to here everything was admitted to `pending`
pending   group, offset, ...                               admitted, and neither committed nor given up
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

METADATA = sa.MetaData()
events = sa.Table(
    "events",
    METADATA,
    sa.Column("offset", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("topic", sa.String, nullable=False),
    sa.Column("event_id", sa.String, nullable=False),
    sa.Column("key", sa.String, nullable=False),
    sa.Column("headers", sa.Text, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("topic", "event_id"),
    sa.Index("events_by_topic", "topic", "offset"),
    sqlite_autoincrement=True,
)
cursors = sa.Table(
    "cursors",
    METADATA,
    sa.Column("group", sa.String, primary_key=True),
    sa.Column("topic", sa.String, primary_key=True),
    sa.Column("offset", sa.Integer, nullable=False),
)
pending = sa.Table(
    "pending",
    METADATA,
    sa.Column("group", sa.String, primary_key=True),
    sa.Column("offset", sa.ForeignKey("events.offset"), primary_key=True),
    sa.Column("topic", sa.String, nullable=False),
    sa.Column("key", sa.String, nullable=False),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("available_at", sa.Float, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("losses", sa.Integer, nullable=False),
    sa.Index("pending_by_key", "group", "topic", "key", "offset"),
)


@dataclass(frozen=True)
class Record:
    """One event as it lies in the log."""

    topic: str
    event_id: str
    key: str
    headers: Mapping[str, str]
    data: bytes
