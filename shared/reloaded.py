"""A value made from files that others replace while we run: certificates, tokens, keys (Kubernetes rotates secrets).

A file that is broken or gone keeps the value that was made before, and one line in the log says so: half-written files are
normal while a secret is rotated.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from shared.errors import FailedPrecondition, MedqError
from shared.logs import get_logger

T = TypeVar("T")


class Reloaded(Generic[T]):
    """The value, made anew once one of its files has changed.

    Args:
        paths: The files.
        load: Makes the value from them; a `MedqError` that it raises at first is raised here.
        what: What it is, for the log.
    """

    def __init__(self, paths: Sequence[Path], load: Callable[[], T], what: str) -> None:
        self._paths = tuple(paths)
        self._load = load
        self._what = what
        self._lock = threading.Lock()
        self._seen = self._signature()
        self._value = load()

    def get(self) -> T:
        """The value of the files as they are now. Looks at each file's time and size; never raises."""
        if self._signature() != self._seen:
            with self._lock:
                seen = self._signature()
                if seen != self._seen:
                    self._seen = seen  # before reading: what changes while we read is read again
                    self._replace()
        return self._value

    def _replace(self) -> None:
        log = get_logger("shared")
        try:
            self._value = self._load()
        except MedqError as error:
            log.error("reload_failed", what=self._what, reason=error.message, remedy=error.remedy)
        else:
            log.info("reloaded", what=self._what)

    def _signature(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stat(path) for path in self._paths)


def read_file(path: Path, field: str) -> bytes:
    """The content of a file that a setting names.

    Raises:
        FailedPrecondition: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError:
        raise FailedPrecondition(
            "The file cannot be read.",
            field=field,
            value=path.name,
            remedy="Does it exist, and may this process read it?",
        ) from None


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
