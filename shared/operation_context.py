"""What the function of an operation is given: where it reports progress, and learns that it has to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from shared.errors import Cancelled

#: Least time between two progress writes of an operation, in seconds.
PROGRESS_PERIOD_SECONDS = 0.5


class InHand(Protocol):
    """The operations that a process has in hand."""

    @property
    def is_draining(self) -> bool:
        """True once the server has begun to stop."""

    def is_cancelled(self, operation_id: str) -> bool:
        """True if the operation was called off, as far as this process knows."""

    def write_progress(self, operation_id: str, done: int, total: int, unit: str, message: str) -> None:
        """Write progress and read cancellation; never raises."""


class Interrupted(Exception):
    """The server drains: give the row back so that the next process goes on."""


class OperationContext:
    """What a restartable function is given to report progress and to notice cancellation."""

    def __init__(self, in_hand: InHand, operation_id: str) -> None:
        self.operation_id = operation_id
        self._in_hand = in_hand
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
            self._in_hand.write_progress(self.operation_id, done, total, unit, message)
        self.check_cancelled()

    def check_cancelled(self) -> None:
        """Stop here if the operation was called off or the server drains.

        Raises:
            Cancelled: The operation was called off.
        """
        if self._in_hand.is_cancelled(self.operation_id):
            raise Cancelled("The operation was called off.")
        if self._in_hand.is_draining:
            raise Interrupted

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
