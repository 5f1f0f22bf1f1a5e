import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from services.embedding.store.images import CLAIM_SECONDS, Store
from services.embedding.store.tables import METADATA, OUTBOX, STORED, ImageRow, InputRow
from services.embedding.work.facts import Facts
from tests.support.databases import Database

FACTS = Facts("encoder")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A store whose clock is set by hand."""

    def __init__(self, database: Database) -> None:
        self.engine = database.engine(METADATA)
        self.clock = Clock()
        self.store = self.another("me")

    def another(self, owner: str, encoder: str = "encoder") -> Store:
        return Store(self.engine, encoder, owner, self.clock)

    def record(self, *names: str, split: str = "pool", operation: str = "op", patient: str = "") -> None:
        rows = [InputRow(n, STORED, n, "ct", n, patient, "", split) for n in names]
        images = [ImageRow(n, f"sha256:{n}", "0" * 16, 32, 32, "null", "ct") for n in names]
        self.store.record(operation, rows, images, FACTS.ingested, FACTS.embedded)

    def waiting(self) -> int:
        return OUTBOX.waiting(self.engine)


@pytest.fixture
def bench(database: Database) -> Bench:
    return Bench(database)


def vectors(n: int) -> np.ndarray:
    return np.eye(4, dtype=np.float32)[:n]


def test_an_image_is_claimed_by_one_worker_until_its_claim_runs_out(bench: Bench) -> None:
    bench.record("a", "b", "c")
    other = bench.another("other")
    assert bench.store.claim(["a", "b"]) == ["a", "b"]
    assert other.claim(["a", "b", "c"]) == ["c"]
    assert other.claim(["a", "b", "c"]) == []
    bench.clock.now += CLAIM_SECONDS
    assert other.claim(["a", "b"]) == ["a", "b"]


def test_claims_go_by_the_clock_of_the_database(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.record("a")
    one, other = (Store(bench.engine, "encoder", owner) for owner in ("one", "other"))
    assert one.claim(["a"]) == ["a"]
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + 86_400)
    assert other.claim(["a"]) == []


def test_claims_of_a_killed_process_are_free_when_it_comes_back(bench: Bench) -> None:
    bench.record("a")
    assert bench.store.claim(["a"]) == ["a"]
    assert bench.another("other").claim(["a"]) == []
    assert bench.another("me").claim(["a"]) == ["a"]


def test_released_claims_are_free_at_once(bench: Bench) -> None:
    bench.record("a")
    bench.store.release(bench.store.claim(["a"]))
    assert bench.another("other").claim(["a"]) == ["a"]


def test_a_vector_is_kept_once_and_never_claimed_again(bench: Bench) -> None:
    bench.record("a", "b")
    bench.store.put_vectors(["a", "b"], vectors(2), FACTS.embedded)
    bench.store.put_vectors(["a"], vectors(4)[3:], FACTS.embedded)
    assert bench.store.claim(["a", "b"]) == []
    assert bench.store.without_vector(["a", "b"]) == []
    np.testing.assert_array_equal(np.frombuffer(bench.store.vectors(["a"])["a"], "<f4"), vectors(1)[0])


def test_an_image_is_announced_as_ingested_once_and_as_embedded_for_each_split(bench: Bench) -> None:
    bench.record("a")
    bench.record("a", operation="again")
    assert bench.waiting() == 1  # ingested
    bench.store.put_vectors(["a"], vectors(1), FACTS.embedded)
    assert bench.waiting() == 2  # embedded in the pool
    bench.record("a", split="dev", operation="dev")
    assert bench.waiting() == 3  # embedded in dev, though its vector is old
    bench.record("a", split="dev", operation="dev again")
    assert bench.waiting() == 3
    bench.record("a", split="dev", operation="named", patient="hash")
    assert bench.waiting() == 4  # described anew


def test_recording_an_input_twice_keeps_the_first(bench: Bench) -> None:
    bench.record("a")
    bench.record("a")
    found = bench.store.inputs.of("op", ["a", "b"])
    assert {name: row.status for name, row in found.items()} == {"a": STORED}


def test_another_encoder_starts_without_vectors(bench: Bench) -> None:
    bench.record("a")
    bench.store.put_vectors(["a"], vectors(1), FACTS.embedded)
    assert bench.another("me", "encoder-2").vectors(["a"]) == {}


def test_more_ids_than_one_statement_takes_are_found(bench: Bench) -> None:
    names = [f"{i:04d}" for i in range(1203)]
    bench.record(*names)
    assert len(bench.store.images(names)) == 1203
    assert bench.store.without_vector(names) == names


def test_two_processes_that_take_in_the_same_images_in_other_orders_do_so_once(bench: Bench) -> None:
    names = [f"{number:02d}" for number in range(12)]

    def record(process: int) -> None:
        for start in range(0, 12, 4):
            part = names[start : start + 4][:: 1 if process else -1]
            bench.record(*part, operation=f"op-{process}")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(record, range(2)))
    assert bench.waiting() == 12
    assert sorted(bench.store.images(names)) == names


def test_two_processes_share_the_images_that_wait(bench: Bench) -> None:
    names = [f"{number:02d}" for number in range(40)]
    bench.record(*names)

    def claim(owner: str) -> list[str]:
        store = bench.another(owner)
        return [name for start in range(0, 40, 4) for name in store.claim(names[start : start + 4])]

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(claim, ["one", "two"])
    assert sorted([*first, *second]) == names


def test_an_image_of_a_release_without_structure_hashes_gets_its_hash_when_it_comes_again(bench: Bench) -> None:
    bench.record("a")
    assert bench.store.images(["a"])["a"].structure == ""
    images = [ImageRow(n, f"sha256:{n}", "0" * 16, 32, 32, "null", "ct", "f0") for n in ("a", "b")]
    rows = [InputRow(n, STORED, n, "ct", n, "", "", "pool") for n in ("a", "b")]
    bench.store.record("again", rows, images, FACTS.ingested, FACTS.embedded)
    assert {i: row.structure for i, row in bench.store.images(["a", "b"]).items()} == {"a": "f0", "b": "f0"}


def test_the_first_grey_levels_of_an_image_stay_whichever_file_brought_it_first(bench: Bench) -> None:
    def record(operation: str, *depths: str) -> None:
        images = [ImageRow("a", "sha256:a", "0" * 16, 32, 32, "null", "ct", "", depth) for depth in depths]
        rows = [InputRow(f"{n}", STORED, "a", "ct", "a", "", "", "pool") for n in range(len(depths))]
        bench.store.record(operation, rows, images, FACTS.ingested, FACTS.embedded)

    for operation, depths, kept in (("one", [""], ""), ("two", ["", "x", "y"], "x"), ("three", ["z"], "x")):
        record(operation, *depths)
        assert bench.store.images(["a"])["a"].depth == kept
