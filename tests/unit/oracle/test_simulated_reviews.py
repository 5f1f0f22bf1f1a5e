"""The simulated expert at the queue."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from services.oracle.adapters.simulated_expert import SimulatedExpert
from services.oracle.domain.known_answers import KnownAnswers
from services.oracle.domain.review import SIMULATED, Simulation
from services.oracle.store.review_tables import DECIDED, METADATA
from services.oracle.store.reviews import ReviewStore
from services.oracle.work.simulated_reviews import SimulatedReviews
from shared.objects.dataset import publish
from shared.objects.folder import FolderObjectStore
from shared.rows.annotation import KnownAnswer
from tests.support.databases import Database
from tests.support.reviews import queue_entry
from tests.support.rows import build


def test_what_is_known_is_read_once_for_the_tasks_of_all_works(database: Database, tmp_path: Path) -> None:
    objects = FolderObjectStore(tmp_path)
    rows = {"answers.jsonl": [build(KnownAnswer)]}
    uri = publish(objects, "known-answers", rows, counts={}, parents=[], configuration={})
    tasks = [queue_entry(n, expert=SIMULATED, simulation=Simulation(uri, 1.0, seed=n % 3)) for n in range(30)]
    queue = ReviewStore(database.engine(METADATA))
    queue.put(tasks, "op", "request")
    read: list[KnownAnswers] = []
    decided = Event()

    def make_expert(known: KnownAnswers, accuracy: float, seed: int) -> SimulatedExpert:
        read.append(known)
        return SimulatedExpert(known, accuracy, seed)

    reviews = SimulatedReviews(queue, objects, make_expert, lambda work_id, operation_id: decided.set())
    try:
        assert decided.wait(60)
    finally:
        reviews.close()
    assert [one.state for one in queue.of_work("work")] == [DECIDED] * 30
    assert len({id(known) for known in read}) == 1
