"""The services' user on a real MinIO: what it may in its bucket, and that it may nothing else."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException, S3Error
from pydantic import SecretStr

from services.make_bucket_user import BucketUserSettings, make_bucket_user
from shared.errors import InvalidArgument, Unavailable
from shared.objects.s3 import S3ObjectStore
from shared.settings import S3Section


def admin_of(settings: BucketUserSettings, access_key: str, secret_key: SecretStr) -> MinioAdmin:
    provider = StaticProvider(access_key, secret_key.get_secret_value())
    return MinioAdmin(endpoint=urlsplit(settings.endpoint).netloc, credentials=provider, secure=False)


def client_of(settings: BucketUserSettings, access_key: str, secret_key: SecretStr) -> Minio:
    # The region is named, or each call would ask for it first, and be refused that.
    host, secret = urlsplit(settings.endpoint).netloc, secret_key.get_secret_value()
    return Minio(host, access_key, secret, secure=False, region="us-east-1")


@pytest.fixture(scope="module")
def made(s3: str) -> Iterator[BucketUserSettings]:
    """A bucket with its user, and a bucket of somebody else with one object."""
    parts, name = urlsplit(s3), uuid4().hex[:12]
    settings = BucketUserSettings(
        endpoint=f"{parts.scheme}://{parts.hostname}:{parts.port}",
        bucket=f"medq-{name}",
        root_access_key=parts.username or "",
        root_secret_key=SecretStr(parts.password or ""),
        access_key=f"user-{name}",
        secret_key=SecretStr(uuid4().hex),
    )
    root = client_of(settings, settings.root_access_key, settings.root_secret_key)
    root.make_bucket(other := f"{settings.bucket}-other")
    root.put_object(other, "secret", io.BytesIO(b"theirs"), 6)
    make_bucket_user(settings)
    yield settings
    for bucket in (settings.bucket, other):
        for kept in list(root.list_objects(bucket, recursive=True)):
            root.remove_object(bucket, kept.object_name or "")
        root.remove_bucket(bucket)
    admin = admin_of(settings, settings.root_access_key, settings.root_secret_key)
    admin.user_remove(settings.access_key)
    admin.policy_remove(f"{settings.bucket}-objects")


@pytest.fixture
def user(made: BucketUserSettings) -> Minio:
    return client_of(made, made.access_key, made.secret_key)


def store_of(made: BucketUserSettings, secret_key: SecretStr) -> S3ObjectStore:
    section = S3Section(endpoint=made.endpoint, bucket=made.bucket, access_key=made.access_key, secret_key=secret_key)
    return S3ObjectStore(section, part_bytes=5 << 20)


def test_the_object_store_of_the_services_works_with_the_users_keys(made: BucketUserSettings, tmp_path: Path) -> None:
    store = store_of(made, made.secret_key)
    uri = store.put_bytes(b"an image")
    assert store.read_bytes(uri) == b"an image"
    assert store.exists(uri)
    assert not store.exists("sha256:" + "0" * 64)
    (large := tmp_path / "large").write_bytes(bytes(11 << 20))  # in parts
    assert len(store.read_bytes(store.put_file(large))) == 11 << 20


FORBIDDEN: dict[str, Callable[[Minio, str], object]] = {
    "read another bucket": lambda user, mine: user.get_object(f"{mine}-other", "secret"),
    "list another bucket": lambda user, mine: list(user.list_objects(f"{mine}-other")),
    "write into another bucket": lambda user, mine: user.put_object(f"{mine}-other", "a", io.BytesIO(b"a"), 1),
    "delete another bucket's object": lambda user, mine: user.remove_object(f"{mine}-other", "secret"),
    "delete another bucket": lambda user, mine: user.remove_bucket(f"{mine}-other"),
    "delete its own objects": lambda user, mine: user.remove_object(mine, "objects/00/00"),
    "delete its own bucket": lambda user, mine: user.remove_bucket(mine),
    "make a bucket": lambda user, mine: user.make_bucket(f"{mine}-new"),
    "open its bucket to everybody": lambda user, mine: user.set_bucket_policy(mine, json.dumps({"Statement": []})),
}


@pytest.mark.parametrize("attempt", FORBIDDEN)
def test_the_user_may_not(attempt: str, made: BucketUserSettings, user: Minio) -> None:
    with pytest.raises(S3Error) as caught:
        FORBIDDEN[attempt](user, made.bucket)
    assert caught.value.code == "AccessDenied"


ADMINISTRATION: dict[str, Callable[[MinioAdmin, str], object]] = {
    "make users": lambda admin, _: admin.user_add("intruder", "intruder-secret"),
    "list users": lambda admin, _: admin.user_list(),
    "make policies": lambda admin, _: admin.policy_add("all", policy={"Version": "2012-10-17", "Statement": []}),
    "give itself a policy": lambda admin, name: admin.policy_set("consoleAdmin", user=name),
    "make access keys": lambda admin, _: admin.add_service_account(access_key="stolen-key", secret_key="stolen-secret"),
    "read the server's configuration": lambda admin, _: admin.info(),
}


@pytest.mark.parametrize("attempt", ADMINISTRATION)
def test_the_user_may_not_administer(attempt: str, made: BucketUserSettings) -> None:
    with pytest.raises(MinioAdminException) as caught:
        ADMINISTRATION[attempt](admin_of(made, made.access_key, made.secret_key), made.access_key)
    assert "AccessDenied" in str(caught.value)


def test_made_again_with_another_secret_the_old_one_is_refused(made: BucketUserSettings, user: Minio) -> None:
    renewed = made.model_copy(update={"secret_key": SecretStr(uuid4().hex)})
    make_bucket_user(renewed)
    list(client_of(renewed, renewed.access_key, renewed.secret_key).list_objects(made.bucket))
    with pytest.raises(S3Error):
        list(user.list_objects(made.bucket))
    make_bucket_user(made)


def test_the_root_user_is_not_the_buckets_user(made: BucketUserSettings) -> None:
    with pytest.raises(InvalidArgument, match="is the root user"):
        make_bucket_user(made.model_copy(update={"access_key": made.root_access_key}))


def test_a_server_that_refuses_the_root_keys_is_told_with_a_remedy(made: BucketUserSettings) -> None:
    wrong = made.model_copy(update={"root_secret_key": SecretStr("not-the-password"), "patience_seconds": 0.0})
    with pytest.raises(Unavailable) as caught:
        make_bucket_user(wrong)
    assert "root keys" in caught.value.remedy
