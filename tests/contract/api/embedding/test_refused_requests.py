"""Sources and requests that the embedding service refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from medq.embedding.v1 import embedding_pb2 as pb
from shared.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from tests.support.embedding_server import Server, refused
from tests.support.pictures import write_pool


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
