"""What S3 does on a bad day: cut, silent and slow connections, a killed server, refused keys, a full disk."""

import io
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from minio.credentials.providers import StaticProvider
from minio.minioadmin import MinioAdmin
from pydantic import SecretStr

from shared.errors import (
    Conflict,
    FailedPrecondition,
    InvalidArgument,
    MedqError,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from shared.objects.s3 import S3ObjectStore
from shared.settings import S3Section
from tests.contract.ports.test_s3_object_store import client_of, key_of, section_for_a_test, section_of
from tests.support.certificates import Authority
from tests.support.own_server import OwnServer, own_server
from tests.support.s3_answers import s3_that_answers
from tests.support.tcp_proxy import TcpProxy, tcp_proxy

PART = 5 << 20
ANSWER_HEADERS = 2_000  # more than the headers of an answer, much less than an object here


@pytest.fixture(scope="module")
def own_s3() -> Iterator[OwnServer]:
    with own_server("s3") as server:
        yield server


@pytest.fixture
def settings(s3: str) -> Iterator[S3Section]:
    yield from section_for_a_test(s3)


@pytest.fixture
def proxy(s3: str) -> Iterator[TcpProxy]:
    with tcp_proxy(address_of(s3)) as proxy:
        yield proxy


def address_of(endpoint: str) -> str:
    return urlsplit(endpoint).netloc.rpartition("@")[2]


def through(proxy: TcpProxy, direct: S3Section, **changes: object) -> S3ObjectStore:
    return S3ObjectStore(direct.model_copy(update={"endpoint": f"http://{proxy.address}", **changes}))


def stored(settings: S3Section, n_bytes: int = 1 << 20) -> tuple[str, bytes]:
    data = os.urandom(n_bytes)
    return S3ObjectStore(settings).put_bytes(data), data


def test_a_large_file_goes_up_in_parts(settings: S3Section, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(2 * PART + 17))
    uri = S3ObjectStore(settings, part_bytes=PART).put_file(path)
    kept = client_of(settings).stat_object(settings.bucket, key_of(settings, uri))
    assert (kept.etag or "").endswith("-3")
    S3ObjectStore(settings).fetch(uri, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("n_bytes", [1000, 2 * PART], ids=["one request", "several parts"])
@pytest.mark.parametrize("change", ["other bytes", "shorter", "longer"])
def test_a_file_that_changes_while_it_is_read_is_a_conflict(
    s3: str, settings: S3Section, tmp_path: Path, n_bytes: int, change: str
) -> None:
    path = tmp_path / "changing"
    before = os.urandom(n_bytes)
    path.write_bytes(before)
    other_bytes = before[:-1] + bytes([before[-1] ^ 1])
    after = {"other bytes": other_bytes, "shorter": before[:-1], "longer": before + b"?"}[change]
    # the first connection asks whether the object is there: after the file was hashed, before it is sent
    with tcp_proxy(address_of(s3), on_connection=lambda: path.write_bytes(after) and None) as proxy:
        changed = settings.model_copy(update={"endpoint": f"http://{proxy.address}"})
        with pytest.raises(Conflict, match="changed while it was read"):
            S3ObjectStore(changed, part_bytes=PART).put_file(path)
    assert list(client_of(settings).list_objects(settings.bucket, settings.prefix, recursive=True)) == []


def test_an_object_cut_short_is_healed_by_putting_it_again(settings: S3Section) -> None:
    uri, data = stored(settings, 1000)
    client_of(settings).put_object(settings.bucket, key_of(settings, uri), io.BytesIO(data[:10]), 10)
    assert S3ObjectStore(settings).put_bytes(data) == uri
    assert S3ObjectStore(settings).read_bytes(uri) == data


def test_a_read_goes_on_where_it_was_cut(settings: S3Section, proxy: TcpProxy, tmp_path: Path) -> None:
    uri, data = stored(settings)
    proxy.cut_after(300_000, times=3)
    through(proxy, settings).fetch(uri, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == data
    assert proxy.n_connections == 4


def test_a_connection_that_is_always_cut_ends_as_unavailable_and_leaves_no_file(
    s3: str, settings: S3Section, proxy: TcpProxy, tmp_path: Path
) -> None:
    uri, _ = stored(settings)
    proxy.cut_after(100_000, times=100)
    with pytest.raises(Unavailable, match=r"s3\.endpoint"):
        through(proxy, settings, retries=1).fetch(uri, tmp_path / "cache" / "copy")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("n_bytes", [0, ANSWER_HEADERS], ids=["before the answer", "in the object"])
def test_a_silent_connection_is_given_up(settings: S3Section, proxy: TcpProxy, n_bytes: int) -> None:
    uri, _ = stored(settings)
    proxy.hold_after(n_bytes)
    with pytest.raises(Unavailable, match="does not answer"):
        through(proxy, settings, timeout_seconds=0.2, retries=1).read_bytes(uri)


def test_a_connection_that_is_never_silent_but_far_too_slow_is_given_up(settings: S3Section, proxy: TcpProxy) -> None:
    uri, _ = stored(settings)
    proxy.slow_down(0.1, n_bytes=500)
    with pytest.raises(Unavailable, match="too slow"):
        through(proxy, settings, timeout_seconds=2, retries=0).read_bytes(uri)


def test_an_upload_that_is_never_answered_is_given_up(settings: S3Section, proxy: TcpProxy) -> None:
    proxy.hold_after(0)
    with pytest.raises(Unavailable, match="does not answer"):
        through(proxy, settings, timeout_seconds=0.2, retries=1).put_bytes(b"x")


def test_an_upload_survives_a_cut_connection(settings: S3Section, proxy: TcpProxy, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(2 * PART))
    proxy.cut_after(600, times=2)
    changed = settings.model_copy(update={"endpoint": f"http://{proxy.address}"})
    uri = S3ObjectStore(changed, part_bytes=PART).put_file(path)
    assert S3ObjectStore(settings).read_bytes(uri) == path.read_bytes()


def test_a_server_killed_in_the_middle_of_a_read_and_up_again_costs_nothing(own_s3: OwnServer, tmp_path: Path) -> None:
    settings = section_of(own_s3.endpoint)
    uri, data = stored(settings)
    with tcp_proxy(address_of(own_s3.endpoint)) as proxy, ThreadPoolExecutor(1) as thread:
        proxy.hold_after(400_000)
        reading = thread.submit(through(proxy, settings, retries=12).fetch, uri, tmp_path / "copy")
        assert proxy.is_held.wait(30)
        own_s3.kill()
        proxy.cut_after(0)
        proxy.release()
        own_s3.up()
        reading.result(50)
    assert (tmp_path / "copy").read_bytes() == data


def test_a_bucket_that_is_missing_is_made_by_whoever_comes_first(own_s3: OwnServer) -> None:
    settings = section_of(own_s3.endpoint, bucket=f"medq-{uuid4().hex[:8]}")
    assert not S3ObjectStore(settings).exists("sha256:" + "0" * 64)
    with pytest.raises(NotFound, match=r"s3\.bucket"):
        S3ObjectStore(settings).read_bytes("sha256:" + "0" * 64)
    with ThreadPoolExecutor(4) as threads:
        uris = list(threads.map(lambda i: S3ObjectStore(settings).put_bytes(b"%d" % i), range(8)))
    assert [S3ObjectStore(settings).read_bytes(uri) for uri in uris] == [b"%d" % i for i in range(8)]


@pytest.fixture
def clerk(own_s3: OwnServer) -> S3Section:
    """A user who may read and write one bucket, and make none."""
    bucket, name = f"medq-{uuid4().hex[:8]}", uuid4().hex[:12]
    settings = section_of(own_s3.endpoint, bucket=bucket)
    provider = StaticProvider(settings.access_key, settings.secret_key.get_secret_value())
    admin = MinioAdmin(endpoint=address_of(own_s3.endpoint), credentials=provider, secure=False)
    actions = ["s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:AbortMultipartUpload"]
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": resources}
    admin.policy_add(name, policy={"Version": "2012-10-17", "Statement": [statement]})
    admin.user_add(name, "secret-of-clerk")
    admin.attach_policy([name], user=name)
    return settings.model_copy(update={"access_key": name, "secret_key": SecretStr("secret-of-clerk")})


def test_a_missing_bucket_that_may_not_be_made_says_what_to_do(clerk: S3Section) -> None:
    with pytest.raises(FailedPrecondition, match="s3:CreateBucket"):
        S3ObjectStore(clerk).put_bytes(b"x")


def test_the_rights_that_the_remedy_names_are_enough(clerk: S3Section, own_s3: OwnServer, tmp_path: Path) -> None:
    client_of(section_of(own_s3.endpoint)).make_bucket(clerk.bucket)
    path = tmp_path / "file"
    path.write_bytes(os.urandom(PART + 1))
    store = S3ObjectStore(clerk, part_bytes=PART)
    assert store.read_bytes(store.put_file(path)) == path.read_bytes()


@pytest.mark.parametrize("changes", [{"access_key": "nobody"}, {"secret_key": SecretStr("wrong-secret")}])
def test_bad_credentials_are_refused_with_a_remedy(s3: str, changes: dict[str, object]) -> None:
    store = S3ObjectStore(section_of(s3).model_copy(update=changes))
    for call in (lambda: store.put_bytes(b"x"), lambda: store.read_bytes("sha256:" + "0" * 64)):
        with pytest.raises(PermissionDenied, match=r"Check s3\.access_key and s3\.secret_key"):
            call()


def test_an_endpoint_that_nobody_serves_is_unavailable_and_named(s3: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unavailable, match=rf"s3\.endpoint='http://127\.0\.0\.1:{port}'"):
        S3ObjectStore(section_of(s3, endpoint=f"http://127.0.0.1:{port}", retries=1)).put_bytes(b"x")


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (507, "XMinioStorageFull", (Unavailable, "full")),
        (403, "QuotaExceeded", (Unavailable, "quota")),
        (403, "RequestTimeTooSkewed", (FailedPrecondition, "clock")),
        (503, "SlowDown", (Unavailable, "does not answer")),
        (409, "OperationAborted", (Unavailable, "OperationAborted")),
        (404, "", (FailedPrecondition, "does not speak S3")),
    ],
)
def test_what_the_server_refuses_is_told_in_our_terms(
    s3: str, status: int, code: str, expected: tuple[type[MedqError], str]
) -> None:
    with s3_that_answers(status, code) as address:
        store = S3ObjectStore(section_of(s3, endpoint=f"http://{address}", retries=1))
        with pytest.raises(expected[0], match=expected[1]):
            store.put_bytes(b"x")


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoint": "127.0.0.1:9000"},
        {"endpoint": "http://key:secret@host"},
        {"endpoint": "http://host/path"},
        {"bucket": "No_Bucket"},
    ],
)
def test_wrong_settings_are_refused_before_the_first_call(s3: str, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument, match=f"s3.{next(iter(wrong))}") as refused:
        S3ObjectStore(section_of(s3, **wrong))
    assert "secret" not in str(refused.value)


def test_tls_needs_an_authority_that_is_trusted(s3: str, settings: S3Section, tmp_path: Path) -> None:
    uri, data = stored(settings)
    authority = Authority(tmp_path)
    with tcp_proxy(address_of(s3), certificate=authority.issue("s3")) as proxy:
        secure = settings.model_copy(update={"endpoint": f"https://{proxy.address}", "retries": 0})
        with pytest.raises(FailedPrecondition, match=r"s3\.ca_file"):
            S3ObjectStore(secure).read_bytes(uri)
        trusting = S3ObjectStore(secure.model_copy(update={"ca_file": authority.ca_file}))
        assert trusting.read_bytes(uri) == data
        assert trusting.read_bytes(trusting.put_bytes(b"over TLS")) == b"over TLS"
