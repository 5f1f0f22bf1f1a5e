"""The ingest as the service puts it together, without a server: real files, tables, readers in their processes, and encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medq.embedding.v1 import embedding_pb2 as pb
from services.embedding.adapters.child import Limits
from services.embedding.adapters.readers import ImageReaders
from services.embedding.adapters.sources import FileSource
from services.embedding.adapters.statistics_encoder import StatisticsEncoder
from services.embedding.operations import EmbeddingOperations
from services.embedding.store.images import Store
from services.embedding.store.marks import Marks
from services.embedding.store.tables import METADATA
from services.embedding.work.reading import InputReader
from services.embedding.work.serving import Serving, Servings
from services.embedding.work.worker import EmbeddingWorker
from shared.objects.dataset import read_rows
from shared.objects.folder import FolderObjectStore
from shared.paths import ANYWHERE
from shared.rows.images import Image, Input
from tests.support.databases import Database
from tests.support.encoders import EncodersHere


class _Context:
    """An operation that nobody calls off and nobody watches."""

    def progress(self, done: int, total: int, unit: str, message: str = "") -> None:
        """Nobody looks."""

    def check_cancelled(self) -> None:
        """Nobody calls it off."""


class Ingesting:
    """Takes sources in, one after the other.

    Args:
        folder: Where the objects go.
        database: Of the service.
        key: The site's, for hashes of identifiers.
    """

    def __init__(self, folder: Path, database: Database, key: bytes = b"a key for tests only") -> None:
        self._engine = database.engine(METADATA)
        self.objects = FolderObjectStore(folder / "objects", synced=False)
        self._formats = ImageReaders(1, Limits())
        marks, files, encoder = Marks(self._engine), FileSource(), StatisticsEncoder()
        store = Store(self._engine, encoder.encoder_id, "me")
        worker = EmbeddingWorker(store, self.objects, self._formats, encoder, claim_size=16)
        reader = InputReader(store, marks, self.objects, self._formats, key, 64)
        servings = Servings(EncodersHere(statistics=encoder), lambda _: Serving(store, reader, worker))
        self._work = EmbeddingOperations(servings, marks, self.objects, files, folder / "cache", ANYWHERE)
        self._n = 0

    def take_in(self, source: Path, **request: Any) -> tuple[list[Image], list[Input]]:
        """The images and the report of a source."""
        self._n += 1
        asked = pb.StartIngestRequest(operation_id=f"op {self._n}", source_uri=str(source), split="pool", **request)
        uri = self._work.ingest(_Context(), asked)  # type: ignore[arg-type]
        return list(read_rows(self.objects, uri, Image)), list(read_rows(self.objects, uri, Input))

    def close(self) -> None:
        """End the readers."""
        self._formats.close()
