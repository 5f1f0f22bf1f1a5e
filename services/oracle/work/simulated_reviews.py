"""The simulated expert at the queue: leases tasks and decides, as a person does on a page, by what is known of the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from services.oracle.domain.known_answers import KnownAnswers
from services.oracle.domain.review import SIMULATED, Simulation, Verdict
from services.oracle.ports import Expert
from services.oracle.store.review_tables import QueuedTask
from services.oracle.store.reviews import ReviewStore
from shared.background import BackgroundLoop, Bell
from shared.objects.dataset import read_rows
from shared.objects.store import ObjectStore
from shared.rows.annotation import KnownAnswer

_AT_A_TIME = 100
_LEASE_SECONDS = 600.0
_THREADS = 8
#: How soon it looks for what others queued, in seconds; what this process queued rings.
_LOOK_SECONDS = 60.0


class SimulatedReviews:
    """Decides what is queued for the simulated expert, until it is closed.

    Args:
        queue: The queue.
        objects: Where known answers lie.
        make_expert: An expert from what is known, its accuracy and a seed.
        tell: Told the work and the operation of which tasks were decided.
    """

    def __init__(
        self,
        queue: ReviewStore,
        objects: ObjectStore,
        make_expert: Callable[[KnownAnswers, float, int], Expert],
        tell: Callable[[str, str], None],
    ) -> None:
        self._queue = queue
        self._tell = tell
        self._bell = Bell()

        @lru_cache(maxsize=2)
        def known(uri: str) -> KnownAnswers:
            return KnownAnswers(read_rows(objects, uri, KnownAnswer))

        self._known = known
        self._make_expert = make_expert
        self._loop = BackgroundLoop("simulated-expert", self._work, self._bell.ring)

    def ring(self) -> None:
        """Say that there may be work."""
        self._bell.ring()

    def close(self) -> None:
        """Stop after the tasks in hand."""
        self._loop.close()

    def _work(self) -> None:
        rings = self._bell.rings
        leased = self._queue.lease(SIMULATED, SIMULATED, _AT_A_TIME, _LEASE_SECONDS)
        if not leased:
            self._bell.wait(rings, _LOOK_SECONDS)
            return
        self._queue.decide_all(zip(leased, self._verdicts(leased), strict=True))
        for work_id, operation_id in {(queued.entry.work_id, queued.operation_id) for queued in leased}:
            self._tell(work_id, operation_id)

    def _verdicts(self, leased: Sequence[QueuedTask]) -> list[Verdict]:
        # Made here, not in the threads: each would read what is known of a whole pool for itself.
        experts = [self._expert(queued.entry.simulation) for queued in leased]
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(_verdict, experts, leased))

    def _expert(self, simulation: Simulation | None) -> Expert:
        assert simulation is not None
        return self._make_expert(self._known(simulation.known_answers_uri), simulation.accuracy, simulation.seed)


def _verdict(expert: Expert, queued: QueuedTask) -> Verdict:
    found = expert.review(queued.entry.asked)
    return Verdict(found.action, found.answer, "", found.spending.expert_seconds, SIMULATED)
