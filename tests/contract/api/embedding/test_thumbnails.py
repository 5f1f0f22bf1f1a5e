"""Small pictures of stored images: of those alone that the service knows, bounded, for whoever may read, and in the audit."""

from __future__ import annotations

import io
from pathlib import Path

import grpc
import pytest
from PIL import Image

from medq.embedding.v1 import embedding_pb2 as pb
from shared.errors import InvalidArgument, NotFound
from shared.objects.dataset import read_rows
from shared.rows.images import Image as ImageRow
from shared.rpc.channels import Channels
from shared.rpc.rights import Role
from tests.support.embedding_server import Server, refused_by
from tests.support.guarded import add_caller, audit_lines, audited, guarded_server
from tests.support.pictures import write_pool

METHOD = "/medq.embedding.v1.EmbeddingService/GetThumbnail"


@pytest.fixture
def image(server: Server, tmp_path: Path) -> ImageRow:
    return read_rows(server.objects, server.ingest(write_pool(tmp_path / "pool", 1)), ImageRow)[0]


@pytest.mark.parametrize("side", [0, 16, 24, 256])
def test_a_picture_is_a_png_that_is_no_larger_than_asked_for(server: Server, image: ImageRow, side: int) -> None:
    answer = server.stub.GetThumbnail(pb.GetThumbnailRequest(image_id=image.image_id, side=side))
    picture = Image.open(io.BytesIO(answer.png))
    assert picture.format == "PNG"
    assert max(picture.size) == min(side or 128, max(image.width, image.height))


def test_an_image_that_the_service_does_not_know_is_not_found_though_the_object_is_there(server: Server) -> None:
    other = server.objects.put_bytes(b"an object of somebody else").removeprefix("sha256:")
    for image_id in (other, "0" * 64, "", "../objects", "<script>"):
        error = refused_by(server.stub.GetThumbnail, pb.GetThumbnailRequest(image_id=image_id))
        assert isinstance(error, NotFound)
        assert error.field == "image_id"


@pytest.mark.parametrize("side", [1, 15, 257, 2**32 - 1])
def test_a_side_outside_its_bounds_is_refused(server: Server, image: ImageRow, side: int) -> None:
    error = refused_by(server.stub.GetThumbnail, pb.GetThumbnailRequest(image_id=image.image_id, side=side))
    assert isinstance(error, InvalidArgument)
    assert (error.field, error.remedy) == ("side", "Choose 16..256.")


def test_an_image_that_is_lost_is_told_as_lost(server: Server, image: ImageRow) -> None:
    for path in (server.folder / "objects").rglob(f"*{image.image_id[2:]}*"):
        path.unlink()
    error = refused_by(server.stub.GetThumbnail, pb.GetThumbnailRequest(image_id=image.image_id))
    assert isinstance(error, NotFound)
    assert error.field == "image_uri"


def test_each_picture_that_is_given_is_in_the_audit_with_who_got_it(tmp_path: Path) -> None:
    token = add_caller(tmp_path / "callers.yaml", "ann", Role.READER)
    auth = {"tokens_file": str(tmp_path / "callers.yaml")}
    guarded = guarded_server(tmp_path, auth=auth)
    with audited() as log, guarded as server, Channels({"guarded": server.target}) as channels:
        call = channels["guarded"].unary_unary(METHOD, request_serializer=pb.GetThumbnailRequest.SerializeToString)
        for metadata in ((("authorization", f"Bearer {token}"),), ()):
            with pytest.raises(grpc.RpcError):
                call(pb.GetThumbnailRequest(image_id="a" * 64), metadata=metadata)
    told = [(one["decision"], one["caller"], one.get("image_id")) for one in audit_lines(log)]
    assert told == [("allowed", "ann", "a" * 64), ("denied", "", None)]
