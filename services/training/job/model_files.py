"""Checkpoint folders in the object store: models that are trained or imported, and checkpoints of a job at work."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from shared.checkpoints import MOST_WEIGHT_BYTES, checkpoint_files
from shared.errors import InvalidArgument
from shared.objects.dataset import read_manifest, write_dataset
from shared.objects.store import ObjectStore, uri_of
from shared.regular_files import open_regular
from shared.synced import put_in_place

#: What a trainer leaves beside a model and no one needs who uses it.
_TRAINER_FILES = ("optimizer*", "scheduler*", "rng_state*", "scaler*", "trainer_state.json", "training_args.bin")
CHECKPOINT = "checkpoint"
COMPLETE = "complete"
"""Marker that is written into a checkpoint after everything else; a folder without it was cut off."""


def store_model(
    objects: ObjectStore,
    folder: Path,
    staging: Path,
    *,
    parents: Sequence[str],
    configuration: Mapping[str, Any],
    seed: int,
) -> str:
    """Store a checkpoint folder as a `model`, without hidden files and what belongs to the trainer.

    Args:
        objects: Where to.
        folder: The checkpoint.
        staging: A folder on the same file system, for what is put together.
        parents: URIs that it was made from.
        configuration: What it was made with.
        seed: It was made with.

    Returns: `sha256:<hex>`.
    """
    ignored = (".*", "checkpoint-*", *_TRAINER_FILES)
    with _linked(folder, staging, ignored) as copy:
        return _write_model(objects, copy, parents, configuration, seed)


def import_model(objects: ObjectStore, folder: Path, staging: Path) -> tuple[str, int]:
    """Store what of somebody's folder is a checkpoint as a `model`: files of known names alone, through no link that leaves it.

    Args:
        objects, staging: See `store_model`.
        folder: The checkpoint.

    Returns: `sha256:<hex>`, and how many files and folders were left out.

    Raises:
        InvalidArgument: See `shared.checkpoints.checkpoint_files`.
    """
    files = checkpoint_files(folder)
    staging.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=staging) as copy:
        for name, place in files.items():
            _take(place, Path(copy) / name)
        uri = _write_model(objects, Path(copy), [], {"origin": "import"}, 0)
    return uri, len(os.listdir(folder)) - len(files)


def newest_checkpoint(folder: Path) -> Path | None:
    """The complete checkpoint of most steps below a folder, if any."""
    sealed = [marker.parent for marker in folder.glob(f"checkpoint-*/{COMPLETE}")]
    return max(sealed, key=checkpoint_step, default=None)


def checkpoint_step(folder: Path) -> int:
    """Optimiser steps done in a `checkpoint-<step>` folder."""
    return int(folder.name.rpartition("-")[2])


def store_checkpoint(objects: ObjectStore, folder: Path, staging: Path) -> str:
    """Store a complete `checkpoint-<step>` folder as it is; the trainer may remove it meanwhile."""
    with _linked(folder, staging, ()) as copy:
        name = {"name": folder.name}
        return write_dataset(objects, CHECKPOINT, copy, counts={}, parents=[], configuration=name, seed=0)


def fetch_checkpoint(objects: ObjectStore, uri: str, folder: Path) -> None:
    """Lay a stored checkpoint out below `folder`, whole or not at all.

    Raises:
        NotFound, InvalidArgument, DataLoss: It is not there, no checkpoint, or damaged.
    """
    manifest = read_manifest(objects, uri, CHECKPOINT)
    target = folder / str(manifest.configuration["name"])
    if target.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as name:
        for file, entry in manifest.files.items():
            objects.fetch(uri_of(entry.sha256), Path(name) / "new" / file)
        put_in_place(Path(name) / "new", target)


def longest_input(objects: ObjectStore, model_uri: str) -> int:
    """The model's own limit in tokens: `max_position_embeddings` of its text model.

    Raises:
        InvalidArgument: Its configuration names none.
    """
    entry = read_manifest(objects, model_uri, "model").files.get("config.json")
    try:
        config = None if entry is None else json.loads(objects.read_bytes(uri_of(entry.sha256)))
    except (ValueError, RecursionError):  # no JSON: a model may be stored by any program
        config = None
    of_text = config.get("text_config", config) if isinstance(config, dict) else None
    limit = of_text.get("max_position_embeddings") if isinstance(of_text, dict) else None
    if not isinstance(limit, int) or limit < 1:
        raise InvalidArgument(
            "The model names no longest input.", field="max_length", remedy="Set max_length in tokens."
        )
    return limit


def _write_model(
    objects: ObjectStore, folder: Path, parents: Sequence[str], configuration: Mapping[str, Any], seed: int
) -> str:
    n_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return write_dataset(
        objects,
        "model",
        folder,
        counts={"bytes": n_bytes},
        parents=parents,
        configuration=dict(configuration),
        seed=seed,
    )


def _take(place: Path, target: Path) -> None:
    """Give a file that was judged before a second name, else copy it: the file itself, even if a link stands there by now."""
    with open_regular(place, MOST_WEIGHT_BYTES) as source:
        with suppress(OSError):
            os.link(place, target, follow_symlinks=False)
            if os.path.samestat(os.fstat(source.fileno()), os.lstat(target)):
                return
        target.unlink(missing_ok=True)
        with target.open("xb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)


@contextmanager
def _linked(folder: Path, staging: Path, ignored: Sequence[str]) -> Iterator[Path]:
    """A copy of a folder whose files are second names where the file system can."""
    staging.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=staging) as name:
        copy = Path(name) / "copy"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(*ignored), copy_function=_link)
        yield copy


def _link(source: str, target: str) -> str:
    """Give a file a second name where the file system can, else copy it."""
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copyfile(source, target)
    return target
