"""Ends calls that hold a thread for too long, from a thread of its own: a thread that waits for a caller cannot end itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from shared.background import BackgroundLoop

#: How long a call may send its message, in seconds.
MESSAGE_SECONDS = 10.0
#: How soon a message must be there where more calls than may be slow wait for theirs, in seconds.
CROWDED_SECONDS = 0.5
#: Likewise where `_FLOOD` times as many wait: then no thread is left, and the others wait behind them.
FLOODED_SECONDS = 0.1
_FLOOD = 4
_PERIOD_SECONDS = 0.1


@dataclass(eq=False)
class _Wait:
    """A call that has until `until`; since when it waits for its message, None where it has that."""

    context: grpc.ServicerContext
    until: float
    message_since: float | None = None


class Patience:
    """How long the calls of a server may take.

    Args:
        n_slow: Calls that may be slow to send their message at the same time; it takes the time of the others beyond them.
        clock: Gives seconds.
    """

    def __init__(self, n_slow: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._n_slow = n_slow
        self._clock = clock
        self._waits: set[_Wait] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._loop: BackgroundLoop | None = None

    def start(self) -> None:
        """Look every tenth of a second from now on."""
        self._loop = BackgroundLoop("patience", self._step, self._closing.set)

    def close(self) -> None:
        """Look no more."""
        if self._loop is not None:
            self._loop.close()

    @contextmanager
    def within(self, context: grpc.ServicerContext, seconds: float) -> Iterator[Callable[[], None]]:
        """End the call where the block takes longer; what it gives, called within it, begins the time anew."""

        def again() -> None:
            wait.until = self._clock() + seconds

        wait = _Wait(context, self._clock() + seconds)
        with self._held(wait):
            yield again

    @contextmanager
    def for_message(self, context: grpc.ServicerContext) -> Iterator[None]:
        """End the call where its message does not come within the block."""
        now = self._clock()
        with self._held(_Wait(context, now + MESSAGE_SECONDS, now)):
            yield

    def look(self) -> None:
        """End every call whose time is over."""
        now = self._clock()
        with self._lock:
            over = {wait for wait in self._waits if wait.until <= now}
            slow = self._slow(now)
            over.update(sorted(slow, key=lambda wait: wait.until)[: max(0, len(slow) - self._n_slow)])
            self._waits -= over
        for wait in over:
            wait.context.cancel()  # type: ignore[no-untyped-call]

    def _slow(self, now: float) -> list[_Wait]:
        """The calls that wait too long for their message where many do."""
        since = [
            (wait, wait.message_since) for wait in self._waits if wait.message_since is not None and wait.until > now
        ]
        seconds = CROWDED_SECONDS if len(since) < _FLOOD * self._n_slow else FLOODED_SECONDS
        return [wait for wait, began in since if now - began >= seconds]

    @contextmanager
    def _held(self, wait: _Wait) -> Iterator[None]:
        with self._lock:
            self._waits.add(wait)
        try:
            yield
        finally:
            with self._lock:
                self._waits.discard(wait)

    def _step(self) -> None:
        self.look()
        self._closing.wait(_PERIOD_SECONDS)
