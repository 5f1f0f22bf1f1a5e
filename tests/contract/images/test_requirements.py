"""An image holds what its service imports, and torch only where a model runs."""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from shared.settings import SERVICES

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = (ROOT / "infra" / "images" / "Dockerfile").read_text(encoding="utf-8")
#: What each image runs.
ENTRIES = {
    **{name: [f"services.{name}.__main__"] for name in SERVICES},
    "embedding": ["services.embedding.__main__", "services.embedding.quantise"],
    "training": ["services.training.__main__", "services.training.job.__main__"],
    "controller": ["services.controller.__main__", "services.migrate", "services.make_bucket_user"],
    "web": ["web.__main__"],
    # The client reaches services; the command that starts all six in one process, with their pages, is for a checkout.
    "client": ["cli.main", "studies.folder", "studies.base_model"],
}
NOT_IN = {"client": {"services", "web"}}


def test_every_image_is_known():
    assert sorted(re.findall(r"^FROM \w+ AS on-(\w+)$", DOCKERFILE, re.MULTILINE)) == sorted(ENTRIES)


@pytest.mark.parametrize("name", ENTRIES)
def test_an_image_has_what_its_program_imports(name: str):
    owners = packages_distributions()
    installed = _installed(name)
    lacking = {
        f"{package} (by {module})"
        for package, module in _imported(name).items()
        if not {_normal(owner) for owner in owners.get(package, [])} & installed
    }
    assert lacking == set()


@pytest.mark.parametrize("name", ENTRIES)
def test_an_image_has_our_own_code_that_its_program_imports(name: str):
    tops = {module.split(".")[0] for module in _modules(name)} - {"medq"}
    copied = set(re.findall(r"^COPY (\w+) /app/\1$", DOCKERFILE, re.MULTILINE))
    known = set(re.findall(r"^!(\w+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE))
    assert tops <= copied & known  # whole folders, with the templates and files that pages are made of


@pytest.mark.parametrize("name", ENTRIES)
def test_torch_is_in_an_image_exactly_if_its_program_imports_it(name: str):
    assert ("torch" in _installed(name)) == ("torch" in _imported(name))


def test_all_parts_agree_on_versions():
    def pins(path: Path) -> set[str]:
        return set(re.findall(r"^[a-z0-9][^ ]*==[^ ]+", path.read_text(encoding="utf-8"), re.MULTILINE))

    parts = [path for path in (ROOT / "requirements").glob("*.txt") if path.stem not in ("all", "uv", "llamafactory")]
    assert set().union(*map(pins, parts)) == pins(ROOT / "requirements" / "all.txt")


def test_skaffold_builds_every_image_and_gives_the_chart_its_name():
    skaffold = yaml.safe_load((ROOT / "skaffold.yaml").read_text(encoding="utf-8"))
    artifacts = skaffold["build"]["artifacts"]
    assert {part["image"]: part["docker"]["buildArgs"]["SERVICE"] for part in artifacts} == {
        f"medq-{name}": name for name in ENTRIES
    }
    (release,) = skaffold["deploy"]["helm"]["releases"]
    values = yaml.safe_load((ROOT / release["chartPath"] / "values.yaml").read_text(encoding="utf-8"))
    set_by_name = release["setValueTemplates"]
    for key in set_by_name:
        part, section, field = key.split(".")
        assert field in values[part][section]
    named = {text.split("_medq_")[1].rstrip("}") for text in set_by_name.values()}
    assert named == set(ENTRIES)


def _installed(name: str) -> set[str]:
    """The distributions in an image."""
    parts = ["base", name]
    if re.search(rf"^FROM torch AS on-{name}$", DOCKERFILE, re.MULTILINE):
        parts.append("torch")
    texts = [(ROOT / "requirements" / f"{part}.txt").read_text(encoding="utf-8") for part in parts]
    return _names("\n".join(texts))


def _names(requirements: str) -> set[str]:
    return {
        _normal(found) for found in re.findall(r"^([A-Za-z0-9._-]+)", requirements, re.MULTILINE) if found[0] != "-"
    }


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _imported(name: str) -> dict[str, str]:
    """Packages of others that a program may import, functions' own imports too, with a module that does."""
    found: dict[str, str] = {}
    for module, imports in _modules(name).items():
        for top in {other.split(".")[0] for other in imports if not _is_ours(other)} - sys.stdlib_module_names:
            found.setdefault(top, module)
    return found


@functools.cache
def _modules(name: str) -> dict[str, list[str]]:
    """Our modules that a program may import, with what each imports."""
    found, todo = dict[str, list[str]](), list(ENTRIES[name])
    while todo:
        module = todo.pop()
        path = _path(module)
        if module in found or path is None or module.split(".")[0] in NOT_IN.get(name, ()):
            continue
        found[module] = list(_imports(path))
        todo += [part for other in found[module] if _is_ours(other) for part in _with_parents(other)]
    return found


def _is_ours(module: str) -> bool:
    top = module.split(".")[0]
    return top == "medq" or (ROOT / top).is_dir()


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _with_parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]


def _path(module: str) -> Path | None:
    for folder in (ROOT, ROOT / "shared" / "gen"):
        base = folder / module.replace(".", "/")
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                return path
    return None
