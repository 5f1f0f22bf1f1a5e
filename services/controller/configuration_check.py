"""Reads the YAML of a run and looks at what it names, before anything is spent. Every problem is listed, not only the first."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from services.controller.configuration import ArmSection, RunConfiguration
from shared.checkpoints import require_checkpoint
from shared.errors import InvalidArgument

_COLUMNS = ("index", "question", "answer")
_IMAGE_COLUMNS = ("image", "image_path")
_MANIFESTS = (".csv", ".tsv", ".parquet")
_PAGE = "docs/configuration.md lists every key with its range."


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the dotted key, what is wrong with it, and what to do."""

    field: str
    message: str
    remedy: str


def check(config_yaml: str, base_folder: str) -> tuple[RunConfiguration | None, list[Problem]]:
    """Read a configuration.

    Args:
        config_yaml: The text of the file.
        base_folder: Relative paths in it start here.

    Returns: The configuration with absolute paths, or None, and everything that is wrong with it (empty when it can run).
    """
    configuration, problems = parse(config_yaml)
    if configuration is None:
        return None, problems
    base = Path(base_folder)
    if not base.is_dir():
        return None, [Problem("base_folder", "There is no such folder.", "Give the folder of the file.")]
    resolved = _resolved(configuration, base)
    problems = list(_path_problems(resolved))
    return (None if problems else resolved), problems


def require(config_yaml: str, base_folder: str) -> RunConfiguration:
    """The configuration, or one error that names every problem.

    Raises:
        InvalidArgument: It cannot run; `field` is that of the first problem.
    """
    configuration, problems = check(config_yaml, base_folder)
    if configuration is None:
        told = "; ".join(f"{problem.field}: {problem.message} {problem.remedy}" for problem in problems)
        raise InvalidArgument(
            f"The configuration cannot run. {told}",
            field=problems[0].field,
            remedy="ValidateRun lists the same problems and spends nothing.",
        )
    return configuration


def resolve(config_yaml: str, base_folder: str) -> RunConfiguration:
    """The configuration of a file that was checked before, with absolute paths; nothing on the disk is looked at.

    Raises:
        InvalidArgument: It is not one after all.
    """
    configuration, problems = parse(config_yaml)
    if configuration is None:
        raise InvalidArgument(
            "The configuration cannot run.", field=problems[0].field, remedy=problems[0].remedy
        )
    return _resolved(configuration, Path(base_folder))


def parse(config_yaml: str) -> tuple[RunConfiguration | None, list[Problem]]:
    """The configuration as it is written, paths untouched, or what is wrong with its keys and values."""
    try:
        content = yaml.safe_load(config_yaml)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        return None, [Problem("", f"The file is not YAML{where}.", "Check indentation, colons and quotes.")]
    if not isinstance(content, dict):
        return None, [Problem("", "The file must hold keys and values.", _PAGE)]
    try:
        return RunConfiguration.model_validate(content), []
    except ValidationError as error:
        return None, [_problem(detail) for detail in error.errors()]


def effective_yaml(configuration: RunConfiguration) -> str:
    """The configuration with every default filled in."""
    return yaml.safe_dump(configuration.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _problem(detail: ErrorDetails) -> Problem:
    location = [str(part) for part in detail["loc"]]
    field = ".".join(location)
    if detail["type"] == "extra_forbidden":
        known = list(_model_at(location[:-1]).model_fields)
        return Problem(
            field, "Unknown key.", _suggestion(location[-1], known) or f"Known here: {', '.join(known)}."
        )
    if detail["type"] == "missing":
        return Problem(field, "This key is required.", _description(location) or _PAGE)
    if detail["type"] == "literal_error":
        return Problem(
            field, f"{detail['msg']}.", _suggestion(str(detail["input"]), _choices(location)) or _PAGE
        )
    if detail["type"] == "value_error":
        return Problem(field or "arms", str(detail["ctx"]["error"]) + ".", "Give each arm a name of its own.")
    return Problem(field, f"{detail['msg']}.", _description(location) or _PAGE)


def _suggestion(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"Did you mean `{near[0]}`?" if near else ""


def _model_at(location: list[str]) -> type[BaseModel]:
    """The model at a dotted place of the file."""
    if location and location[0] == "arms":
        return ArmSection
    model: type[BaseModel] = RunConfiguration
    for part in location:
        annotation = model.model_fields[part].annotation
        model = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else model
    return model


def _description(location: list[str]) -> str:
    field = _model_at(location[:-1]).model_fields.get(location[-1]) if location else None
    text = (field.description or "").split(": ", 1)[-1] if field else ""
    return text[:1].upper() + text[1:]


def _choices(location: list[str]) -> list[str]:
    field = _model_at(location[:-1]).model_fields[location[-1]]
    return [str(choice) for choice in get_args(field.annotation)]


def _resolved(configuration: RunConfiguration, base: Path) -> RunConfiguration:
    def absolute(path: str | None) -> str | None:
        return None if path is None else str((base / path).resolve())

    data: dict[str, Any] = configuration.data.model_dump()
    paths = {key: absolute(data[key]) for key in ("pool", "pool_answers", "dev", "test", "replay")}
    return configuration.model_copy(
        update={"data": configuration.data.model_copy(update=paths), "model": absolute(configuration.model)}
    )


def _path_problems(configuration: RunConfiguration) -> Iterator[Problem]:
    data = configuration.data
    yield from _pool_problems(Path(data.pool))
    for field in ("pool_answers", "dev", "test", "replay"):
        path = getattr(data, field)
        if path is not None:
            yield from _tsv_problems(f"data.{field}", Path(path))
    try:
        require_checkpoint(Path(configuration.model))
    except InvalidArgument as error:
        yield Problem("model", error.message, error.remedy)


def _pool_problems(path: Path) -> Iterator[Problem]:
    if path.is_dir():
        if not any(entry.is_file() for entry in path.rglob("*")):
            yield Problem("data.pool", "The folder holds no file.", "Put the images of the pool into it.")
    elif not path.is_file():
        yield Problem("data.pool", f"There is no {path}.", "Name a folder of images or a manifest.")
    elif path.suffix.lower() not in _MANIFESTS:
        yield Problem(
            "data.pool",
            f"{path.name} is no manifest.",
            f"Name a folder or a file of {', '.join(_MANIFESTS)}.",
        )


def _tsv_problems(field: str, path: Path) -> Iterator[Problem]:
    if not path.is_file():
        yield Problem(field, f"There is no file {path}.", "Name a MedQ-Bench TSV.")
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as source:
            header = next(csv.reader([source.readline(1_000_000)], delimiter="\t"), [])
    except (UnicodeDecodeError, csv.Error):
        yield Problem(field, f"{path.name} is not text in UTF-8.", "Save it as tab-separated UTF-8 text.")
        return
    missing = [column for column in _COLUMNS if column not in header]
    if not any(column in header for column in _IMAGE_COLUMNS):
        missing.append("image or image_path")
    if missing:
        yield Problem(
            field,
            f"{path.name} has no column {', '.join(missing)}.",
            "A MedQ-Bench TSV is tab-separated with index, image or image_path, question, A, B, ..., answer, modality.",
        )
