"""Long work: one row and one restartable function an operation.

The row (`shared.operation_rows`) holds state, revision, progress, the request and its digest, the owner and its lease, a
typed failure, the result's URI. The function is started again from its beginning after a kill, so every effect in it is
keyed and what is done is skipped; no step of it is remembered. `shared.operation_work` calls it, `shared.rpc.operations`
serves what is asked here.

A function that waits for people raises `Parked`: the row stays unfinished, and no thread and no process has it in hand until
somebody wakes it (`tell`) or its time is over.

Invariants: a terminal row changes by `retry` alone; the same id with another request is `AlreadyExists`; a write of
progress never fails the work.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping

import sqlalchemy as sa
from google.protobuf.message import Message

from shared.background import Bell
from shared.errors import InvalidArgument
from shared.limits import OPERATION_ID, OPERATION_ID_FORM
from shared.operation_context import OperationFunction
from shared.operation_rows import OperationRows
from shared.operation_table import WAITING, Operation
from shared.operation_work import Workers

#: How soon one who waits sees what another process of the service has written, in seconds.
REREAD_SECONDS = 0.25
#: Form of an operation's id, and of every id that a log may show.
ID = re.compile(OPERATION_ID)


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
        self._rows = OperationRows(engine, owner or service, lease_seconds)
        self._bell = Bell()
        self._workers = Workers(
            service,
            self._rows,
            {kind_of(cls): (cls, function) for cls, function in functions.items()},
            self._bell,
            lease_seconds=lease_seconds,
            n_workers=n_workers,
            is_patient=is_patient,
        )

    @property
    def is_draining(self) -> bool:
        """True once the server has begun to stop."""
        return self._workers.is_draining

    def resume(self) -> None:
        """Take up what nobody works on, and go on looking: for what other processes of the service note, give back or leave."""
        self._workers.resume()

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
        self._workers.submit(operation_id)
        return operation_id

    def retry(self, operation_id: str) -> None:
        """Let an operation that failed or was called off begin again; any other stays as it is."""
        self._rows.reopen(operation_id)
        self._workers.submit(operation_id)

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
            rings = self._bell.rings
            found = self.get(operation_id)
            left = deadline - time.monotonic()
            if found.revision > seen_revision or found.is_terminal or left <= 0 or self.is_draining or not is_active():
                return found
            self._bell.wait(rings, min(left, REREAD_SECONDS))  # another process may have written

    def cancel(self, operation_id: str) -> Operation:
        """Ask an operation to stop; a pending one ends at once, a terminal one stays as it is.

        Raises:
            NotFound: No operation of this service has the id.
        """
        self._rows.cancel(operation_id)
        found = self.get(operation_id)
        self._workers.call_off(operation_id)
        if found.state == WAITING:
            self._workers.submit(operation_id)
        self._bell.ring()
        return found

    def tell(self, operation_id: str, done: int, total: int, message: str, *, is_due: bool) -> None:
        """Show how far what a waiting operation waits for is, and take it up where it is due; any other stays as it is."""
        self._rows.tell(operation_id, done, total, message, is_due=is_due)
        if is_due:
            self._workers.submit(operation_id)
        self._bell.ring()

    def list(self, prefix: str = "", limit: int = 100, before: int | None = None) -> tuple[list[Operation], int | None]:
        """Operations, newest first, and the sequence number to go on before (None at the end)."""
        return self._rows.page(prefix, limit, before)

    def backlog(self) -> tuple[int, float]:
        """How many operations no process works on, and for how many seconds the most silent one at work has given no sign."""
        return self._rows.backlog()

    def notify(self) -> None:
        """Wake those who wait."""
        self._bell.ring()

    def drain(self) -> None:
        """Let waiters go and have running work give its rows back at its next progress report; returns when all has."""
        self._workers.drain()

    def is_cancelled(self, operation_id: str) -> bool:
        """True if the operation was called off, as far as this process knows."""
        return self._workers.is_cancelled(operation_id)


def kind_of(request: type[Message]) -> str:
    """The kind of operation that a request class starts: `StartIngestRequest` -> "Ingest"."""
    return request.__name__.removeprefix("Start").removesuffix("Request")
