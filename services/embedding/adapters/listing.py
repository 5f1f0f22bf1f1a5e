"""What a source names, held on disk: a million entries, and the pictures of a manifest, take no memory to speak of."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from services.embedding.domain.images import MOST_BYTES
from services.embedding.ports import Entry
from shared.errors import InvalidArgument
from shared.regular_files import read_regular
from shared.rows.images import part_of
from shared.spill import Spill

_LONGEST_CONTENT = 4 * (MOST_BYTES // 3 + 1) + 100  # characters: in base64, behind what a `data:` URI begins with
_LONGEST_REFERENCE = 64  # characters; a base64 picture is longer
_TOO_LARGE = b"too large"  # in the place of a digest
_NO_PICTURE = "The image cell names a row that holds no picture itself."


class SpilledListing:
    """A `Listing` in a file of its own; made entry by entry, then read."""

    def __init__(self) -> None:
        self._spill = Spill()
        self._names = self._spill.table("names", str)
        self._entries = self._spill.table("entries", int)
        self._pictures = self._spill.table("pictures", bytes)
        self._by_index = self._spill.table("by_index", str)
        self._references = self._spill.table("short_cells", int)
        self._n = 0

    def append(self, entry: Entry, which: str, fault: str = "") -> None:
        """Put an entry behind the others.

        Args:
            entry: Its name is made one that no other has.
            which: What is added to a name that is taken.
            fault: The entry's, where its name is taken and it has no other; "" for none.
        """
        name = entry.name
        if fault and not entry.fault and self._names.get(name) is not None:
            entry = replace(entry, fault=fault)
        while part_of(name) or not self._names.add(name):  # it would be the name of a part of another, or is another's
            name = f"{name} ({which})"
        self._n += 1
        self._entries.add(self._n, _encode(entry if name == entry.name else replace(entry, name=name)))

    def hold(self, text: str) -> bytes:
        """Hold the text of an `image` cell; its digest."""
        if len(text) > _LONGEST_CONTENT:
            return _TOO_LARGE  # read, it is refused
        data = text.encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(data).digest()
        self._pictures.add(digest, data)
        return digest

    def name_picture(self, index: str, text: str, digest: bytes) -> None:
        """Let short cells name the picture of a row by the row's index; of several rows with one index, the last counts."""
        self._by_index.put(index, digest if len(text) > _LONGEST_REFERENCE else b"")

    def may_refer(self, text: str) -> None:
        """Note that the image cell of the entry that comes next may name another row, which may stand further on."""
        if len(text) <= _LONGEST_REFERENCE:
            self._references.add(self._n + 1, text.encode("utf-8", "surrogatepass"))

    def resolve(self) -> None:
        """Give each entry that names another row the picture of that; to be called when all rows are there."""
        for place, text in self._references.items():
            digest = self._by_index.get(text.decode("utf-8", "surrogatepass"))
            if digest is None:
                continue  # it names no row: what it holds is the picture
            entry = _decode(self._entries.get(place) or b"")
            entry = replace(entry, held=digest) if digest else replace(entry, fault=entry.fault or _NO_PICTURE)
            self._entries.put(place, _encode(entry))

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[Entry]:
        return (_decode(data) for _, data in self._entries.items())

    def read(self, entry: Entry) -> bytes:
        """The bytes of an entry's image file.

        Raises:
            InvalidArgument: No regular file, behind a link, unreadable, too large, or not base64.
        """
        if entry.fault:
            raise InvalidArgument(entry.fault, remedy=entry.remedy)
        if entry.path is not None:
            return read_regular(entry.path, MOST_BYTES)
        text = self._pictures.get(entry.held)
        if text is None:
            raise InvalidArgument("The picture is too large.", remedy=f"Keep each below {MOST_BYTES >> 20} MiB.")
        return _from_base64(text)

    def close(self) -> None:
        """Let the file go."""
        self._spill.close()

    def __enter__(self) -> SpilledListing:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _from_base64(text: bytes) -> bytes:
    encoded = text.partition(b"base64,")[2] if text.startswith(b"data:") else text
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        remedy = "Write the picture in base64, or name its file in image_path."
        raise InvalidArgument("The image column is not base64.", remedy=remedy)
    return data


def _encode(entry: Entry) -> bytes:
    return msgspec.msgpack.encode(entry, enc_hook=os.fsencode)


def _decode(data: bytes) -> Entry:
    return msgspec.msgpack.decode(data, type=Entry, dec_hook=_path_of)


def _path_of(_: type, data: Any) -> Path:
    return Path(os.fsdecode(data))
