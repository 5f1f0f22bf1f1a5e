"""One process owns a state folder: a file lock that goes with the process, however it ends."""

from __future__ import annotations

import fcntl
from pathlib import Path

from filelock import FileLock, Timeout

from shared.errors import FailedPrecondition

_LOCK = "owner.lock"
#: A command that only looks whether the folder is owned (`is_owned`) holds the lock for an instant.
_PATIENCE_SECONDS = 0.5


def own(folder: Path) -> FileLock:
    """Take a folder for this process.

    Returns: The lock; keep it as long as the folder is in use.

    Raises:
        FailedPrecondition: Another process owns it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _lock_of(folder)
    try:
        lock.acquire(timeout=_PATIENCE_SECONDS)
    except Timeout as error:
        raise FailedPrecondition(
            "Another process owns this state folder.",
            field="state_folder",
            value=folder.name,
            remedy="Talk to it instead (`medq status --out FOLDER`), stop it, or use another folder.",
        ) from error
    return lock


def is_owned(folder: Path) -> bool:
    """True if a living process owns the folder."""
    try:
        with (folder / _LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # lookers share it, with an owner nobody does
            return False
    except (FileNotFoundError, NotADirectoryError):
        return False
    except BlockingIOError:
        return True


def _lock_of(folder: Path) -> FileLock:
    return FileLock(folder / _LOCK, is_singleton=False)
