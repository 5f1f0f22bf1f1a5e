"""Folders, tables and manifests become image sets."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path

import grpc
import numpy as np
import pandas as pd
import pytest
from PIL import Image as Picture

from medq.embedding.v1 import embedding_pb2 as pb
from medq.embedding.v1 import events_pb2
from services.embedding.main import build
from services.embedding.settings import EmbeddingSettings
from shared.errors import NotFound
from shared.events.bus import topic_of
from shared.events.sqlite import SqliteEventBus
from shared.objects.dataset import read_array, read_manifest, read_rows
from shared.objects.folder import FolderObjectStore
from shared.rows.images import Image, Input
from shared.rpc.channels import Channels
from shared.status import from_rpc_error
from tests.support.embedding_server import Server
from tests.support.guarded import audited
from tests.support.pictures import dicom, picture, png, write_pool


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
