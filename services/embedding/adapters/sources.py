"""Where images come from: a folder, a manifest (CSV, TSV, Parquet), a benchmark TSV. Reads no pixels.

A manifest has a column `image_path` (relative to its own folder) or `image` (base64; a short value names the `index` of the
row that holds the picture). Optional columns: index, modality, source_id, patient_id, session_id, licence (or license), split.
A row with another number of fields than the header, a NUL byte, a value that is too long, or a misspelt modality or split is
an entry with a fault, and the others stand. What lies in a folder and is no file is such an entry, too.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from services.embedding.adapters import parquet_manifest
from services.embedding.adapters.parts import locate
from services.embedding.domain.images import MOST_BYTES
from services.embedding.ports import Entry
from shared.errors import FailedPrecondition, InvalidArgument, NotFound
from shared.folders import walk
from shared.regular_files import open_regular, read_regular
from shared.rows.images import part_of
from shared.rows.vocabulary import meant_modality, meant_split
from shared.tables import MOST_TABLE_BYTES, Fault, TableRow, read_header, read_rows

#: A file without a suffix, such as one out of a cache, is told by its content.
MANIFEST_SUFFIXES = (".csv", ".tsv", ".parquet", "")
_LONGEST_CONTENT = 4 * (MOST_BYTES // 3 + 1) + 100  # characters: in base64, behind what a `data:` URI begins with
_LONGEST_REFERENCE = 64  # characters; a base64 picture is longer
#: Longest text of a cell, and longest name, in characters: names are keys of a database.
_LONGEST_PATH, _LONGEST_TEXT = 32_768, 500
_LONGEST_NAME = 500
_COLUMNS = (
    "index", "image_path", "modality", "source_id", "patient_id", "session_id", "licence", "license", "split", "image",
)  # fmt: skip
#: What no terminal and no database should be given: control characters, what turns a line or ends it, and what is no Unicode.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def list_entries(source: Path) -> list[Entry]:
    """Everything that a folder or a manifest names, in a fixed order.

    Args:
        source: Absolute, without links.

    Raises:
        NotFound: there is no such file or folder.
        InvalidArgument: the manifest is of another kind, cannot be read, lacks the column, or names two columns alike; or
            there is too much of it.
        FailedPrecondition: it names nothing.
    """
    if os.path.isdir(source):
        entries = _from_folder(source)
    elif not os.path.lexists(source):  # unlike `Path.exists` false, too, for a path that is too long
        remedy = "Name a folder or a file that the service can read."
        raise NotFound("There is no such source.", field="source_uri", value=source, remedy=remedy)
    else:
        entries = _from_rows(_read_rows(source), source.parent)
    if not entries:
        remedy = "Put PNG, JPEG, TIFF, DICOM or NIfTI files there, or name another source."
        raise FailedPrecondition("The source names no image.", field="source_uri", value=source.name, remedy=remedy)
    return entries


def read_entry(entry: Entry) -> bytes:
    """The bytes of an entry's image file.

    Raises:
        InvalidArgument: No regular file, behind a link, unreadable, too large, or not base64.
    """
    if entry.fault:
        raise InvalidArgument(entry.fault, remedy=entry.remedy)
    return _decode(entry.content) if entry.path is None else read_regular(entry.path, MOST_BYTES)


def _from_folder(folder: Path) -> list[Entry]:
    entries: list[Entry] = []
    seen: set[str] = set()
    for found in sorted(walk(folder)):
        name = _unique(_printable(found.name)[:_LONGEST_NAME], "another file", seen)
        path = None if found.reason else folder / found.name
        image_path = found.name.encode("utf-8", "backslashreplace").decode()  # names may be no Unicode
        entries.append(Entry(name, path, image_path=image_path, fault=found.reason, remedy=found.remedy))
    return entries


def _read_rows(path: Path) -> list[TableRow]:
    suffix = path.suffix.lower()
    if suffix not in MANIFEST_SUFFIXES:
        remedy = "Use a folder, or a manifest .csv, .tsv or .parquet."
        raise InvalidArgument("This is not a manifest.", field="source_uri", value=path.name, remedy=remedy)
    if suffix == ".parquet" or (not suffix and _begins_as_parquet(path)):
        rows, columns = parquet_manifest.read_parquet(path, _COLUMNS, "source_uri")
    else:
        columns = read_header(path, "manifest", "source_uri")
        rows = read_rows(path, "manifest", "source_uri", skipped=[name for name in columns if name not in _COLUMNS])
    if not {"image_path", "image"} & set(columns):
        raise InvalidArgument(
            f"The manifest has neither a column image_path nor a column image among its {len(columns)}.",
            field="source_uri",
            value=path.name,
            remedy="Name the column with the images so.",
        )
    return rows


def _begins_as_parquet(path: Path) -> bool:
    with open_regular(path, MOST_TABLE_BYTES, "source_uri") as source:
        return source.read(len(parquet_manifest.MAGIC)) == parquet_manifest.MAGIC


def _from_rows(rows: list[TableRow], folder: Path) -> list[Entry]:
    pictures = {_text(row.cells.get("index")): _text(row.cells.get("image")) for row in rows}
    entries: list[Entry] = []
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        entry = _from_row(row, number, folder, pictures)
        if entry.name in seen:  # a path may stand in several rows, an index may not
            fault = entry.fault or ("The index was used before." if _text(row.cells.get("index")) else "")
            entry = replace(entry, fault=fault)
        entries.append(replace(entry, name=_unique(entry.name, f"row {number}", seen)))
    return entries


def _unique(name: str, which: str, seen: set[str]) -> str:
    """A name that no other entry has."""
    while name in seen or part_of(name):  # which would be the name of a part of another
        name = f"{name} ({which})"
    seen.add(name)
    return name


def _from_row(place: TableRow, number: int, folder: Path, pictures: Mapping[str, str]) -> Entry:
    cells = {name: _text(place.cells.get(name)) for name in _COLUMNS if name != "image"}
    too_long = [
        name for name, text in cells.items() if len(text) > (_LONGEST_PATH if name == "image_path" else _LONGEST_TEXT)
    ]
    cells |= dict.fromkeys(too_long, "")
    image_path = cells["image_path"]
    entry = Entry(
        name=_printable(cells["index"] or image_path)[:_LONGEST_NAME] or f"row {number}",
        image_path=image_path,
        modality=cells["modality"],
        source_id=cells["source_id"],
        patient_id=cells["patient_id"],
        session_id=cells["session_id"],
        licence=cells["licence"] or cells["license"],
        split=cells["split"].lower(),
    )
    fault = place.fault or _too_long(too_long) or _misspelt(entry)
    if fault:
        reason, remedy = (f"{text[:1].upper()}{text[1:]}." for text in fault)
        return replace(entry, fault=reason, remedy=remedy)
    if not image_path:
        return _with_content(entry, _text(place.cells.get("image")), pictures)
    parts = PurePosixPath(image_path)
    if parts.is_absolute() or ".." in parts.parts:
        return replace(entry, fault="The path leads out of the manifest's folder.")
    path, part = locate(folder, image_path)
    return replace(entry, path=path, part=part)


def _with_content(entry: Entry, content: str, pictures: Mapping[str, str]) -> Entry:
    """An entry whose picture the manifest holds, in this row or in the one whose index the cell names."""
    if not content:
        return replace(entry, fault="The row names no image.")
    if len(content) <= _LONGEST_REFERENCE and content in pictures:
        content = pictures[content]
        if len(content) <= _LONGEST_REFERENCE:  # it names another row in its turn, or itself
            return replace(entry, fault="The image cell names a row that holds no picture itself.")
    if len(content) > _LONGEST_CONTENT:
        return replace(entry, fault="The picture is too large.", remedy=f"Keep each below {MOST_BYTES >> 20} MiB.")
    return replace(entry, content=content)


def _too_long(columns: list[str]) -> Fault | None:
    return Fault(f"the text of {', '.join(columns)} is too long", "shorten it") if columns else None


def _misspelt(entry: Entry) -> Fault | None:
    for name, meant in (("modality", meant_modality(entry.modality)), ("split", meant_split(entry.split))):
        if meant:
            return Fault(f"the {name} is misspelt", f"write {meant}")
    return None


def _text(value: object) -> str:
    """A cell as text; whole floats (a column with gaps in Parquet) without their point, and none for NaN."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else "" if value != value else str(value)
    return "" if value is None else str(value).strip()


def _printable(name: str) -> str:
    """A name for the report, with escapes for what cannot be shown."""
    return _UNPRINTABLE.sub(lambda sign: sign[0].encode("unicode_escape").decode(), name)


def _decode(content: str) -> bytes:
    text = content.partition("base64,")[2] if content.startswith("data:") else content
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        remedy = "Write the picture in base64, or name its file in image_path."
        raise InvalidArgument("The image column is not base64.", remedy=remedy)
    return data


class FileSource:
    """An `ImageSource` on this machine's disk."""

    entries = staticmethod(list_entries)
    read = staticmethod(read_entry)
