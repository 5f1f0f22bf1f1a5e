"""Opens files whose paths somebody else chose: regular files alone, through no link, without blocking, of bounded size."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from shared.errors import InvalidArgument

#: To pass through a folder takes the right to search it, not to list it (where the system knows the difference).
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Without O_NONBLOCK, opening a pipe waits until somebody writes to it.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_regular(path: Path, most_bytes: int, field: str = "") -> BufferedReader:
    """Open a regular file to read it.

    A link anywhere in the path is refused, so what was checked before (`shared.paths.local_path` gives a path without links)
    is what is opened, whoever changes a folder in between.

    Args:
        path: Absolute, links resolved in the part that was trusted before.
        most_bytes: Largest file that is opened. A file that grows meanwhile is for the reader to bound.
        field: The input that named it, for the error.

    Raises:
        InvalidArgument: A link, a pipe, a device, a socket or a folder, too large, or not to be read. No text of it
            holds what the file holds.
    """
    try:
        descriptor = _open(path, _READ)
        try:
            _require_regular(os.fstat(descriptor), most_bytes)
            return os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise
    except InvalidArgument as error:
        value = path.name if field else ""
        raise InvalidArgument(error.message, field=field, value=value, remedy=error.remedy) from None


def open_folder(path: Path) -> int:
    """A descriptor of a folder, to list it (`os.scandir`); as `open_regular`, through no link. The caller closes it.

    Raises:
        InvalidArgument: A link, no folder, or not to be read.
    """
    return _open(path, _LIST)


def read_regular(path: Path, most_bytes: int) -> bytes:
    """The bytes of a regular file; raises as `open_regular`, too where it grows above the bound while it is read."""
    with open_regular(path, most_bytes) as source:
        try:
            data = source.read(most_bytes + 1)
        except OSError:
            raise _unreadable() from None
    if len(data) > most_bytes:
        raise _too_large(most_bytes)
    return data


def _require_regular(found: os.stat_result, most_bytes: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _irregular()
    if found.st_size > most_bytes:
        raise _too_large(most_bytes)


def _open(path: Path, how: int) -> int:
    """A descriptor of the file, each folder on the way opened through the one before it."""
    *folders, name = path.parts[1:] or ("",)
    try:
        folder = os.open(path.anchor, _PASS)
        try:
            for part in folders:
                inner = os.open(part, _PASS, dir_fd=folder)
                os.close(folder)
                folder = inner
            return os.open(name or ".", how, dir_fd=folder)
        finally:
            os.close(folder)
    except ValueError:  # NUL in the path
        raise _unreadable() from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK) and _has_link(path):
            raise InvalidArgument(
                "The file is a link, or lies behind one.", remedy="Name the file itself, or put a copy there."
            ) from None
        if error.errno == errno.ENXIO:  # a socket
            raise _irregular() from None
        raise _unreadable() from None


def _has_link(path: Path) -> bool:
    try:
        return any(part.is_symlink() for part in (path, *path.parents))
    except OSError:
        return False


def _irregular() -> InvalidArgument:
    return InvalidArgument("This is no regular file.", remedy="Name a file: no folder, pipe, socket or device.")


def _too_large(most_bytes: int) -> InvalidArgument:
    readable = f"{most_bytes >> 20} MiB" if most_bytes >= 1 << 20 else f"{most_bytes} bytes"
    return InvalidArgument("The file is too large.", remedy=f"Keep each below {readable}.")


def _unreadable() -> InvalidArgument:
    return InvalidArgument("The file cannot be read.", remedy="Is it there, and readable?")
