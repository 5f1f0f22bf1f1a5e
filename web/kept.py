"""Pictures that a browser keeps."""

from __future__ import annotations

from fastapi import Request

#: A picture is named by its content, so that it never changes. It is kept for one login, which `Vary` says, and no longer than
#: somebody works on a batch.
KEPT = {"Cache-Control": "private, max-age=3600, immutable", "Vary": "Cookie, Authorization"}


def has_it(request: Request, etag: str) -> bool:
    """True if the browser says that it has the picture."""
    return request.headers.get("if-none-match") == etag
