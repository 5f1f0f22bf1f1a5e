"""Folders that are one user's alone: whoever else could write in them could take the place of a service."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from shared.errors import FailedPrecondition


def is_private(folder: Path) -> bool:
    """Whether it is a real folder, no link, of this user, in which nobody else has any right."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def make_private(folder: Path, field: str) -> None:
    """Make a folder for this user alone; one that is there is left as it is.

    Raises:
        FailedPrecondition: It cannot be made, or what is there is not this user's alone.
    """
    with suppress(OSError):  # the next line says what is wrong
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    require_private(folder, field)


def require_private(folder: Path, field: str) -> None:
    """Refuse a folder in which others could have put something; FailedPrecondition where it is one, or is not there."""
    if not is_private(folder):
        raise FailedPrecondition(
            "The folder of the sockets is not there, is a link, or is not this user's alone.",
            field=field,
            value=folder,
            remedy="Remove it, or `chmod 700` it if it is yours; set XDG_RUNTIME_DIR to a folder of your own, the same one for "
            "whoever serves and whoever calls.",
        )
