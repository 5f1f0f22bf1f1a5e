"""Who may write a row of an operation."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from shared.errors import AlreadyExists, NotFound
from shared.operation_rows import CANCELLED, FAILED, METADATA, PENDING, RUNNING, SUCCEEDED, OperationRows
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
