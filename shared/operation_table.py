"""The table of operations: its columns, the states of a row, and a row as a reader sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from shared.database import SERIAL, now

PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLED = "pending", "running", "succeeded", "failed", "cancelled"
#: It waits for people, or is paused by one: no process works on it until it is woken or its time is over. It is no backlog.
WAITING = "waiting"
TERMINAL = (SUCCEEDED, FAILED, CANCELLED)

#: Every service has this table.
METADATA = sa.MetaData()
TABLE = sa.Table(
    "operations",
    METADATA,
    sa.Column("sequence", SERIAL, primary_key=True, autoincrement=True),
    sa.Column("operation_id", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("request", sa.LargeBinary, nullable=False),
    sa.Column("request_digest", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("done", sa.BigInteger, nullable=False),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("failure", sa.Text, nullable=False),
    sa.Column("result_uri", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("lease_until", sa.Float, nullable=False),
    sa.Column("is_cancel_requested", sa.Boolean, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("worked_seconds", sa.Float, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False, default=now()),
    sa.Column("updated_at", sa.Float, nullable=False, default=now()),
)


@dataclass(frozen=True)
class Operation:
    """A row as a reader sees it. Times are seconds since the epoch."""

    operation_id: str
    kind: str
    state: str
    revision: int
    done: int
    total: int
    unit: str
    message: str
    failure: dict[str, Any] | None  # see `shared.errors.encode_error`
    result_uri: str
    attempts: int
    worked_seconds: float
    created_at: float
    updated_at: float

    @property
    def is_terminal(self) -> bool:
        """True once it can no longer change."""
        return self.state in TERMINAL


@dataclass(frozen=True)
class Claimed:
    """What a process needs to begin an operation that is now its own."""

    kind: str
    request: bytes
    is_cancel_requested: bool
    attempts: int


def as_read(row: Any) -> Operation:
    """A row of the table as a reader sees it."""
    fields = {name: getattr(row, name) for name in Operation.__dataclass_fields__ if name != "failure"}
    return Operation(failure=json.loads(row.failure) if row.failure else None, **fields)
