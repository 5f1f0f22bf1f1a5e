"""Which file of this machine a URI or path names: the one place for it, and for where such paths may lead."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from shared.errors import InvalidArgument, PermissionDenied

#: What to do about a path outside the roots.
OUTSIDE_REMEDY = "Put it into one of the folders of the setting `input_roots`, or have that setting changed."


def local_path(uri: str, field: str, roots: Sequence[Path] = ()) -> Path:
    """The path that `file:///...` or an absolute path names, its links resolved: `open_regular` opens what was checked here.

    Args:
        uri: As it came over the wire.
        field: The field that it came in, for the error.
        roots: Folders in one of which it must lie, links followed; none: anywhere.

    Raises:
        InvalidArgument: It names no local file.
        PermissionDenied: It lies outside the roots.
    """
    path = _path_of(uri)
    if path is None:
        remedy = "Give file:///folder or an absolute path of the server."
        raise InvalidArgument("This is no local path.", field=field, value=uri, remedy=remedy)
    if not lies_in(path, roots):
        raise PermissionDenied(
            "The path lies outside the folders that may be read.", field=field, value=uri, remedy=OUTSIDE_REMEDY
        )
    return Path(
        os.path.realpath(path)
    )  # unlike `Path.resolve` it raises nothing on a loop of links, which opening refuses


def _path_of(uri: str) -> Path | None:
    if uri.startswith("file:"):
        try:
            parts = urlsplit(uri)
        except ValueError:  # such as an open bracket
            return None
        if parts.netloc not in ("", "localhost"):
            return None
        uri = unquote(parts.path)
    return Path(uri) if uri.startswith("/") and "\0" not in uri else None


def lies_in(path: Path, roots: Sequence[Path]) -> bool:
    """Whether a path lies in one of the folders, links followed; where there are none, it does."""
    try:
        return not roots or any(path.resolve().is_relative_to(root.resolve()) for root in roots)
    except (OSError, RuntimeError):  # a loop of links
        return False
