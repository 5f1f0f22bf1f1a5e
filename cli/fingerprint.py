"""What a path held when a command looked: so that the same command on changed files is other work, not the remembered one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def fingerprint(*paths: Path, also: str = "") -> str:
    """A digest of paths, and of the name, size and time of change of each file below them.

    Contents are not read: the services address them by content anyway; this only names an operation.

    Returns: 12 hex digits.
    """
    digest = hashlib.sha256(also.encode())
    for path in paths:
        digest.update(os.fsencode(path.resolve()))
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file():
                facts = file.stat()
                digest.update(
                    os.fsencode(f"{file.relative_to(path)}\0{facts.st_size}\0{facts.st_mtime_ns}\n")
                )
    return digest.hexdigest()[:12]
