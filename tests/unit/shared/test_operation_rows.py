"""Who may write a row of an operation."""

from __future__ import annotations

import time
from typing import Any

import pytest
import sqlalchemy as sa

from shared.errors import AlreadyExists, NotFound
from shared.operation_rows import OperationRows
from shared.operation_table import CANCELLED, FAILED, METADATA, PENDING, RUNNING, SUCCEEDED
from tests.support.databases import Database

LAPSED = -1.0  # a lease that is over when it begins


@pytest.fixture
def engine(database: Database) -> sa.Engine:
    return database.engine(METADATA)


def _rows(engine: sa.Engine, owner: str, lease_seconds: float = 60.0) -> OperationRows:
    rows = OperationRows(engine, owner, lease_seconds)
    rows.insert("a", "Train", b"request", "digest")
    return rows


def test_a_process_that_lost_its_row_cannot_end_it(engine: sa.Engine) -> None:
    slow, quick = _rows(engine, "slow", LAPSED), _rows(engine, "quick")
    assert slow.claim("a")
    assert quick.claim("a")
    slow.finish("a", 1.0, state=FAILED)
    slow.progress("a", 5, 9, "steps", "")
    assert (quick.get("a").state, quick.get("a").done) == (RUNNING, 0)
    quick.finish("a", 1.0, state=SUCCEEDED, result_uri="sha256:x")
    assert (quick.get("a").state, quick.get("a").attempts) == (SUCCEEDED, 2)


def test_a_row_with_a_living_owner_is_nobody_elses(engine: sa.Engine) -> None:
    first, second = _rows(engine, "first"), _rows(engine, "second")
    assert first.claim("a")
    assert second.claim("a") is None
    assert second.unfinished(["Train"]) == []
    assert first.unfinished(["Train"]) == ["a"]


def test_an_end_is_an_end(engine: sa.Engine) -> None:
    rows = _rows(engine, "one")
    assert rows.claim("a")
    rows.finish("a", 1.0, state=SUCCEEDED)
    rows.finish("a", 1.0, state=FAILED)
    rows.cancel("a")
    assert rows.claim("a") is None
    assert rows.get("a").state == SUCCEEDED


def test_what_succeeded_is_done_in_full(engine: sa.Engine) -> None:
    rows = _rows(engine, "one")
    assert rows.claim("a")
    rows.progress("a", 3, 7, "images", "")
    rows.finish("a", 1.0, state=SUCCEEDED)
    assert (rows.get("a").done, rows.get("a").total) == (7, 7)


def test_only_what_failed_or_was_called_off_is_reopened(engine: sa.Engine) -> None:
    rows = _rows(engine, "one")
    assert rows.claim("a")
    rows.reopen("a")
    assert rows.get("a").state == RUNNING
    rows.finish("a", 1.0, state=FAILED, failure={"reason": "INTERNAL"})
    rows.reopen("a")
    assert (rows.get("a").state, rows.get("a").failure) == (PENDING, None)


def test_a_cancelled_pending_row_ends_at_once_a_running_one_is_asked(engine: sa.Engine) -> None:
    rows = _rows(engine, "one")
    rows.cancel("a")
    assert rows.get("a").state == CANCELLED
    rows.reopen("a")
    assert rows.claim("a")
    rows.cancel("a")
    assert rows.get("a").state == RUNNING
    assert rows.renew(["a"]) == {"a"}


def test_each_change_raises_the_revision(engine: sa.Engine) -> None:
    rows = _rows(engine, "one")
    revisions = [rows.get("a").revision]
    for change in (
        lambda: rows.claim("a"),
        lambda: rows.progress("a", 1, 2, "steps", ""),
        lambda: rows.give_back("a", 0.5),
    ):
        change()
        revisions.append(rows.get("a").revision)
    assert revisions == [1, 2, 3, 4]


def test_another_request_under_the_same_id_is_refused(engine: sa.Engine) -> None:
    rows = _rows(engine, "one")
    with pytest.raises(AlreadyExists):
        rows.insert("a", "Train", b"other", "another digest")


def test_an_unknown_id_is_not_found(engine: sa.Engine) -> None:
    with pytest.raises(NotFound):
        _rows(engine, "one").get("b")


def test_what_rests_is_taken_up_by_nobody_until_it_has_rested(engine: sa.Engine) -> None:
    one, two = _rows(engine, "one"), _rows(engine, "two")
    assert one.claim("a")
    one.give_back("a", 1.0, "tries again", pause_seconds=3600)
    assert (one.get("a").state, one.get("a").message) == (PENDING, "tries again")
    assert [rows.unfinished(["Train"]) for rows in (one, two)] == [[], []]
    assert one.claim("a") is None
    one.give_back("a", 1.0)  # no longer its own
    assert two.claim("a") is None


def test_what_was_given_back_without_a_pause_is_taken_up_at_once(engine: sa.Engine) -> None:
    one, two = _rows(engine, "one"), _rows(engine, "two")
    assert one.claim("a")
    one.give_back("a", 1.0)
    assert two.claim("a")


def test_a_resting_row_that_is_cancelled_ends_at_once_and_is_reopened_at_once(engine: sa.Engine) -> None:
    rows = _rows(engine, "one")
    assert rows.claim("a")
    rows.give_back("a", 1.0, "tries again", pause_seconds=3600)
    rows.cancel("a")
    assert rows.get("a").state == CANCELLED
    rows.reopen("a")
    assert rows.claim("a")


def test_what_was_called_off_before_it_is_given_back_does_not_rest(engine: sa.Engine) -> None:
    rows = _rows(engine, "one")
    assert rows.claim("a")
    rows.cancel("a")
    rows.give_back("a", 1.0, "tries again", pause_seconds=3600)
    claimed = rows.claim("a")
    assert claimed
    assert claimed.is_cancel_requested


@pytest.mark.parametrize("wrong_by", [-86_400.0, 86_400.0])
def test_a_process_whose_clock_is_wrong_takes_no_living_lease_and_holds_no_dead_one(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch, wrong_by: float
) -> None:
    right, wrong = _rows(engine, "right"), _rows(engine, "wrong")
    true_time = time.time
    assert right.claim("a")
    monkeypatch.setattr(time, "time", lambda: true_time() + wrong_by)
    assert wrong.claim("a") is None
    right.give_back("a", 1.0)
    assert wrong.claim("a")
    monkeypatch.undo()
    assert right.claim("a") is None
    assert abs(right.get("a").updated_at - time.time()) < 3600


def test_no_statement_about_a_lease_carries_a_time_of_the_process(engine: sa.Engine) -> None:
    sent: list[float] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, is_many: bool) -> None:
        values = parameters.values() if isinstance(parameters, dict) else parameters
        sent.extend(value for value in values if isinstance(value, float))

    sa.event.listen(engine, "before_cursor_execute", note)
    rows = _rows(engine, "one", 45.0)
    assert rows.claim("a")
    rows.progress("a", 1, 2, "steps", "")
    rows.renew(["a"])
    rows.give_back("a", 1.0, "tries again", pause_seconds=8.0)
    rows.backlog()
    rows.unfinished(["Train"])
    assert sent
    assert max(sent) <= 45.0


def test_the_most_silent_operation_at_work_is_told_by_the_clock_of_the_database(engine: sa.Engine) -> None:
    rows = _rows(engine, "one")
    assert rows.backlog() == (1, 0.0)
    assert rows.claim("a")
    n_waiting, silent_seconds = rows.backlog()
    assert n_waiting == 0
    assert 0 <= silent_seconds < 3600
