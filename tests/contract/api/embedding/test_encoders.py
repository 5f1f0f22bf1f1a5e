"""Several encoders in one service, and a pool that is embedded anew."""

from __future__ import annotations

from pathlib import Path

from medq.embedding.v1 import embedding_pb2 as pb
from shared.errors import FailedPrecondition, NotFound
from shared.objects.dataset import read_array, read_manifest, read_rows
from shared.rows.images import Image
from shared.rpc.operations import await_operation
from tests.support.embedding_server import Server, refused_by
from tests.support.pictures import write_pool


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
