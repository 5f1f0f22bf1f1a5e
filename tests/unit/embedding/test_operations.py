"""The ingest as a function, without a server: killed at any moment and begun again, shared with other workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray

from medq.embedding.v1 import embedding_pb2 as pb
from medq.embedding.v1 import events_pb2
from services.embedding.adapters.formats import read_images
from services.embedding.adapters.sources import FileSource
from services.embedding.domain.identity import keyed_hash
from services.embedding.domain.images import Quarantined, StoredForm
from services.embedding.handlers import make_handlers
from services.embedding.operations import EmbeddingOperations
from services.embedding.ports import ImageFormats, Pixels
from services.embedding.store.images import Store
from services.embedding.store.marks import Marks
from services.embedding.store.tables import IN_HAND, METADATA, MOST_DEATHS, OUTBOX
from services.embedding.work.facts import Facts
from services.embedding.work.reading import InputReader
from services.embedding.work.serving import Serving, Servings
from services.embedding.work.worker import EmbeddingWorker
from shared.errors import DataLoss
from shared.events.bus import Event, topic_of
from shared.left_out import facts_of
from shared.objects.dataset import read_rows
from shared.objects.folder import FolderObjectStore
from shared.paths import ANYWHERE
from shared.rows.images import OTHER_FILE, OTHER_PART, Image, Input
from tests.support.databases import Database, sqlite_database
from tests.support.encoders import EncodersHere
from tests.support.formats import FormatsHere
from tests.support.pictures import cine, dicom, picture, png, write_pool


class CountingEncoder:
    """Mean and spread; knows how often it was asked for which image."""

    encoder_id, dimension, logit_scale = "counting", 2, None

    def __init__(self) -> None:
        self.n_embedded = 0

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        self.n_embedded += len(images)
        rows = np.array([[image.mean() + 1, image.std() + 1] for image in images])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.ones((len(texts), 2), np.float32)


class Killed(BaseException):
    """The process ends here."""


class Context:
    """An operation's context that kills the work at its n-th report."""

    def __init__(self, at: int = -1) -> None:
        self.left = at

    def progress(self, done: int, total: int, unit: str, message: str = "") -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed

    def check_cancelled(self) -> None:
        """Nobody calls it off."""


class Bench:
    def __init__(self, folder: Path, database: Database) -> None:
        self.engine = database.engine(METADATA)
        self.objects = FolderObjectStore(folder / "objects", synced=False)
        self.encoder = CountingEncoder()
        self.folder = folder

    def store(self, owner: str = "me") -> Store:
        return Store(self.engine, "counting", owner)

    def ingest(self, source: Path, at: int = -1, formats: ImageFormats | None = None) -> str:
        """Begin, or begin again, as a process that was just started does."""
        store = self.store()
        worker = EmbeddingWorker(store, self.objects, FormatsHere(), self.encoder, claim_size=4)
        marks, files = Marks(self.engine), FileSource()
        reader = InputReader(store, marks, self.objects, formats or FormatsHere(), b"key", 4)
        servings = Servings(EncodersHere(counting=self.encoder), lambda _: Serving(store, reader, worker))
        work = EmbeddingOperations(servings, marks, self.objects, files, self.folder / "cache", ANYWHERE)
        request = pb.StartIngestRequest(operation_id="op", source_uri=str(source), split="pool")
        return work.ingest(Context(at), request)  # type: ignore[arg-type]


@pytest.fixture
def bench(tmp_path: Path, database: Database) -> Bench:
    return Bench(tmp_path / "state", database)


def test_no_input_is_in_hand_while_what_reads_it_starts(bench: Bench, tmp_path: Path) -> None:
    """A kill at that time, which takes a second, would count against an input that nobody has looked at."""
    in_hand: list[int] = []

    class Starting(FormatsHere):
        def prepare(self) -> None:
            with bench.engine.connect() as connection:
                in_hand.append(len(connection.execute(sa.select(IN_HAND)).all()))

    bench.ingest(write_pool(tmp_path / "pool", 3), formats=Starting())
    assert in_hand == [0]


def test_an_ingest_killed_at_every_report_ends_as_an_undisturbed_one(bench: Bench, tmp_path: Path) -> None:
    source = write_pool(tmp_path / "pool", 6)
    with sqlite_database(tmp_path / "undisturbed") as database:
        other = Bench(tmp_path / "undisturbed", database)
        undisturbed = other.ingest(source)
        assert OUTBOX.waiting(other.engine) == 12  # ingested and embedded, once each
    kills = 0
    for at in range(1, 30):
        try:
            uri = bench.ingest(source, at)
            break
        except Killed:
            kills += 1
    assert kills > 3
    assert uri == undisturbed
    assert bench.encoder.n_embedded == 6
    assert OUTBOX.waiting(bench.engine) == 12


def write_cines(folder: Path) -> Path:
    """Frames without a suffix in a nested folder, of which one is blank and one is there twice; the first of them alone."""
    write_pool(folder, 2)
    first = picture(7).astype(np.uint16) * 16
    frames = np.stack([first, np.full_like(first, 9), picture(8).astype(np.uint16) * 16, first])
    study = folder / "study" / "series"
    study.mkdir(parents=True)
    window = {"WindowCenter": 2000, "WindowWidth": 4000}
    (study / "IM1").write_bytes(cine(frames, **window))
    (study / "IM1#frame-0001").write_bytes(dicom(first, **window))
    (folder / "whole").write_bytes(cine(frames, BurnedInAnnotation="YES"))
    return folder


def test_each_image_of_a_file_has_its_row_and_all_are_of_one_source(bench: Bench, tmp_path: Path) -> None:
    uri = bench.ingest(write_cines(tmp_path / "pool"))
    report = list(read_rows(bench.objects, uri, Input))
    cine_path = "study/series/IM1"
    assert [(row.name, row.image_path, row.status) for row in report[2:]] == [
        (f"{cine_path}#frame-0001", cine_path, "stored"),
        (f"{cine_path}#frame-0002", cine_path, "quarantined"),
        (f"{cine_path}#frame-0003", cine_path, "stored"),
        (f"{cine_path}#frame-0004", cine_path, "duplicate"),
        (f"{cine_path}#frame-0001 (another file)", f"{cine_path}#frame-0001", "duplicate"),
        ("whole", "whole", "quarantined"),
    ]
    assert [row.reason for row in report if row.status == "duplicate"] == [OTHER_PART, OTHER_FILE]
    images = {image.image_id: image for image in read_rows(bench.objects, uri, Image)}
    one, other = (images[row.image_id] for row in report if row.image_path == cine_path and row.status == "stored")
    assert (one.patient, one.session, one.source_id) == (other.patient, other.session, other.source_id)
    facts = facts_of("pool", "images", report)
    assert (facts.n, facts.lost) == (8, 2)
    with bench.engine.connect() as connection:
        assert connection.execute(sa.select(IN_HAND)).all() == []


def test_a_file_of_several_images_that_ends_the_service_is_given_up_as_one_input(bench: Bench, tmp_path: Path) -> None:
    class Deadly(FormatsHere):
        def read(self, data: bytes, key: bytes, *, part: str = "") -> list[StoredForm | Quarantined]:
            if data == deadly:
                Marks(bench.engine).take("op", ["study/series/IM1"])  # as a process leaves it that is killed here
                raise Killed
            return read_images(data, key, part=part)

    source = write_cines(tmp_path / "pool")
    deadly = (source / "study/series/IM1").read_bytes()
    for _ in range(MOST_DEATHS):
        with pytest.raises(Killed):
            bench.ingest(source, formats=Deadly())
    report = list(read_rows(bench.objects, bench.ingest(source, formats=Deadly()), Input))
    assert [row.status for row in report] == ["stored", "stored", "failed", "stored", "quarantined"]
    assert report[2].name == "study/series/IM1"
    assert "3 times" in report[2].reason


def test_a_file_that_is_gone_since_a_restart_is_left_out(bench: Bench, tmp_path: Path) -> None:
    source = write_pool(tmp_path / "pool", 6)
    with pytest.raises(Killed):
        bench.ingest(source, 7)  # all six are read
    (source / "000.png").unlink()
    report = list(read_rows(bench.objects, bench.ingest(source), Input))
    assert [row.name for row in report] == [f"00{n}.png" for n in range(1, 6)]


def test_a_source_of_a_manifest_becomes_a_keyed_hash_which_the_same_source_has_again(
    bench: Bench, tmp_path: Path
) -> None:
    rows = ["image_path\tsource_id\tpatient_id"]
    for seed, (source, patient) in enumerate((("Ward 7 Doe", ""), (" Ward 7 Doe", "1"), ("1", "1"), ("", "1"))):
        (tmp_path / f"{seed}.png").write_bytes(png(picture(seed)))
        rows.append(f"{seed}.png\t{source}\t{patient}")
    (tmp_path / "pool.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    images = list(read_rows(bench.objects, bench.ingest(tmp_path / "pool.tsv"), Image))
    names = {"Ward 7 Doe": 2, "1": 1}
    expected = Counter({keyed_hash(b"key", "source", name): n for name, n in names.items()})
    assert Counter(image.source_id for image in images) == expected + Counter([keyed_hash(b"key", "patient", "1")])


def test_images_of_a_file_that_names_nobody_are_of_one_source(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "pool"
    folder.mkdir()
    frames = np.stack([picture(seed).astype(np.uint16) for seed in range(3)])
    (folder / "a").write_bytes(cine(frames, PatientID=None, StudyInstanceUID=None))
    (folder / "b").write_bytes(png(picture(9)))
    images = list(read_rows(bench.objects, bench.ingest(folder), Image))
    assert sorted(Counter(image.source_id for image in images).values()) == [1, 3]
    # The gate against leakage takes an image's own id for no source.
    assert len({image.image_id for image in images} & {image.source_id for image in images}) == 1


def test_files_of_several_images_survive_a_kill_at_every_report(bench: Bench, tmp_path: Path) -> None:
    source = write_cines(tmp_path / "pool")
    with sqlite_database(tmp_path / "undisturbed") as database:
        undisturbed = Bench(tmp_path / "undisturbed", database).ingest(source)
    kills = 0
    for at in range(1, 30):
        try:
            uri = bench.ingest(source, at)
            break
        except Killed:
            kills += 1
    assert kills > 3
    assert uri == undisturbed
    assert bench.encoder.n_embedded == 4


def test_a_vector_that_another_worker_made_is_not_made_again(bench: Bench, tmp_path: Path) -> None:
    source = write_pool(tmp_path / "pool", 6)
    with pytest.raises(Killed):
        bench.ingest(source, 7)  # all six are read, none is embedded
    ids = bench.store().without_vector(set(bench.store().inputs.stored_images("op")))
    assert len(ids) == 6
    other = CountingEncoder()
    worker = EmbeddingWorker(bench.store("other"), bench.objects, FormatsHere(), other, claim_size=2)
    serving = Serving(bench.store("other"), None, worker)  # type: ignore[arg-type]
    handle = make_handlers(Servings(EncodersHere(counting=other), lambda _: serving))[
        topic_of(events_pb2.ImageIngested)
    ]
    messages = [events_pb2.ImageIngested(image_id=image_id).SerializeToString() for image_id in ids[:3]]
    events = [
        Event(str(i), topic_of(events_pb2.ImageIngested), "test", "", data, datetime.now(UTC))
        for i, data in enumerate(messages)
    ]
    handle(events)
    handle(events)
    uri = bench.ingest(source)
    assert (other.n_embedded, bench.encoder.n_embedded) == (3, 3)
    assert len(read_rows(bench.objects, uri, Image)) == 6


def test_claims_are_given_back_when_the_work_fails(bench: Bench, tmp_path: Path) -> None:
    source = write_pool(tmp_path / "pool", 2)
    with pytest.raises(Killed):
        bench.ingest(source, 3)
    image_ids = sorted(bench.store().inputs.stored_images("op"))
    path = next((bench.folder / "objects").rglob(image_ids[0]))
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    store = bench.store("other")
    worker = EmbeddingWorker(store, bench.objects, FormatsHere(), CountingEncoder(), claim_size=2)
    with pytest.raises(DataLoss):
        worker.embed(image_ids, Facts("counting"))
    assert store.claim(image_ids) == image_ids
