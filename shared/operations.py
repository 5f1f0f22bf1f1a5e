"""Long work: one row and one restartable function an operation.

The row holds state, revision, progress, the request and its digest, the owner and its lease, a typed failure, the result's
URI. The function is started again from its beginning after a kill, so every effect in it is keyed and what is done is
skipped; no step of it is remembered. `shared.rpc.operations` serves it; of gRPC this module uses the table of errors alone.

Invariants: a terminal row changes by `retry` alone; the same id with another request is `AlreadyExists`; a progress write never
fails the work.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from google.protobuf.message import Message
from sqlalchemy.exc import OperationalError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random_exponential

from shared.database import reader
from shared.errors import AlreadyExists, Cancelled, InvalidArgument, MedqError, NotFound
from shared.logs import get_logger
from shared.rpc.errors import typed
from shared.telemetry import OPERATIONS, OPERATIONS_RUNNING

PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLED = "pending", "running", "succeeded", "failed", "cancelled"
TERMINAL = (SUCCEEDED, FAILED, CANCELLED)
#: Least time between two progress writes of an operation, in seconds.
PROGRESS_PERIOD_SECONDS = 0.5
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")

_METADATA = sa.MetaData()
_TABLE = sa.Table(
    "operations",
    _METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("operation_id", sa.String(200), nullable=False, unique=True),
    sa.Column("kind", sa.String(80), nullable=False),
    sa.Column("request", sa.LargeBinary, nullable=False),
    sa.Column("request_digest", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("done", sa.BigInteger, nullable=False),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("unit", sa.String(40), nullable=False),
    sa.Column("message", sa.String(400), nullable=False),
    sa.Column("failure", sa.Text, nullable=False),
    sa.Column("result_uri", sa.String(200), nullable=False),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("lease_until", sa.Float, nullable=False),
    sa.Column("is_cancel_requested", sa.Boolean, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("worked_seconds", sa.Float, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
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
    failure: dict[str, Any] | None
    result_uri: str
    attempts: int
    worked_seconds: float
    created_at: float
    updated_at: float

    @property
    def is_terminal(self) -> bool:
        """True once it can no longer change."""
        return self.state in TERMINAL


class _Interrupted(Exception):
    """The server drains: give the row back so that the next process goes on."""


class OperationContext:
    """What a restartable function is given to report progress and to notice cancellation."""

    def __init__(self, operations: Operations, operation_id: str) -> None:
        self.operation_id = operation_id
        self._operations = operations
        self._last_write = 0.0
        self._last_shown: tuple[int, int, str, str] | None = None

    def progress(self, done: int, total: int, unit: str, message: str = "") -> None:
        """Show how far the work is; called as often as is convenient, written at most twice a second.

        Raises:
            Cancelled: The operation was called off.
        """
        shown = (done, total, unit, message)
        now = time.monotonic()
        if shown != self._last_shown and now - self._last_write >= PROGRESS_PERIOD_SECONDS:
            self._last_write, self._last_shown = now, shown
            self._operations.write_progress(self.operation_id, done, total, unit, message)
        self.check_cancelled()

    def check_cancelled(self) -> None:
        """Stop here if the operation was called off or the server drains.

        Raises:
            Cancelled: The operation was called off.
        """
        if self._operations.is_cancelled(self.operation_id):
            raise Cancelled("The operation was called off.")
        if self._operations.is_draining:
            raise _Interrupted

    def is_cancelled(self) -> bool:
        """True once the operation was called off, for work that stops others before it stops itself.

        While the server drains it raises instead, so that a wait ends at once and what is waited for goes on.
        """
        try:
            self.check_cancelled()
        except Cancelled:
            return True
        return False


OperationFunction = Callable[[OperationContext, Any], str]

# Own writes outlast a short outage of the database.
_insist = retry(
    retry=retry_if_exception_type(OperationalError),
    wait=wait_random_exponential(multiplier=0.1, max=2),
    stop=stop_after_delay(60),
    reraise=True,
)


class Operations:
    """The operations of one service.

    Args:
        service: Name of the service, for metrics and logs.
        engine: The service's database; the table is created where it is missing.
        functions: Request class to restartable function `(context, request) -> result URI` ("" where it makes none).
        owner: Stable name of this process; rows that it owned before a restart are its own again at once.
        n_workers: Operations that run at the same time.
        lease_seconds: After so long without a sign of life another process takes a row over.
    """

    def __init__(
        self,
        service: str,
        engine: sa.Engine,
        functions: Mapping[type[Message], OperationFunction],
        *,
        owner: str = "",
        n_workers: int = 2,
        lease_seconds: float = 30.0,
    ) -> None:
        self._service = service
        self._engine = engine
        self._functions = {kind_of(cls): (cls, function) for cls, function in functions.items()}
        self._owner = owner or service
        self._lease_seconds = lease_seconds
        self._pool = ThreadPoolExecutor(n_workers, thread_name_prefix=f"{service}-operation")
        self._changed = threading.Condition()
        self._cancelled: set[str] = set()
        self._submitted: set[str] = set()
        self._stop = threading.Event()
        self._heart: threading.Thread | None = None
        self._log = get_logger(service)
        _METADATA.create_all(engine)

    @property
    def is_draining(self) -> bool:
        """True once the server has begun to stop."""
        return self._stop.is_set()

    def resume(self) -> None:
        """Take up the rows that an earlier process left unfinished, and keep doing so for rows whose lease runs out."""
        self._take_over()
        self._heart = threading.Thread(target=self._beat, name=f"{self._service}-leases", daemon=True)
        self._heart.start()

    def start(self, request: Message) -> str:
        """Note an operation and let it begin; its id is the request's `operation_id` (or `run_id`).

        Returns: The id.

        Raises:
            InvalidArgument: The id is empty or not of the form.
            AlreadyExists: The id was used with another request.
        """
        kind = kind_of(type(request))
        field = "operation_id" if "operation_id" in request.DESCRIPTOR.fields_by_name else "run_id"
        operation_id = str(getattr(request, field))
        if not _ID.fullmatch(operation_id):
            raise InvalidArgument(
                "An operation needs an id.",
                field=field,
                value=operation_id,
                remedy="Up to 200 letters, digits, '.', '_', '-', '/'; begin with a letter or digit.",
            )
        body = request.SerializeToString(deterministic=True)
        digest = hashlib.sha256(body).hexdigest()
        if not self._insert(operation_id, kind, body, digest):
            self._refuse_another_request(operation_id, kind, digest, field)
        self._submit(operation_id)
        return operation_id

    def retry(self, operation_id: str) -> None:
        """Let an operation that failed or was called off begin again; any other stays as it is."""
        self._cancelled.discard(operation_id)
        ended = (_TABLE.c.operation_id == operation_id) & _TABLE.c.state.in_((FAILED, CANCELLED))
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(_TABLE)
                .where(ended)
                .values(
                    state=PENDING,
                    failure="",
                    owner="",
                    is_cancel_requested=False,
                    revision=_TABLE.c.revision + 1,
                    updated_at=time.time(),
                )
            )
        self._submit(operation_id)

    def get(self, operation_id: str) -> Operation:
        """One operation.

        Raises:
            NotFound: No operation of this service has the id.
        """
        with reader(self._engine).connect() as connection:
            row = connection.execute(
                sa.select(_TABLE).where(_TABLE.c.operation_id == operation_id)
            ).one_or_none()
        if row is None:
            raise NotFound(
                "No such operation here.",
                field="operation_id",
                value=operation_id,
                remedy="Ask the service that started it; ListOperations shows what it knows.",
            )
        return _from_row(row)

    def wait(
        self, operation_id: str, seen_revision: int, seconds: float, is_active: Callable[[], bool]
    ) -> Operation:
        """The operation once its revision is above `seen_revision`, after `seconds`, or when the caller has gone."""
        deadline = time.monotonic() + seconds
        while True:
            with self._changed:
                found = self.get(operation_id)
                left = deadline - time.monotonic()
                if (
                    found.revision > seen_revision
                    or found.is_terminal
                    or left <= 0
                    or self.is_draining
                    or not is_active()
                ):
                    return found
                # Another process may have written: look again each second.
                self._changed.wait(min(left, 1.0))

    def cancel(self, operation_id: str) -> Operation:
        """Ask an operation to stop; a pending one ends at once, a terminal one stays as it is."""
        with self._engine.begin() as connection:
            mine = (_TABLE.c.operation_id == operation_id) & _TABLE.c.state.not_in(TERMINAL)
            connection.execute(sa.update(_TABLE).where(mine).values(is_cancel_requested=True))
            connection.execute(
                sa.update(_TABLE)
                .where(mine & (_TABLE.c.state == PENDING))
                .values(state=CANCELLED, revision=_TABLE.c.revision + 1, updated_at=time.time())
            )
        self._cancelled.add(operation_id)
        self.notify()
        return self.get(operation_id)

    def list(
        self, prefix: str = "", limit: int = 100, before: int | None = None
    ) -> tuple[list[Operation], int | None]:
        """Operations, newest first, and the sequence number to go on before (None at the end)."""
        query = sa.select(_TABLE).order_by(_TABLE.c.sequence.desc()).limit(limit + 1)
        if prefix:
            query = query.where(_TABLE.c.operation_id.startswith(prefix, autoescape=True))
        if before is not None:
            query = query.where(_TABLE.c.sequence < before)
        with reader(self._engine).connect() as connection:
            rows = connection.execute(query).all()
        following = rows[limit - 1].sequence if len(rows) > limit else None
        return [_from_row(row) for row in rows[:limit]], following

    def notify(self) -> None:
        """Wake those who wait."""
        with self._changed:
            self._changed.notify_all()

    def drain(self) -> None:
        """Let waiters go and have running work give its rows back at its next progress report; returns when all has."""
        self._stop.set()
        self.notify()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._heart is not None:
            self._heart.join()

    def is_cancelled(self, operation_id: str) -> bool:
        """True if the operation was called off, as far as this process knows."""
        return operation_id in self._cancelled

    def write_progress(self, operation_id: str, done: int, total: int, unit: str, message: str) -> None:
        """Write progress and read cancellation in one statement. Never raises: an outage must not fail the work."""
        statement = (
            sa.update(_TABLE)
            .where((_TABLE.c.operation_id == operation_id) & _TABLE.c.state.not_in(TERMINAL))
            .values(
                done=done,
                total=total,
                unit=unit,
                message=message[:400],
                revision=_TABLE.c.revision + 1,
                updated_at=time.time(),
                lease_until=time.time() + self._lease_seconds,
            )
            .returning(_TABLE.c.is_cancel_requested)
        )
        try:
            with self._engine.begin() as connection:
                if connection.execute(statement).scalar_one_or_none():
                    self._cancelled.add(operation_id)
        except OperationalError:
            self._log.warning("progress_not_written", operation_id=operation_id)
        self.notify()

    @_insist
    def _insert(self, operation_id: str, kind: str, body: bytes, digest: str) -> bool:
        now = time.time()
        values = {
            "operation_id": operation_id, "kind": kind, "request": body, "request_digest": digest,
            "state": PENDING, "revision": 1, "done": 0, "total": 0, "unit": "", "message": "", "failure": "",
            "result_uri": "", "owner": "", "lease_until": 0.0, "is_cancel_requested": False, "attempts": 0,
            "worked_seconds": 0.0, "created_at": now, "updated_at": now,
        }  # fmt: skip
        with self._engine.begin() as connection:
            insert = _dialect_insert(connection)(_TABLE).values(values).on_conflict_do_nothing()
            return bool(connection.execute(insert).rowcount)

    def _refuse_another_request(self, operation_id: str, kind: str, digest: str, field: str) -> None:
        with reader(self._engine).connect() as connection:
            row = connection.execute(
                sa.select(_TABLE.c.kind, _TABLE.c.request_digest).where(_TABLE.c.operation_id == operation_id)
            ).one()
        if (row.kind, row.request_digest) != (kind, digest):
            raise AlreadyExists(
                "The id was used before with another request.",
                field=field,
                value=operation_id,
                remedy="Choose another id, or repeat the first request unchanged.",
            )

    def _submit(self, operation_id: str) -> None:
        with self._changed:
            if operation_id in self._submitted or self.is_draining:
                return
            self._submitted.add(operation_id)
        self._pool.submit(self._run, operation_id)

    @_insist
    def _claim(self, operation_id: str) -> tuple[str, bytes] | None:
        now = time.time()
        free = (
            (_TABLE.c.owner == "")
            | (_TABLE.c.owner == self._owner)
            | (_TABLE.c.lease_until < now)
        )  # fmt: skip
        statement = (
            sa.update(_TABLE)
            .where((_TABLE.c.operation_id == operation_id) & _TABLE.c.state.not_in(TERMINAL) & free)
            .values(
                state=RUNNING,
                owner=self._owner,
                lease_until=now + self._lease_seconds,
                attempts=_TABLE.c.attempts + 1,
                revision=_TABLE.c.revision + 1,
                updated_at=now,
            )
            .returning(_TABLE.c.kind, _TABLE.c.request, _TABLE.c.is_cancel_requested)
        )
        with self._engine.begin() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        if row.is_cancel_requested:
            self._cancelled.add(operation_id)
        return row.kind, row.request

    def _run(self, operation_id: str) -> None:
        began = time.monotonic()
        try:
            claimed = self._claim(operation_id)
            self.notify()
            if claimed is not None:
                with OPERATIONS_RUNNING.labels(self._service).track_inprogress():
                    self._work(operation_id, *claimed, began)
        except Exception as error:  # the row stays unfinished, so a later process takes it up
            self._log.error("operation_not_recorded", operation_id=operation_id, exc_info=error)
        finally:
            with self._changed:
                self._submitted.discard(operation_id)
            self.notify()

    def _work(self, operation_id: str, kind: str, body: bytes, began: float) -> None:
        cls, function = self._functions[kind]
        context = OperationContext(self, operation_id)
        try:
            context.check_cancelled()
            uri = function(context, cls.FromString(body))
            self._finish(operation_id, kind, began, state=SUCCEEDED, result_uri=uri)
        except _Interrupted:
            self._give_back(operation_id, began)
        except Cancelled as error:
            # A step of the work may be cancelled by its own server draining; only our own request ends the row so.
            if self.is_draining and not self.is_cancelled(operation_id):
                self._give_back(operation_id, began)
            else:
                self._finish(operation_id, kind, began, state=CANCELLED, failure=_encode(error))
        except Exception as error:
            if self.is_draining:
                self._give_back(operation_id, began)
                return
            if not isinstance(error, MedqError):
                self._log.error("operation_failed", operation_id=operation_id, kind=kind, exc_info=error)
            self._finish(operation_id, kind, began, state=FAILED, failure=_encode(typed(error)))

    @_insist
    def _finish(
        self,
        operation_id: str,
        kind: str,
        began: float,
        *,
        state: str,
        result_uri: str = "",
        failure: str = "",
    ) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(_TABLE)
                .where((_TABLE.c.operation_id == operation_id) & _TABLE.c.state.not_in(TERMINAL))
                .values(
                    state=state,
                    result_uri=result_uri,
                    failure=failure,
                    revision=_TABLE.c.revision + 1,
                    worked_seconds=_TABLE.c.worked_seconds + (time.monotonic() - began),
                    updated_at=time.time(),
                )
            )
        OPERATIONS.labels(self._service, kind, state).inc()

    @_insist
    def _give_back(self, operation_id: str, began: float) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(_TABLE)
                .where(_TABLE.c.operation_id == operation_id)
                .values(
                    state=PENDING,
                    owner="",
                    worked_seconds=_TABLE.c.worked_seconds + (time.monotonic() - began),
                    revision=_TABLE.c.revision + 1,
                )
            )

    def _beat(self) -> None:
        while not self._stop.wait(self._lease_seconds / 3):
            try:
                self._renew()
                self._take_over()
            except OperationalError:
                self._log.warning("leases_not_renewed")

    def _renew(self) -> None:
        with self._changed:
            mine = list(self._submitted)
        with self._engine.begin() as connection:
            rows = connection.execute(
                sa.update(_TABLE)
                .where(_TABLE.c.operation_id.in_(mine) & (_TABLE.c.owner == self._owner))
                .values(lease_until=time.time() + self._lease_seconds)
                .returning(_TABLE.c.operation_id, _TABLE.c.is_cancel_requested)
            ).all()
        self._cancelled.update(row.operation_id for row in rows if row.is_cancel_requested)

    def _take_over(self) -> None:
        free = (_TABLE.c.owner == "") | (_TABLE.c.owner == self._owner) | (_TABLE.c.lease_until < time.time())
        with reader(self._engine).connect() as connection:
            rows = connection.execute(
                sa.select(_TABLE.c.operation_id)
                .where(_TABLE.c.state.not_in(TERMINAL) & free & _TABLE.c.kind.in_(self._functions))
                .order_by(_TABLE.c.sequence)
            ).scalars()
            waiting = list(rows)
        for operation_id in waiting:
            self._submit(operation_id)


def kind_of(request: type[Message]) -> str:
    """The kind of operation that a request class starts: `StartIngestRequest` -> "Ingest"."""
    return request.__name__.removeprefix("Start").removesuffix("Request")


def _encode(error: MedqError) -> str:
    return json.dumps({"reason": error.reason, "message": error.message, "metadata": error.metadata})


def _from_row(row: Any) -> Operation:
    fields = {name: getattr(row, name) for name in Operation.__dataclass_fields__ if name != "failure"}
    return Operation(failure=json.loads(row.failure) if row.failure else None, **fields)


def _dialect_insert(connection: sa.Connection) -> Callable[[sa.Table], Any]:
    """The `INSERT` of this database that knows `ON CONFLICT`."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_postgresql

        return insert_postgresql
    from sqlalchemy.dialects.sqlite import insert as insert_sqlite

    return insert_sqlite
