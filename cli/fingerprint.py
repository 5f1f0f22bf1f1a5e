"""What a path held when a command looked: so that the same command on changed files is other work, not the remembered one."""

from __future__ import annotations

import csv
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_SEPARATORS = {".tsv": "\t", ".csv": ","}


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
            if file.is_file():
                facts = file.stat()
                digest.update(os.fsencode(f"{file}\0{facts.st_size}\0{facts.st_mtime_ns}\n"))
    return digest.hexdigest()[:12]


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(path.rglob("*"))
        return
    yield path
    separator = _SEPARATORS.get(path.suffix.lower())
    if separator:
        csv.field_size_limit(sys.maxsize)  # a cell may hold a picture
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as table:
            names = {row.get("image_path") or "" for row in csv.DictReader(table, delimiter=separator)}
        # A name with a NUL or too long for the system is the services' to refuse.
        yield from (path.parent / name for name in sorted(names - {""}) if "\0" not in name and len(name) < 1000)
