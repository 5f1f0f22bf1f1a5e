import io
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


def section_of(endpoint: str, **changes: object) -> S3Section:
    """Settings for http://access:secret@host:port, with a prefix of this test's own."""
    parts = urlsplit(endpoint)
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


class TestS3ObjectStore(ObjectStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path, s3: str) -> ObjectStore:
        self.settings = section_of(s3)
        return S3ObjectStore(self.settings)

    def damage(self, store: ObjectStore, uri: str, data: bytes) -> None:
        digest = digest_of(uri)
        key = f"{self.settings.prefix}/objects/{digest[:2]}/{digest}"
        client_of(self.settings).put_object(self.settings.bucket, key, io.BytesIO(data), len(data))
