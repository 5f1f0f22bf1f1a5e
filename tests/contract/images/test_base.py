"""The base of the images is named by its digest."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("base", ["python:3.11-slim", "python", "python@sha256:abc", "python:3.11@sha512:" + "0" * 64])
def test_a_base_without_a_digest_is_refused_before_anything_is_built(base: str) -> None:
    environment = {**os.environ, "BASE": base}
    command = [ROOT / "infra" / "images" / "build", "oracle"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert result.returncode == 2
    assert "name it by its digest" in result.stderr


def test_the_dockerfile_has_no_base_of_its_own_and_says_which_it_had() -> None:
    text = (ROOT / "infra" / "images" / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^ARG BASE.*$", text, re.MULTILINE) == ["ARG BASE", "ARG BASE"]
    stages = set(re.findall(r"^FROM .* AS (\S+)$", text, re.MULTILINE))
    named = set(re.findall(r"^FROM (\S+)", text, re.MULTILINE))
    assert named - stages == {"${BASE}", "on-${SERVICE}"}
    assert 'org.opencontainers.image.base.name="${BASE}"' in text


def test_skaffold_takes_the_base_that_the_environment_names() -> None:
    skaffold = yaml.safe_load((ROOT / "skaffold.yaml").read_text(encoding="utf-8"))
    assert {part["docker"]["buildArgs"]["BASE"] for part in skaffold["build"]["artifacts"]} == {"{{.BASE}}"}
