"""Long work: one row and one restartable function an operation.

The row (`shared.operation_rows`) holds state, revision, progress, the request and its digest, the owner and its lease, a
typed failure, the result's URI. The function is started again from its beginning after a kill, so every effect in it is
keyed and what is done is skipped; no step of it is remembered. `shared.rpc.operations` serves it.

A function that waits for people raises `Parked`: the row stays unfinished, and no thread and no process has it in hand until
somebody wakes it (`tell`) or its time is over.

Invariants: a terminal row changes by `retry` alone; the same id with another request is `AlreadyExists`; a write of
progress never fails the work.
"""

from __future__ import annotations

import contextvars
import hashlib
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa
from google.protobuf.message import Message
from sqlalchemy.exc import SQLAlchemyError

from shared.database import OUTAGES
from shared.errors import Cancelled, Internal, InvalidArgument, Unavailable, encode_error
from shared.limits import OPERATION_ID, OPERATION_ID_FORM
from shared.logs import get_logger
from shared.operation_rows import CANCELLED, FAILED, SUCCEEDED, WAITING, Claimed, Operation, OperationRows
from shared.parked import Parked
from shared.status import typed
from shared.telemetry import OPERATIONS, OPERATIONS_RUNNING
from shared.tracing import at_work

#: Least time between two progress writes of an operation, in seconds.
PROGRESS_PERIOD_SECONDS = 0.5
#: How soon a process takes up what another has noted, or what a dead one had in hand once its lease is over, in seconds.
LOOK_SECONDS = 1.0
#: How soon one who waits sees what another process of the service has written, in seconds.
REREAD_SECONDS = 0.25
#: An operation that an outage interrupts begins again, but not for ever: for an hour and a half.
MAX_ATTEMPTS = 100
#: The longest rest before it begins again, in seconds.
LONGEST_PAUSE_SECONDS = 60.0
#: Form of an operation's id, and of every id that a log may show.
ID = re.compile(OPERATION_ID)


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


class Operations:
    """The operations of one service.

    Args:
        service: Name of the service, for metrics and logs.
        engine: The service's database.
        functions: Request class to restartable function `(context, request) -> result URI` ("" where it makes none).
        owner: Stable name of this process; rows that it owned before a restart are its own again at once. "": the service's.
        lease_seconds: After so long without a sign of life another process takes a row over.
        n_workers: Operations that run at the same time.
        is_patient: Begin an operation again that ended since what it stands on was `Unavailable`, up to `MAX_ATTEMPTS` times.

    The processes of a service share its database, each with another `owner`. A row is claimed only once a worker is free to
    begin it, so one process does not keep from the others what it cannot do yet.
    """

    def __init__(
        self,
        service: str,
        engine: sa.Engine,
        functions: Mapping[type[Message], OperationFunction],
        *,
        owner: str,
        lease_seconds: float,
        n_workers: int = 2,
        is_patient: bool = True,
    ) -> None:
        self._service = service
        self._rows = OperationRows(engine, owner or service, lease_seconds)
        self._functions = {kind_of(cls): (cls, function) for cls, function in functions.items()}
        self._lease_seconds = lease_seconds
        self._is_patient = is_patient
        self._pool = ThreadPoolExecutor(n_workers, thread_name_prefix=f"{service}-operation")
        self._changed = threading.Condition()
        self._cancelled: set[str] = set()
        self._submitted: set[str] = set()
        self._stop = threading.Event()
        self._heart: threading.Thread | None = None
        self._log = get_logger(service)

    @property
    def is_draining(self) -> bool:
        """True once the server has begun to stop."""
        return self._stop.is_set()

    def resume(self) -> None:
        """Take up what nobody works on, and go on looking: for what other processes of the service note, give back or leave."""
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
        field = "operation_id" if "operation_id" in request.DESCRIPTOR.fields_by_name else "run_id"
        operation_id = str(getattr(request, field))
        if not ID.fullmatch(operation_id):
            raise InvalidArgument(
                "An operation needs an id.", field=field, value=operation_id, remedy=OPERATION_ID_FORM
            )
        body = request.SerializeToString(deterministic=True)
        self._rows.insert(operation_id, kind_of(type(request)), body, hashlib.sha256(body).hexdigest())
        self._submit(operation_id)
        return operation_id

    def retry(self, operation_id: str) -> None:
        """Let an operation that failed or was called off begin again; any other stays as it is."""
        self._cancelled.discard(operation_id)
        self._rows.reopen(operation_id)
        self._submit(operation_id)

    def get(self, operation_id: str) -> Operation:
        """One operation.

        Raises:
            NotFound: No operation of this service has the id.
        """
        return self._rows.get(operation_id)

    def wait(self, operation_id: str, seen_revision: int, seconds: float, is_active: Callable[[], bool]) -> Operation:
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
                self._changed.wait(min(left, REREAD_SECONDS))  # another process may have written

    def cancel(self, operation_id: str) -> Operation:
        """Ask an operation to stop; a pending one ends at once, a terminal one stays as it is.

        Raises:
            NotFound: No operation of this service has the id.
        """
        self._rows.cancel(operation_id)
        found = self.get(operation_id)
        with self._changed:
            if operation_id in self._submitted:  # another process reads it in the row
                self._cancelled.add(operation_id)
        if found.state == WAITING:
            self._submit(operation_id)
        self.notify()
        return found

    def tell(self, operation_id: str, done: int, total: int, message: str, *, is_due: bool) -> None:
        """Show how far what a waiting operation waits for is, and take it up where it is due; any other stays as it is."""
        self._rows.tell(operation_id, done, total, message, is_due=is_due)
        if is_due:
            self._submit(operation_id)
        self.notify()

    def list(self, prefix: str = "", limit: int = 100, before: int | None = None) -> tuple[list[Operation], int | None]:
        """Operations, newest first, and the sequence number to go on before (None at the end)."""
        return self._rows.page(prefix, limit, before)

    def backlog(self) -> tuple[int, float]:
        """How many operations no process works on, and for how many seconds the most silent one at work has given no sign."""
        return self._rows.backlog()

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
        """Write progress and read cancellation. Never raises: an outage must not fail the work."""
        try:
            if self._rows.progress(operation_id, done, total, unit, message):
                self._cancelled.add(operation_id)
        except OUTAGES:
            self._log.warning("progress_not_written", operation_id=operation_id)
        self.notify()

    def _submit(self, operation_id: str) -> None:
        with self._changed:
            if operation_id in self._submitted or self.is_draining:
                return
            self._submitted.add(operation_id)
        # In the caller's context: what an operation logs and calls belongs to the trace of the call that started it.
        self._pool.submit(contextvars.copy_context().run, self._run, operation_id)

    def _run(self, operation_id: str) -> None:
        began = time.monotonic()
        # An attempt before this one may have been called off; what counts is the row.
        self._cancelled.discard(operation_id)
        try:
            claimed = self._rows.claim(operation_id)
            self.notify()
            if claimed is not None:
                with OPERATIONS_RUNNING.labels(self._service).track_inprogress():
                    self._work(operation_id, claimed, began)
        except Exception as error:  # the row stays unfinished, so a later process takes it up
            self._log.error("operation_not_recorded", operation_id=operation_id, exc_info=error)
        finally:
            with self._changed:
                self._submitted.discard(operation_id)
                self._cancelled.discard(operation_id)
            self.notify()

    def _work(self, operation_id: str, claimed: Claimed, began: float) -> None:
        request_class, function = self._functions[claimed.kind]
        request = request_class.FromString(claimed.request)
        context = OperationContext(self, operation_id)
        if claimed.is_cancel_requested:
            self._cancelled.add(operation_id)
        try:
            with at_work(self._service, operation_id, claimed.kind, request):
                uri = function(context, request)  # also where it was called off: it may have to clean up
            self._finish(operation_id, claimed.kind, began, state=SUCCEEDED, result_uri=uri)
        except Parked as parked:
            self._rows.park(operation_id, time.monotonic() - began, parked)
            if parked.is_due():
                self._rows.tell(operation_id, parked.done, parked.total, parked.message, is_due=True)
        except Exception as error:
            self._stop_work(operation_id, claimed, began, error)

    def _stop_work(self, operation_id: str, claimed: Claimed, began: float, error: Exception) -> None:
        """Give an operation back that the error is no end of, or write its end."""
        known = typed(error)
        # While the server drains, what others called off because of it is no end of this operation; nor is an outage of
        # what it stands on (its own database above all), until it has come again and again.
        is_outage = isinstance(error, OUTAGES) or (self._is_patient and isinstance(known, Unavailable))
        is_outage = is_outage and claimed.attempts < MAX_ATTEMPTS
        is_draining = self.is_draining and not self.is_cancelled(operation_id)
        if isinstance(error, _Interrupted) or is_outage or is_draining:
            pause = pause_seconds(claimed.attempts) if is_outage and not is_draining else 0.0
            why = f"tries again in {pause:.0f} s, since what it needs does not answer: {known.message}" if pause else ""
            self._rows.give_back(operation_id, time.monotonic() - began, why, pause)
            return
        if isinstance(known, Internal):  # what a neighbour refused is no defect here
            self._log.error("operation_failed", operation_id=operation_id, kind=claimed.kind, exc_info=error)
        state = CANCELLED if isinstance(error, Cancelled) else FAILED
        self._finish(operation_id, claimed.kind, began, state=state, failure=encode_error(known))

    def _finish(
        self,
        operation_id: str,
        kind: str,
        began: float,
        *,
        state: str,
        result_uri: str = "",
        failure: Mapping[str, Any] | None = None,
    ) -> None:
        worked_seconds = time.monotonic() - began
        self._rows.finish(operation_id, worked_seconds, state=state, result_uri=result_uri, failure=failure)
        OPERATIONS.labels(self._service, kind, state).inc()

    def _beat(self) -> None:
        renew_at = time.monotonic()
        while not self._stop.wait(min(LOOK_SECONDS, self._lease_seconds / 3)):
            try:
                if time.monotonic() >= renew_at:
                    with self._changed:
                        mine = tuple(self._submitted)
                    self._cancelled |= self._rows.renew(mine)
                    renew_at = time.monotonic() + self._lease_seconds / 3
                self._take_over()
            except SQLAlchemyError:  # whatever the database has, this thread must go on
                self._log.warning("leases_not_renewed")

    def _take_over(self) -> None:
        for operation_id in self._rows.unfinished(self._functions):
            self._submit(operation_id)


def pause_seconds(n_attempts: int) -> float:
    """How long an operation rests after so many attempts, the last of which met an outage: 1 s, 2 s, 4 s ... a minute."""
    return min(2.0 ** min(n_attempts - 1, 10), LONGEST_PAUSE_SECONDS)


def kind_of(request: type[Message]) -> str:
    """The kind of operation that a request class starts: `StartIngestRequest` -> "Ingest"."""
    return request.__name__.removeprefix("Start").removesuffix("Request")
