"""The work of operations in one process: a row is claimed, its function is called, and its end is written or it is given back.

The processes of a service share its database, each with another owner. A row is claimed only once a worker is free to
begin it, so one process does not keep from the others what it cannot do yet.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from google.protobuf.message import Message
from sqlalchemy.exc import SQLAlchemyError

from shared.background import Bell
from shared.database import OUTAGES
from shared.errors import Cancelled, Internal, Unavailable, encode_error
from shared.logs import get_logger
from shared.operation_context import Interrupted, OperationContext, OperationFunction
from shared.operation_rows import OperationRows
from shared.operation_table import CANCELLED, FAILED, SUCCEEDED, Claimed
from shared.parked import Parked
from shared.status import typed
from shared.telemetry import OPERATIONS, OPERATIONS_RUNNING
from shared.tracing import at_work

#: How soon a process takes up what another has noted, or what a dead one had in hand once its lease is over, in seconds.
LOOK_SECONDS = 1.0
#: An operation that an outage interrupts begins again, but not for ever: for an hour and a half.
MAX_ATTEMPTS = 100
#: The longest rest before it begins again, in seconds.
LONGEST_PAUSE_SECONDS = 60.0


class Workers:
    """The operations that this process has in hand, each on a thread of a pool.

    Args:
        service: Name of the service, for metrics and logs.
        rows: Its operations.
        functions: Kind of operation to the class of its request and its function.
        bell: Rung whenever this process has changed a row.
        lease_seconds, n_workers, is_patient: See `shared.operations.Operations`.
    """

    def __init__(
        self,
        service: str,
        rows: OperationRows,
        functions: Mapping[str, tuple[type[Message], OperationFunction]],
        bell: Bell,
        *,
        lease_seconds: float,
        n_workers: int,
        is_patient: bool,
    ) -> None:
        self._service = service
        self._rows = rows
        self._functions = functions
        self._bell = bell
        self._lease_seconds = lease_seconds
        self._is_patient = is_patient
        self._pool = ThreadPoolExecutor(n_workers, thread_name_prefix=f"{service}-operation")
        self._lock = threading.Lock()
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

    def drain(self) -> None:
        """Have running work give its rows back at its next progress report; returns when all has."""
        self._stop.set()
        self._bell.ring()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._heart is not None:
            self._heart.join()

    def submit(self, operation_id: str) -> None:
        """Let an operation begin as soon as a worker is free, unless this process has it in hand already."""
        with self._lock:
            if operation_id in self._submitted or self.is_draining:
                return
            self._submitted.add(operation_id)
        # In the caller's context: what an operation logs and calls belongs to the trace of the call that started it.
        self._pool.submit(contextvars.copy_context().run, self._run, operation_id)

    def call_off(self, operation_id: str) -> None:
        """Have an operation stop that this process has in hand; another process reads it in the row."""
        with self._lock:
            if operation_id in self._submitted:
                self._cancelled.add(operation_id)

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
        self._bell.ring()

    def _run(self, operation_id: str) -> None:
        began = time.monotonic()
        # An attempt before this one may have been called off; what counts is the row.
        self._cancelled.discard(operation_id)
        try:
            claimed = self._rows.claim(operation_id)
            self._bell.ring()
            if claimed is not None:
                with OPERATIONS_RUNNING.labels(self._service).track_inprogress():
                    self._work(operation_id, claimed, began)
        except Exception as error:  # the row stays unfinished, so a later process takes it up
            self._log.error("operation_not_recorded", operation_id=operation_id, exc_info=error)
        finally:
            with self._lock:
                self._submitted.discard(operation_id)
                self._cancelled.discard(operation_id)
            self._bell.ring()

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
        if isinstance(error, Interrupted) or is_outage or is_draining:
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
                    with self._lock:
                        mine = tuple(self._submitted)
                    self._cancelled |= self._rows.renew(mine)
                    renew_at = time.monotonic() + self._lease_seconds / 3
                self._take_over()
            except SQLAlchemyError:  # whatever the database has, this thread must go on
                self._log.warning("leases_not_renewed")

    def _take_over(self) -> None:
        for operation_id in self._rows.unfinished(self._functions):
            self.submit(operation_id)


def pause_seconds(n_attempts: int) -> float:
    """How long an operation rests after so many attempts, the last of which met an outage: 1 s, 2 s, 4 s ... a minute."""
    return min(2.0 ** min(n_attempts - 1, 10), LONGEST_PAUSE_SECONDS)
