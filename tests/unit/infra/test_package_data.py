"""What a wheel carries beside the modules, as setuptools itself resolves it, against the files that are tracked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from setuptools import Distribution
from setuptools.command.build_py import build_py
from setuptools.config.pyprojecttoml import apply_configuration

ROOT = Path(__file__).resolve().parents[3]
#: Read on the site of the sources alone.
NOT_SHIPPED = {".md"}


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> build_py:
    """The command that gathers what goes into a wheel; it builds nothing."""
    monkeypatch.chdir(ROOT)
    distribution = apply_configuration(Distribution(), str(ROOT / "pyproject.toml"))
    command = build_py(distribution)
    command.finalize_options()
    command.manifest_files = {}  # what a source distribution lists, of which there is none
    return command


def tracked(*folders: str) -> list[Path]:
    """The files of git below folders, but for generated code, whose packages are named otherwise."""
    listed = subprocess.run(["git", "ls-files", "-z", *folders], cwd=ROOT, capture_output=True, check=True, text=True)
    return [Path(name) for name in listed.stdout.split("\0") if name and not name.startswith("shared/gen/")]


def test_each_data_file_below_a_package_is_in_the_wheel(builder: build_py) -> None:
    folders = {package: builder.get_package_dir(package) for package in builder.distribution.packages}
    carried = {Path(name) for package, folder in folders.items() for name in builder.find_data_files(package, folder)}
    tops = {package.partition(".")[0] for package in folders} - {"medq"}
    needed = {path for path in tracked(*tops) if path.suffix not in {".py", ".pyi", *NOT_SHIPPED}}
    assert {str(path) for path in needed} >= {"web/static/review.js", "services/oracle/bank/bank.yaml"}
    assert needed - carried == set()


def test_each_folder_with_modules_is_a_package_of_the_wheel(builder: build_py) -> None:
    packages = set(builder.distribution.packages)
    tops = {package.partition(".")[0] for package in packages} - {"medq"}
    folders = {".".join(path.parent.parts) for path in tracked(*tops) if path.suffix == ".py"}
    assert folders - packages == set()
    assert "medq.oracle.v1" in packages
