from __future__ import annotations

import pytest

from services.oracle.store.review_tables import METADATA
from services.oracle.store.reviews import ReviewStore
from services.oracle.work.review_progress import ReviewProgress
from tests.support.databases import Database
from tests.support.reviews import accepted, queue_entries


@pytest.mark.parametrize("n_tasks", [3, 1500])
def test_every_change_of_few_tasks_and_the_last_one_of_many_are_told(tmp_path, n_tasks: int) -> None:
    queue = ReviewStore(Database(f"sqlite:///{tmp_path}/q.sqlite").engine(METADATA))
    entries, told = queue_entries(n_tasks), list[tuple[object, ...]]()
    queue.put(entries, "op", "request")
    progress = ReviewProgress(queue, lambda *said: told.append(said))
    for number, entry in enumerate(entries[:3], start=1):
        queue.decide(entry.task_id, 1, accepted())
        progress.tell("work", "op")
        assert n_tasks == 1500 or told[-1][1] == number
    queue.close("run")
    progress.tell("work", "op")
    assert told[-1] == ("op", n_tasks, n_tasks, f"waiting for reviews: {n_tasks} of {n_tasks}", True)


def test_nothing_waits_for_what_no_operation_queued(tmp_path) -> None:
    queue = ReviewStore(Database(f"sqlite:///{tmp_path}/q.sqlite").engine(METADATA))
    told = list[tuple[object, ...]]()
    ReviewProgress(queue, lambda *said: told.append(said)).tell("calibration/run", "")
    assert told == []
