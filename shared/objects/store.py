"""The port for large immutable data, named by the digest of its bytes, so that a reader can check what it got.

Writing the same bytes twice is the same object and no error. Nothing is ever changed or renamed; every read is verified.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from shared.errors import InvalidArgument

SCHEME = "sha256:"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class ObjectStore(Protocol):
    """Where images, datasets and checkpoints lie. Safe to use from several threads and processes."""

    def put_file(self, path: Path) -> str:
        """Store a file's content, streamed; return its URI `sha256:<hex>`.

        Raises:
            NotFound: there is no such file.
            Conflict: the file changed while it was read.
        """

    def put_bytes(self, data: bytes) -> str:
        """Store bytes; return their URI `sha256:<hex>`."""

    def read_bytes(self, uri: str) -> bytes:
        """Return an object's content, verified; for objects that fit into memory.

        Raises:
            InvalidArgument: the URI is malformed.
            NotFound: there is no such object.
            DataLoss: the stored bytes do not match the digest.
        """

    def chunks(self, uri: str) -> Iterator[bytes]:
        """An object's content in pieces, for objects of any size; raises as `read_bytes`, DataLoss after the last piece."""

    def fetch(self, uri: str, destination: Path) -> None:
        """Copy an object into a file, streamed; the file appears whole and verified, or not at all.

        An existing file is replaced; the folder of `destination` is made. Raises as `read_bytes`.
        """

    def exists(self, uri: str) -> bool:
        """Tell whether an object is there, without reading it; InvalidArgument where the URI is malformed."""


def uri_of(digest: str) -> str:
    """The URI of the object with this sha256 (64 lower-case hex digits)."""
    uri = SCHEME + digest
    digest_of(uri)
    return uri


def digest_of(uri: str) -> str:
    """The sha256 (64 lower-case hex digits) that a URI names; InvalidArgument where it is malformed."""
    digest = uri.removeprefix(SCHEME)
    if not uri.startswith(SCHEME) or not _DIGEST.fullmatch(digest):
        raise InvalidArgument(
            "Not an object URI.", field="uri", value=uri, remedy="Use sha256: and 64 lower-case hex digits."
        )
    return digest
