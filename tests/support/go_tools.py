"""Programs that are had by `go install`, for tests that need them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_HOME = Path(os.environ.get("MEDQ_DEV_HOME", "") or Path.home() / ".cache" / "medq-dev")
_SECONDS = 400


def go_tool(name: str, module: str) -> Path:
    """Where a program is: on the path, cached, or installed now; where none of it works the test is skipped.

    Args:
        name: Of the program.
        module: What `go install` takes.
    """
    cached = _HOME / "bin" / name
    found = shutil.which(name) or (cached if cached.exists() else None)
    if found is None:
        need_go()
        environment = {**os.environ, "GOBIN": str(_HOME / "bin")}
        done = subprocess.run(
            ["go", "install", module], env=environment, capture_output=True, timeout=_SECONDS, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"{name} is not to be had here: `go install {module}` failed")
    return Path(found or cached)


def need_go() -> None:
    """Skip the test where there is no Go."""
    if shutil.which("go") is None:
        pytest.skip("no Go here")
