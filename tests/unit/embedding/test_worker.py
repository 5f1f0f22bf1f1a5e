"""Workers that share the images of one database, and threads that share one encoder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.embedding.adapters.images import encode_png
from services.embedding.ports import Pixels
from services.embedding.store.images import Store
from services.embedding.store.tables import METADATA, STORED, ImageRow, InputRow
from services.embedding.work.facts import Facts
from services.embedding.work.worker import EmbeddingWorker
from shared.objects.folder import FolderObjectStore
from tests.support.databases import Database
from tests.support.formats import FormatsHere

FACTS = Facts("told")
N_IMAGES = 12


class ToldEncoder:
    """Calls a function while it embeds."""

    encoder_id, dimension, logit_scale = "told", 2, None

    def __init__(self, on_batch: Callable[[int], object]) -> None:
        self.on_batch = on_batch

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        self.on_batch(len(images))
        return np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (len(images), 1))

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        raise NotImplementedError


class Bench:
    """Images that wait for their vectors, and the workers that are asked for."""

    def __init__(self, folder: Path, database: Database, side: int = 16) -> None:
        self.engine = database.engine(METADATA)
        self.objects = FolderObjectStore(folder / "objects", synced=False)
        pictures = [np.full((16, 16), level, dtype=np.uint8) for level in range(N_IMAGES)]
        uris = [self.objects.put_bytes(encode_png(picture)) for picture in pictures]
        self.ids = sorted(uri.removeprefix("sha256:") for uri in uris)
        rows = [InputRow(i, STORED, i, "ct", i, "", "", "pool") for i in self.ids]
        images = [ImageRow(i, f"sha256:{i}", "0" * 16, side, side, "null", "ct") for i in self.ids]
        self.store("reader").record("op", rows, images, FACTS.ingested, FACTS.embedded)

    def store(self, owner: str) -> Store:
        return Store(self.engine, "told", owner)

    def worker(self, owner: str, on_batch: Callable[[int], object]) -> EmbeddingWorker:
        return EmbeddingWorker(self.store(owner), self.objects, FormatsHere(), ToldEncoder(on_batch), claim_size=2)


def test_two_workers_embed_beside_each_other_and_no_image_twice(tmp_path: Path, database: Database) -> None:
    """Each waits in its first batch until the other is in one too."""
    bench = Bench(tmp_path, database)
    together = threading.Barrier(2)
    shares = []
    with ThreadPoolExecutor(2) as pool:
        for owner in ("one", "two"):
            wait = partial(_wait_at, iter([together]))
            shares.append(pool.submit(bench.worker(owner, wait).embed, bench.ids, FACTS))
    embedded = [share.result() for share in shares]
    assert sum(embedded) == N_IMAGES
    assert min(embedded) > 0
    assert bench.store("reader").without_vector(bench.ids) == []


def _wait_at(barriers: Iterator[threading.Barrier], _: int) -> None:
    barrier = next(barriers, None)
    if barrier is not None:
        barrier.wait(30)


def test_threads_of_one_process_give_the_encoder_one_batch_at_a_time(tmp_path: Path, database: Database) -> None:
    bench = Bench(tmp_path, database)
    lock, is_overtaken = threading.Lock(), []

    def on_batch(_: int) -> None:
        is_overtaken.append(not lock.acquire(blocking=False))
        threading.Event().wait(0.001)  # the time in which another could come
        lock.release()

    worker = bench.worker("one", on_batch)
    with ThreadPoolExecutor(3) as pool:
        shares = list(pool.map(lambda _: worker.embed(bench.ids, FACTS), range(3)))
    assert sum(shares) == N_IMAGES
    assert not any(is_overtaken)


def test_images_of_many_pixels_are_not_loaded_together(tmp_path: Path, database: Database) -> None:
    bench = Bench(tmp_path, database, side=6000)  # as their rows say
    batches: list[int] = []
    assert bench.worker("one", batches.append).embed(bench.ids, FACTS) == N_IMAGES
    assert batches == [1] * N_IMAGES
