"""How far the reviews of a work are, as the operation that waits for them shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from services.oracle.store.reviews import ReviewStore

#: Counting the tasks of a work takes as long as there are many: of the time at most one part in so many goes there.
_REST: Final = 20
#: Of so few tasks each change is shown.
_FEW: Final = 1000


class ReviewProgress:
    """Tells operations that wait for reviews what has changed.

    Args:
        queue: The queue.
        tell: Shows an operation what is done, the total, and both for a person; and has it go on where all is done.
    """

    def __init__(self, queue: ReviewStore, tell: Callable[[str, int, int, str, bool], None]) -> None:
        self._queue = queue
        self._tell = tell
        self._rests_until: dict[str, float] = {}

    def tell(self, work_id: str, operation_id: str) -> None:
        """Show an operation how many reviews there are, and have it go on once all are; the last one is never left out."""
        if not operation_id:  # of questions that calibrate a reviewer: nothing waits for them
            return
        began, is_due = time.monotonic(), not self._queue.has_open(work_id)
        if not is_due and began < self._rests_until.get(work_id, 0.0):
            return
        done, total, message = progress_of(self._queue, work_id)
        self._tell(operation_id, done, total, message, is_due)
        self._rests_until.pop(work_id, None)
        if not is_due and total > _FEW:
            ended = time.monotonic()
            self._rests_until[work_id] = ended + _REST * (ended - began)


def progress_of(queue: ReviewStore, work_id: str) -> tuple[int, int, str]:
    """How many tasks of a work have ended, how many there are, and both for a person."""
    n_open, total = queue.work_counts(work_id)
    return total - n_open, total, f"waiting for reviews: {total - n_open} of {total}"
