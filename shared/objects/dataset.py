"""Datasets: immutable sets of named files in an object store, described by a manifest that is written last.

A dataset's URI is the digest of its manifest, which holds neither time nor path: the same content made from
the same parents by the same configuration, seed and code has the same URI. Rows are JSON lines with sorted
keys, arrays are `.npy` files without pickles.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from shared.errors import DataLoss, InvalidArgument, NotFound
from shared.objects.store import ObjectStore, digest_of, uri_of
from shared.version import VERSION

JsonObject = dict[str, Any]
_FORMAT = "medq-dataset-1"


@dataclass(frozen=True)
class FileEntry:
    """One file of a dataset: its sha256, its length in bytes, and its rows where it has such (`.jsonl`,
    `.npy`).
    """

    sha256: str
    bytes: int
    rows: int | None = None


@dataclass(frozen=True)
class Manifest:
    """What a dataset is made of and from.

    Attributes:
        kind: What it holds, such as `image-set`; a reader that expects another kind refuses it.
        files: Relative POSIX path -> entry.
        counts: Named counts for people and reports.
        parents: The URIs of the datasets it was made from.
        configuration: The settings it was made with, a JSON object.
        seed: The seed it was made with.
        code_version: The version of this package.
    """

    kind: str
    files: Mapping[str, FileEntry]
    counts: Mapping[str, int]
    parents: tuple[str, ...]
    configuration: JsonObject
    seed: int
    code_version: str


def write_dataset(
    store: ObjectStore,
    kind: str,
    folder: Path,
    *,
    counts: Mapping[str, int],
    parents: Sequence[str],
    configuration: JsonObject,
    seed: int,
) -> str:
    """Store every file below `folder`, then the manifest; return the manifest's URI. Doing it again changes
    nothing.

    Raises:
        InvalidArgument: an empty folder, a link or a special file in it, a parent that is no URI, or a
            configuration that is not JSON.
    """
    for parent in parents:
        digest_of(parent)
    if not kind:
        raise InvalidArgument("a dataset needs a kind", field="kind")
    files: dict[str, FileEntry] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise InvalidArgument("a dataset holds plain files only", field="folder", value=name)
        if path.is_file():
            uri = store.put_file(path)
            files[name] = FileEntry(digest_of(uri), path.stat().st_size, _count_rows(path))
    if not files:
        raise InvalidArgument("a dataset needs at least one file", field="folder", value=folder.name)
    manifest = Manifest(kind, files, dict(counts), tuple(parents), configuration, seed, VERSION)
    return store.put_bytes(_encode({"format": _FORMAT, **asdict(manifest)}, field="configuration").encode())


def read_manifest(store: ObjectStore, uri: str, kind: str | None = None) -> Manifest:
    """Read what a dataset is made of.

    Args:
        store: Where it lies.
        uri: The dataset's URI.
        kind: The kind that the caller needs; any where it is None.

    Raises:
        InvalidArgument: the object is no manifest, or a dataset of another kind.
        NotFound, DataLoss: see `ObjectStore.read_bytes`.
    """
    try:
        record = json.loads(store.read_bytes(uri))
        if record.pop("format") != _FORMAT:
            raise ValueError("another format")
        files = {name: FileEntry(**entry) for name, entry in record.pop("files").items()}
        manifest = Manifest(files=files, parents=tuple(record.pop("parents")), **record)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InvalidArgument("the object is not a dataset manifest", field="uri", value=uri) from None
    for name, entry in manifest.files.items():
        _check_name(name)
        uri_of(entry.sha256)
    if kind is not None and manifest.kind != kind:
        raise InvalidArgument(
            f"a dataset of kind {kind!r} is needed, this one is {manifest.kind!r}", field="uri", value=uri
        )
    return manifest


def materialize(store: ObjectStore, uri: str, cache_folder: Path) -> Path:
    """Return a local folder with every file of a dataset, verified when it was fetched; an earlier one is
    used again.

    The folder appears whole or not at all, and its files are read-only. Several processes may ask for the
    same one at once.

    Raises:
        DataLoss: a stored file does not match its digest, or a file of the cached folder has another length
            than it had.
    """
    manifest = read_manifest(store, uri)
    folder = cache_folder / digest_of(uri)
    if not folder.exists():
        partial = cache_folder / f".{uuid4().hex}.partial"
        try:
            for name, entry in manifest.files.items():
                store.fetch(uri_of(entry.sha256), partial / name)
                (partial / name).chmod(0o444)
            _rename_folder(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    for name, entry in manifest.files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != entry.bytes:
            raise DataLoss(
                "a cached file was changed",
                field="uri",
                value=uri,
                remedy="delete the dataset's cache folder",
            )
    return folder


def read_rows(store: ObjectStore, uri: str, name: str) -> list[JsonObject]:
    """Read a file of JSON lines; NotFound where the dataset has no such file, InvalidArgument where it is not
    JSON lines.
    """
    data = _read_file(store, uri, name)
    try:
        return [json.loads(line) for line in data.split(b"\n") if line]
    except ValueError:
        raise InvalidArgument("the file is not JSON lines", field="name", value=name) from None


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON lines, UTF-8, keys sorted, in the given order; InvalidArgument for NaN or what is not
    JSON.
    """
    with path.open("w", encoding="utf-8", newline="\n") as target:
        for row in rows:
            target.write(_encode(row, field="rows") + "\n")


def read_array(store: ObjectStore, uri: str, name: str) -> NDArray[Any]:
    """Read a `.npy` file; NotFound where the dataset has no such file, InvalidArgument where it is no array
    or holds objects.
    """
    try:
        array: NDArray[Any] = np.load(io.BytesIO(_read_file(store, uri, name)), allow_pickle=False)
    except (ValueError, EOFError):
        raise InvalidArgument("not an array of plain numbers", field="name", value=name) from None
    return array


def _read_file(store: ObjectStore, uri: str, name: str) -> bytes:
    entry = read_manifest(store, uri).files.get(name)
    if entry is None:
        raise NotFound("the dataset has no such file", field="name", value=name)
    return store.read_bytes(uri_of(entry.sha256))


def _rename_folder(partial: Path, folder: Path) -> None:
    """Rename a complete folder into place; where another process was faster, its folder stays."""
    try:
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _check_name(name: str) -> None:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or path.as_posix() != name:
        raise InvalidArgument(
            "a dataset's file names are relative and stay inside it", field="name", value=name
        )


def _count_rows(path: Path) -> int | None:
    if path.suffix == ".jsonl":
        with path.open("rb") as source:
            return sum(1 for line in source if line.strip())
    if path.suffix == ".npy":
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError):
            raise InvalidArgument("not an array of plain numbers", field="folder", value=path.name) from None
        return int(array.shape[0]) if array.ndim else None
    return None


def _encode(value: Mapping[str, Any], *, field: str) -> str:
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"not JSON: {error}", field=field) from None
