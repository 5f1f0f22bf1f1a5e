import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from minio import Minio
from pydantic import SecretStr

from shared.objects.s3 import S3ObjectStore
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
