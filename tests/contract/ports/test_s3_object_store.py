import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from minio import Minio
from pydantic import SecretStr

from shared.objects.s3 import S3ObjectStore
from shared.objects.s3_etag import etag_of
from shared.objects.store import ObjectStore, digest_of
from shared.settings import S3Section
from tests.contract.ports.object_store_suite import ObjectStoreSuite


def section_of(server: str, **changes: object) -> S3Section:
    """Settings for http://access:secret@host:port, with a prefix of this test's own."""
    parts = urlsplit(server)
    values: dict[str, object] = {
        "endpoint": f"{parts.scheme}://{parts.hostname}:{parts.port}",
        "access_key": parts.username,
        "secret_key": SecretStr(parts.password or ""),
        "bucket": "medq-contract",
        "prefix": uuid4().hex,
    }
    return S3Section.model_validate(values | changes)


def client_of(settings: S3Section) -> Minio:
    secret = settings.secret_key.get_secret_value()
    return Minio(urlsplit(settings.endpoint).netloc, settings.access_key, secret, secure=False)


def key_of(settings: S3Section, uri: str) -> str:
    return f"{settings.prefix}/objects/{digest_of(uri)[:2]}/{digest_of(uri)}"


def section_for_a_test(server: str) -> Iterator[S3Section]:
    """Settings, as `section_of`; the objects are removed afterwards."""
    settings = section_of(server)
    yield settings
    client = client_of(settings)
    if client.bucket_exists(settings.bucket):
        for kept in list(client.list_objects(settings.bucket, settings.prefix, recursive=True)):
            client.remove_object(settings.bucket, kept.object_name or "")


class TestS3ObjectStore(ObjectStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path, s3: str) -> Iterator[ObjectStore]:
        for self.settings in section_for_a_test(s3):
            yield S3ObjectStore(self.settings)

    def damage(self, store: ObjectStore, uri: str, data: bytes) -> None:
        key = key_of(self.settings, uri)
        client_of(self.settings).put_object(self.settings.bucket, key, io.BytesIO(data), len(data))

    def test_what_is_there_whole_is_not_uploaded_again_and_what_is_not_is(
        self, store: ObjectStore, tmp_path: Path
    ) -> None:
        store = S3ObjectStore(self.settings, part_bytes=5 << 20)
        path = tmp_path / "of three parts"
        path.write_bytes(bytes(range(256)) * (11 << 12))
        uri = store.put_file(path)
        kept = client_of(self.settings).stat_object(self.settings.bucket, key_of(self.settings, uri))
        assert kept.etag == etag_of(io.BytesIO(path.read_bytes()), path.stat().st_size, 5 << 20)
        assert kept.etag.endswith("-3")
        store.put_file(path)
        again = client_of(self.settings).stat_object(self.settings.bucket, key_of(self.settings, uri))
        assert again.last_modified == kept.last_modified
        self.damage(store, uri, path.read_bytes()[::-1])
        store.put_file(path)
        assert store.read_bytes(uri) == path.read_bytes()
