"""Where a process can be killed so that it matters: around each change of what it remembers.

What the services remember changes at commits of their databases and at renames in their folders. So those are counted, from
outside the product: by SQLAlchemy's and Python's own hooks. Nothing here depends on time.
"""

from __future__ import annotations

import itertools
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
_LEDGER = re.compile(r"(INSERT INTO|UPDATE) ledger\b")
#: In the key of an entry of the ledger.
_CALL_TO_ORACLE = "/oracle/"
#: The name of a step of the loop: arm, round, step.
_STEP = re.compile(r"[\w.-]+/\d+/[\w ]+")


def kill_after(n_moments: int) -> None:
    """Kill this process at its n-th moment: just before or just after any commit, or just before a rename."""
    passed = _countdown(n_moments)
    _watch(re.compile(""), lambda statement, side: passed())
    sys.addaudithook(lambda event, _: passed() if event == "os.rename" else None)


def kill_at_cost(n_moments: int) -> None:
    """Kill this process at the n-th moment of the oracle in its ledger: just before or after calls are reserved or settled."""
    passed = _countdown(n_moments)
    _watch(_LEDGER, lambda statement, side: passed(), naming=_CALL_TO_ORACLE)


def kill_at_boundary(boundary: str) -> None:
    """Kill this process at one boundary of a step of the loop, named as in `kill_at_new_boundary`."""
    _watch(_REMEMBERS, lambda step, side: _kill() if f"{step} {side}" == boundary else None)


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

    def passed(step: str, side: str) -> None:
        boundary = f"{step} {side}"
        if step and boundary not in done and zlib.crc32(boundary.encode()) % n_shares == share:
            with done_file.open("a", encoding="utf-8") as file:
                file.write(boundary + "\n")
            _kill()

    _watch(_REMEMBERS, passed)


def _watch(pattern: re.Pattern[str], passed: Callable[[str, str], None], naming: str = "") -> None:
    """Call `passed(step, side)` "before" and "after" each commit of a statement that matches, with `naming` in a parameter.

    The step is the one of the loop whose outcome is committed, or "".
    """

    def note(connection, cursor, statement, parameters, context, is_many) -> None:
        texts = _texts(parameters)
        if pattern.search(statement) and (not naming or any(naming in text for text in texts)):
            names = [text for text in texts if _STEP.fullmatch(text)]
            connection.info["step"] = names[0] if names else ""

    def before(connection) -> None:
        if "step" in connection.info:
            connection.info["is_committed"] = True
            passed(connection.info["step"], "before")

    def after(_, record) -> None:
        step = record.info.pop("step", "")
        if record.info.pop("is_committed", False):
            passed(step, "after")

    sa.event.listen(Engine, "before_cursor_execute", note)
    sa.event.listen(Engine, "commit", before)
    sa.event.listen(Pool, "checkin", after)


def _texts(parameters) -> list[str]:
    """The texts among the parameters of a statement, or of many."""
    rows = parameters if isinstance(parameters, list) else [parameters]
    return [value for row in rows for value in row if isinstance(value, str)]


def _countdown(n_moments: int) -> Callable[[], None]:
    """A function that kills this process when it is called for the n-th time, by whichever thread."""
    lock, left = threading.Lock(), itertools.count(n_moments - 1, -1)

    def passed() -> None:
        with lock:
            if next(left) == 0:
                _kill()

    return passed


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()  # another thread may run on for an instant; this one may not
