"""Which file of this machine a URI or path names: the one place for it, and for where such paths may lead."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from shared.errors import InvalidArgument, PermissionDenied

#: Roots in which every path lies.
ANYWHERE = (Path("/"),)
#: What to do about a path outside the roots.
OUTSIDE_REMEDY = "Put it into one of the folders of the setting `input_roots`, or have that setting changed."
#: Why no path is read at all, and what to do about it.
NOWHERE = "This service can be reached from other machines and has no setting `input_roots`, so it reads no path."
NOWHERE_REMEDY = 'Set the variable MEDQ_<SERVICE>_INPUT_ROOTS to the folders that may be read, such as ["/data"].'
#: Longest path that is looked at, in characters: what Linux takes at once.
_LONGEST = 4096


def local_path(uri: str, field: str, roots: Sequence[Path]) -> Path:
    """The path that `file:///...` or an absolute path names, its links resolved: `open_regular` opens what was checked here.

    Args:
        uri: As it came over the wire.
        field: The field that it came in, for the error.
        roots: Folders in one of which it must lie, links followed; `ANYWHERE`, or none: nowhere.

    Raises:
        InvalidArgument: It names no local file.
        PermissionDenied: It lies outside the roots, or there are none.
    """
    path = _path_of(uri)
    if path is None:
        remedy = "Give file:///folder or an absolute path of the server."
        raise InvalidArgument("This is no local path.", field=field, value=uri, remedy=remedy)
    if not roots:
        raise PermissionDenied(NOWHERE, field=field, value=uri, remedy=NOWHERE_REMEDY)
    # Resolved once, so that what is judged is what is given. Unlike `Path.resolve` it raises nothing on a loop of links,
    # which opening refuses.
    resolved = Path(os.path.realpath(path))
    if not _is_within(resolved, roots):
        raise PermissionDenied(
            "The path lies outside the folders that may be read.", field=field, value=uri, remedy=OUTSIDE_REMEDY
        )
    return resolved


def lies_in(path: Path, roots: Sequence[Path]) -> bool:
    """Whether an absolute path lies in one of the folders, links followed; where there are none, it does not."""
    try:
        return _is_within(Path(os.path.realpath(path)), roots)
    except ValueError:  # NUL in the path
        return False


def _path_of(uri: str) -> str | None:
    if uri.startswith("file:"):
        try:
            parts = urlsplit(uri)
        except ValueError:  # such as an open bracket
            return None
        if parts.netloc not in ("", "localhost"):
            return None
        uri = unquote(parts.path)
    if not uri.startswith("/") or "\0" in uri or len(uri) > _LONGEST:
        return None
    return "/" + uri.lstrip("/")  # two slashes at the beginning may mean another root


def _is_within(resolved: Path, roots: Sequence[Path]) -> bool:
    return any(resolved.is_relative_to(os.path.realpath(root)) for root in roots)
