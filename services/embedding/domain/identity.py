"""Keyed hashes in place of identifiers (DICOM PS3.15, basic profile): of no use without the key."""

from __future__ import annotations

import hashlib
import hmac

_N_DIGITS = 32


def keyed_hash(key: bytes, kind: str, identifier: str) -> str:
    """HMAC-SHA256 of an identifier under the site's key.

    Args:
        key: The secret; whoever has it can test a guess, so it is kept like a password.
        kind: "patient", "session" or "source"; the same text of another kind has another hash.
        identifier: As the file or manifest has it; blanks around it do not count.

    Returns: 32 hex digits, or "" for an empty identifier.
    """
    plain = identifier.strip()
    if not plain:
        return ""
    return hmac.new(key, f"{kind}\0{plain}".encode(), hashlib.sha256).hexdigest()[:_N_DIGITS]
