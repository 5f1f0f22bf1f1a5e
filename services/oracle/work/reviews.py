"""What annotation asks of experts: tasks in the queue with their accounts, and what was decided about them.

The cost of a task is reserved before it is queued, and settled by the time that its reviewer took. What an operation queues is
named by its work and decision, so an operation that begins again finds its tasks there, decided or not.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import grpc

from medq.controller.v1 import controller_pb2 as pb
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from services.oracle.domain.measures import PLANT_ACCEPTED, calibration_work, effective
from services.oracle.domain.opinions import DISAGREED, adopted, third_opinions
from services.oracle.domain.review import FIRST, PEOPLE, QueueEntry, Verdict
from services.oracle.ports import Outcome, Reviews
from services.oracle.store.review_tables import CLOSED, DECIDED, WITHDRAWN, QueuedTask
from services.oracle.store.reviews import ReviewStore
from services.oracle.work.review_progress import progress_of
from shared.errors import BudgetExhausted
from shared.operation_context import OperationContext
from shared.outside.accounts import CallBook, cost_of
from shared.parked import Parked
from shared.spending import Spending
from shared.status import from_rpc_error

#: How soon a work that waits looks again, should nobody wake it, in seconds: for people, and for who stands in for them.
LOOK_SECONDS: Final = 300.0
SIMULATED_LOOK_SECONDS: Final = 2.0
#: Why a question has no answer whose review an operator closed.
LEFT_OUT: Final = "the review was closed before an expert saw it"
_LEDGER_BATCH = 1000


class ReviewWork:
    """Has tasks reviewed.

    Args:
        queue: The queue.
        ledger: The controller, which keeps the accounts.
        ring: Tells the simulated expert that there may be work.
    """

    def __init__(self, queue: ReviewStore, ledger: ControllerServiceStub, ring: Callable[[], None]) -> None:
        self._queue = queue
        self._ledger = ledger
        self._ring = ring

    def collect(self, context: OperationContext, book: CallBook, entries: Sequence[QueueEntry]) -> Reviews:
        """What experts decided about these tasks.

        Args:
            context: Whose work it is.
            book: Who pays; `max_in_flight` tasks are reserved at a time.
            entries: In the order in which the budget is spent on them.

        Returns: What was decided; why not, of what an operator closed and of what the budget does not cover.

        Raises:
            Parked: Not all are decided yet.
        """
        self._queue.adopt(book.work_id, book.run_id, context.operation_id)
        queued = self._queue.of_work(book.work_id)
        self._close_accounts(book, book.work_id, queued)
        stopped = self._put_missing(context.operation_id, book, entries, queued)
        self._require_done(book, entries)
        found = self._queue.of_work(book.work_id)
        thirds = third_opinions([one.entry for one in found if one.entry.opinion == FIRST], _verdicts(found))
        stopped = self._put_missing(context.operation_id, book, thirds, found) or stopped
        self._require_done(book, entries)
        found = self._queue.of_work(book.work_id)
        calibration = calibration_work(book.run_id)
        self._close_accounts(book, calibration, self._queue.of_work(calibration))
        return _reviews(entries, found, self._close_accounts(book, book.work_id, found), stopped)

    def calibrate(self, run_id: str, entries: Sequence[QueueEntry]) -> None:
        """Have each reviewer of a run answer these first; see `ReviewStore.calibrate`."""
        self._queue.calibrate(run_id, entries)

    def withdraw(self, work_id: str, run_id: str) -> None:
        """Take back what is open of a work that was called off, and what is reserved for it."""
        self._queue.withdraw(work_id)
        self._release(run_id, self._queue.of_work(work_id))

    def _require_done(self, book: CallBook, entries: Sequence[QueueEntry]) -> None:
        """Go on where all tasks of a work have ended; else wait."""
        if not self._queue.lock(book.work_id):
            self._ring()
            raise self._parked(book.work_id, entries[0].expert if entries else PEOPLE)

    def _put_missing(
        self, operation_id: str, book: CallBook, entries: Sequence[QueueEntry], queued: Sequence[QueuedTask]
    ) -> str:
        """Reserve and queue what is not in the queue; why not all of it, where the budget does not allow that."""
        known = {one.entry.task_id for one in queued}
        revisions = {one.entry.task_id: one.revision for one in queued if one.state == WITHDRAWN}
        missing = [one for one in entries if one.task_id not in known or one.task_id in revisions]
        for start in range(0, len(missing), book.max_in_flight):
            chunk = missing[start : start + book.max_in_flight]
            opened = {one.task_id: revisions.get(one.task_id, 0) + 1 for one in chunk}
            named = "/".join(f"{task_id}:{revision}" for task_id, revision in opened.items())
            request_id = hashlib.sha256(named.encode()).hexdigest()
            estimates = {one.ledger_key_at(opened[one.task_id]): one.estimate_seconds for one in chunk}
            try:
                self._reserve(book, estimates, request_id)
            except BudgetExhausted as error:
                return error.message
            self._queue.put(chunk, operation_id, request_id)
        return ""

    def _parked(self, work_id: str, expert: str) -> Parked:
        def is_due() -> bool:
            return not self._queue.has_open(work_id)

        done, total, message = progress_of(self._queue, work_id)
        seconds = LOOK_SECONDS if expert == PEOPLE else SIMULATED_LOOK_SECONDS
        return Parked(done, total, "reviews", message, seconds=seconds, is_due=is_due)

    def _reserve(self, book: CallBook, estimates: Mapping[str, float], request_id: str) -> None:
        if not book.run_id:
            return
        costs = [cost_of(book, key, Spending(expert_seconds=seconds)) for key, seconds in estimates.items()]
        try:
            self._ledger.ReserveCosts(pb.ReserveCostsRequest(run_id=book.run_id, costs=costs, request_id=request_id))
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    def _close_accounts(self, book: CallBook, work_id: str, queued: Sequence[QueuedTask]) -> Mapping[str, float]:
        """Settle each decision, one that was taken back too, and release what never will be; again it changes nothing.

        Returns: The seconds that were spent on each task that somebody has decided about, by its id.
        """
        seconds = self._queue.seconds(work_id)
        costs = [
            cost_of(book, one.entry.ledger_key_at(revision), Spending(expert_seconds=spent))
            for one in queued
            for revision, spent in sorted(seconds.get(one.entry.task_id, {}).items())
        ]
        for start in range(0, len(costs) if book.run_id else 0, _LEDGER_BATCH):
            part = costs[start : start + _LEDGER_BATCH]
            self._ledger.SettleCosts(pb.SettleCostsRequest(run_id=book.run_id, costs=part, is_on_record=True))
        self._release(book.run_id, queued)
        return {task_id: sum(spent.values()) for task_id, spent in seconds.items()}

    def _release(self, run_id: str, queued: Iterable[QueuedTask]) -> None:
        keys: dict[str, list[str]] = {}
        for one in queued:
            if run_id and one.state in (CLOSED, WITHDRAWN):
                keys.setdefault(one.request_id, []).append(one.entry.ledger_key_at(one.revision))
        for request_id, unspent in keys.items():
            self._ledger.ReleaseCosts(pb.ReleaseCostsRequest(run_id=run_id, request_id=request_id, keys=unspent))


def _reviews(
    entries: Sequence[QueueEntry], found: Sequence[QueuedTask], spent: Mapping[str, float], stopped: str
) -> Reviews:
    """What became of each question, from the opinions on it."""
    verdicts, seconds = _verdicts(found), defaultdict[str, float](float)
    for one in found:
        seconds[one.entry.asked.decision_id] += spent.get(one.entry.task_id, 0.0)
    closed = {one.entry.asked.decision_id for one in found if one.state == CLOSED}
    deceived = {one.entry.asked.decision_id for one in found if one.verdict and not effective(one.entry, one.verdict)}
    decided, why_not = {}, {}
    for name in (entry.asked.decision_id for entry in entries if entry.opinion == FIRST):
        said = verdicts.get(name, {})
        verdict = adopted(said)
        if name in deceived:
            why_not[name] = PLANT_ACCEPTED
        elif verdict is not None:
            decided[name] = Outcome(verdict.answer, verdict.action, Spending(expert_seconds=seconds[name]))
        elif said:
            why_not[name] = DISAGREED
        else:
            why_not[name] = LEFT_OUT if name in closed else stopped
    return Reviews(decided, why_not, stopped)


def _verdicts(queued: Iterable[QueuedTask]) -> dict[str, dict[int, Verdict]]:
    """What was decided about the proposals as they were, by decision and opinion."""
    found: dict[str, dict[int, Verdict]] = {}
    for one in queued:
        verdict = effective(one.entry, one.verdict) if one.state == DECIDED and one.verdict is not None else None
        if verdict is not None:
            found.setdefault(one.entry.asked.decision_id, {})[one.entry.opinion] = verdict
    return found
