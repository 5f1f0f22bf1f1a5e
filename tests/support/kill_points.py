"""Where a process can be killed so that it matters: around each change of what it remembers.

What the services remember changes at commits of their databases and at renames in their folders. So those are counted, from
outside the product: by SQLAlchemy's and Python's own hooks. Nothing here depends on time.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

#: The statement by which the durable loop remembers what a step gave.
_REMEMBERS = re.compile(r"INSERT INTO \S*operation_outputs")
#: The name of a step of the loop: arm, round, step.
_STEP = re.compile(r"[\w.-]+/\d+/[\w ]+")


def kill_after(n_moments: int) -> None:
    """Kill this process at its n-th moment: just before or just after a commit, or just before a rename."""
    lock, count = threading.Lock(), 0

    def passed(_: str) -> None:
        nonlocal count
        with lock:
            count += 1
            if count == n_moments:
                _kill()

    _watch(passed)
    sys.addaudithook(lambda event, _: passed("rename") if event == "os.rename" else None)


def kill_at_new_boundary(share: int, n_shares: int, done_file: Path) -> None:
    """Kill this process at the first boundary of a share of all that is not in a file yet, and add it there.

    A step of the loop has two boundaries: `<step> before` the loop remembers what the step gave (the effect is there, the
    memory is not), and `<step> after`.

    Args:
        share: Which, from 0; a boundary belongs to one by a digest of its name.
        n_shares: Of how many.
        done_file: A boundary a line.
    """
    done = set(done_file.read_text(encoding="utf-8").splitlines()) if done_file.exists() else set()

    def passed(moment: str) -> None:
        if moment and moment not in done and zlib.crc32(moment.encode()) % n_shares == share:
            with done_file.open("a", encoding="utf-8") as file:
                file.write(moment + "\n")
            _kill()

    _watch(passed)


def _watch(passed: Callable[[str], None]) -> None:
    """Call with `<step> before` and `<step> after` around each commit of the loop's memory, with "" around any other."""

    def note(connection, cursor, statement, parameters, context, is_many) -> None:
        if _REMEMBERS.search(statement):
            names = [value for value in parameters if isinstance(value, str) and _STEP.fullmatch(value)]
            connection.info["step"] = names[0] if names else ""

    def before(connection) -> None:
        connection.info["is_committed"] = True
        step = connection.info.get("step")
        passed(f"{step} before" if step else "")

    def after(_, record) -> None:
        if record.info.pop("is_committed", False):
            step = record.info.pop("step", "")
            passed(f"{step} after" if step else "")

    sa.event.listen(Engine, "before_cursor_execute", note)
    sa.event.listen(Engine, "commit", before)
    sa.event.listen(Pool, "checkin", after)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()  # another thread may run on for an instant; this one may not
