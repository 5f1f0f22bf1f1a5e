"""What lies in a folder that somebody else chose: each file, and whatever is none, through no link and within bounds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from shared.errors import InvalidArgument
from shared.regular_files import open_folder

#: Most files and folders of a source.
MOST_ENTRIES = 1_000_000
_DEEPEST = 64
#: What says of a folder that it was meant to be a file.
_FILE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom", ".bmp", ".gif", ".webp", ".nii")
#: Why a hidden file, or all that a hidden folder holds, is left out.
HIDDEN = "It is hidden: its name begins with a dot."
_HIDDEN_REMEDY = "To have it taken in, give it a name without the dot."
_LINK = "It is a link.", "Put a copy of what it leads to in its place."
_SPECIAL = "It is a pipe, a socket or a device.", "Take it out of the folder."
_NAMED_LIKE_A_FILE = "It is a folder; the files in it were taken in by themselves.", "Give it a name that is no file's."
_UNREADABLE = "The folder cannot be read.", "Let the service list it."
_TOO_DEEP = f"It lies more than {_DEEPEST} folders deep.", "Move it up."


class Found(NamedTuple):
    """Something in a folder.

    Attributes:
        name: Its path from the folder, "/" between the parts; the folder itself is ".".
        reason: Why it is no file to be read; "" for a regular file.
        remedy: What can be done about that; "" for nothing.
    """

    name: str
    reason: str = ""
    remedy: str = ""


def walk(folder: Path, most_entries: int = MOST_ENTRIES) -> Iterator[Found]:
    """Everything below a folder, in no order. A sub-folder is looked into, and found only where there is something to say of it.

    Args:
        folder: Absolute, without links.
        most_entries: It may hold so many files and folders, all below it counted.

    Raises:
        InvalidArgument: It holds more.
    """
    waiting, left = [""], most_entries
    while waiting:
        place = waiting.pop()
        try:
            names = _listed(folder / place, left)
        except (InvalidArgument, OSError):
            yield Found(place.rstrip("/") or ".", *_UNREADABLE)
            continue
        left -= len(names)
        if left < 0:
            remedy = "Split it, or name a manifest of what counts."
            raise InvalidArgument(f"The folder holds more than {most_entries} files and folders.", remedy=remedy)
        for name, is_folder, fault in names:
            if fault:
                yield Found(place + name, *fault)
            elif not is_folder:
                yield Found(place + name)
            elif place.count("/") >= _DEEPEST:
                yield Found(place + name, *_TOO_DEEP)
            else:
                if name.lower().endswith(_FILE_SUFFIXES):
                    yield Found(place + name, *_NAMED_LIKE_A_FILE)
                waiting.append(f"{place}{name}/")


def _listed(folder: Path, most: int) -> list[tuple[str, bool, tuple[str, str] | None]]:
    """Name, whether it is a folder, and what else it is that cannot be read; one more than `most` at the most."""
    descriptor = open_folder(folder)
    listed = []
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                listed.append((entry.name, entry.is_dir(follow_symlinks=False), _fault_of(entry)))
                if len(listed) > most:
                    break
    finally:
        os.close(descriptor)
    return listed


def _fault_of(entry: os.DirEntry[str]) -> tuple[str, str] | None:
    if entry.name.startswith("."):
        return HIDDEN, _HIDDEN_REMEDY
    if entry.is_symlink():
        return _LINK
    if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False):
        return None
    return _SPECIAL
