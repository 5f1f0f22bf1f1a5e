from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.oracle.store import OracleStore
from shared.database import create_engine, sqlite_url
from shared.events.bus import Event


@pytest.fixture
def engine(tmp_path):
    engine = create_engine(sqlite_url(tmp_path / "oracle.sqlite"))
    yield engine
    engine.dispose()


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
    assert store.outbox.waiting(engine) == 1


def test_a_decision_survives_the_process(engine):
    OracleStore(engine).append_decision("op", "d", {"answer": "A"}, [])
    assert OracleStore(engine).decisions("op") == [{"answer": "A"}]
