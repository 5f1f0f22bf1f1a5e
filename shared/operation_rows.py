"""Every statement on the rows of operations; nothing here runs any work.

A row belongs to the process whose name stands in it until its lease runs out. Only its owner writes progress and the end.
A row without an owner rests until its lease has run out. The clock is the database's.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from shared.database import insert_ignoring, insist, now, reader
from shared.errors import AlreadyExists, NotFound
from shared.operation_table import (
    CANCELLED,
    FAILED,
    PENDING,
    RUNNING,
    SUCCEEDED,
    TABLE,
    TERMINAL,
    WAITING,
    Claimed,
    Operation,
    as_read,
)
from shared.parked import Parked


class OperationRows:
    """The rows of one service, as one process writes them.

    Args:
        engine: The service's database.
        owner: Stable name of this process.
        lease_seconds: After so long without a sign of life another process may take a row.
    """

    def __init__(self, engine: sa.Engine, owner: str, lease_seconds: float) -> None:
        self._engine = engine
        self._owner = owner
        self._lease_seconds = lease_seconds

    @insist
    def insert(self, operation_id: str, kind: str, body: bytes, digest: str) -> None:
        """Note an operation unless it is there already.

        Raises:
            AlreadyExists: It is there with another request.
        """
        values = {
            "operation_id": operation_id, "kind": kind, "request": body, "request_digest": digest,
            "state": PENDING, "revision": 1, "done": 0, "total": 0, "unit": "", "message": "", "failure": "",
            "result_uri": "", "owner": "", "lease_until": 0.0, "is_cancel_requested": False, "attempts": 0,
            "worked_seconds": 0.0,
        }  # fmt: skip
        with self._engine.begin() as connection:
            if insert_ignoring(connection, TABLE, values):
                return
            known = connection.execute(
                sa.select(TABLE.c.kind, TABLE.c.request_digest).where(TABLE.c.operation_id == operation_id)
            ).one()
        if (known.kind, known.request_digest) != (kind, digest):
            raise AlreadyExists(
                "The id was used before with another request.",
                field="operation_id",
                value=operation_id,
                remedy="Choose another id, or repeat the first request unchanged.",
            )

    def get(self, operation_id: str) -> Operation:
        """One operation.

        Raises:
            NotFound: No operation of this service has the id.
        """
        with reader(self._engine).connect() as connection:
            row = connection.execute(sa.select(TABLE).where(TABLE.c.operation_id == operation_id)).one_or_none()
        if row is None:
            raise NotFound(
                "No such operation here.",
                field="operation_id",
                value=operation_id,
                remedy="Ask the service that started it; ListOperations shows what it knows.",
            )
        return as_read(row)

    def page(self, prefix: str, limit: int, before: int | None) -> tuple[list[Operation], int | None]:
        """Operations, newest first, and the sequence number to go on before (None at the end)."""
        query = sa.select(TABLE).order_by(TABLE.c.sequence.desc()).limit(limit + 1)
        if prefix:
            query = query.where(TABLE.c.operation_id.startswith(prefix, autoescape=True))
        if before is not None:
            query = query.where(TABLE.c.sequence < before)
        with reader(self._engine).connect() as connection:
            rows = connection.execute(query).all()
        following = rows[limit - 1].sequence if len(rows) > limit else None
        return [as_read(row) for row in rows[:limit]], following

    def backlog(self) -> tuple[int, float]:
        """How many operations no process works on, and for how many seconds the most silent one at work has given no sign."""
        oldest_sign = sa.func.min(TABLE.c.updated_at).filter(TABLE.c.state == RUNNING)
        query = sa.select(
            sa.func.count().filter(TABLE.c.state == PENDING), sa.func.coalesce(now() - oldest_sign, 0.0)
        ).where(TABLE.c.state.in_((PENDING, RUNNING)))
        with reader(self._engine).connect() as connection:
            n_waiting, silent_seconds = connection.execute(query).one()
        return int(n_waiting), max(0.0, silent_seconds)

    def unfinished(self, kinds: Collection[str]) -> list[str]:
        """Ids, oldest first, of operations of these kinds that this process may take up."""
        with reader(self._engine).connect() as connection:
            query = sa.select(TABLE.c.operation_id).order_by(TABLE.c.sequence)
            return [*connection.execute(query.where(self._free() & TABLE.c.kind.in_(kinds))).scalars()]

    @insist
    def claim(self, operation_id: str) -> Claimed | None:
        """Make an operation this process's own; None where it has ended or another process has it."""
        statement = (
            sa.update(TABLE)
            .where((TABLE.c.operation_id == operation_id) & self._free())
            .values(
                **_changed(state=RUNNING),
                owner=self._owner,
                lease_until=now() + self._lease_seconds,
                attempts=TABLE.c.attempts + 1,
            )
            .returning(TABLE.c.kind, TABLE.c.request, TABLE.c.is_cancel_requested, TABLE.c.attempts)
        )
        with self._engine.begin() as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else Claimed(*row)

    def progress(self, operation_id: str, done: int, total: int, unit: str, message: str) -> bool:
        """Write progress and renew the lease; in the same statement, whether the operation was called off."""
        statement = (
            sa.update(TABLE)
            .where(self._mine(operation_id))
            .values(
                **_changed(done=done, total=total, unit=unit, message=message[:400]),
                lease_until=now() + self._lease_seconds,
            )
            .returning(TABLE.c.is_cancel_requested)
        )
        with self._engine.begin() as connection:
            return bool(connection.execute(statement).scalar_one_or_none())

    def renew(self, operation_ids: Collection[str]) -> set[str]:
        """Renew the leases of this process's own among these; those that were called off."""
        statement = (
            sa.update(TABLE)
            .where(TABLE.c.operation_id.in_(operation_ids) & (TABLE.c.owner == self._owner))
            .values(lease_until=now() + self._lease_seconds)
            .returning(TABLE.c.operation_id, TABLE.c.is_cancel_requested)
        )
        with self._engine.begin() as connection:
            return {row.operation_id for row in connection.execute(statement) if row.is_cancel_requested}

    @insist
    def finish(
        self,
        operation_id: str,
        worked_seconds: float,
        *,
        state: str,
        result_uri: str = "",
        failure: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the end, unless another process has taken the operation over; what succeeded is done in full."""
        text = json.dumps(failure) if failure else ""
        values = _changed(state=state, result_uri=result_uri, failure=text)
        if state == SUCCEEDED:
            values["done"] = TABLE.c.total
        self._write_own(operation_id, worked_seconds, **values)

    @insist
    def give_back(
        self, operation_id: str, worked_seconds: float, message: str = "", pause_seconds: float = 0.0
    ) -> None:
        """Let any process take the operation up, after a pause; the message, where there is one, says why it waits.

        One that was called off meanwhile does not rest.
        """
        shown = {"message": message[:400]} if message else {}
        rests = sa.not_(TABLE.c.is_cancel_requested) & (pause_seconds > 0)
        lease_until = sa.case((rests, now() + pause_seconds), else_=0.0)
        values = _changed(state=PENDING, owner="", lease_until=lease_until, **shown)
        self._write_own(operation_id, worked_seconds, **values)

    @insist
    def park(self, operation_id: str, worked_seconds: float, parked: Parked) -> None:
        """Let it wait for people; how often it began until now counts no more. One that was called off does not wait."""
        shown = {"done": parked.done, "total": parked.total, "unit": parked.unit, "message": parked.message[:400]}
        lease_until = sa.case((TABLE.c.is_cancel_requested, 0.0), else_=now() + parked.seconds)
        values = _changed(state=WAITING, owner="", lease_until=lease_until, attempts=0, **shown)
        self._write_own(operation_id, worked_seconds, **values)

    @insist
    def tell(self, operation_id: str, done: int, total: int, message: str, *, is_due: bool) -> None:
        """Show how far what a waiting operation waits for is; where it is due, a process may take it up at once."""
        waiting = (TABLE.c.operation_id == operation_id) & (TABLE.c.state == WAITING)
        values = _changed(done=done, total=total, message=message[:400])
        if is_due:
            values["lease_until"] = 0.0
        with self._engine.begin() as connection:
            connection.execute(sa.update(TABLE).where(waiting).values(**values))

    def cancel(self, operation_id: str) -> None:
        """Ask an operation to stop; one that nobody works on ends at once, one that waits for people is taken up to clean up."""
        named = (TABLE.c.operation_id == operation_id) & TABLE.c.state.not_in(TERMINAL)
        with self._engine.begin() as connection:
            connection.execute(sa.update(TABLE).where(named).values(is_cancel_requested=True))
            connection.execute(sa.update(TABLE).where(named & (TABLE.c.state == WAITING)).values(lease_until=0.0))
            connection.execute(
                sa.update(TABLE).where(named & (TABLE.c.state == PENDING)).values(**_changed(state=CANCELLED))
            )

    def reopen(self, operation_id: str) -> None:
        """Let an operation that failed or was called off begin again; any other stays as it is."""
        ended = (TABLE.c.operation_id == operation_id) & TABLE.c.state.in_((FAILED, CANCELLED))
        again = _changed(state=PENDING, failure="", owner="", lease_until=0.0, is_cancel_requested=False)
        with self._engine.begin() as connection:
            connection.execute(sa.update(TABLE).where(ended).values(**again))

    def _free(self) -> sa.ColumnElement[bool]:
        """Not ended, and this process's own, or of a process that has given no sign of life, or nobody's and rested."""
        is_lapsed = TABLE.c.lease_until < now()
        return TABLE.c.state.in_((PENDING, RUNNING, WAITING)) & ((TABLE.c.owner == self._owner) | is_lapsed)

    def _mine(self, operation_id: str) -> sa.ColumnElement[bool]:
        return (TABLE.c.operation_id == operation_id) & (TABLE.c.owner == self._owner) & TABLE.c.state.not_in(TERMINAL)

    def _write_own(self, operation_id: str, worked_seconds: float, **values: Any) -> None:
        worked = TABLE.c.worked_seconds + worked_seconds
        with self._engine.begin() as connection:
            connection.execute(sa.update(TABLE).where(self._mine(operation_id)).values(worked_seconds=worked, **values))


def _changed(**values: Any) -> dict[str, Any]:
    """Values of a change that a waiting caller is told of."""
    return {**values, "revision": TABLE.c.revision + 1, "updated_at": now()}
