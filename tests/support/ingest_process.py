"""An ingest in processes that a picture may end, one after the other: `python -m tests.support.ingest_process FOLDER SOURCE`.

SIGKILL comes as the kernel would send it where memory runs out: while the picture is read, or while it is embedded.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medq.embedding.v1 import embedding_pb2 as pb
from services.embedding.adapters.sources import FileSource
from services.embedding.operations import EmbeddingOperations
from services.embedding.ports import Pixels
from services.embedding.store.images import Store
from services.embedding.store.marks import Marks
from services.embedding.store.tables import METADATA
from services.embedding.work.reading import InputReader
from services.embedding.work.serving import Serving, Servings
from services.embedding.work.worker import EmbeddingWorker
from shared.database import create_engine, sqlite_url
from shared.errors import MedqError
from shared.objects.folder import FolderObjectStore
from shared.paths import ANYWHERE
from tests.support.encoders import EncodersHere
from tests.support.formats import FormatsHere

#: A file that ends the process which reads it.
DEADLY_FILE = b"deadly"
#: Level of the first pixel of a picture that ends the process which embeds it.
DEADLY_LEVEL = 77


class _Formats(FormatsHere):
    @staticmethod
    def read(data: bytes, key: bytes, *, part: str = ""):
        if data == DEADLY_FILE:
            os.kill(os.getpid(), signal.SIGKILL)
        return FormatsHere.read(data, key, part=part)


class _Encoder:
    encoder_id, dimension, logit_scale = "mean", 2, None

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        if any(image[0, 0, 0] == DEADLY_LEVEL for image in images):
            os.kill(os.getpid(), signal.SIGKILL)
        return np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (len(images), 1))

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        raise NotImplementedError


class _Source(FileSource):
    @staticmethod
    def open(place: Path):
        if (place / "too much").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return FileSource.open(place)


class _Context:
    def progress(self, done: int, total: int, unit: str, message: str = "") -> None:
        """Nobody looks."""

    def check_cancelled(self) -> None:
        """Nobody calls it off."""


def ingest(folder: Path, source: Path) -> str:
    """Begin the ingest, or go on with it; the image set's URI."""
    engine = create_engine(sqlite_url(folder / "embedding.sqlite"))
    METADATA.create_all(engine)
    objects = FolderObjectStore(folder / "objects", synced=False)
    store, marks, formats = Store(engine, "mean", "me"), Marks(engine), _Formats()
    worker = EmbeddingWorker(store, objects, formats, _Encoder(), claim_size=4)
    reader = InputReader(store, marks, objects, formats, b"key", 4)
    servings = Servings(EncodersHere(mean=_Encoder()), lambda _: Serving(store, reader, worker))
    work = EmbeddingOperations(servings, marks, objects, _Source(), folder / "cache", ANYWHERE)
    request = pb.StartIngestRequest(operation_id="op", source_uri=str(source), split="pool")
    return work.ingest(_Context(), request)  # type: ignore[arg-type]


def main(folder: Path, source: Path) -> None:
    """Start the ingest again as often as it is killed; print how often that was, and what it came to."""
    n_kills = 0
    while True:
        sys.stdout.flush()
        child = os.fork()  # nothing runs beside this thread
        if child == 0:
            try:
                print("result", ingest(folder, source), flush=True)  # noqa: T201
            except MedqError as error:
                print("error", error.message, flush=True)  # noqa: T201
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != -signal.SIGKILL:
            break
        n_kills += 1
    print("kills", n_kills)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
