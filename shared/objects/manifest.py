"""The manifest of a dataset: which files it has and what it was made from, and which bytes are one."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, Literal

from shared.errors import InvalidArgument
from shared.objects.store import uri_of
from shared.rows.encoding import from_json
from shared.rows.fields import Count, Row
from shared.rows.kinds import require_readable

#: A manifest names files and settings; a caller may name any object as one.
MOST_MANIFEST_BYTES = 16 << 20
_LONGEST_NAME = 200  # bytes; a file system has room for more beside it


class FileEntry(Row):
    """One file of a dataset: its sha256, its length in bytes, and its rows where it has such (`.jsonl`, `.npy`)."""

    sha256: str
    bytes: Count
    rows: Count | None = None


class Manifest(Row, omit_defaults=False):
    """What a dataset is made of and from.

    Attributes:
        kind: What it holds, such as `image-set`; a reader that expects another kind refuses it.
        files: Relative POSIX path -> entry.
        counts: Named counts for people and reports.
        parents: The URIs of the datasets it was made from.
        configuration: The settings it was made with, a JSON object.
        seed: The seed it was made with.
        code_version: The version of this package.
        schema_version: The version of the kind's rows (`shared.rows.kinds`).
        format: Of the manifest itself.
    """

    kind: str
    files: dict[str, FileEntry]
    counts: dict[str, int]
    parents: tuple[str, ...]
    configuration: dict[str, Any]
    seed: int
    code_version: str
    schema_version: int = 1
    format: Literal["medq-dataset-1"] = "medq-dataset-1"


def parse_manifest(data: bytes, uri: str, kind: str | None = None) -> Manifest:
    """What the bytes of a manifest say.

    Args:
        data: At most `MOST_MANIFEST_BYTES`.
        uri: Its own, for errors.
        kind: The kind that the caller needs; any where it is None.

    Raises:
        InvalidArgument: They are no manifest, or that of a dataset of another kind.
        FailedPrecondition: A later release wrote it, whose rows this one does not know.
    """
    try:
        manifest = from_json(data, Manifest, "The manifest")
    except InvalidArgument:
        raise InvalidArgument("The object is not a dataset manifest.", field="uri", value=uri) from None
    for name, entry in manifest.files.items():
        require_inside(name)
        uri_of(entry.sha256)
    folders = {name.rpartition("/")[0] for name in manifest.files}
    is_in_the_way = any(
        str(folder) in manifest.files
        for name in folders
        for folder in (PurePosixPath(name), *PurePosixPath(name).parents)
    )
    if not manifest.files or is_in_the_way:
        raise InvalidArgument("The object is not a dataset manifest.", field="uri", value=uri)
    if kind is not None and manifest.kind != kind:
        raise InvalidArgument(
            f"A dataset of kind {kind!r} is needed, this one is {manifest.kind!r}.", field="uri", value=uri
        )
    require_readable(manifest.kind, manifest.schema_version, uri)
    return manifest


def require_inside(name: str) -> None:
    """Refuse a file name that leads out of its dataset, or that no file can have; InvalidArgument where it is one."""
    if any(part in ("", ".", "..") for part in name.split("/")) or "\\" in name:
        raise InvalidArgument("A dataset's file names are relative and stay inside it.", field="name", value=name)
    if "\0" in name or len(name.encode("utf-8", "replace")) > _LONGEST_NAME:
        message = f"A dataset's file names have at most {_LONGEST_NAME} bytes, and no NUL."
        raise InvalidArgument(message, field="name", value=name)
