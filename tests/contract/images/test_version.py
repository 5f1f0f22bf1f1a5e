"""What says which version of the product it is, says the one of `shared/version.py`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from setuptools.config.pyprojecttoml import read_configuration

from shared.version import VERSION

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = (ROOT / "infra" / "images" / "Dockerfile").read_text(encoding="utf-8")
_OTHER = "9.9.9"
_WRITE = """
import json, pathlib
from shared.objects.dataset import write_dataset
from shared.objects.folder import FolderObjectStore
folder = pathlib.Path("folder")
folder.mkdir()
(folder / "state.json").write_text("{}")
store = FolderObjectStore(pathlib.Path("objects"))
uri = write_dataset(store, "checkpoint", folder, counts={}, parents=[], configuration={}, seed=0)
print(json.loads(store.read_bytes(uri))["code_version"])
"""


def test_a_manifest_made_in_an_image_has_the_version_of_the_sources(tmp_path: Path) -> None:
    # As in an image: what the Dockerfile copies, found by its PYTHONPATH. The sources are given another version
    # than the package that is installed here, so that the one of the sources is seen.
    for folder in re.findall(r"^COPY (\w+) /app/\w+$", DOCKERFILE, re.MULTILINE):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    source = tmp_path / "shared" / "version.py"
    source.write_text(source.read_text(encoding="utf-8").replace(VERSION, _OTHER), encoding="utf-8")
    (path,) = re.findall(r"PYTHONPATH=(\S+)", DOCKERFILE)
    done = subprocess.run(
        [sys.executable, "-c", _WRITE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path.replace("/app", str(tmp_path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == (_OTHER, 0), done.stderr


def test_the_package_has_it() -> None:
    assert read_configuration(ROOT / "pyproject.toml")["project"]["version"] == VERSION


def test_the_images_are_labelled_with_it() -> None:
    script = (ROOT / "infra" / "images" / "build").read_text(encoding="utf-8")
    (line,) = re.findall(r"^VERSION=.*$", script, re.MULTILINE)
    done = subprocess.run(
        ["bash", "-c", f"{line}; echo $VERSION"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == VERSION


def test_the_chart_installs_it() -> None:
    chart = yaml.safe_load((ROOT / "charts" / "medq-engine" / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == VERSION
