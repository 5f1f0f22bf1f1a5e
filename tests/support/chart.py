"""The chart as Helm renders it."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "medq-engine"
RELEASE, NAMESPACE = "medq", "medq-rendered"
#: The chart's defaults with what a site must say; the chart's own overlays.
SITE = "site_values.yaml"
OVERLAYS = (SITE, "values-lab.yaml", "values-hospital.yaml")
#: As an image may have.
DIGEST = "sha256:" + "a" * 64

Manifest = dict[str, Any]


@functools.cache
def helm() -> str:
    """Path of Helm; a test that asks is skipped where there is none, and fails in CI."""
    home = Path(os.environ.get("MEDQ_DEV_HOME", Path.home() / ".cache" / "medq-dev"))
    for found in (shutil.which("helm"), home / "bin" / "helm"):
        if found and Path(found).exists():
            return str(found)
    message = "Helm is not here: infra/dev/tools helm"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def run_helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Helm's answer, whatever it is."""
    # Where a test runs decides nothing: no cluster, no repositories of the user.
    environment = {**os.environ, "KUBECONFIG": os.devnull}
    command = [helm(), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def template(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`helm template` of the chart."""
    return run_helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, *arguments)


@functools.cache
def manifests(*arguments: str) -> tuple[Manifest, ...]:
    """What is rendered; it must be rendered."""
    result = template(*arguments)
    assert result.returncode == 0, result.stderr
    return tuple(document for document in yaml.safe_load_all(result.stdout) if document)


def values_of(name: str) -> tuple[str, str]:
    """Helm's arguments for the values file of this name."""
    return "--values", str(Path(__file__).with_name(name) if name == SITE else CHART / name)


def sets(*values: str) -> list[str]:
    """Helm's arguments for these values, each KEY=VALUE."""
    return [argument for value in values for argument in ("--set", value)]


def overlay(name: str, *arguments: str) -> tuple[Manifest, ...]:
    """What is rendered with the values file of this name."""
    return manifests(*values_of(name), *arguments)


def find(documents: tuple[Manifest, ...], kind: str, name: str) -> Manifest:
    """The manifest of a kind and name."""
    return next(d for d in documents if d["kind"] == kind and d["metadata"]["name"] == name)


def of_kind(documents: tuple[Manifest, ...], *kinds: str) -> list[Manifest]:
    """All manifests of these kinds."""
    return [document for document in documents if document["kind"] in kinds]


def pods(documents: tuple[Manifest, ...]) -> Iterator[tuple[str, Manifest]]:
    """Each pod, and pod template, with the name of what makes it: (name, {metadata, spec})."""
    for document in documents:
        if document["kind"] == "Pod":
            yield document["metadata"]["name"], document
        elif document["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield document["metadata"]["name"], document["spec"]["template"]


def environment(documents: tuple[Manifest, ...], service: str) -> dict[str, dict[str, Any]]:
    """The variables of a service's container by name."""
    pod = dict(pods(documents))[f"{RELEASE}-{service}"]
    return {variable["name"]: variable for variable in pod["spec"]["containers"][0]["env"]}
