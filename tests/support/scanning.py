"""Looks for texts in everything that a program left: plain, in other codings, as plain hashes, and behind compression."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import re
import sqlite3
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

_PNG, _TEXT_CHUNKS = b"\x89PNG\r\n\x1a\n", (b"zTXt", b"iTXt", b"iCCP")
_EMPTY = 512
_HASHES = ("md5", "sha1", "sha256", "sha512")


@dataclass(frozen=True)
class Found:
    """A text that was found: in which file, whose it is, in which form."""

    place: str
    marker: str
    form: str


def forms_of(text: str) -> dict[str, bytes]:
    """The forms in which a text may hide; a hash without a key is one, since who guesses the text can check it."""
    raw = text.encode()
    forms = {
        "plain": raw,
        "UTF-16 little": text.encode("utf-16-le"),
        "UTF-16 big": text.encode("utf-16-be"),
        "hexadecimal": raw.hex().encode(),
        "HEXADECIMAL": raw.hex().upper().encode(),
        "URL": quote(text, safe="").encode(),
        "lower case": text.lower().encode(),
    }
    for shift in range(3):  # where it begins within three bytes; the outer letters depend on its neighbours
        inner = base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4]
        forms[f"base64 at {shift}"] = inner
    for name in _HASHES:
        digest = hashlib.new(name, raw)
        forms[name], forms[f"{name} as bytes"] = digest.hexdigest().encode(), digest.digest()
    return forms


class Scanner:
    """Finds markers.

    Args:
        markers: Name to text.
    """

    def __init__(self, markers: Mapping[str, str]) -> None:
        forms: dict[bytes, tuple[str, str]] = {}
        for marker, text in markers.items():
            for form, data in forms_of(text).items():
                forms.setdefault(data, (marker, form))
        self._forms = forms
        self._pattern = re.compile(b"|".join(re.escape(data) for data in sorted(forms, key=len, reverse=True)))

    def look(self, place: str, data: bytes) -> Iterator[Found]:
        """What is in some bytes, and in what they hold compressed."""
        for view in views_of(data):
            for match in self._pattern.finditer(view):
                yield Found(place, *self._forms[match.group()])

    def look_through(self, folder: Path) -> set[Found]:
        """What is in the files of a folder, in their names, and in the cells of its databases."""
        found: set[Found] = set()
        for path in sorted(folder.rglob("*")):
            place = path.relative_to(folder).as_posix()
            found.update(self.look(place, place.encode()))
            if path.is_file() and not path.is_symlink():
                found.update(self.look(place, path.read_bytes()))
                found.update(self.look(place, b"\n".join(_cells(path))))
        return found


def views_of(data: bytes) -> Iterator[bytes]:
    """Bytes as they are, and what is in them behind compression: PNG, gzip, zip, Parquet."""
    # Files of an index are mostly empty; no marker goes over so many zeros.
    yield b"\n".join(part for part in data.split(bytes(_EMPTY)) if part)
    if data.startswith(_PNG):
        yield from _png_streams(data)
    elif data.startswith(b"\x1f\x8b"):
        with suppress(OSError, EOFError, zlib.error):
            yield gzip.decompress(data)
    elif data.startswith(b"PK\x03\x04"):
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    elif data.startswith(b"PAR1") and data.endswith(b"PAR1"):
        from pyarrow import parquet

        for column in parquet.read_table(io.BytesIO(data)).to_pydict().values():
            for cell in column:
                inner = cell.get("bytes") if isinstance(cell, dict) else cell
                yield from views_of(inner) if isinstance(inner, bytes) else [repr(cell).encode()]


def _png_streams(data: bytes) -> Iterator[bytes]:
    start, pixels = len(_PNG), b""
    while start + 12 <= len(data):
        length, kind = int.from_bytes(data[start : start + 4]), data[start + 4 : start + 8]
        body = data[start + 8 : start + 8 + length]
        if kind == b"IDAT":
            pixels += body
        elif kind in _TEXT_CHUNKS:
            yield from _inflated(body[at.start() :] for at in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", body))
        start += 12 + length
    yield from _inflated([pixels])


def _inflated(streams: Iterable[bytes]) -> Iterator[bytes]:
    for stream in streams:
        with suppress(zlib.error):
            yield zlib.decompressobj().decompress(stream)


def _cells(path: Path) -> Iterator[bytes]:
    """The cells of an SQLite file: a long one lies over several pages of it."""
    with path.open("rb") as source:
        if not source.read(16).startswith(b"SQLite format 3"):
            return
    with closing(sqlite3.connect(path)) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):
                yield b"\0".join(cell if isinstance(cell, bytes) else str(cell).encode() for cell in row)
