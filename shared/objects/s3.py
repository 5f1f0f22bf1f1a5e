"""Objects in a bucket of any S3 endpoint, under the keys `objects/ab/<sha256>` below a prefix. Implements `store.ObjectStore`.

A key is written only by those who have its content, so writers need no lock: whoever is last writes the same bytes. A multipart
upload is completed only after its last part was read and the whole hashed to the key. Nothing is asked of the endpoint before
the first call, so a service may start before it.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from minio.datatypes import Object as MinioObject
from minio.error import S3Error
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import ProtocolError, TimeoutError

from shared.errors import Conflict, DataLoss, FailedPrecondition, NotFound, Unavailable
from shared.objects.s3_client import connect
from shared.objects.s3_errors import typed_errors
from shared.objects.s3_etag import etag_of
from shared.objects.store import digest_of, uri_of
from shared.objects.verification import verified, write_whole
from shared.settings import S3Section

_CHUNK_BYTES = 1 << 20
_MOST_PARTS = 9_000
#: A connection that gives less than this over all its time counts as broken, even if it is never silent.
_LEAST_BYTES_A_SECOND = 32_768
_ABSENT = {"NoSuchKey", "NoSuchBucket"}


class S3ObjectStore:
    """An `ObjectStore` on S3.

    Every call ends: a silent connection is given up after `timeout_seconds`, a request is made anew `retries` times with growing
    pauses, a read goes on where it was cut.

    Args:
        settings: Endpoint, bucket and credentials.
        part_bytes: Files above this size are uploaded in parts of it, and so much memory is used; at least 5 MiB.

    Raises:
        InvalidArgument: no endpoint, or a bucket name that S3 does not allow.
    """

    def __init__(self, settings: S3Section, *, part_bytes: int = 8 << 20) -> None:
        self._settings = settings
        self._part_bytes = part_bytes
        self._client = connect(settings)
        prefix = settings.prefix.strip("/")
        self._prefix = f"{prefix}/objects" if prefix else "objects"

    def put_file(self, path: Path) -> str:
        """Store a file's content, streamed; see the port."""
        try:
            with path.open("rb") as source:
                digest = hashlib.file_digest(source, "sha256").hexdigest()
                self._put(digest, source.tell(), source, path.name)
        except (FileNotFoundError, IsADirectoryError):
            raise NotFound("No such file.", field="path", value=path.name) from None
        return uri_of(digest)

    def put_bytes(self, data: bytes) -> str:
        """Store bytes; see the port."""
        digest = hashlib.sha256(data).hexdigest()
        self._put(digest, len(data), io.BytesIO(data), "")
        return uri_of(digest)

    def read_bytes(self, uri: str) -> bytes:
        """Return an object's content, verified; see the port."""
        return b"".join(self.chunks(uri))

    def chunks(self, uri: str) -> Iterator[bytes]:
        """An object's content in pieces; see the port."""
        return verified(self._chunks(uri), uri)

    def fetch(self, uri: str, destination: Path) -> None:
        """Copy an object into a file, streamed; see the port."""
        write_whole(destination, self.chunks(uri))

    def exists(self, uri: str) -> bool:
        """Tell whether an object is there; see the port."""
        return self._stat(digest_of(uri)) is not None

    def _key(self, digest: str) -> str:
        return f"{self._prefix}/{digest[:2]}/{digest}"

    def _stat(self, digest: str) -> MinioObject | None:
        """Length and ETag of an object; None where it is not there."""
        with typed_errors(self._settings):
            try:
                return self._client.stat_object(self._settings.bucket, self._key(digest))
            except S3Error as error:
                if error.code in _ABSENT:
                    return None
                raise

    def _holds(self, digest: str, size: int, source: BinaryIO) -> bool:
        """Whether an object is there and whole: by its ETag, or where that is of another form (encrypted), read back."""
        found = self._stat(digest)
        if found is None or found.size != size:
            return False
        if found.etag == etag_of(source, size, self._part_size(size)):
            return True
        try:
            for _ in self.chunks(uri_of(digest)):
                pass
        except (DataLoss, NotFound):
            return False
        return True

    def _part_size(self, size: int) -> int:
        return max(self._part_bytes, -(-size // _MOST_PARTS))

    def _put(self, digest: str, size: int, source: BinaryIO, name: str) -> None:
        """Upload an object that is not there whole; the bucket is made where it is missing."""
        if self._holds(digest, size, source):
            return
        with typed_errors(self._settings):
            try:
                self._upload(digest, size, source, name)
            except S3Error as error:
                if error.code == "NoSuchUpload" and self._holds(digest, size, source):
                    return  # the answer to completing it was lost, and the repeated request found it completed
                if error.code != "NoSuchBucket":
                    raise
                self._make_bucket()
                self._upload(digest, size, source, name)

    def _upload(self, digest: str, size: int, source: BinaryIO, name: str) -> None:
        source.seek(0)
        self._client.put_object(
            self._settings.bucket,
            self._key(digest),
            cast(BinaryIO, _Unchanged(source, digest, size, name)),
            size,
            part_size=self._part_size(size),
            num_parallel_uploads=1,  # the last part is read before it is sent, and the upload completed after it
        )

    def _make_bucket(self) -> None:
        try:
            self._client.make_bucket(self._settings.bucket, self._settings.region)
        except S3Error as error:
            if error.code == "BucketAlreadyOwnedByYou":  # another process was faster
                return
            raise FailedPrecondition(
                f"The bucket is not there and could not be made ({error.code}).",
                field="s3.bucket",
                value=self._settings.bucket,
                remedy="Make the bucket, or give the access key the right s3:CreateBucket.",
            ) from error

    def _chunks(self, uri: str) -> Iterator[bytes]:
        """The stored bytes; where the connection breaks they go on from there on a new one, a few times."""
        n_received = n_broken = 0
        deadline = time.monotonic() + (self._settings.retries + 1) * self._settings.timeout_seconds
        with typed_errors(self._settings):
            while True:
                response = self._open(uri, n_received)
                try:
                    while chunk := response.read1(_CHUNK_BYTES):
                        n_received += len(chunk)
                        yield chunk
                        self._require_progress(deadline, n_received)
                    return
                except (ProtocolError, TimeoutError):
                    n_broken += 1
                    if n_broken > self._settings.retries:
                        raise
                finally:
                    response.close()
                    response.release_conn()

    def _open(self, uri: str, offset: int) -> BaseHTTPResponse:
        try:
            return self._client.get_object(self._settings.bucket, self._key(digest_of(uri)), offset)
        except S3Error as error:
            if error.code not in _ABSENT:
                raise
            is_lost = error.code == "NoSuchBucket"
            remedy = f"Check s3.bucket: {self._settings.bucket!r} is not there." if is_lost else ""
            raise NotFound("No such object.", field="uri", value=uri, remedy=remedy) from error

    def _require_progress(self, deadline: float, n_received: int) -> None:
        if time.monotonic() > deadline + n_received / _LEAST_BYTES_A_SECOND:
            raise Unavailable(
                "The object store is too slow.", field="s3.endpoint", value=self._settings.endpoint, remedy="Try again."
            )


class _Unchanged:
    """A file that is read once from its start; Conflict where that is not what was hashed before."""

    def __init__(self, source: BinaryIO, digest: str, size: int, name: str) -> None:
        self._source, self._expected, self._left, self._name = source, digest, size, name
        self._digest = hashlib.sha256()

    def read(self, n: int) -> bytes:
        data = self._source.read(min(n, self._left))
        self._digest.update(data)
        self._left -= len(data)
        is_cut = not data
        is_other = self._left == 0 and (self._digest.hexdigest() != self._expected or self._source.read(1))
        if is_cut or is_other:
            raise Conflict(
                "The file changed while it was read.", field="path", value=self._name, remedy="Put it again."
            )
        return data
