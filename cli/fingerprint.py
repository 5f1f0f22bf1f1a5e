"""What a path held when a command looked: so that the same command on changed files is other work, not the remembered one."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from shared.errors import InvalidArgument
from shared.rows.images import entry_of, spelled_out
from shared.spill import Spill
from shared.tables import iterate_rows

_TABLES = (".tsv", ".csv", "")
_PICTURES = ("image", "image_a", "image_b")


def fingerprint(*paths: Path, also: str = "") -> str:
    """A digest of paths, and of the name, size and time of change of each file below them and of each image a table names.

    Contents are not read: the services address them by content anyway; this only names an operation. Of a table in Parquet the
    images are not looked at.

    Returns: 12 hex digits.
    """
    digest = hashlib.sha256(also.encode())
    for path in paths:
        digest.update(os.fsencode(path.resolve()))
        for file in _files(path):
            with suppress(OSError, ValueError):  # not there, or a name that no file has, is the services' to refuse
                facts = file.stat()
                if not stat.S_ISREG(facts.st_mode):
                    continue
                digest.update(os.fsencode(f"{file}\0{facts.st_size}\0{facts.st_mtime_ns}\n"))
    return digest.hexdigest()[:12]


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(path.rglob("*"))
        return
    yield path
    if path.suffix.lower() in _TABLES:
        yield from _named(path)


def _named(path: Path) -> Iterator[Path]:
    """The files that a table names, in order."""
    with Spill() as spill:
        names = spill.table("names", str)
        try:
            for row in iterate_rows(Path(os.path.realpath(path)), "table", "path", skipped=_PICTURES):
                if name := row.cells.get("image_path"):
                    names.add(name)
                    names.add(entry_of(spelled_out(name)))  # a path may name an image of a file
        except InvalidArgument:  # the service says what is wrong with it
            return
        yield from (path.parent / name for name, _ in names.items())
