"""What ends the service again and again is given up by name; what was beside it is not."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.embedding.store.images import CLAIM_SECONDS, Store
from services.embedding.store.marks import Marks
from services.embedding.store.tables import FAILED, METADATA, STORED, ImageRow, InputRow
from services.embedding.work.facts import Facts
from shared.database import create_engine, sqlite_url
from shared.objects.dataset import read_rows
from shared.objects.folder import FolderObjectStore
from shared.rows.images import Input
from tests.support.databases import Database
from tests.support.ingest_process import DEADLY_FILE, DEADLY_LEVEL
from tests.support.pictures import picture, png, write_pool

FACTS = Facts("mean")


def ingest_until_it_ends(folder: Path, source: Path) -> dict[str, str]:
    """An ingest that is started again and again, as a supervisor does: its "kills", and its "result" or "error"."""
    command = [sys.executable, "-m", "tests.support.ingest_process", str(folder), str(source)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return dict(line.split(" ", 1) for line in ended.stdout.splitlines())


def report(folder: Path, uri: str) -> dict[str, Input]:
    return {row.name: row for row in read_rows(FolderObjectStore(folder / "objects"), uri, Input)}


def test_an_input_that_ends_the_service_fails_after_three_deaths_and_the_rest_goes_on(tmp_path: Path) -> None:
    source = write_pool(tmp_path / "pool", 6)
    (source / "002 deadly.png").write_bytes(DEADLY_FILE)
    ended = ingest_until_it_ends(tmp_path / "state", source)
    rows = report(tmp_path / "state", ended["result"])
    assert ended["kills"] == "3"
    assert {name for name, row in rows.items() if row.status != STORED} == {"002 deadly.png"}
    assert rows["002 deadly.png"].status == FAILED
    assert rows["002 deadly.png"].reason == "The service has ended 3 times while it read this input."
    assert rows["002 deadly.png"].remedy


def test_an_image_that_ends_the_encoder_fails_after_three_deaths_and_the_rest_goes_on(tmp_path: Path) -> None:
    source = write_pool(tmp_path / "pool", 6)
    deadly = picture(99)
    deadly[0, 0] = DEADLY_LEVEL
    (source / "deadly.png").write_bytes(png(deadly))
    ended = ingest_until_it_ends(tmp_path / "state", source)
    rows = report(tmp_path / "state", ended["result"])
    assert ended["kills"] == "3"
    assert {name for name, row in rows.items() if row.status != STORED} == {"deadly.png"}
    assert rows["deadly.png"].reason == "The service has ended 3 times while it embedded this image."
    assert rows["deadly.png"].image_id == ""


def test_a_source_that_ends_the_service_fails_after_three_deaths(tmp_path: Path) -> None:
    source = write_pool(tmp_path / "pool", 1)
    (source / "too much").mkdir()
    ended = ingest_until_it_ends(tmp_path / "state", source)
    assert ended == {"error": "The service has ended 3 times while it read the source.", "kills": "3"}


def test_an_orderly_end_takes_its_marks_back(database: Database) -> None:
    marks = Marks(database.engine(METADATA))
    with pytest.raises(KeyError), marks.in_hand("op", ["a", "b"]):
        raise KeyError
    assert marks.deaths("op") == {}


def test_a_claim_that_is_given_back_counts_no_death(database: Database) -> None:
    store = Store(database.engine(METADATA), "mean", "me")
    _record(store, "a")
    for _ in range(5):
        assert store.claim(["a"]) == ["a"]
        store.release(["a"])
    assert store.deaths(["a"]) == {}


def test_an_image_in_the_claims_of_three_dead_workers_is_given_up_by_its_ingest_alone(database: Database) -> None:
    engine = database.engine(METADATA)
    now = [1000.0]
    store, marks = Store(engine, "mean", "me", lambda: now[0]), Marks(engine, lambda: now[0])
    _record(store, "a", "b")
    _record(store, "a", operation="other")
    for _ in range(3):
        assert marks.give_up("op", "mean", "reason", "remedy") == set()
        assert store.claim(["a"]) == ["a"]
        now[0] += CLAIM_SECONDS
    assert store.claim(["a", "b"]) == ["b"]
    assert marks.give_up("op", "mean", "reason", "remedy") == {"a"}
    assert {row.name: row.status for row in store.inputs.of("op", ["a", "b"]).values()} == {"a": FAILED, "b": STORED}
    assert store.inputs.of("other", ["a"])["a"].status == STORED
    assert marks.give_up("op", "mean", "reason", "remedy") == set()


class MarksMachine(RuleBasedStateMachine):
    """Batches that end, fail or are killed, in any order: the count is that of the deaths since the last outcome."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.engine = create_engine(sqlite_url(Path(self.folder.name) / "marks.sqlite"))
        METADATA.create_all(self.engine)
        self.marks, self.store = Marks(self.engine), Store(self.engine, "mean", "me")
        self.deaths: dict[str, int] = {}

    names = st.lists(st.sampled_from("abcd"), min_size=1, unique=True)

    @rule(names=names)
    def fail(self, names: list[str]) -> None:
        with pytest.raises(KeyError), self.marks.in_hand("op", names):
            raise KeyError

    @rule(names=names)
    def die(self, names: list[str]) -> None:
        self.marks.take("op", names)  # and nothing more, as after SIGKILL
        self.deaths |= {name: self.deaths.get(name, 0) + 1 for name in names}

    @rule(names=names)
    def end(self, names: list[str]) -> None:
        with self.marks.in_hand("op", names):
            self.store.record("op", [InputRow(n, FAILED) for n in names], [], FACTS.ingested, FACTS.embedded)
        for name in names:
            self.deaths.pop(name, None)

    @invariant()
    def deaths_are_counted(self) -> None:
        if hasattr(self, "marks"):
            assert self.marks.deaths("op") == self.deaths

    def teardown(self) -> None:
        self.engine.dispose()
        self.folder.cleanup()


MarksMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
test_marks_count_deaths_whatever_happens = MarksMachine.TestCase


def _record(store: Store, *names: str, operation: str = "op") -> None:
    rows = [InputRow(name, STORED, name, "ct", name, "", "", "pool") for name in names]
    images = [ImageRow(name, f"sha256:{name}", "0" * 16, 32, 32, "null", "ct") for name in names]
    store.record(operation, rows, images, FACTS.ingested, FACTS.embedded)
