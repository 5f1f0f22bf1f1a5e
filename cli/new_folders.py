"""Folders that a command makes: whole or not at all, in place of nothing but what the same command has made before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from shared.errors import FailedPrecondition
from shared.synced import put_in_place


@contextmanager
def new_folder(out: Path, mark: str, *, is_replacing: bool) -> Iterator[Path]:
    """A folder to write into, which takes the place `out` when the block has ended well.

    Args:
        out: The place.
        mark: The file that such a folder has and no other: what has none is never replaced.
        is_replacing: An earlier such folder may be replaced.

    Raises:
        FailedPrecondition: Something lies there, and shall not or must not be replaced; or it cannot be written.
    """
    _require_free(out, mark, is_replacing)
    partial = out.with_name(f".{out.name}.{uuid4().hex}.partial")
    old = out.with_name(f".{out.name}.{uuid4().hex}.old")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        yield partial
        _require_free(out, mark, is_replacing)  # it has taken a while
        if out.exists():
            out.rename(old)
        try:
            put_in_place(partial, out)
        except OSError:
            if old.exists():
                old.rename(out)
            raise
    except OSError as error:
        remedy = "Free or repair it, or choose another one."
        message = f"The folder cannot be written: {error.strerror}."
        raise FailedPrecondition(message, field="out", value=out, remedy=remedy) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _require_free(out: Path, mark: str, is_replacing: bool) -> None:
    if not os.path.lexists(out):
        return
    if not is_replacing:
        remedy = "Name a new folder; where the command has --force, it replaces an earlier one of its own."
        raise FailedPrecondition("Something lies there already.", field="out", value=out, remedy=remedy)
    if out.is_symlink() or not (out / mark).is_file():
        remedy = "Name a new folder; --force replaces nothing but what this command has made."
        raise FailedPrecondition("What lies there was not made by this command.", field="out", value=out, remedy=remedy)
