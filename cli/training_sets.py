"""Training sets as folders that other tools read: the datasets of one or several rounds, each sample once, all or nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc

from cli.datasets import fetch, manifest_of
from shared import training_files as files
from shared.errors import DataLoss
from shared.objects.manifest import Manifest
from shared.rows.encoding import from_lines, to_json
from shared.rows.fields import Row
from shared.rows.training import Conversation, Dropped, Lineage

#: Says of a folder that it is an export, of which datasets, and what each of its files holds.
MARK = "export.json"
LLAVA, PARQUET, ALL = "llava", "parquet", "all"


@dataclass(frozen=True)
class Source:
    """A dataset of a run; of one that is named by its URI alone, its manifest has the rest."""

    uri: str
    arm: str
    round: int


@dataclass(frozen=True)
class Exported:
    """What was written: from which datasets, its samples (those annotated by simulation among them), images, left-out rows, and
    the samples that several of the datasets hold.
    """

    sources: tuple[Source, ...]
    samples: int
    simulated: int
    images: int
    dropped: int
    repeated: int


def write_set(channel: grpc.Channel, sources: Sequence[Source], form: str, folder: Path) -> Exported:
    """Fetch datasets, verified, and write them as one set.

    Args:
        channel: To a service that gives them.
        sources: Of one arm, in the order of their rounds; a sample that several hold is taken from the first.
        form: `llava`, `parquet` or `all`.
        folder: Where to; it is there.
    """
    manifests = [manifest_of(channel, source.uri, "dataset") for source in sources]
    store = folder / ".fetched"
    samples: dict[str, tuple[Conversation, Lineage]] = {}
    dropped: dict[Dropped, None] = {}
    images: dict[str, str] = {}
    n_rows = 0
    for source, manifest in zip(sources, manifests, strict=True):
        names = [files.TRAIN_FILE, files.LINEAGE_FILE, files.DROPPED_FILE]
        fetch(channel, source.uri, manifest, names, store)
        new = {}
        for row, origin in zip(_rows(store, names[0], Conversation), _rows(store, names[1], Lineage), strict=True):
            n_rows += 1
            _require_placeholders(row)
            if row.id not in samples:
                samples[row.id] = new[row.id] = (row, origin)
        dropped |= dict.fromkeys(_rows(store, names[2], Dropped))
        pictures = sorted({row.images[0] for row, _ in new.values()} - images.keys())
        fetch(channel, source.uri, manifest, pictures, folder)
        images |= {name: manifest.files[name].sha256 for name in pictures}
    shutil.rmtree(store)
    rows, lineage = [row for row, _ in samples.values()], [origin for _, origin in samples.values()]
    _write(folder, rows, lineage, list(dropped), _provenance(sources, manifests), form)
    simulated = sum(origin.simulated is True for origin in lineage)
    return Exported(tuple(sources), len(rows), simulated, len(images), len(dropped), n_rows - len(rows))


def _require_placeholders(row: Conversation) -> None:
    """Other loaders end, or pair the wrong image, where a text does not hold `<image>` once for each image."""
    n_places = sum(turn.value.count("<image>") for turn in row.conversations)
    if n_places != len(row.images):
        message = "The text of a sample does not name each of its images once."
        raise DataLoss(message, field="id", value=row.id, remedy="Build the dataset again.")


def _rows(folder: Path, name: str, row: type[Any]) -> list[Any]:
    with (folder / name).open("rb") as lines:
        return list(from_lines(lines, row, name))


def _write(
    folder: Path,
    rows: Sequence[Conversation],
    lineage: Sequence[Lineage],
    dropped: Sequence[Dropped],
    provenance: Mapping[str, Any],
    form: str,
) -> None:
    _write_lines(folder / files.LINEAGE_FILE, lineage)
    _write_lines(folder / files.DROPPED_FILE, dropped)
    if form != PARQUET:
        _write_lines(folder / files.TRAIN_FILE, rows)
        (folder / files.INFO_FILE).write_text(files.info(), encoding="utf-8")
    if form != LLAVA:
        files.write_parquet(folder, rows)
    if form == PARQUET:
        shutil.rmtree(folder / "images", ignore_errors=True)  # they are in it
    text = files.card(rows, lineage, dropped, provenance, has_lines=form != PARQUET, has_parquet=form != LLAVA)
    (folder / files.CARD_FILE).write_text(text, encoding="utf-8")


def _write_lines(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as target:
        target.writelines(f"{to_json(row)}\n" for row in rows)


def _provenance(sources: Sequence[Source], manifests: Sequence[Manifest]) -> dict[str, Any]:
    return {
        "datasets": [
            {
                "uri": source.uri,
                "parents": list(manifest.parents),
                "configuration": manifest.configuration,
                "seed": manifest.seed,
                "code_version": manifest.code_version,
            }
            for source, manifest in zip(sources, manifests, strict=True)
        ]
    }


def mark(folder: Path, exported: Sequence[Exported]) -> None:
    """Write what the sets are made of and what each file holds, so that any program can check a copy of the folder."""
    digests = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as source:
            digests[path.relative_to(folder).as_posix()] = hashlib.file_digest(source, "sha256").hexdigest()
    said = {"format": "medq-export-1", "sets": [asdict(one) for one in exported], "sha256": digests}
    (folder / MARK).write_text(json.dumps(said, indent=1, sort_keys=True) + "\n", encoding="utf-8")
