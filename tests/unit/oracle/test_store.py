from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.oracle.store.annotations import METADATA, OUTBOX, OracleStore
from shared.events.bus import Event
from shared.rows.annotation import Decision
from tests.support.rows import build

ROOT = Path(__file__).parents[3]
PATHS = os.pathsep.join([str(ROOT), str(ROOT / "shared" / "gen")])
N_APPENDED = 20
_APPEND = f"""
import sys
from services.oracle.store.annotations import METADATA, OracleStore
from shared.database import create_engine, sqlite_url
from shared.rows.annotation import Decision
from tests.support.rows import build
engine = create_engine(sqlite_url(sys.argv[1]))
METADATA.create_all(engine)
store = OracleStore(engine)
for number in range({N_APPENDED}):
    store.append_decision("work", build(Decision, decision_id=str(number), answer="A"), [])
"""


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


def test_each_decision_is_on_the_disk_when_it_is_appended(tmp_path):
    """What the kernel was asked for: a sync for each of the decisions, which nothing but a trace can tell."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("there is no strace here")
    trace, command = tmp_path / "trace", [sys.executable, "-c", _APPEND, str(tmp_path / "oracle.sqlite")]
    traced = [strace, "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", str(trace), *command]
    ended = subprocess.run(traced, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": PATHS}, capture_output=True)
    if b"ptrace" in ended.stderr:
        pytest.skip("strace may not trace here")
    assert ended.returncode == 0, ended.stderr
    syncs = [line for line in trace.read_text().splitlines() if "sync(" in line]
    assert len(syncs) >= N_APPENDED
