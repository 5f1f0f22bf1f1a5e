"""Where images come from: a folder, a manifest (CSV, TSV, Parquet), a benchmark TSV. Reads no pixels.

A manifest has a column `image_path` (relative to its own folder) or `image` (base64; a short value names the
`index` of the row that holds the picture). Optional columns: index, modality, source_id, patient_id,
session_id, licence (or license), split. A row with another number of fields than the header, a NUL byte, or a misspelt modality
or split is an entry with a fault, and the others stand.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pandas as pd
from pyarrow import parquet

from services.embedding.ports import Entry
from shared.errors import FailedPrecondition, InvalidArgument, NotFound
from shared.rows.vocabulary import meant_modality, meant_split
from shared.tables import Fault, TableRow, fault_of, read_header, read_rows, require_own_names

MANIFEST_SUFFIXES = (".csv", ".tsv", ".parquet")
#: Largest image file, in bytes.
MOST_BYTES = 256 * 1024 * 1024
_LONGEST_REFERENCE = 64  # characters; a base64 picture is longer


def list_entries(source: Path) -> list[Entry]:
    """Everything that a folder or a manifest names, in a fixed order.

    Raises:
        NotFound: there is no such file or folder.
        InvalidArgument: the manifest is of another kind, cannot be read, lacks the column, or names two columns alike.
        FailedPrecondition: it names nothing.
    """
    if os.path.isdir(source):
        entries = _from_folder(source)
    elif not os.path.isfile(source):  # unlike `Path.is_file` false, too, for a path that is too long
        remedy = "Name a folder or a file that the service can read."
        raise NotFound("There is no such source.", field="source_uri", value=source, remedy=remedy)
    else:
        entries = _from_rows(_read_rows(source), source.parent)
    if not entries:
        remedy = "Put PNG, JPEG, TIFF or DICOM files there, or name another source."
        raise FailedPrecondition("The source names no image.", field="source_uri", value=source.name, remedy=remedy)
    return entries


def read_entry(entry: Entry) -> bytes:
    """The bytes of an entry's image file.

    Raises:
        InvalidArgument: Unreadable, too large, or not base64.
    """
    if entry.fault:
        raise InvalidArgument(entry.fault, remedy=entry.remedy)
    if entry.path is None:
        return _decode(entry.content)
    try:
        if entry.path.stat().st_size > MOST_BYTES:
            remedy = f"Keep each below {MOST_BYTES >> 20} MiB."
            raise InvalidArgument("The file is too large.", remedy=remedy)
        return entry.path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        raise InvalidArgument("The file cannot be read.", remedy="Is it there, and readable?") from error


def _from_folder(folder: Path) -> list[Entry]:
    found = []
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            name = relative.as_posix().encode("utf-8", "backslashreplace").decode()  # names may be no Unicode
            found.append(Entry(name, path, image_path=name))
    return sorted(found, key=lambda entry: entry.name)


def _read_rows(path: Path) -> list[TableRow]:
    suffix = path.suffix.lower()
    if suffix not in MANIFEST_SUFFIXES:
        remedy = "Use a folder, or a manifest .csv, .tsv or .parquet."
        raise InvalidArgument("This is not a manifest.", field="source_uri", value=path.name, remedy=remedy)
    if suffix == ".parquet":
        rows, columns = _read_parquet(path)
    else:
        columns = read_header(path, "manifest", "source_uri")
        rows = read_rows(path, "manifest", "source_uri")
    if not {"image_path", "image"} & set(columns):
        raise InvalidArgument(
            "The manifest has neither a column image_path nor a column image.",
            field="columns",
            value=", ".join(columns),
            remedy="Name the column with the images so.",
        )
    return rows


def _read_parquet(path: Path) -> tuple[list[TableRow], list[str]]:
    """The rows of a Parquet file, counted from line 2 as in a text with a header, and its columns."""
    try:
        columns = parquet.read_schema(path).names
        require_own_names(columns, path, "manifest", "source_uri")
        table = pd.read_parquet(path)
    except InvalidArgument:
        raise
    except Exception as error:  # the parser raises errors of many kinds
        message, remedy = "The manifest cannot be read: it is no Parquet file, or damaged.", "Write it again."
        raise InvalidArgument(message, field="source_uri", value=path.name, remedy=remedy) from error
    cells = table.astype(object).where(table.notna(), "").to_dict("records")
    return [TableRow(line, row, fault_of(row.values())) for line, row in enumerate(cells, 2)], columns


def _from_rows(rows: list[TableRow], folder: Path) -> list[Entry]:
    pictures = {_text(row.cells.get("index")): _content(row.cells.get("image")) for row in rows}
    entries: list[Entry] = []
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        entry = _from_row(row, number, folder, pictures)
        if entry.name in seen:  # a path may stand in several rows, an index may not
            fault = entry.fault or ("The index was used before." if _text(row.cells.get("index")) else "")
            entry = replace(entry, name=f"{entry.name} (row {number})", fault=fault)
        seen.add(entry.name)
        entries.append(entry)
    return entries


def _from_row(place: TableRow, number: int, folder: Path, pictures: Mapping[str, str]) -> Entry:
    row = place.cells
    image_path, content = _text(row.get("image_path")), _content(row.get("image"))
    if 0 < len(content) <= _LONGEST_REFERENCE:
        content = pictures.get(content, content)
    entry = Entry(
        name=_text(row.get("index")) or image_path or f"row {number}",
        image_path=image_path,
        modality=_text(row.get("modality")),
        source_id=_text(row.get("source_id")),
        patient_id=_text(row.get("patient_id")),
        session_id=_text(row.get("session_id")),
        licence=_text(row.get("licence")) or _text(row.get("license")),
        split=_text(row.get("split")).lower(),
    )
    fault = place.fault or _misspelt(entry)
    if fault:
        reason, remedy = (f"{text[:1].upper()}{text[1:]}." for text in fault)
        return replace(entry, fault=reason, remedy=remedy)
    if not image_path:
        return replace(entry, content=content, fault="" if content else "The row names no image.")
    parts = PurePosixPath(image_path)
    if parts.is_absolute() or ".." in parts.parts:
        return replace(entry, fault="The path leads out of the manifest's folder.")
    return replace(entry, path=folder / image_path)


def _misspelt(entry: Entry) -> Fault | None:
    for name, meant in (("modality", meant_modality(entry.modality)), ("split", meant_split(entry.split))):
        if meant:
            return Fault(f"the {name} is misspelt", f"write {meant}")
    return None


def _text(value: object) -> str:
    """A cell as text; whole floats (a column with gaps in Parquet) without their point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value).strip()


def _content(value: object) -> str:
    """A picture's cell as base64: text, bytes, or the struct {bytes, path} of the `datasets` library."""
    if isinstance(value, Mapping):
        value = value.get("bytes")
    return base64.b64encode(value).decode() if isinstance(value, bytes) else _text(value)


def _decode(content: str) -> bytes:
    text = content.partition("base64,")[2] if content.startswith("data:") else content
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        remedy = "Write the picture in base64, or name its file in image_path."
        raise InvalidArgument("The image column is not base64.", remedy=remedy) from error


class FileSource:
    """An `ImageSource` on this machine's disk."""

    entries = staticmethod(list_entries)
    read = staticmethod(read_entry)
