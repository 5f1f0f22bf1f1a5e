"""Objects as read-only files, `objects/ab/<sha256>`: written beside their place, synced, then renamed into it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from shared.errors import Conflict, NotFound
from shared.objects.store import digest_of, uri_of
from shared.objects.verification import is_whole, verified, write_whole
from shared.synced import make_folder, put_in_place

_CHUNK_BYTES = 1 << 20
_PARTIAL_FILES_KEPT_SECONDS = 24 * 3600.0


class FolderObjectStore:
    """An `ObjectStore` on a local disk, or one that several machines mount.

    Args:
        root: Its folder; made where it is missing. What killed processes left half written is removed after a day.
        synced: Whether an object is on the disk before its URI is returned. Without that (nine times as many
            small objects a second) a power cut, not a kill, may lose the newest ones; a read notices it.
    """

    def __init__(self, root: Path, *, synced: bool = True) -> None:
        self._synced = synced
        self._objects = root / "objects"
        self._partial = root / "partial"
        make_folder(self._objects)
        self._partial.mkdir(exist_ok=True)
        oldest = time.time() - _PARTIAL_FILES_KEPT_SECONDS
        for left_over in self._partial.iterdir():
            with suppress(FileNotFoundError):  # another process ended it, or removed it first
                if left_over.stat().st_mtime < oldest:
                    left_over.unlink()

    def put_file(self, path: Path) -> str:
        """Store a file's content, streamed; see the port."""
        try:
            with path.open("rb") as source:
                digest = hashlib.file_digest(source, "sha256").hexdigest()
                size = source.tell()
                source.seek(0)
                if not self._holds(digest, size) and self._store(digest, _chunks(source)) != digest:
                    raise Conflict(
                        "The file changed while it was read.", field="path", value=path.name, remedy="Put it again."
                    )
        except (FileNotFoundError, IsADirectoryError):
            raise NotFound("No such file.", field="path", value=path.name) from None
        return uri_of(digest)

    def put_bytes(self, data: bytes) -> str:
        """Store bytes; see the port."""
        digest = hashlib.sha256(data).hexdigest()
        if not self._holds(digest, len(data)):
            self._store(digest, [data])
        return uri_of(digest)

    def read_bytes(self, uri: str) -> bytes:
        """Return an object's content, verified; see the port."""
        return b"".join(self.chunks(uri))

    def chunks(self, uri: str) -> Iterator[bytes]:
        """An object's content in pieces; see the port."""
        return verified(self._stored(uri), uri)

    def fetch(self, uri: str, destination: Path) -> None:
        """Copy an object into a file, streamed; see the port."""
        write_whole(destination, self.chunks(uri))

    def exists(self, uri: str) -> bool:
        """Tell whether an object is there; see the port."""
        return self._path(digest_of(uri)).exists()

    def _path(self, digest: str) -> Path:
        return self._objects / digest[:2] / digest

    def _holds(self, digest: str, size: int) -> bool:
        """Whether the object is there and whole; one cut short, or with other bytes than its name says, is written anew."""
        return is_whole(self._path(digest), digest, size)

    def _store(self, digest: str, chunks: Iterable[bytes]) -> str:
        """Write chunks into the place of `digest` if that is their hash; return their hash."""
        partial = self._partial / uuid4().hex
        try:
            written = _write(partial, chunks)
            if written == digest:
                partial.chmod(0o444)
                path = self._path(digest)
                if self._synced:
                    make_folder(path.parent)
                    put_in_place(partial, path)
                else:
                    path.parent.mkdir(exist_ok=True)
                    partial.replace(path)
            return written
        finally:
            partial.unlink(missing_ok=True)

    def _stored(self, uri: str) -> Iterator[bytes]:
        """The stored bytes of an object."""
        try:
            with self._path(digest_of(uri)).open("rb") as source:
                yield from _chunks(source)
        except FileNotFoundError:
            raise NotFound("No such object.", field="uri", value=uri) from None


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    while chunk := source.read(_CHUNK_BYTES):
        yield chunk


def _write(path: Path, chunks: Iterable[bytes]) -> str:
    """Write a new file; return the sha256 of what was written."""
    digest = hashlib.sha256()
    with path.open("xb") as target:
        for chunk in chunks:
            digest.update(chunk)
            target.write(chunk)
    return digest.hexdigest()
