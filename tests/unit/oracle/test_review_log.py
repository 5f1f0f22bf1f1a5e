"""The log of the queue as a chain: whoever changes, removes, adds or moves something in the database is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from services.oracle.domain.review import PEOPLE
from services.oracle.domain.review_log import BEGIN, DECIDE, Act, Entry, entry_after, fault_of
from services.oracle.store.review_tables import METADATA
from services.oracle.store.reviews import ReviewStore
from tests.support.databases import Database
from tests.support.reviews import accepted, queue_entries, queue_entry


@pytest.fixture
def engine(database: Database) -> sa.Engine:
    return database.engine(METADATA)


@pytest.fixture
def queue(engine: sa.Engine) -> ReviewStore:
    """A queue whose log has seven entries: two leases, three decisions, one of them taken back and made again."""
    queue, tasks = ReviewStore(engine), queue_entries(4)
    queue.put(tasks, "op", "request")
    queue.lease(PEOPLE, "ann", 2, 60)
    queue.decide(tasks[0].task_id, 1, accepted())
    queue.decide(tasks[1].task_id, 1, accepted())
    queue.undo(tasks[1].task_id, 1, "ann", 60)
    queue.decide(tasks[1].task_id, 2, accepted())
    queue.lease(PEOPLE, "bob", 1, 60)
    queue.decide(tasks[2].task_id, 1, accepted("bob"))
    return queue


def test_a_log_that_nobody_touched_is_in_order(queue: ReviewStore) -> None:
    found = queue.verify()
    assert (found.last.sequence, found.fault) == (7, "")
    assert queue.verify(found.last).fault == ""


def test_a_queue_without_decisions_is_in_order(database: Database) -> None:
    assert ReviewStore(database.engine(METADATA)).verify().last == BEGIN


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            "UPDATE review_log SET text = replace(text, '12.5', '2.5') WHERE sequence = 3",
            "Entry 3: its text was changed",
        ),
        ("UPDATE review_log SET actor = 'eve' WHERE sequence = 6", "Entry 6: the column actor was changed"),
        ("UPDATE review_log SET task_id = 'x' WHERE sequence = 2", "Entry 2: the column task_id was changed"),
        ("UPDATE review_log SET kind = 'lease' WHERE sequence = 2", "Entry 2: the column kind was changed"),
        ("DELETE FROM review_log WHERE sequence = 4", "Entry 5: entry 4 is missing"),
        ("DELETE FROM review_log WHERE sequence = 1", "Entry 2: entry 1 is missing"),
        ("DELETE FROM review_log WHERE sequence = 7", "After entry 6: the last entries are missing"),
        ("DELETE FROM review_log", "After entry 0: the last entries are missing"),
        ("UPDATE review_tasks SET body = replace(body, 'Blur', 'Fog') WHERE sequence = 1", "Entry 2: its task"),
        ("UPDATE review_tasks SET body = replace(body, 'wrong', 'right') WHERE sequence = 3", "Entry 7: its task"),
        ("DELETE FROM review_tasks WHERE sequence = 1", "Entry 2: its task"),
        ("UPDATE review_tasks SET state = 'open' WHERE sequence = 1", "is open at revision 1"),
        ("UPDATE review_tasks SET state = 'decided' WHERE sequence = 4", "is decided at revision 1"),
    ],
)
def test_what_was_changed_is_found_and_named(queue: ReviewStore, engine: sa.Engine, change: str, fault: str) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text(change.replace(":", "\\:")))
    assert fault in queue.verify().fault


def test_entries_that_changed_places_are_found(queue: ReviewStore, engine: sa.Engine) -> None:
    swap = "UPDATE review_log SET sequence = {} WHERE sequence = {}"
    with engine.begin() as connection:
        for new, old in ((-1, 3), (3, 2), (2, -1)):
            connection.execute(sa.text(swap.format(new, old)))
    assert queue.verify().fault == "Entry 2: it does not follow from the entry before."


def forge(engine: sa.Engine, change: Callable[[Act], Act]) -> None:
    """Write the whole log anew with right hashes, as one can who has the program."""
    with engine.begin() as connection:
        last = BEGIN
        for (text,) in connection.execute(sa.text("SELECT text FROM review_log ORDER BY sequence")).all():
            content = json.loads(text)
            names = ("kind", "actor", "task_id", "revision", "details")
            last = entry_after(last, change(Act(**{name: content[name] for name in names})), content["at"])
            values = {"text": last.text, "hash": last.hash, "sequence": last.sequence}
            connection.execute(sa.text("UPDATE review_log SET text=:text, hash=:hash WHERE sequence=:sequence"), values)
        connection.execute(sa.text("UPDATE review_log_end SET hash=:hash"), {"hash": last.hash})


def test_a_log_that_was_written_anew_is_told_by_a_hash_that_was_noted(queue: ReviewStore, engine: sa.Engine) -> None:
    noted = queue.verify().last

    def forged(act: Act) -> Act:
        details = {**act.details, "answer": "B"} if act.kind == DECIDE else act.details
        return Act(act.kind, act.actor, act.task_id, act.revision, details)

    forge(engine, forged)
    assert queue.verify().fault == ""
    assert queue.verify(noted).fault == "Entry 7: it was noted with another hash."
    assert "entry 9, which was noted, is missing" in queue.verify(Entry(9, "", noted.hash)).fault


def test_many_who_decide_at_the_same_time_do_not_fork_the_chain(database: Database) -> None:
    stores = [ReviewStore(database.engine(METADATA)) for _ in range(4)]
    stores[0].put(queue_entries(40), "op", "request")

    def decide(number: int) -> None:
        stores[number % 4].decide(queue_entry(number).task_id, 1, accepted())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decide, range(40)))
    found = stores[0].verify()
    assert (found.last.sequence, found.fault) == (40, "")


def test_the_same_act_after_another_entry_has_another_hash() -> None:
    act = Act(DECIDE, "ann", "task", 1, {"answer": "Ä"})
    first = entry_after(BEGIN, act, 1.5)
    second = entry_after(first, act, 1.5)
    assert first.hash != second.hash
    assert (
        first.text == '{"actor":"ann","at":1.5,"before":"' + "0" * 64 + '","details":{"answer":"Ä"},"kind":"decide",'
        '"revision":1,"sequence":1,"task_id":"task"}'
    )
    assert fault_of(first, second, {}) == ""
