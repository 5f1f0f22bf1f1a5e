"""What must survive a power cut is on the disk before anybody relies on it. A kill loses nothing that was written; this does.

The rule: a file or folder whose place says that it is complete gets there by `put_in_place`. A plain rename will do where a
reader verifies what it finds or fetches it anew, and for what can be asked for again. Databases sync by themselves.
"""

from __future__ import annotations

import os
from pathlib import Path


def put_in_place(partial: Path, place: Path) -> None:
    """Rename a file, or a folder with all that is in it, once its content is on the disk; then the new name is there too.

    Raises:
        OSError: Where `place` is a folder that is not empty.
    """
    sync_all(partial)
    partial.replace(place)
    sync(place.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; the names of the new ones are on the disk."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def sync_all(path: Path) -> None:
    """Make a file's content survive a power cut, or that of all files in a folder, with their names."""
    if path.is_dir():
        for inner in path.iterdir():
            if not inner.is_symlink():
                sync_all(inner)
    sync(path)


def sync(path: Path) -> None:
    """Make a file's content, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
