"""Real Kafka, S3 and PostgreSQL for tests: of an endpoint in the environment, else started on this machine for the session."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVERS = Path(__file__).resolve().parents[2] / "infra" / "dev" / "servers"
_INSTALL_SECONDS = 1200  # the first time binaries are compiled


def endpoint(name: str) -> Iterator[str]:
    """A server's address: `MEDQ_TEST_KAFKA`, `MEDQ_TEST_S3`, `MEDQ_TEST_POSTGRES`, or one that this process starts and stops.

    Where neither is to be had the test is skipped, in CI (`CI` is set) it fails.
    """
    known = os.environ.get(f"MEDQ_TEST_{name.upper()}", "")
    if known:
        yield known
        return
    was_up = _servers("pid", name).returncode == 0
    started = _servers("up", name)
    if started.returncode != 0:
        reason = f"no {name} here: {started.stderr.strip().splitlines()[-1:]}; set MEDQ_TEST_{name.upper()}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    yield started.stdout.strip().split("=", 1)[1]
    if not was_up:
        _servers("down", name)


def _servers(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SERVERS, *arguments], capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
    )
