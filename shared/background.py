"""Threads that wait for work: a bell to wake them, and a loop that survives what its step raises."""

from __future__ import annotations

import threading
from collections.abc import Callable

from shared.database import OUTAGES
from shared.errors import Unavailable
from shared.logs import get_logger

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_JOIN_SECONDS = 10.0
_log = get_logger("shared")


class Bell:
    """Wakes the waiting threads of this process; no ring between a look and the wait after it is missed."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._rings = 0

    @property
    def rings(self) -> int:
        """How often it rang; taken before the look and given to `wait`."""
        return self._rings

    def ring(self) -> None:
        """Wake everyone who waits."""
        with self._condition:
            self._rings += 1
            self._condition.notify_all()

    def wait(self, seen: int, timeout_seconds: float) -> None:
        """Return at once when it rang since `seen`, else at the next ring or after the time."""
        with self._condition:
            self._condition.wait_for(lambda: self._rings != seen, timeout_seconds)


class BackgroundLoop:
    """A daemon thread that calls `step` until it is closed; it begins at once.

    A step that raises is logged and tried again after a growing pause (a database that is down comes back).

    Args:
        name: The thread's name.
        step: Does some work, waits for more for a second at most, and returns.
        wake: Ends that wait; called by `close`.
    """

    def __init__(self, name: str, step: Callable[[], object], wake: Callable[[], None]) -> None:
        self._step = step
        self._wake = wake
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop after the step in hand; one that takes longer than ten seconds is left to end alone."""
        self._closing.set()
        self._wake()
        self._thread.join(_JOIN_SECONDS)
        if self._thread.is_alive():
            _log.warning("background_loop_left_running", thread=self._thread.name)

    def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._closing.is_set():
            try:
                self._step()
                pause = _FIRST_PAUSE_SECONDS
            except Exception as error:  # the thread must outlive whatever one step meets
                # Of an outage one line says enough, each time that it is met.
                trace = None if isinstance(error, (*OUTAGES, Unavailable)) else error
                _log.error("background_step_failed", thread=self._thread.name, exc_info=trace)
                self._closing.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
