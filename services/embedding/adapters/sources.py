"""Where images come from: a folder, a manifest (CSV, TSV, Parquet), a benchmark TSV. Reads no pixels.

A manifest has a column `image_path` (relative to its own folder) or `image` (base64; a short value names the `index` of the
row that holds the picture). Optional columns: index, modality, source_id, patient_id, session_id, licence (or license), split.
A row with another number of fields than the header, a NUL byte, a value that is too long, or a misspelt modality or split is
an entry with a fault, and the others stand. What lies in a folder and is no file is such an entry, too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from services.embedding.adapters import parquet_manifest
from services.embedding.adapters.listing import SpilledListing
from services.embedding.adapters.parts import locate
from services.embedding.ports import Entry
from shared.errors import FailedPrecondition, InvalidArgument, NotFound
from shared.folders import walk
from shared.regular_files import open_regular
from shared.rows.vocabulary import meant_modality, meant_split
from shared.spill import Spill
from shared.tables import MOST_TABLE_BYTES, Fault, TableRow, iterate_rows, read_header

#: A file without a suffix, such as one out of a cache, is told by its content.
MANIFEST_SUFFIXES = (".csv", ".tsv", ".parquet", "")
#: Longest text of a cell, and longest name, in characters: names are keys of a database.
_LONGEST_PATH, _LONGEST_TEXT = 32_768, 500
_LONGEST_NAME = 500
_COLUMNS = (
    "index", "image_path", "modality", "source_id", "patient_id", "session_id", "licence", "license", "split", "image",
)  # fmt: skip
#: What no terminal and no database should be given: control characters, what turns a line or ends it, and what is no Unicode.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def list_source(source: Path) -> SpilledListing:
    """Everything that a folder or a manifest names, in a fixed order; the caller closes it.

    Args:
        source: Absolute, without links.

    Raises:
        NotFound: there is no such file or folder.
        InvalidArgument: the manifest is of another kind, cannot be read, lacks the column, or names two columns alike; or
            there is too much of it.
        FailedPrecondition: it names nothing.
    """
    listing = SpilledListing()
    try:
        if os.path.isdir(source):
            _list_folder(source, listing)
        elif not os.path.lexists(source):  # unlike `Path.exists` false, too, for a path that is too long
            remedy = "Name a folder or a file that the service can read."
            raise NotFound("There is no such source.", field="source_uri", value=source, remedy=remedy)
        else:
            _list_rows(_rows(source), source.parent, listing)
        if not len(listing):
            remedy = "Put PNG, JPEG, TIFF, DICOM or NIfTI files there, or name another source."
            raise FailedPrecondition("The source names no image.", field="source_uri", value=source.name, remedy=remedy)
    except BaseException:
        listing.close()
        raise
    return listing


def _list_folder(folder: Path, listing: SpilledListing) -> None:
    with Spill() as spill:
        ordered = spill.table("ordered", bytes)
        for found in walk(folder):
            key = f"{found.name}\0{found.reason}".encode("utf-8", "surrogatepass")  # names may be no Unicode
            ordered.add(key, found.remedy.encode())
        for key, remedy in ordered.items():
            name, _, reason = key.decode("utf-8", "surrogatepass").partition("\0")
            path = None if reason else folder / name
            image_path = name.encode("utf-8", "backslashreplace").decode()
            shown = _printable(name)[:_LONGEST_NAME]
            entry = Entry(shown, path, image_path=image_path, fault=reason, remedy=remedy.decode())
            listing.append(entry, "another file")


def _rows(path: Path) -> Iterator[TableRow]:
    suffix = path.suffix.lower()
    if suffix not in MANIFEST_SUFFIXES:
        remedy = "Use a folder, or a manifest .csv, .tsv or .parquet."
        raise InvalidArgument("This is not a manifest.", field="source_uri", value=path.name, remedy=remedy)
    if suffix == ".parquet" or (not suffix and _begins_as_parquet(path)):
        columns, rows = parquet_manifest.read_parquet(path, _COLUMNS, "source_uri")
    else:
        columns = read_header(path, "manifest", "source_uri")
        rows = iterate_rows(path, "manifest", "source_uri", skipped=[name for name in columns if name not in _COLUMNS])
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


def _list_rows(rows: Iterable[TableRow], folder: Path, listing: SpilledListing) -> None:
    for number, row in enumerate(rows, start=1):
        index = _text(row.cells.get("index"))
        entry = _from_row(row, number, folder)
        if "image" in row.cells:
            text = _text(row.cells["image"])
            digest = listing.hold(text)
            listing.name_picture(index, text, digest)
            if not entry.fault and entry.path is None and text:
                entry = replace(entry, held=digest)
                listing.may_refer(text)
        if not (entry.fault or entry.path or entry.held):
            entry = replace(entry, fault="The row names no image.")
        # A path may stand in several rows, an index may not.
        listing.append(entry, f"row {number}", "The index was used before." if index else "")
    listing.resolve()


def _from_row(place: TableRow, number: int, folder: Path) -> Entry:
    """An entry without the picture that the row itself may hold."""
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
        return entry
    if image_path.startswith("/") or ".." in image_path.split("/"):
        return replace(entry, fault="The path leads out of the manifest's folder.")
    path, part = locate(folder, image_path)
    return replace(entry, path=path, part=part)


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


class FileSource:
    """An `ImageSource` on this machine's disk."""

    open = staticmethod(list_source)
