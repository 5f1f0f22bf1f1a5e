from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.oracle.store import METADATA, OUTBOX, OracleStore
from shared.events.bus import Event
from shared.rows.annotation import Decision
from tests.support.rows import build


@pytest.fixture
def engine(database):
    return database.engine(METADATA)


def event():
    return Event(
        id="e",
        type="medq.oracle.annotation-reviewed.v1",
        source="medq/oracle",
        key="r",
        data=b"",
        time=datetime.now(UTC),
    )


def decision(decision_id, answer):
    return build(Decision, decision_id=decision_id, answer=answer)


def test_a_decision_is_appended_with_its_events_once_and_never_overwritten(engine):
    store = OracleStore(engine)
    assert store.append_decision("op", decision("d2", "A"), [event()])
    assert not store.append_decision("op", decision("d2", "B"), [event()])
    store.append_decision("op", decision("d1", "C"), [])
    store.append_decision("other", decision("d2", "D"), [])
    assert store.decisions("op") == [decision("d1", "C"), decision("d2", "A")]
    assert OUTBOX.waiting(engine) == 1


def test_a_decision_survives_the_process(engine):
    OracleStore(engine).append_decision("op", decision("d", "A"), [])
    assert OracleStore(engine).decisions("op") == [decision("d", "A")]
