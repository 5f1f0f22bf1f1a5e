"""Real Kafka, S3 and PostgreSQL for tests: of an endpoint in the environment, else started on this machine.

Processes that test at once, the workers of one `pytest -n` or two checkouts, share one of each. The last one to end stops what
a test started.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

SERVERS = Path(__file__).resolve().parents[2] / "infra" / "dev" / "servers"
_INSTALL_SECONDS = 1200  # the first time binaries are compiled
#: What `infra/dev/servers` ends with where a server cannot be had.
_NOT_TO_BE_HAD = 3
_OPTIONAL = ("qdrant",)  # no registry has it


def endpoint(name: str) -> Iterator[str]:
    """A server's address: `MEDQ_TEST_KAFKA`, `MEDQ_TEST_S3`, `MEDQ_TEST_POSTGRES`, or one that tests start and stop.

    Where neither is to be had the test is skipped, in CI (`CI` is set) it fails.
    """
    known = os.environ.get(f"MEDQ_TEST_{name.upper()}", "")
    if known:
        yield known
        return
    with _in_use(name):
        yield address_of(name, run_servers("up", name))


def run_servers(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `infra/dev/servers`."""
    return subprocess.run(
        [SERVERS, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=_INSTALL_SECONDS,
        check=False,
    )


def address_of(name: str, started: subprocess.CompletedProcess[str]) -> str:
    """The address that `up` told; the test is skipped where it told none, or fails in CI."""
    if started.returncode == 0:
        return started.stdout.strip().split("=", 1)[1]
    reason = f"no {name} here: {started.stderr.strip().splitlines()[-1:]}; set MEDQ_TEST_{name.upper()}"
    if os.environ.get("CI") and not (name in _OPTIONAL and started.returncode == _NOT_TO_BE_HAD):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def _in_use(name: str) -> Iterator[None]:
    """Keep a server from being stopped by other tests; stop it afterwards where it was a test that started it."""
    with Path(run_servers("log", name).stdout.strip()).with_suffix(".users").open("a+") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        if run_servers("pid", name).returncode != 0:
            users.write("A test starts it.\n")
            users.flush()
        try:
            yield
        finally:
            if _is_last(users) and users.seek(0) == 0 and users.read():
                run_servers("down", name)
                users.truncate(0)


def _is_last(users: IO[str]) -> bool:
    """Whether no other process uses the server; if so none begins to before the file is closed."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
