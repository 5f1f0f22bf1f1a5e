"""The ETag that S3 gives to what was uploaded without a key for its encryption: by it a content is known unread."""

from __future__ import annotations

import hashlib
from typing import BinaryIO


def etag_of(source: BinaryIO, size: int, part_bytes: int) -> str:
    """The ETag of a file that is uploaded in parts.

    Args:
        source: The file; read from its start.
        size: Its length in bytes.
        part_bytes: Length of a part; a file that is no longer goes in one piece.

    Returns: The MD5 of the content; of several parts the MD5 of theirs, and how many they are.
    """
    source.seek(0)
    parts = [_md5(source.read(part_bytes)) for _ in range(max(1, -(-size // part_bytes)))]
    if len(parts) == 1:
        return parts[0].hex()
    return f"{_md5(b''.join(parts)).hex()}-{len(parts)}"


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()
