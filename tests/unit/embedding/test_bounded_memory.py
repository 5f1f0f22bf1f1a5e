"""A manifest of many times as many rows takes no more memory: what Python holds at its peak is traced, whatever SQLite caches."""

from __future__ import annotations

import base64
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from medq.embedding.v1 import embedding_pb2 as pb
from services.embedding.adapters.sources import FileSource, list_source
from services.embedding.operations import EmbeddingOperations
from services.embedding.ports import Pixels
from services.embedding.store.images import Store
from services.embedding.store.marks import Marks
from services.embedding.store.tables import METADATA
from services.embedding.work.reading import InputReader
from services.embedding.work.serving import Serving, Servings
from services.embedding.work.worker import EmbeddingWorker
from shared.left_out import facts_of
from shared.objects.dataset import iterate_rows, read_manifest
from shared.objects.folder import FolderObjectStore
from shared.paths import ANYWHERE
from shared.rows.images import SAME_FILE, Input
from tests.support.databases import sqlite_database
from tests.support.encoders import EncodersHere
from tests.support.formats import FormatsHere
from tests.support.pictures import picture, png

#: Rows; the fewest are more than what is held at once.
FEW, MANY = 1_500, 6_000
MOST_GROWTH = 1.25
#: A thread that another test left may hold something meanwhile, which can only add: one try without it is enough.
TRIES = range(3)


def peak(work: Callable[[], object]) -> int:
    """The most that Python held during some work, in bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def write_text(folder: Path, n_rows: int) -> Path:
    path = folder / f"{n_rows}.tsv"
    rows = (f"{n}\tstudy-{n}/image-{n}.png\tpatient-{n}" for n in range(n_rows))
    path.write_text("\n".join(("index\timage_path\tpatient_id", *rows)))
    return path


def write_pictures(folder: Path, n_rows: int) -> Path:
    """Rows that hold their pictures, every second one in the row before it."""
    path = folder / f"{n_rows}-pictures.tsv"
    texts = (base64.b64encode(bytes(150) + n.to_bytes(4)).decode() if n % 2 == 0 else str(n - 1) for n in range(n_rows))
    path.write_text("\n".join(("index\timage", *(f"{n}\t{text}" for n, text in enumerate(texts)))))
    return path


def write_parquet(folder: Path, n_rows: int) -> Path:
    path = folder / f"{n_rows}.parquet"
    columns = {"index": list(range(n_rows)), "image": [bytes(150) + n.to_bytes(4) for n in range(n_rows)]}
    pq.write_table(pa.table(columns), path)
    return path


def look_through(path: Path) -> int:
    with list_source(path) as listing:
        return sum(len(listing.read(entry)) for entry in listing if entry.held)


@pytest.mark.parametrize("write", [write_text, write_pictures, write_parquet])
def test_a_listing_of_four_times_the_rows_takes_no_more_memory(
    tmp_path: Path, write: Callable[[Path, int], Path]
) -> None:
    small, large = write(tmp_path, FEW), write(tmp_path, MANY)
    look_through(small)  # what is imported late is not counted
    few = min(peak(lambda: look_through(small)) for _ in TRIES)
    assert any(peak(lambda: look_through(large)) < MOST_GROWTH * few for _ in TRIES)


def ingest(folder: Path, source: Path) -> tuple[FolderObjectStore, str]:
    with sqlite_database(folder) as database:
        engine = database.engine(METADATA)
        objects, formats = FolderObjectStore(folder / "objects", synced=False), FormatsHere()
        encoder = _Encoder()
        store, marks = Store(engine, encoder.encoder_id, "me"), Marks(engine)
        worker = EmbeddingWorker(store, objects, formats, encoder, claim_size=4)
        reader = InputReader(store, marks, objects, formats, b"key", 500)
        servings = Servings(EncodersHere(same=encoder), lambda _: Serving(store, reader, worker))
        work = EmbeddingOperations(servings, marks, objects, FileSource(), folder / "cache", ANYWHERE)
        request = pb.StartIngestRequest(operation_id="op", source_uri=str(source), split="pool")
        return objects, work.ingest(_Context(), request)  # type: ignore[arg-type]


class _Encoder:
    encoder_id, dimension, logit_scale = "same", 2, None

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        return np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (len(images), 1))

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        raise NotImplementedError


class _Context:
    def progress(self, done: int, total: int, unit: str, message: str = "") -> None:
        """Nobody looks."""

    def check_cancelled(self) -> None:
        """Nobody calls it off."""


def test_a_picture_that_is_named_again_much_later_is_still_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(picture(7)))
    others = (f"missing-{n}.png" for n in range(MANY // 3))
    (tmp_path / "a.csv").write_text("\n".join(("image_path", "a.png", *others, "a.png")))
    objects, uri = ingest(tmp_path / "state", tmp_path / "a.csv")
    first, *_, last = iterate_rows(objects, uri, Input)
    assert (first.status, last.status, last.reason) == ("stored", "duplicate", SAME_FILE)
    assert first.image_id == last.image_id


def test_an_ingest_of_four_times_the_rows_takes_no_more_memory(tmp_path: Path) -> None:
    small, large = write_text(tmp_path, FEW), write_text(tmp_path, MANY)
    (tmp_path / "study-7").mkdir()
    (tmp_path / "study-7" / "image-7.png").write_bytes(png(picture(7)))
    ingest(tmp_path / "first", small)
    few = peak(lambda: ingest(tmp_path / "few", small))
    assert any(peak(partial(ingest, tmp_path / f"many-{n}", large)) < MOST_GROWTH * few for n in TRIES)
    objects, uri = ingest(tmp_path / "again", small)
    counts = read_manifest(objects, uri).counts
    assert (counts["images"], counts["stored"], counts["failed"]) == (1, 1, FEW - 1)
    facts = facts_of("pool", "images", iterate_rows(objects, uri, Input))
    assert (facts.n, facts.lost) == (FEW, FEW - 1)
