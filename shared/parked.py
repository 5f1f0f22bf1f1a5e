"""How the function of an operation says that it waits for people."""

from __future__ import annotations

from collections.abc import Callable


class Parked(Exception):
    """Raised by an operation's function: not yet. It is begun again once it is woken, at latest after some time.

    Attributes:
        done, total, unit, message: What is shown meanwhile: `12 of 40 reviews`, `waits for reviews`.
        seconds: When to look again, woken or not.
        is_due: Asked once it waits, for what came between the last look of the function and now.
    """

    def __init__(
        self,
        done: int,
        total: int,
        unit: str,
        message: str,
        *,
        seconds: float,
        is_due: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(message)
        self.done, self.total, self.unit, self.message = done, total, unit, message
        self.seconds = seconds
        self.is_due = is_due
