"""What every object store does with bytes that it reads: hold them against the digest, and write a file whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

from shared.errors import DataLoss
from shared.objects.store import digest_of


def verified(chunks: Iterable[bytes], uri: str) -> Iterator[bytes]:
    """The chunks of an object; DataLoss after the last one where together they do not hash to the URI."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != digest_of(uri):
        raise DataLoss(
            "The stored object does not match its digest.",
            field="uri",
            value=uri,
            remedy="Make it again, or restore it.",
        )


def is_whole(path: Path, digest: str, size: int) -> bool:
    """Whether a file is there and holds what was stored: all of it is read, which costs no more than to write it again."""
    try:
        with path.open("rb") as source:
            is_long_enough = os.fstat(source.fileno()).st_size == size
            return is_long_enough and hashlib.file_digest(source, "sha256").hexdigest() == digest
    except FileNotFoundError:
        return False


def write_whole(destination: Path, chunks: Iterable[bytes]) -> None:
    """Write a file that appears when the last chunk is in it, in place of an older one; its folder is made.

    It is not synced: a copy for now. Where the name of its folder says that it is complete, see `shared.synced`.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = destination.with_name(f".{uuid4().hex}.partial")
    try:
        with partial.open("xb") as target:
            for chunk in chunks:
                target.write(chunk)
        partial.replace(destination)
    finally:
        partial.unlink(missing_ok=True)
