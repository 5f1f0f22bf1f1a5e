"""One process owns a state folder: a file lock that goes with the process, however it ends."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from shared.errors import FailedPrecondition


def own(folder: Path) -> FileLock:
    """Take a folder for this process.

    Returns: The lock; keep it as long as the folder is in use.

    Raises:
        FailedPrecondition: Another process owns it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "owner.lock", is_singleton=False)
    try:
        lock.acquire(timeout=0)
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
    if not (folder / "owner.lock").exists():
        return False
    try:
        own(folder).release()
    except FailedPrecondition:
        return True
    return False
