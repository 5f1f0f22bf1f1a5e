"""Outside calls with their accounts: prepare, reserve, note what leaves, call, store the outcome, settle.

An outcome is stored as it arrives, before anything else that can fail, and no stored call is made again. What is not settled
is closed: as released where nothing was spent (the call failed so, or never began), as unknown where nobody knows. Each try of a
call is an attempt in the ledger. A killed process leaves at most `max_in_flight` calls reserved; they are made again, and the
ledger shows the first attempt as unknown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Generic

from prometheus_client import Counter

from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from shared.errors import BudgetExhausted, Unavailable
from shared.outside.accounts import Accounts, CallBook
from shared.outside.call import (
    MAY_PASS,
    NOT_PREPARED,
    REFUSED,
    UNANSWERED,
    CallResults,
    OutcomeStore,
    OutsideCall,
    Prepared,
    T,
    Try,
)
from shared.outside.probe import ENOUGH

_CALLS = Counter("medq_outside_calls_total", "Calls to the oracle, experts and judges that came back.", ["kind"])
#: Most threads that wait for outside calls.
_MAX_THREADS = 32
#: How soon work that is called off while it waits for an outside call notices, in seconds.
_LOOK_SECONDS = 0.5
#: The first pause between two tries, in seconds, which doubles up to the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0


class OutsideCalls(Generic[T]):
    """Makes outside calls once each, with accounts.

    Args:
        store: Keeps the outcomes.
        controller: Keeps the accounts and the audit.
        pause: Waits so many seconds.
    """

    def __init__(
        self, store: OutcomeStore[T], controller: ControllerServiceStub, pause: Callable[[float], object] = time.sleep
    ) -> None:
        self._store = store
        self._accounts = Accounts(controller)
        self._pause = pause

    def run(self, book: CallBook, calls: Sequence[OutsideCall[T]], progress: Callable[[int], None]) -> CallResults[T]:
        """Make the calls that have no stored outcome.

        Args:
            book: Whose calls they are.
            calls: With different keys; made in this order, in chunks of `max_in_flight`.
            progress: Told how many outcomes there are, at least twice a second; what it raises ends the work.

        Returns: The outcomes of these calls, those stored before included. Where the budget does not allow a chunk, no
            further one is begun and the reason is given. A call of which nobody knows what became, try after try, is given up
            where others of the same work were answered.

        Raises:
            Exception: The first that a call raised, but for what refuses that call alone; also that, where none of many in the
                work was answered. All calls of the chunk have been made then, and what they brought is kept.
        """
        stored = self._store.outcomes(book.work_id, book.kind)
        outcomes = {call.key: stored[call.key] for call in calls if call.key in stored}
        n_stored = len(outcomes)
        self._accounts.settle(book, {key: one.spending for key, one in outcomes.items()}, is_on_record=True)
        missing = [call for call in calls if call.key not in outcomes]
        refused: dict[str, str] = {}
        with ThreadPoolExecutor(min(book.max_in_flight, _MAX_THREADS)) as pool:
            for start in range(0, len(missing), book.max_in_flight):
                look = partial(progress, len(outcomes))
                look()
                chunk = _prepare(missing[start : start + book.max_in_flight], pool, refused)
                stopped = self._make_all(book, chunk, pool, look, outcomes, refused, was_answered=bool(stored))
                if stopped:
                    return CallResults(outcomes, stopped, refused, len(outcomes) - n_stored)
        progress(len(outcomes))
        return CallResults(outcomes, "", refused, len(outcomes) - n_stored)

    def _make_all(
        self,
        book: CallBook,
        calls: Mapping[str, Prepared[T]],
        pool: ThreadPoolExecutor,
        look: Callable[[], None],
        outcomes: dict[str, T],
        refused: dict[str, str],
        *,
        was_answered: bool,
    ) -> str:
        """Make the calls of a chunk, those that may pass later again; adds to `outcomes` and `refused`.

        Returns: Why the budget ends the work; "" where it does not.
        """
        waited, tried = 0.0, Try(calls)
        for number in range(1, book.tries + 1):
            try:
                self._open(book, tried)
            except BudgetExhausted as error:
                return error.message
            self._make(book, tried, pool, look)
            outcomes |= tried.made
            refused |= {key: f"refused: {text}" for key, text in tried.failures(*REFUSED).items()}
            tried.raise_first(*REFUSED, *MAY_PASS)
            again = tried.failures(*MAY_PASS)
            seconds = _pause(number, [tried.failed[key] for key in again])
            if not again or number == book.tries or waited + seconds > book.patience_seconds:
                break
            waited += seconds
            self._wait(seconds, look)
            tried = Try({key: calls[key] for key in again})
        is_all_refused = len(tried.failures(*REFUSED)) == len(tried.calls)
        is_answered = was_answered or bool(outcomes)
        if is_all_refused and not is_answered and len(refused) >= ENOUGH:
            tried.raise_first()
        # Where one try is all, or nobody was answered, somebody must look; else one question must not hold up the others.
        tried.raise_first(*REFUSED, *(UNANSWERED if book.tries > 1 and is_answered else ()))
        refused |= {key: f"given up: {text}" for key, text in tried.failures(*UNANSWERED).items()}
        return ""

    def _make(self, book: CallBook, tried: Try[T], pool: ThreadPoolExecutor, look: Callable[[], None]) -> None:
        """Make calls once and close their accounts, also where they fail or `look` ends the work."""
        calls = {pool.submit(call.make): key for key, call in tried.calls.items()}
        left = set(calls)
        try:
            while left:
                done, left = wait(left, _LOOK_SECONDS, FIRST_COMPLETED)
                self._keep(book, tried, {calls[future]: future for future in done})
                look()
        except Exception:
            # What has begun may be paid for, so it is waited for; the rest never begins.
            open_calls = {key: future for future, key in calls.items() if not tried.knows(key)}
            begun = {key: future for key, future in open_calls.items() if not future.cancel()}
            tried.not_begun += [key for key in open_calls if key not in begun]
            wait(begun.values())
            self._keep(book, tried, begun)
            self._close(book, tried)
            raise
        self._close(book, tried)

    def _keep(self, book: CallBook, tried: Try[T], done: Mapping[str, Future[T]]) -> None:
        """Store what calls have brought, before anything that can fail."""
        errors = {key: future.exception() for key, future in done.items()}
        brought = {key: done[key].result() for key, error in errors.items() if error is None}
        tried.made |= self._store.keep_outcomes(book.work_id, book.kind, brought)
        _CALLS.labels(book.kind).inc(len(brought))
        for key, error in errors.items():
            if isinstance(error, Exception):
                tried.failed[key] = error
            elif error is not None:
                raise error

    def _open(self, book: CallBook, tried: Try[T]) -> None:
        estimates = {key: call.estimate for key, call in tried.calls.items()}
        leaving = {key: call.leaving for key, call in tried.calls.items()}
        if estimates:
            self._accounts.open(book, tried.request_id, estimates, leaving)

    def _close(self, book: CallBook, tried: Try[T]) -> None:
        """Settle what was brought and close the rest; where this fails, what is stored is settled by the next attempt."""
        unspent = tried.unspent
        unknown = [key for key in tried.failed if key not in unspent]
        self._accounts.close(book, tried.request_id, unspent, unknown)
        self._accounts.settle(book, {key: one.spending for key, one in tried.made.items()})

    def _wait(self, seconds: float, look: Callable[[], None]) -> None:
        """Wait, and notice where the work is called off."""
        while seconds > 0:
            look()
            self._pause(min(seconds, _LOOK_SECONDS))
            seconds -= _LOOK_SECONDS


def _prepare(
    calls: Sequence[OutsideCall[T]], pool: ThreadPoolExecutor, refused: dict[str, str]
) -> dict[str, Prepared[T]]:
    """What can be made, by key, in order; adds why not to `refused`. Any other error is raised: nothing is reserved yet."""
    futures = {call.key: pool.submit(call.prepare) for call in calls}
    prepared = {}
    for key, future in futures.items():
        try:
            prepared[key] = future.result()
        except NOT_PREPARED as error:
            refused[key] = f"refused: {error.message}"
    return prepared


def _pause(number: int, errors: Sequence[Exception]) -> float:
    """Seconds between try `number` and the next: what a server asks for, and no less than ours, which doubles."""
    asked = [error.retry_after or 0.0 for error in errors if isinstance(error, Unavailable)]
    return max([min(_FIRST_PAUSE * 2.0 ** (number - 1), _LONGEST_PAUSE), *asked])
