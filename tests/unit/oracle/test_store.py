from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.oracle.store import METADATA, OUTBOX, OracleStore
from shared.events.bus import Event


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


def test_a_decision_is_appended_with_its_events_once_and_never_overwritten(engine):
    store = OracleStore(engine)
    assert store.append_decision("op", "d2", {"answer": "A"}, [event()])
    assert not store.append_decision("op", "d2", {"answer": "B"}, [event()])
    store.append_decision("op", "d1", {"answer": "C"}, [])
    store.append_decision("other", "d2", {"answer": "D"}, [])
    assert store.decisions("op") == [{"answer": "C"}, {"answer": "A"}]
    assert OUTBOX.waiting(engine) == 1


def test_a_decision_survives_the_process(engine):
    OracleStore(engine).append_decision("op", "d", {"answer": "A"}, [])
    assert OracleStore(engine).decisions("op") == [{"answer": "A"}]
