"""Looks at what the paths of a configuration name, before anything is spent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.controller.configuration.models import RunConfiguration
from services.controller.domain.report import DATA_PATHS, FURTHER_TESTS
from shared.checkpoints import require_checkpoint
from shared.errors import InvalidArgument
from shared.folders import walk
from shared.paths import NOWHERE, NOWHERE_REMEDY, OUTSIDE_REMEDY, lies_in
from shared.rows.vocabulary import DESCRIPTION
from shared.tables import read_header

_COLUMNS = ("index", "question", "answer")
_DESCRIPTION_COLUMNS = ("index", DESCRIPTION)
_IMAGE_COLUMNS = ("image", "image_path")
_PAIR_COLUMNS = ("image_a", "image_b")
_MANIFESTS = (".csv", ".tsv", ".parquet")
#: Files and folders of a pool that are looked at while a caller waits; the ingest looks at all.
_MOST_LOOKED_AT = 10_000


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the dotted key, what is wrong with it, and what to do."""

    field: str
    message: str
    remedy: str


def impossible_paths(configuration: RunConfiguration, base: Path) -> list[Problem]:
    """The paths, which start from `base`, that no file can have."""
    return [
        Problem(field, "No file can have this path.", "Give the path of a file or folder.")
        for field, path in _paths(configuration)
        if not can_exist(base / path)
    ]


def paths_outside(configuration: RunConfiguration, base: Path, roots: Sequence[Path]) -> list[Problem]:
    """The paths, which start from `base`, that lie in none of the folders that may be read; what they name is not looked at."""
    why = ("It lies outside the folders that may be read.", OUTSIDE_REMEDY) if roots else (NOWHERE, NOWHERE_REMEDY)
    return [Problem(field, *why) for field, path in _paths(configuration) if not lies_in(base / path, roots)]


def relative_paths(configuration: RunConfiguration) -> list[str]:
    """The keys of the paths that do not say from where they start."""
    return [field for field, path in _paths(configuration) if not Path(path).is_absolute()]


def _paths(configuration: RunConfiguration) -> Iterator[tuple[str, str]]:
    """Each path in the file with its dotted key."""
    for key in DATA_PATHS:
        path = getattr(configuration.data, key)
        if path is not None:
            yield f"data.{key}", path
    for name, path in configuration.data.further_tests.items():
        yield f"data.{FURTHER_TESTS}.{name}", path
    yield "model", configuration.model


def can_exist(path: Path) -> bool:
    """Whether the system can look for a path: it is not too long, no loop of links, and within folders that may be read."""
    try:
        path.resolve().exists()
    except (OSError, RuntimeError, ValueError):
        return False
    return True


def path_problems(configuration: RunConfiguration) -> Iterator[Problem]:
    """What is wrong with the files and folders that a configuration with absolute paths names."""
    yield from _pool_problems(Path(configuration.data.pool))
    for field, path in _paths(configuration):
        if field not in ("data.pool", "model"):
            yield from _tsv_problems(field, Path(path))
    try:
        require_checkpoint(Path(configuration.model))
    except InvalidArgument as error:
        yield Problem("model", error.message, error.remedy)


def _pool_problems(path: Path) -> Iterator[Problem]:
    if path.is_dir():
        if not _may_hold_a_file(path):
            yield Problem("data.pool", "The folder holds no file.", "Put the images of the pool into it.")
    elif not path.is_file():
        yield Problem("data.pool", f"There is no {path}.", "Name a folder of images or a manifest.")
    elif path.suffix.lower() not in (*_MANIFESTS, ""):  # one out of a cache has no suffix
        yield Problem(
            "data.pool", f"{path.name} is no manifest.", f"Name a folder or a file of {', '.join(_MANIFESTS)}."
        )


def _may_hold_a_file(folder: Path) -> bool:
    """Whether there is a file, or so much that we do not look for one."""
    try:
        return not all(found.reason for found in walk(folder, _MOST_LOOKED_AT))
    except InvalidArgument:
        return True


def _tsv_problems(field: str, path: Path) -> Iterator[Problem]:
    if not path.is_file():
        yield Problem(field, f"There is no file {path}.", "Name a MedQ-Bench TSV.")
        return
    try:
        header = read_header(path, "table", field)
    except InvalidArgument as error:
        yield Problem(field, f"{path.name}: {error.message}", error.remedy)
        return
    has_image = any(column in header for column in _IMAGE_COLUMNS)
    if not has_image and any(column in header for column in _PAIR_COLUMNS):
        yield Problem(
            field,
            f"{path.name} compares two images, which this release does not score.",
            "Name a table about one image.",
        )
        return
    needed = _DESCRIPTION_COLUMNS if DESCRIPTION in header else _COLUMNS
    missing = [column for column in needed if column not in header]
    if not has_image:
        missing.append("image or image_path")
    if missing:
        yield Problem(
            field,
            f"{path.name} has no column {', '.join(missing)}.",
            "A MedQ-Bench TSV is tab-separated with index, image or image_path, question, A, B, ..., answer, modality; or with "
            "index, image or image_path, description.",
        )
