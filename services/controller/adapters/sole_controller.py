"""One controller a PostgreSQL database: a lock that a session holds, and that goes with its process, however that ends.

A lost session (PostgreSQL was restarted, the network was cut) is opened anew, since nothing else could go on meanwhile either.
Only where another controller has the lock by then does this process end: that one has taken up its runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

import sqlalchemy as sa

from shared.database import OUTAGES, create_engine, lock_key
from shared.errors import FailedPrecondition
from shared.logs import get_logger

#: How long a controller waits for the one before it to go.
PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 2.0
_PAUSE_SECONDS = 0.5
_log = get_logger("controller")


class SoleController:
    """Makes this process the only controller of a database.

    Args:
        url: `postgresql://...`; its migrations have been run.
        on_lost: Called by a thread, once, when another controller has the lock; it ends this process.
        patience_seconds: How long to wait for another controller to go.

    Raises:
        FailedPrecondition: Another controller is still there.
    """

    def __init__(self, url: str, on_lost: Callable[[], None], patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._mark = f"medq-controller-{uuid4().hex[:12]}"  # how this process knows its own sessions
        self._engine = create_engine(url, schema="controller").execution_options(isolation_level="AUTOCOMMIT")
        self._on_lost = on_lost
        self._closing = threading.Event()
        self._connection = self._wait_for_lock(patience_seconds)
        self._thread = threading.Thread(target=self._watch, name="sole-controller", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let the next controller begin."""
        self._closing.set()
        self._thread.join()
        self._connection.close()
        self._engine.dispose()

    def _wait_for_lock(self, patience_seconds: float) -> sa.Connection:
        deadline = time.monotonic() + patience_seconds
        while (connection := self._take_lock()) is None:
            if time.monotonic() > deadline:
                self._engine.dispose()
                raise FailedPrecondition(
                    "Another controller works on this database.",
                    field="database_url",
                    remedy="There is one a database: stop the other one, or use another database.",
                )
            self._closing.wait(_PAUSE_SECONDS)
        return connection

    def _take_lock(self) -> sa.Connection | None:
        """A session with the lock; None where another controller has it."""
        connection = self._engine.connect()
        try:
            connection.execute(sa.select(sa.func.set_config("application_name", self._mark, False)))
            if connection.execute(sa.select(sa.func.pg_try_advisory_lock(lock_key("sole")))).scalar_one():
                return connection
            # The server may not know yet that an earlier session of this process has gone.
            is_ours = "application_name = :mark AND pid <> pg_backend_pid()"
            statement = sa.text(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {is_ours}")
            was_ours = bool(connection.execute(statement, {"mark": self._mark}).all())
        except BaseException:
            connection.invalidate()
            raise
        connection.close()
        return self._take_lock() if was_ours else None

    def _watch(self) -> None:
        while not self._closing.wait(_LOOK_SECONDS):
            try:
                self._connection.execute(sa.select(1))
            except OUTAGES:
                _log.warning("sole_controller_session_lost")
                if not self._regain():
                    return

    def _regain(self) -> bool:
        """Take the lock again once PostgreSQL answers; whether this process goes on."""
        with suppress(*OUTAGES):
            self._connection.invalidate()
        while not self._closing.wait(_PAUSE_SECONDS):
            try:
                connection = self._take_lock()
            except OUTAGES:
                continue
            if connection is None:
                _log.error("sole_controller_replaced")
                self._on_lost()
                return False
            self._connection = connection
            _log.info("sole_controller_session_regained")
            return True
        return False
