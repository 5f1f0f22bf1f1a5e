"""From manifests to leaks: embedding takes phantoms in, retrieval says which of them touch the test set."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image as Picture

from medq.embedding.v1.embedding_pb2 import StartIngestRequest
from medq.embedding.v1.embedding_pb2_grpc import EmbeddingServiceStub
from medq.retrieval.v1.retrieval_pb2 import CheckLeakageRequest
from medq.retrieval.v1.retrieval_pb2_grpc import RetrievalServiceStub
from services.embedding.main import build as build_embedding
from services.embedding.settings import EmbeddingSettings
from services.retrieval.main import build as build_retrieval
from services.retrieval.settings import RetrievalSettings
from shared.events.sqlite import SqliteEventBus
from shared.objects.dataset import read_rows
from shared.objects.folder import FolderObjectStore
from shared.rows.images import Image, Input
from shared.rpc.channels import Channels
from shared.rpc.operations import await_operation
from studies.images.degradations import degrade
from studies.images.optics import to_bytes
from studies.images.phantoms import make_phantom
from tests.support.servers import running, short_folder


@dataclass(frozen=True)
class Row:
    """A fundus phantom of a source, degraded, and what the manifest says of it."""

    source: int
    degradation: str = "none"
    patient_id: str = ""
    session_id: str = ""
    source_id: str = ""


class House:
    """Embedding and retrieval over one object store."""

    def __init__(self, folder: Path, embedding: grpc.Channel, retrieval: grpc.Channel) -> None:
        self.folder, self.objects = folder, FolderObjectStore(folder / "objects", synced=False)
        self.embedding, self.retrieval = embedding, RetrievalServiceStub(retrieval)

    def ingest(self, split: str, rows: Sequence[Row]) -> str:
        folder = self.folder / f"in-{split}"
        folder.mkdir()
        columns = ("index", "image_path", "patient_id", "session_id", "source_id")
        with (folder / "manifest.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, columns, extrasaction="ignore")
            writer.writeheader()
            for number, row in enumerate(rows):
                writer.writerow({"index": number, "image_path": f"{number}.png", **vars(row)})
                severity = "none" if row.degradation == "none" else "mild"
                clean, rng = make_phantom("fundus", row.source), np.random.default_rng(number)
                pixels = to_bytes(degrade(clean, "fundus", row.degradation, severity, rng))
                Picture.fromarray(pixels).save(folder / f"{number}.png")
        request = StartIngestRequest(operation_id=split, source_uri=str(folder / "manifest.csv"), split=split)
        EmbeddingServiceStub(self.embedding).StartIngest(request)
        return await_operation(self.embedding, split).result_uri

    def leaks(self, pool: Sequence[Row], test: Sequence[Row], twin_similarity: float = 0.6) -> dict[int, str]:
        """Number of the pool's row to the reason."""
        pool_uri, test_uri = self.ingest("pool", pool), self.ingest("test", test)
        found = self.retrieval.CheckLeakage(
            CheckLeakageRequest(
                image_set_uris=[pool_uri], guard_uris=[test_uri], phash_distance=2, twin_similarity=twin_similarity
            )
        ).leaks
        names = {row.image_id: int(row.name) for row in read_rows(self.objects, pool_uri, Input)}
        assert len(read_rows(self.objects, pool_uri, Image)) == len(pool)
        return {names[leak.image_id]: leak.reason for leak in found}


@pytest.fixture
def house() -> Iterator[House]:
    with short_folder() as folder, Channels({}) as channels:
        bus, objects = SqliteEventBus(folder / "events.sqlite"), FolderObjectStore(folder / "objects", synced=False)
        embedding = EmbeddingSettings(state_folder=folder, listen=f"unix:{folder}/e.sock")
        retrieval = RetrievalSettings(state_folder=folder, listen=f"unix:{folder}/r.sock")
        with (
            running(build_embedding(embedding, channels, bus, objects), bus, embedding) as of_embedding,
            running(build_retrieval(retrieval, channels, bus, objects), bus, retrieval) as of_retrieval,
        ):
            yield House(folder, of_embedding, of_retrieval)
        bus.close()


def test_bids_patients_with_a_first_session_each_share_nothing_but_their_patient(house: House) -> None:
    test = [Row(i, patient_id=f"sub-{i:02}", session_id="ses-01") for i in range(5)]
    pool = [Row(100 + i, patient_id=f"sub-{i:02}", session_id=f"ses-0{1 + i % 2}") for i in range(15)]
    assert house.leaks(pool, test) == {0: "session", 1: "patient", 2: "session", 3: "patient", 4: "session"}


def test_sessions_without_patients_and_images_without_sources_share_nothing(house: House) -> None:
    test = [Row(i, session_id="ses-01") for i in range(5)]
    assert house.leaks([Row(100 + i, session_id="ses-01") for i in range(15)], test) == {}


def test_images_of_one_source_leak_whatever_they_show(house: House) -> None:
    test = [Row(0, source_id="phantom-a"), Row(1, source_id="phantom-b")]
    pool = [Row(100, source_id="phantom-a"), Row(101, source_id="phantom-c"), Row(102)]
    assert house.leaks(pool, test) == {0: "source"}


def test_degraded_twins_without_ids_are_found_and_other_sources_are_not(house: House) -> None:
    test = [Row(i, "illumination") for i in range(6)]
    twins = [Row(i, "defocus") for i in range(6)]
    others = [Row(100 + i, degradation) for i, degradation in enumerate(("none", "defocus", "contrast", "colour") * 4)]
    found = house.leaks([*twins, *others], test)
    assert set(found) == set(range(6))
    assert set(found.values()) <= {"twin", "perceptual_hash"}
    assert "twin" in found.values()
