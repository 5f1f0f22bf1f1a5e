"""The signals by which a process is told to end."""

from __future__ import annotations

import queue
import signal
from contextlib import suppress

_LOOK_SECONDS = 0.5


class StopSignals:
    """SIGTERM and SIGINT, kept from now on until the main thread waits for them; made in the main thread.

    Not a `threading.Event`: a handler runs between any two steps of the main thread, so it may find the lock of the event taken
    by the wait that it is to end, and both stand still for ever. What is put into a `SimpleQueue` meets no such lock.
    """

    def __init__(self) -> None:
        self._came: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: self._came.put(number))

    def wait(self) -> None:
        """Return once one has come."""
        while True:
            with suppress(queue.Empty):  # looks up, since a signal that another thread took wakes nobody here
                self._came.get(timeout=_LOOK_SECONDS)
                return
