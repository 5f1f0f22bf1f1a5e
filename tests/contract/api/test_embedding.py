"""The real embedding server on a unix socket, called by its generated stub."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pandas as pd
import pytest
from google.protobuf.message import Message
from numpy.typing import NDArray
from PIL import Image as Picture

from medq.embedding.v1 import embedding_pb2 as pb
from medq.embedding.v1 import embedding_pb2_grpc as pb_grpc
from medq.embedding.v1 import events_pb2
from services.embedding.adapters.statistics_encoder import StatisticsEncoder
from services.embedding.main import build
from services.embedding.service import Embedding
from services.embedding.settings import EmbeddingSettings
from shared.errors import AlreadyExists, Cancelled, FailedPrecondition, InvalidArgument, MedqError, NotFound
from shared.events.bus import Event, topic_of
from shared.events.sqlite import SqliteEventBus
from shared.objects.dataset import read_array, read_manifest, read_rows
from shared.objects.folder import FolderObjectStore
from shared.rows.images import Image, Input
from shared.rpc.channels import Channels
from shared.rpc.operations import await_operation
from shared.status import from_rpc_error
from tests.support.encoder_folders import save_clip, save_open_clip
from tests.support.encoders import EncodersHere
from tests.support.guarded import audited
from tests.support.pictures import dicom, picture, png, write_pool
from tests.support.servers import running, short_folder


@dataclass
class Server:
    stub: pb_grpc.EmbeddingServiceStub
    channel: grpc.Channel
    bus: SqliteEventBus
    objects: FolderObjectStore
    folder: Path

    def ingest(self, source: Path | str, operation_id: str = "ingest", split: str = "pool", **rest: str) -> str:
        uri = source if isinstance(source, str) else str(source)
        request = pb.StartIngestRequest(operation_id=operation_id, source_uri=uri, split=split, **rest)
        self.stub.StartIngest(request)
        return await_operation(self.channel, operation_id).result_uri

    def report(self, uri: str) -> dict[str, dict[str, str]]:
        return {row.name: row for row in read_rows(self.objects, uri, Input)}

    def events(self, topic: str, n: int) -> list[Event]:
        """The first n events of a topic, waited for."""
        taken: list[Event] = []
        consumer = self.bus.consumer(f"test {topic}", {topic: taken.extend})
        while len(taken) < n and consumer.poll(5.0):
            pass
        consumer.close()
        return taken


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    encoders = request.getfixturevalue("folders") if "folders" in request.fixturenames else {}
    with short_folder() as folder:
        listen = f"unix:{folder}/e.sock"
        settings = EmbeddingSettings(state_folder=folder, listen=listen, batch_size=4, encoders=encoders, device="cpu")
        bus, objects = (SqliteEventBus(folder / "events.sqlite"), FolderObjectStore(folder / "objects", synced=False))
        with Channels({}) as channels:
            service = build(settings, channels, bus, objects)
            with running(service, bus, settings) as channel:
                yield Server(pb_grpc.EmbeddingServiceStub(channel), channel, bus, objects, folder)
        bus.close()


def refused(server: Server, request: pb.StartIngestRequest) -> MedqError:
    return refused_by(server.stub.StartIngest, request)


def refused_by(method: Callable[[Message], object], request: Message) -> MedqError:
    with pytest.raises(grpc.RpcError) as caught:
        method(request)
    return from_rpc_error(caught.value)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny encoders of random weights, and a folder that is none."""
    place = tmp_path_factory.mktemp("encoders")
    (place / "empty").mkdir()
    return {"tiny-clip": save_clip(place / "clip"), "tiny": save_open_clip(place / "tiny"), "none": place / "empty"}


def test_a_folder_becomes_an_image_set_with_a_unit_vector_for_each_image(server: Server, tmp_path: Path) -> None:
    uri = server.ingest(write_pool(tmp_path / "pool", 6))
    rows = read_rows(server.objects, uri, Image)
    vectors = read_array(server.objects, uri, "vectors.npy")
    assert [row.image_id for row in rows] == sorted(row.image_id for row in rows)
    assert vectors.shape == (6, server.stub.GetEncoder(pb.GetEncoderRequest()).dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    stored = server.objects.read_bytes(rows[0].image_uri)
    assert hashlib.sha256(stored).hexdigest() == rows[0].image_id
    assert set(rows[0].__struct_fields__) == {
        "image_id", "image_uri", "phash", "modality", "source_id", "patient", "session", "split", "licence",
        "width", "height", "window", "structure", "modality_from",
    }  # fmt: skip
    assert read_manifest(server.objects, uri).kind == "image-set"


def test_the_same_source_gives_the_same_uri_and_new_facts_come_once(server: Server, tmp_path: Path) -> None:
    folder = write_pool(tmp_path / "pool", 5)
    first = server.ingest(folder, "one")
    assert server.ingest(folder, "two") == first
    assert server.ingest(folder, "dev", split="dev") != first
    embedded = [
        events_pb2.ImageEmbedded.FromString(e.data) for e in server.events(topic_of(events_pb2.ImageEmbedded), 10)
    ]
    assert sorted(event.split for event in embedded) == ["dev"] * 5 + ["pool"] * 5
    assert len(server.events(topic_of(events_pb2.ImageIngested), 5)) == 5


def test_broken_files_are_rows_of_the_report_and_the_rest_goes_on(server: Server, tmp_path: Path) -> None:
    folder = write_pool(tmp_path / "pool", 2)
    values = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32)
    files = {
        "scan": dicom(values),
        "cut.dcm": dicom(values)[:-700],
        "text.png": b"this is no picture",
        "empty.png": b"",
        "cut.png": png(picture(9))[:-40],
        "film.dcm": dicom(np.vstack([values.T, values.T[::-1]]), NumberOfFrames=2, Rows=32),
        "cut_film.dcm": dicom(values, NumberOfFrames=2),
        "burned.dcm": dicom(values, BurnedInAnnotation="YES"),
        "again.png": png(picture(0)),
        ".hidden.png": png(picture(10)),
        "tiny.png": png(picture(0)[:8, :8]),
        "blank.png": png(np.full((32, 32), 90, np.uint8)),
        "bomb.dcm": dicom(values, Rows=65535, Columns=65535),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    report = server.report(server.ingest(folder))
    status = {name: row.status for name, row in report.items()}
    assert status == {
        "000.png": "stored", "001.png": "stored", "again.png": "duplicate", "burned.dcm": "quarantined",
        "cut.dcm": "failed", "cut.png": "failed", "empty.png": "failed", "cut_film.dcm": "failed", "scan": "stored",
        "text.png": "failed", "tiny.png": "failed", ".hidden.png": "failed", "blank.png": "quarantined",
        "bomb.dcm": "failed", "film.dcm#frame-0001": "stored", "film.dcm#frame-0002": "stored",
    }  # fmt: skip
    refused = [row for row in report.values() if row.status in ("failed", "quarantined")]
    assert all(row.reason and (row.remedy or row.name == ".hidden.png") for row in refused)


def test_files_of_one_study_without_a_patient_are_of_one_source(server: Server, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, pixels in enumerate((np.arange(1024), np.arange(1024)[::-1])):
        (tmp_path / "in" / f"{number}.dcm").write_bytes(dicom(pixels.reshape(32, 32).astype(np.uint16), PatientID=None))
    rows = read_rows(server.objects, server.ingest(tmp_path / "in"), Image)
    assert {row.source_id for row in rows} == {rows[0].session} != {""}
    assert len({row.image_id for row in rows}) == 2


def test_no_identifier_of_a_dicom_file_is_kept_anywhere(server: Server, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.dcm").write_bytes(dicom(np.arange(1024, dtype=np.uint16).reshape(32, 32)))
    uri = server.ingest(tmp_path / "in")
    row = read_rows(server.objects, uri, Image)[0]
    assert row.modality == "ct"
    assert row.source_id == row.patient != ""
    assert row.session not in ("", row.patient)
    for path in server.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"Doe" not in data
            assert b"P-0815" not in data


def test_a_benchmark_table_has_one_row_for_each_of_its_rows_by_index(server: Server, tmp_path: Path) -> None:
    write_pool(tmp_path / "images", 2)
    content = base64.b64encode(png(picture(7))).decode()
    table = pd.DataFrame(
        [
            {"index": "10", "image_path": "images/000.png", "image": "", "modality": "MRI", "patient_id": "p1"},
            {"index": "11", "image_path": "images/000.png", "image": "", "modality": "MRI", "patient_id": "p1"},
            {"index": "12", "image_path": "", "image": content, "modality": "Sonar", "patient_id": ""},
            {"index": "13", "image_path": "", "image": "12", "modality": "CT", "patient_id": ""},
            {"index": "14", "image_path": "../secret.png", "image": "", "modality": "", "patient_id": ""},
            {"index": "15", "image_path": "images/none.png", "image": "", "modality": "", "patient_id": ""},
        ]
    )
    table.assign(question="q", A="Yes", B="No", answer="A").to_csv(tmp_path / "dev.tsv", sep="\t", index=False)
    uri = server.ingest(tmp_path / "dev.tsv", split="dev", default_modality="ct")
    report, rows = server.report(uri), read_rows(server.objects, uri, Image)
    assert [(name, row.status) for name, row in report.items()] == [
        ("10", "stored"), ("11", "duplicate"), ("12", "stored"), ("13", "duplicate"), ("14", "failed"), ("15", "failed"),
    ]  # fmt: skip
    by_id = {row.image_id: row for row in rows}
    assert by_id[report["10"].image_id].modality == "mri"
    assert by_id[report["12"].image_id].modality == "ct"
    assert report["12"].reason == "the modality is not one of the known"


def test_a_stored_manifest_is_a_source(server: Server) -> None:
    table = pd.DataFrame(
        {"image": [base64.b64encode(png(picture(i))).decode() for i in range(2)], "split": ["test", ""]}
    )
    target = io.BytesIO()
    table.to_parquet(target)
    uri = server.ingest(server.objects.put_bytes(target.getvalue()))
    assert [row.split for row in read_rows(server.objects, uri, Image)].count("test") == 1


def test_a_source_without_a_readable_image_is_a_failed_precondition(server: Server, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FailedPrecondition, match="names no image"):
        server.ingest(tmp_path / "empty", "empty")
    (tmp_path / "empty" / "note.txt").write_text("nothing to see")
    with pytest.raises(FailedPrecondition, match="None of the 1 inputs"):
        server.ingest(tmp_path / "empty", "unreadable")


def test_a_manifest_without_the_column_is_told_by_its_number_of_columns(server: Server, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("file,label\na.png,1\n")
    with pytest.raises(InvalidArgument) as caught:
        server.ingest(tmp_path / "list.csv")
    assert "neither a column image_path nor a column image among its 2" in caught.value.message
    with pytest.raises(NotFound):
        server.ingest(tmp_path / "nowhere", "other")


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"source_uri": ""}, "source_uri"),
        ({"source_uri": "relative/folder"}, "source_uri"),
        ({"source_uri": "https://host/folder"}, "source_uri"),
        ({"source_uri": "sha256:12"}, "source_uri"),
        ({"split": "train"}, "split"),
        ({"default_modality": "sonar"}, "default_modality"),
        ({"operation_id": ""}, "operation_id"),
    ],
)
def test_a_wrong_request_is_refused_with_its_field(server: Server, changed: dict[str, str], field: str) -> None:
    request = pb.StartIngestRequest(**{"operation_id": "x", "source_uri": "/pool", "split": "pool", **changed})
    error = refused(server, request)
    assert isinstance(error, InvalidArgument)
    assert (error.field, bool(error.remedy)) == (field, True)


def test_an_operation_id_stands_for_one_request(server: Server, tmp_path: Path) -> None:
    server.ingest(write_pool(tmp_path / "pool", 1))
    request = pb.StartIngestRequest(operation_id="ingest", source_uri=str(tmp_path / "pool"), split="dev")
    assert isinstance(refused(server, request), AlreadyExists)


def test_an_image_is_known_by_its_id(server: Server, tmp_path: Path) -> None:
    uri = server.ingest(write_pool(tmp_path / "pool", 1), default_modality="fundus")
    image_id = read_rows(server.objects, uri, Image)[0].image_id
    image = server.stub.GetImage(pb.GetImageRequest(image_id=image_id)).image
    assert (image.width, image.height, image.modality, image.is_embedded) == (32, 32, "fundus", True)
    with Picture.open(io.BytesIO(server.objects.read_bytes(image.image_uri))) as stored:
        np.testing.assert_array_equal(np.asarray(stored), picture(0))
    with pytest.raises(grpc.RpcError) as caught:
        server.stub.GetImage(pb.GetImageRequest(image_id="0" * 64))
    assert isinstance(from_rpc_error(caught.value), NotFound)


def test_texts_become_unit_vectors_and_too_many_are_refused(server: Server) -> None:
    answer = server.stub.EmbedTexts(pb.EmbedTextsRequest(texts=["Is there motion?", "Is there noise?", "?"]))
    vectors = np.frombuffer(answer.vectors, dtype="<f4").reshape(3, answer.dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    for texts in ([], ["x"] * 513, [" "]):
        with pytest.raises(grpc.RpcError) as caught:
            server.stub.EmbedTexts(pb.EmbedTextsRequest(texts=texts))
        assert isinstance(from_rpc_error(caught.value), InvalidArgument)


def test_texts_are_embedded_no_further_than_somebody_waits() -> None:
    encoder, left = StatisticsEncoder(), iter([True, False])
    asked: list[int] = []

    class Counting:
        encoder_id = "counting-1"

        def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
            asked.append(len(texts))
            return encoder.embed_texts(texts)

    class Caller:
        def is_active(self) -> bool:
            return next(left)

    servicer = Embedding(None, EncodersHere(counting=Counting()), None, ())  # type: ignore[arg-type]
    with pytest.raises(Cancelled):
        servicer.EmbedTexts(pb.EmbedTextsRequest(texts=["?"] * 512), Caller())  # type: ignore[arg-type]
    assert sum(asked) < 512


def test_reports_hold_no_absolute_path(server: Server, tmp_path: Path) -> None:
    uri = server.ingest(write_pool(tmp_path / "pool", 1))
    assert str(tmp_path) not in str(read_rows(server.objects, uri, Input))


@pytest.mark.parametrize(
    ("listen", "key", "is_told"),
    [("0.0.0.0:0", {}, True), ("0.0.0.0:0", {"hash_key": "a secret of this site"}, False), ("127.0.0.1:0", {}, False)],
)
def test_the_public_hash_key_is_told_where_others_can_call(
    tmp_path: Path, listen: str, key: dict[str, str], is_told: bool
) -> None:
    settings = EmbeddingSettings(state_folder=tmp_path, listen=listen, **key)
    bus, objects = SqliteEventBus(tmp_path / "events.sqlite"), FolderObjectStore(tmp_path / "objects", synced=False)
    with audited("WARNING") as log, Channels({}) as channels:
        build(settings, channels, bus, objects).close()
    bus.close()
    assert ("public_hash_key" in log.getvalue()) is is_told
    assert "MEDQ_EMBEDDING_HASH_KEY" in log.getvalue() or not is_told


def test_one_service_serves_several_encoders_each_by_its_name(
    server: Server, folders: dict[str, Path], tmp_path: Path
) -> None:
    pool = write_pool(tmp_path / "pool", 5)
    named = {name: server.stub.GetEncoder(pb.GetEncoderRequest(encoder=name)) for name in ("", "tiny", "tiny-clip")}
    assert [one.dimension for one in named.values()] == [64, 24, 20]
    for name, encoder in named.items():
        uri = server.ingest(pool, f"ingest-{name}", encoder=name)
        assert read_manifest(server.objects, uri).configuration["encoder_id"] == encoder.encoder_id
        assert read_array(server.objects, uri, "vectors.npy").shape == (5, encoder.dimension)
        for asked in (name, encoder.encoder_id):
            answer = server.stub.EmbedTexts(pb.EmbedTextsRequest(texts=["noise"], encoder=asked))
            assert answer.encoder_id == encoder.encoder_id
    image_id = read_rows(server.objects, uri, Image)[0].image_id
    image = server.stub.GetImage(pb.GetImageRequest(image_id=image_id)).image
    assert list(image.encoder_ids) == sorted(encoder.encoder_id for encoder in named.values())


def test_an_unknown_encoder_and_a_wrong_folder_are_refused_before_anything_is_read(
    server: Server, folders: dict[str, Path], tmp_path: Path
) -> None:
    pool = write_pool(tmp_path / "pool", 1)
    for name, kind, word in (
        ("biomedclip", NotFound, "none, statistics, tiny, tiny-clip"),
        ("none", FailedPrecondition, ""),
    ):
        ingest = pb.StartIngestRequest(operation_id="i", source_uri=str(pool), split="pool", encoder=name)
        reembed = pb.StartReembedRequest(operation_id="r", image_set_uri="sha256:" + "0" * 64, encoder=name)
        for method, request in (
            (server.stub.StartIngest, ingest),
            (server.stub.StartReembed, reembed),
            (server.stub.GetEncoder, pb.GetEncoderRequest(encoder=name)),
            (server.stub.EmbedTexts, pb.EmbedTextsRequest(texts=["a"], encoder=name)),
        ):
            error = refused_by(method, request)
            assert isinstance(error, kind)
            assert error.field == "encoder"
            assert word in error.remedy


def test_a_pool_is_embedded_anew_without_its_files_and_is_the_set_that_an_ingest_would_have_made(
    server: Server, folders: dict[str, Path], tmp_path: Path
) -> None:
    pool = write_pool(tmp_path / "pool", 6)
    (pool / "broken.png").write_bytes(b"no image")
    old, expected = server.ingest(pool, "old"), server.ingest(pool, "expected", encoder="tiny")
    for file in pool.iterdir():
        file.unlink()
    server.stub.StartReembed(pb.StartReembedRequest(operation_id="anew", image_set_uri=old, encoder="tiny"))
    anew = await_operation(server.channel, "anew").result_uri
    first, second = (read_manifest(server.objects, uri) for uri in (expected, anew))
    assert second.parents == (old,)
    assert second.files == first.files
    assert second.counts == first.counts
    assert second.configuration == first.configuration
    assert read_manifest(server.objects, old).configuration["encoder_id"].startswith("statistics-")
