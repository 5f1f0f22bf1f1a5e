"""Datasets: immutable sets of named files in an object store, described by a manifest that is written last.

A dataset's URI is the digest of its manifest, which holds neither time nor path: the same content made from the same parents
by the same configuration, seed and code has the same URI. `shared.rows.kinds` says what its rows are; arrays hold no pickles.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgument, NotFound
from shared.objects.manifest import MOST_MANIFEST_BYTES, FileEntry, Manifest, parse_manifest
from shared.objects.store import ObjectStore, digest_of, uri_of
from shared.objects.verification import is_whole
from shared.rows.encoding import from_json, from_lines, lines_of, to_json
from shared.rows.fields import Row
from shared.rows.kinds import place_of, require_readable, row_type, version_of
from shared.version import VERSION

JsonObject = dict[str, Any]
RowT = TypeVar("RowT", bound=Row)
#: Rows for `.jsonl`, one object for `.json`, an array for `.npy`; text as it is.
Content = Iterable[Row] | Row | NDArray[Any] | str


def publish(
    objects: ObjectStore,
    kind: str,
    files: Mapping[str, Content],
    *,
    counts: Mapping[str, int],
    parents: Sequence[str],
    configuration: JsonObject,
    seed: int = 0,
) -> str:
    """Make a dataset of values; the same content has the same URI.

    Args:
        objects: Where it is stored.
        kind: What it holds.
        files: Name to content, as `shared.rows.kinds` has it.
        counts, parents, configuration, seed: See `Manifest`.

    Returns: Its URI.
    Raises: InvalidArgument: a row is of another type than the file's, or does not fit it; else as `write_dataset`.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, kind, files)
        return write_dataset(
            objects, kind, folder, counts=counts, parents=parents, configuration=configuration, seed=seed
        )


def write_files(folder: Path, kind: str, files: Mapping[str, Content]) -> None:
    """Write files of a dataset; content and errors as for `publish`."""
    for name, content in files.items():
        if isinstance(content, np.ndarray):
            np.save(folder / name, content, allow_pickle=False)
        elif isinstance(content, str):
            (folder / name).write_text(content, encoding="utf-8")
        else:
            indent = 1 if isinstance(content, Row) else None
            with (folder / name).open("w", encoding="utf-8", newline="\n") as target:
                for row in [content] if isinstance(content, Row) else content:
                    _require_type(kind, name, row)
                    target.write(to_json(row, indent) + "\n")


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
    """Store every file below `folder`, then the manifest; return the manifest's URI. Doing it again changes nothing.

    Raises:
        InvalidArgument: An unknown kind, an empty folder, a link or a special file in it, a parent that is no URI, or a
            configuration that is not JSON.
    """
    for parent in parents:
        digest_of(parent)
    schema_version = version_of(kind)
    files: dict[str, FileEntry] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise InvalidArgument("A dataset holds plain files only.", field="folder", value=name)
        if path.is_file():
            uri = store.put_file(path)
            files[name] = FileEntry(sha256=digest_of(uri), bytes=path.stat().st_size, rows=_count_rows(path))
    if not files:
        raise InvalidArgument("A dataset needs at least one file.", field="folder", value=folder.name)
    manifest = Manifest(
        kind=kind,
        files=files,
        counts=dict(counts),
        parents=tuple(parents),
        configuration=configuration,
        seed=seed,
        code_version=VERSION,
        schema_version=schema_version,
    )
    return store.put_bytes(to_json(manifest).encode())


def read_manifest(store: ObjectStore, uri: str, kind: str | None = None) -> Manifest:
    """Read what a dataset is made of.

    Args:
        store: Where it lies.
        uri: The dataset's URI.
        kind: The kind that the caller needs; any where it is None.

    Raises:
        InvalidArgument: It is above `MOST_MANIFEST_BYTES`; else, and FailedPrecondition: as `parse_manifest`.
        NotFound, DataLoss: See `ObjectStore.read_bytes`.
    """
    return parse_manifest(_small_bytes(store, uri), uri, kind)


def _small_bytes(store: ObjectStore, uri: str) -> bytes:
    """The content of an object; InvalidArgument, and no more of it read, where it is too large for a manifest."""
    pieces, n_bytes = [], 0
    for piece in store.chunks(uri):
        pieces.append(piece)
        n_bytes += len(piece)
        if n_bytes > MOST_MANIFEST_BYTES:
            raise InvalidArgument("The object is too large for a manifest.", field="uri", value=uri)
    return b"".join(pieces)


def materialize(store: ObjectStore, uri: str, cache_folder: Path) -> Path:
    """A local folder with every file of a dataset, verified; an earlier one is used again.

    The folder appears whole or not at all, and its files are read-only. Several processes may ask for the same one at once.
    A file of an earlier folder that is gone, or does not hold what it held, is fetched again.

    Raises:
        DataLoss: A stored file does not match its digest.
    """
    manifest = read_manifest(store, uri)
    folder = cache_folder / digest_of(uri)
    is_new = not folder.exists()
    if is_new:
        partial = cache_folder / f".{uuid4().hex}.partial"
        try:
            for name, entry in manifest.files.items():
                store.fetch(uri_of(entry.sha256), partial / name)
                (partial / name).chmod(0o444)
            _rename_folder(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    for name, entry in () if is_new else manifest.files.items():
        if not is_whole(folder / name, entry.sha256, entry.bytes):
            store.fetch(uri_of(entry.sha256), folder / name)
            (folder / name).chmod(0o444)
    return folder


def iterate_rows(objects: ObjectStore, uri: str, row: type[RowT]) -> Iterator[RowT]:
    """The rows of this type that a dataset holds, one at a time: a million of them in bounded memory.

    A damaged file is noticed after its last row: act on what came when all of it has come.

    Raises:
        InvalidArgument: The dataset is of another kind than such rows are in, or a line does not fit them.
        NotFound, DataLoss, FailedPrecondition: As `read_manifest`.
    """
    kind, name = place_of(row)
    yield from from_lines(lines_of(objects.chunks(_file_uri(objects, uri, name, kind))), row, name)


def read_rows(objects: ObjectStore, uri: str, row: type[RowT]) -> list[RowT]:
    """All rows of this type that a dataset holds; raises as `iterate_rows`."""
    return list(iterate_rows(objects, uri, row))


def read_object(objects: ObjectStore, uri: str, row: type[RowT]) -> RowT:
    """The one object of this type that a dataset holds, such as its `Scores`; raises as `iterate_rows`."""
    kind, name = place_of(row)
    return from_json(objects.read_bytes(_file_uri(objects, uri, name, kind)), row, name)


def read_file(objects: ObjectStore, uri: str, name: str, kind: str) -> bytes:
    """The content of a file of a dataset, for small ones that are no rows; raises as `iterate_rows`."""
    return objects.read_bytes(_file_uri(objects, uri, name, kind))


def read_array(objects: ObjectStore, uri: str, name: str) -> NDArray[Any]:
    """A `.npy` file; NotFound where the dataset has no such file, InvalidArgument where it is no array or holds objects."""
    return _load_array(io.BytesIO(objects.read_bytes(_file_uri(objects, uri, name))), name)


def map_array(objects: ObjectStore, uri: str, name: str, folder: Path) -> NDArray[Any]:
    """A `.npy` file as a memory map of a copy in `folder`, for arrays that should not lie in memory; raises as `read_array`."""
    path = folder / name
    objects.fetch(_file_uri(objects, uri, name), path)
    return _load_array(path, name, mmap_mode="r")


def _load_array(source: io.BytesIO | Path, name: str, mmap_mode: Literal["r"] | None = None) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(source, mmap_mode=mmap_mode, allow_pickle=False)
    except (ValueError, EOFError):
        raise InvalidArgument("The file is not an array of plain numbers.", field="name", value=name) from None
    return array


def _require_type(kind: str, name: str, row: Row) -> None:
    if type(row) is not row_type(kind, name):
        what = type(row).__name__
        raise InvalidArgument(f"The rows of this file are not {what}.", field="files", value=f"{kind}/{name}")


def _file_uri(objects: ObjectStore, uri: str, name: str, kind: str | None = None) -> str:
    manifest = read_manifest(objects, uri, kind)
    require_readable(manifest.kind, manifest.schema_version, uri, name)
    entry = manifest.files.get(name)
    if entry is None:
        raise NotFound("The dataset has no such file.", field="name", value=name)
    return uri_of(entry.sha256)


def _rename_folder(partial: Path, folder: Path) -> None:
    """Rename a complete folder into place; where another process was faster, its folder stays."""
    try:
        partial.rename(folder)  # not synced: each later use verifies what lies there
    except OSError:
        if not folder.is_dir():
            raise


def _count_rows(path: Path) -> int | None:
    if path.suffix == ".jsonl":
        with path.open("rb") as source:
            return sum(1 for line in source if line.strip())
    if path.suffix == ".npy":
        array = _load_array(path, path.name, mmap_mode="r")
        return int(array.shape[0]) if array.ndim else None
    return None
