"""Reads the YAML of a run and looks at what it names, before anything is spent. Every problem is listed, not only the first."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from services.controller.configuration.arms import ArmSection
from services.controller.configuration.endpoints import endpoint_problems
from services.controller.configuration.models import RunConfiguration
from services.controller.configuration.paths import (
    Problem,
    can_exist,
    impossible_paths,
    path_problems,
    paths_outside,
    relative_paths,
)
from services.controller.domain.arms import CHANGEABLE
from services.controller.domain.report import DATA_PATHS, FURTHER_TESTS
from shared.chat.endpoints import Endpoint
from shared.errors import InvalidArgument
from shared.paths import ANYWHERE, OUTSIDE_REMEDY, lies_in
from shared.yaml_mapping import read_mapping

_FILE = "docs/configuration.md"
_PAGE = f"{_FILE} lists every key with its range."
#: Problems that are listed one by one, and those that one error tells.
MOST_PROBLEMS, _MOST_TOLD = 50, 8
_LONGEST_WORD, _LONGEST_FIELD = 40, 200
_KEYS_AND_VALUES = "Input should be keys and values."
_SHAPES = {"model_type": _KEYS_AND_VALUES, "dict_type": _KEYS_AND_VALUES, "tuple_type": "Input should be a list."}


def check(
    config_yaml: str,
    base_folder: str,
    roots: Sequence[Path] = ANYWHERE,
    endpoints: Mapping[str, Endpoint] = MappingProxyType({}),
) -> tuple[RunConfiguration | None, list[Problem]]:
    """Read a configuration.

    Args:
        config_yaml: The text of the file.
        base_folder: Relative paths in it start here; not needed where there are none.
        roots: Folders in which its paths must lie; none: nowhere.
        endpoints: Those of the site, by name.

    Returns: The configuration with absolute paths, or None, and everything that is wrong with it (empty when it can run).
    """
    configuration, problems = parse(config_yaml)
    if configuration is None:
        return None, problems
    base = Path(base_folder)
    relative = relative_paths(configuration)
    # The folder that a server was started in is nobody's.
    if relative and not base.is_absolute():
        message = f"Relative paths have no folder to start from: {', '.join(relative)}."
        return None, [Problem("base_folder", message, "Give the absolute path of the folder of the file.")]
    problems = paths_outside(configuration, base, roots)  # before anything out there is looked at
    if relative and not problems and not lies_in(base, roots):
        problems = [Problem("base_folder", "It lies outside the folders that may be read.", OUTSIDE_REMEDY)]
    if problems:
        return None, problems
    if relative and not (can_exist(base) and base.is_dir()):
        return None, [Problem("base_folder", "There is no such folder.", "Give the folder of the file.")]
    problems = impossible_paths(configuration, base)
    if problems:
        return None, problems
    resolved = _resolved(configuration, base)
    problems = [*path_problems(resolved), *endpoint_problems(resolved, endpoints)]
    return (None if problems else resolved), problems


def require(
    config_yaml: str,
    base_folder: str,
    roots: Sequence[Path] = ANYWHERE,
    endpoints: Mapping[str, Endpoint] = MappingProxyType({}),
) -> RunConfiguration:
    """The configuration, or one error that names every problem.

    Raises:
        InvalidArgument: It cannot run; `field` is that of the first problem.
    """
    configuration, problems = check(config_yaml, base_folder, roots, endpoints)
    if configuration is None:
        listed = "; ".join(f"{problem.field}: {problem.message} {problem.remedy}" for problem in problems[:_MOST_TOLD])
        raise InvalidArgument(
            f"The configuration cannot run. {listed}",
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
        raise InvalidArgument("The configuration cannot run.", field=problems[0].field, remedy=problems[0].remedy)
    return _resolved(configuration, Path(base_folder))


def parse(config_yaml: str) -> tuple[RunConfiguration | None, list[Problem]]:
    """The configuration as it is written, paths untouched, or what is wrong with its keys and values."""
    try:
        return RunConfiguration.model_validate(read_mapping(config_yaml, _FILE)), []
    except InvalidArgument as error:
        return None, [Problem("", error.message, error.remedy)]
    except ValidationError as error:
        return None, _problems(error.errors(include_url=False))


def effective_yaml(configuration: RunConfiguration) -> str:
    """The configuration with every default filled in."""
    return yaml.safe_dump(configuration.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _problems(details: list[ErrorDetails]) -> list[Problem]:
    """The first of them, and how many there are beside. An echo is none: no arm is left where each is wrong."""
    within = {detail["loc"][:end] for detail in details for end in range(len(detail["loc"]))}
    own = [detail for detail in details if detail["loc"] not in within]
    problems = list(dict.fromkeys(_problem(detail) for detail in own[:MOST_PROBLEMS]))
    n_more = len(own) - MOST_PROBLEMS
    if n_more > 0:
        problems.append(Problem("", f"There are {n_more} problems more.", "Mend the first ones, then check again."))
    return problems


def _problem(detail: ErrorDetails) -> Problem:
    location = [str(part) for part in detail["loc"]]
    field = ".".join(location)[:_LONGEST_FIELD]
    if detail["type"] == "extra_forbidden":
        known = list(_model_at(location[:-1]).model_fields)
        return Problem(field, "Unknown key.", _suggestion(location[-1], known) or f"Known here: {', '.join(known)}.")
    if detail["type"] == "missing":
        return Problem(field, "This key is required.", _description(location) or _PAGE)
    if detail["type"] == "literal_error":
        known = re.findall("'([^']*)'", detail["ctx"]["expected"])
        return Problem(field, f"{detail['msg']}.", _suggestion(str(detail["input"]), known) or _PAGE)
    if detail["type"] == "problem":
        return Problem(
            _field_at(detail["ctx"]["field"], location) or field, f"{detail['msg']}.", detail["ctx"]["remedy"]
        )
    if detail["type"] in _SHAPES:
        return Problem(field, _SHAPES[detail["type"]], _PAGE)
    return Problem(field, f"{detail['msg']}.", _description(location) or _PAGE)


def _field_at(field: str, location: list[str]) -> str:
    """A key of the whole file, or where an arm changes it, if the problem is one of an arm."""
    is_of_arm = location[:1] == ["arms"] and field.split(".")[0] in CHANGEABLE
    return ".".join([*location[:2], field]) if is_of_arm else field


def _suggestion(word: str, known: list[str]) -> str:
    if len(word) > _LONGEST_WORD:  # the search is slow, and nobody means a key by it
        return ""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"Did you mean `{near[0]}`?" if near else ""


def _model_at(location: list[str]) -> type[BaseModel]:
    """The model at a dotted place of the file."""
    if location and location[0] == "arms":
        location = location[2:]  # what an arm changes is a section of the run
        if not location:
            return ArmSection
    model: type[BaseModel] = RunConfiguration
    for part in location:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        model = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else model
    return model


def _description(location: list[str]) -> str:
    field = _model_at(location[:-1]).model_fields.get(location[-1]) if location else None
    text = (field.description or "").split(": ", 1)[-1] if field else ""
    return text[:1].upper() + text[1:]


def _resolved(configuration: RunConfiguration, base: Path) -> RunConfiguration:
    def absolute(path: str | None) -> str | None:
        return None if path is None else str((base / path).resolve())

    data: dict[str, Any] = configuration.data.model_dump()
    paths = {key: absolute(data[key]) for key in DATA_PATHS}
    further = {name: absolute(path) for name, path in data[FURTHER_TESTS].items()}
    return configuration.model_copy(
        update={
            "data": configuration.data.model_copy(update={**paths, FURTHER_TESTS: further}),
            "model": absolute(configuration.model),
        }
    )
