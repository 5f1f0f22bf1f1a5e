"""The audit of what leaves: what a row may be, and that rows are added and never changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.controller.domain.egress import MOST_BYTES, MOST_ROWS, Leaving, require_valid
from services.controller.store.egress import METADATA, EgressLog
from shared.errors import InvalidArgument

ROW = Leaving("gpt-4o", "api.example.org:443", "gpt-4o-0806", "oracle", "run/a/0/oracle/x", "ab" * 32, "cd" * 32, 1000)


@pytest.mark.parametrize("n_rows", [1, MOST_ROWS])
def test_rows_of_the_form_are_valid(n_rows):
    require_valid([ROW, replace(ROW, image_id="", purpose="judge", n_bytes=0)][:n_rows] * max(1, n_rows // 2))


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint": ""},
        {"endpoint": "a b"},
        {"host": ""},
        {"host": "a\nb"},
        {"model": ""},
        {"model": "x" * 201},
        {"purpose": "curiosity"},
        {"purpose": ""},
        {"key": ""},
        {"key": "x" * 301},
        {"image_id": "ab"},
        {"image_id": "AB" * 32},
        {"text_sha256": ""},
        {"n_bytes": MOST_BYTES + 1},
    ],
)
def test_a_row_of_another_form_is_refused_by_its_field(changes):
    with pytest.raises(InvalidArgument) as caught:
        require_valid([ROW, replace(ROW, **changes)])
    assert caught.value.field == f"egress.{next(iter(changes))}"


@pytest.mark.parametrize("n_rows", [0, MOST_ROWS + 1])
def test_no_rows_and_too_many_are_refused(n_rows):
    with pytest.raises(InvalidArgument):
        require_valid([ROW] * n_rows)


@pytest.fixture
def log(database):
    return EgressLog(database.engine(METADATA), now=lambda: 1_790_000_000.0)


def test_the_same_request_adds_its_rows_once_and_changes_none(log):
    log.record("run", "one", [ROW, ROW])
    log.record("run", "one", [replace(ROW, n_bytes=7), ROW])
    assert [(left.leaving, left.run_id, left.noted_at) for left in log.page("", 10)[0]] == [
        (ROW, "run", 1_790_000_000.0)
    ] * 2


def test_pages_follow_each_other_without_a_gap_and_of_one_run_alone(log):
    for number in range(5):
        log.record("a" if number % 2 else "b", f"request-{number}", [replace(ROW, n_bytes=number)])
    first, after = log.page("", 2)
    second, then = log.page("", 2, after)
    last, end = log.page("", 2, then)
    assert [left.leaving.n_bytes for left in [*first, *second, *last]] == [0, 1, 2, 3, 4]
    assert end is None
    assert [left.leaving.n_bytes for left in log.page("a", 10)[0]] == [1, 3]
