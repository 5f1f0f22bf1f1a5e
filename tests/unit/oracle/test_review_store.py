"""The queue of the experts: who has a task, what is decided once, and that no list scans the table."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
import sqlalchemy as sa

from services.oracle.domain.opinions import with_second_opinions
from services.oracle.domain.review import PEOPLE, SIMULATED, Simulation, Verdict
from services.oracle.migrations import SCHEMA
from services.oracle.store import review_leases, review_reads, review_tables
from services.oracle.store.review_tables import CLOSED, DECIDED, METADATA, OPEN, WITHDRAWN
from services.oracle.store.reviews import ReviewStore
from shared.errors import AlreadyExists, FailedPrecondition, NotFound
from tests.support.databases import Database
from tests.support.reviews import accepted, queue_entries, queue_entry


class Clock:
    """A clock that a test sets, in seconds."""

    seconds = 1000.0

    def __call__(self) -> sa.ColumnElement[float]:
        return sa.literal(self.seconds, sa.Float)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(database: Database) -> sa.Engine:
    return database.engine(METADATA)


@pytest.fixture
def queue(engine: sa.Engine, clock: Clock) -> ReviewStore:
    return ReviewStore(engine, clock)


def leased(queue: ReviewStore, reviewer: str, count: int = 10, seconds: float = 60) -> list[str]:
    return [queued.entry.asked.decision_id for queued in queue.lease(PEOPLE, reviewer, count, seconds)]


def test_a_task_comes_back_as_it_was_queued(queue: ReviewStore) -> None:
    task = queue_entry(question='Ünïcode,\n"quoted"', options={}, proposal=None, entropy=None, self_answer=None)
    queue.put([task], "op", "request")
    found = queue.find(task.task_id)
    assert found.entry == task
    assert (found.state, found.revision, found.reviewer, found.verdict) == (OPEN, 1, "", None)


def test_what_is_queued_again_stays_as_it_is(queue: ReviewStore) -> None:
    tasks = queue_entries(2)
    queue.put(tasks, "op", "request")
    queue.decide(tasks[0].task_id, 1, accepted())
    queue.put(tasks, "op", "request")
    assert queue.work_counts("work") == (1, 2)


def test_two_reviewers_never_have_the_same_task(queue: ReviewStore) -> None:
    queue.put(queue_entries(5), "op", "request")
    assert leased(queue, "ann", 3) == ["d-0", "d-1", "d-2"]
    assert leased(queue, "bob", 3) == ["d-3", "d-4"]
    assert leased(queue, "eve") == []


def test_many_who_ask_at_the_same_time_share_the_tasks_out(queue: ReviewStore) -> None:
    queue.put(queue_entries(40), "op", "request")
    with ThreadPoolExecutor(8) as pool:
        shares = list(pool.map(lambda n: leased(queue, f"reviewer-{n}", 5), range(8)))
    taken = [name for share in shares for name in share]
    assert len(taken) == len(set(taken))
    assert len(taken) + len(leased(queue, "last", 40)) == 40


def test_who_asks_again_gets_what_they_have_in_hand(queue: ReviewStore) -> None:
    queue.put(queue_entries(5), "op", "request")
    first = leased(queue, "ann", 2)
    assert leased(queue, "ann", 2) == first
    assert leased(queue, "ann", 3) == [*first, "d-2"]


def test_a_lease_that_is_over_frees_the_task(queue: ReviewStore, clock: Clock) -> None:
    queue.put(queue_entries(1), "op", "request")
    leased(queue, "ann", seconds=60)
    clock.seconds += 59
    assert leased(queue, "bob") == []
    clock.seconds += 2
    assert queue.find(queue_entry().task_id).reviewer == ""
    assert leased(queue, "bob") == ["d-0"]


def test_what_needs_an_expert_is_handed_out_before_an_audit(queue: ReviewStore) -> None:
    queue.put([queue_entry(0, route="audit"), queue_entry(1), queue_entry(2, route="review")], "op", "request")
    assert leased(queue, "ann", 1) == ["d-1"]
    assert leased(queue, "bob") == ["d-2", "d-0"]


def test_people_are_not_handed_what_the_simulated_expert_decides(queue: ReviewStore) -> None:
    simulation = Simulation("sha256:" + "1" * 64, 0.9, 7)
    queue.put([queue_entry(0, expert=SIMULATED, simulation=simulation)], "op", "request")
    assert leased(queue, "ann") == []
    assert [found.entry.simulation for found in queue.lease(SIMULATED, "x", 5, 60)] == [simulation]


def test_a_decision_is_made_once_and_told_again(queue: ReviewStore) -> None:
    task = queue_entry()
    queue.put([task], "op", "request")
    found, is_new = queue.decide(task.task_id, 1, accepted())
    assert (found.state, found.verdict, is_new) == (DECIDED, accepted(), True)
    assert found.decided_at == 1000
    assert queue.decide(task.task_id, 1, accepted()) == (found, False)
    for other in (accepted("bob"), accepted(seconds=13), Verdict("edit", "B", "", 12.5, "ann")):
        with pytest.raises(AlreadyExists):
            queue.decide(task.task_id, 1, other)
    assert queue.find(task.task_id) == found


def test_a_decision_needs_the_revision_as_it_stands_and_nobody_else_at_work(queue: ReviewStore, clock: Clock) -> None:
    task = queue_entry()
    queue.put([task], "op", "request")
    with pytest.raises(FailedPrecondition, match="revision 1"):
        queue.decide(task.task_id, 2, accepted())
    leased(queue, "bob", seconds=60)
    with pytest.raises(FailedPrecondition, match="Somebody else"):
        queue.decide(task.task_id, 1, accepted("ann"))
    clock.seconds += 61
    assert queue.decide(task.task_id, 1, accepted("ann"))[1]
    with pytest.raises(NotFound):
        queue.decide("no such", 1, accepted())


def test_closing_ends_what_is_open_of_one_run(queue: ReviewStore) -> None:
    tasks = [*queue_entries(3), queue_entry(9, work_id="other", run_id="other")]
    queue.put(tasks, "op", "request")
    queue.decide(tasks[0].task_id, 1, accepted())
    assert queue.close("run") == (2, [("work", "op")])
    assert queue.close("run") == (0, [])
    assert [queue.find(task.task_id).state for task in tasks] == [DECIDED, CLOSED, CLOSED, OPEN]
    with pytest.raises(FailedPrecondition, match="closed"):
        queue.decide(tasks[1].task_id, 1, accepted())


def test_what_was_withdrawn_is_opened_again_at_another_revision(queue: ReviewStore) -> None:
    tasks = queue_entries(2)
    queue.put(tasks, "op", "first")
    queue.decide(tasks[0].task_id, 1, accepted())
    assert queue.withdraw("work") == 1
    assert queue.find(tasks[1].task_id).state == WITHDRAWN
    queue.put([tasks[1]], "op/2", "second")
    queue.adopt("work", "run", "op/2")
    again = queue.find(tasks[1].task_id)
    assert (again.state, again.revision, again.operation_id, again.request_id) == (OPEN, 2, "op/2", "second")
    with pytest.raises(FailedPrecondition):
        queue.decide(tasks[1].task_id, 1, accepted())
    assert queue.decide(tasks[1].task_id, 2, accepted())[1]
    assert queue.find(tasks[0].task_id).state == DECIDED


def test_pages_hold_each_task_once_in_the_order_of_queueing(queue: ReviewStore) -> None:
    queue.put([*queue_entries(5), queue_entry(9, run_id="other")], "op", "request")
    queue.decide(queue_entry(1).task_id, 1, accepted())
    seen, after = [], 0
    while True:
        page, following = queue.page("run", "", 2, after)
        seen += [queued.entry.asked.decision_id for queued in page]
        if following is None:
            break
        after = following
    assert seen == [f"d-{number}" for number in range(5)]
    assert [queued.entry.asked.decision_id for queued in queue.page("", OPEN, 10)[0]] == [
        "d-0",
        "d-2",
        "d-3",
        "d-4",
        "d-9",
    ]
    assert [queued.entry.asked.decision_id for queued in queue.page("run", DECIDED, 10)[0]] == ["d-1"]


def test_counts_say_where_tasks_are(queue: ReviewStore, clock: Clock) -> None:
    queue.put([*queue_entries(4), queue_entry(9, work_id="w", run_id="other")], "op", "request")
    queue.decide(queue_entry(0).task_id, 1, accepted())
    leased(queue, "ann", 2, seconds=10)
    assert queue.counts("run") == {OPEN: 3, DECIDED: 1, "leased": 2}
    assert queue.counts()[OPEN] == 4
    clock.seconds += 11
    assert queue.counts("run")["leased"] == 0


@pytest.mark.parametrize(("run_id", "state"), [("", ""), ("run", ""), ("", OPEN), ("run", OPEN)])
def test_no_page_scans_the_table_nor_sorts(tmp_path, run_id: str, state: str) -> None:
    engine = Database(f"sqlite:///{tmp_path}/q.sqlite").engine(METADATA)
    query = review_reads.page_of(review_tables.JOINED, run_id, state, 50, 1000)
    plan = _plan(engine, query)
    assert not [step for step in plan if step.startswith("SCAN") or "TEMP B-TREE" in step], plan


@pytest.mark.parametrize(
    "name", ["FREE_NEXT", "ASSIGNED_NEXT", "GIVEN_BACK", "HELD", "CALIBRATION_NEXT", "HAS_DECIDED"]
)
def test_the_next_task_is_found_by_an_index(tmp_path, name: str) -> None:
    engine = Database(f"sqlite:///{tmp_path}/q.sqlite").engine(METADATA)
    plan = _plan(engine, getattr(review_leases, name))
    assert not [step for step in plan if step.startswith("SCAN")], plan
    if name in ("FREE_NEXT", "ASSIGNED_NEXT"):
        assert [step for step in plan if "ix_review_tasks_next" in step], plan
        assert not [step for step in plan if "TEMP B-TREE" in step], plan
    if name == "HELD":
        assert [step for step in plan if "ix_review_tasks_reviewer" in step], plan


def _plan(engine: sa.Engine, query: sa.Select) -> list[str]:
    given = {"now": 1.0, "expert": PEOPLE, "me": "ann", "most": 10, "task": "t"}
    named = {name: value for name, value in given.items() if name in query.compile().params}
    text = str(query.params(**named).compile(engine, compile_kwargs={"literal_binds": True}))
    with engine.connect() as connection:
        return [row.detail for row in connection.execute(sa.text("EXPLAIN QUERY PLAN " + text.replace(":", "\\:")))]


def test_decisions_of_before_the_log_are_entered_in_it(database: Database) -> None:
    engine, task = database.engine(), queue_entry()
    values = {"task": task.task_id, "body": msgspec.json.encode(task).decode()}
    with engine.begin() as connection:
        SCHEMA.upgrade(connection, to="0002")
        connection.execute(
            sa.text(
                "INSERT INTO review_tasks (task_id, work_id, run_id, operation_id, request_id, expert, state, priority, "
                "revision, reviewer, lease_until, body) VALUES (:task, 'work', 'run', 'op', 'r', 'review', 'decided', 0, 1, '', "
                "0, :body)"
            ),
            values,
        )
        connection.execute(
            sa.text(
                "INSERT INTO review_decisions (task_id, revision, action, answer, reason, active_seconds, reviewer, decided_at) "
                "VALUES (:task, 1, 'accept', 'A', '', 12.5, 'ann', 1000.25)"
            ),
            values,
        )
        SCHEMA.upgrade(connection)
    queue = ReviewStore(engine)
    found = queue.find(task.task_id)
    assert (found.entry, found.verdict, found.decided_at) == (task, accepted(), 1000.25)
    assert (queue.verify().last.sequence, queue.verify().fault) == (1, "")


def test_two_opinions_on_a_question_are_of_two_reviewers(queue: ReviewStore) -> None:
    first, second = with_second_opinions(queue_entries(1), 1.0, seed=0)
    queue.put([first, second], "op", "request")
    assert len(queue.lease(PEOPLE, "ann", 5, 60)) == 1
    assert queue.lease(PEOPLE, "ann", 5, 60)[0].entry == first
    assert [one.entry for one in queue.lease(PEOPLE, "bob", 5, 60)] == [second]
    queue.decide(first.task_id, 1, accepted("ann"))
    queue.release(second.task_id, "bob")
    assert queue.lease(PEOPLE, "ann", 5, 60) == []
    with pytest.raises(FailedPrecondition, match="already"):
        queue.decide(second.task_id, 1, accepted("ann"))
    assert [one.entry for one in queue.lease(PEOPLE, "eve", 5, 60)] == [second]
    queue.decide(second.task_id, 1, accepted("eve"))


def test_who_takes_an_opinion_back_may_give_it_again(queue: ReviewStore) -> None:
    first, second = with_second_opinions(queue_entries(1), 1.0, seed=0)
    queue.put([first, second], "op", "request")
    queue.decide(first.task_id, 1, accepted("ann"))
    queue.undo(first.task_id, 1, "ann", 60)
    assert queue.lease(PEOPLE, "ann", 5, 60)[0].entry == first
    queue.decide(first.task_id, 2, accepted("ann"))
