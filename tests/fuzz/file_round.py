"""Files, one after the other, read by a process that is watched."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.file_child import KINDS
from tests.fuzz.findings import OF_THE_ROUND, Finding
from tests.fuzz.limits import MIB, MOST_FILE_BYTES, MOST_FILE_GROWTH_BYTES, MOST_FILE_SECONDS
from tests.fuzz.services import ROOT

_START_SECONDS = 60.0
_LOOK_SECONDS = 0.5
#: So many times longer a process may wait for a core.
_STILL_FACTOR = 6
#: Cases after which the libraries are loaded and the caches full.
_WARM_UP = 300


@dataclass
class Files:
    """What came of a round.

    Attributes:
        outcomes: (kind, outcome) to how often.
        findings: What is wrong.
        seconds: How long it took.
        slowest: Seconds of the slowest case.
        largest: Bytes that the largest case took.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0
    slowest: float = 0.0
    largest: int = 0


def read_files(seed: int, numbers: Iterable[int], show: Callable[[int], None]) -> Files:
    """Have cases read.

    Args:
        seed: Decides, with its number, what a case is.
        numbers: Of the cases.
        show: Is told how many are done.
    """
    round_, began, child, first_rss = Files(), time.monotonic(), _Child(seed), 0
    try:
        for n_done, number in enumerate(numbers, 1):
            started = time.monotonic()
            told = child.ask(number)
            kind = KINDS[number % len(KINDS)]
            round_.slowest = max(round_.slowest, time.monotonic() - started)
            if told is None:
                child.close()
                told = {"what": "died", "wrong": child.why, "peak": 0, "rss": 0}
                child, first_rss = _Child(seed), 0
            round_.outcomes[kind, told["what"]] += 1
            round_.largest = max(round_.largest, told["peak"])
            wrong = told["wrong"] or _too_large(told["peak"])
            if wrong:
                round_.findings.append(Finding("file", number, wrong, kind))
            if n_done % _WARM_UP == 0:
                first_rss = first_rss or told["rss"]
                if first_rss and told["rss"] - first_rss > MOST_FILE_GROWTH_BYTES:
                    grown = f"the reading process has grown by {(told['rss'] - first_rss) // MIB} MiB"
                    round_.findings.append(Finding("file", OF_THE_ROUND, grown))
                    first_rss = told["rss"]
            show(n_done)
    finally:
        child.close()
    round_.seconds = time.monotonic() - began
    return round_


def _too_large(peak: int) -> str:
    return f"reading it took {peak // MIB} MiB" if peak > MOST_FILE_BYTES else ""


class _Child:
    """The process that reads."""

    def __init__(self, seed: int) -> None:
        self.why = ""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.file_child", str(seed)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'shared' / 'gen'}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            bufsize=0,  # or a line could lie in a buffer while the judge waits for it
        )
        self._lines = selectors.DefaultSelector()
        assert self._process.stdout is not None
        self._lines.register(self._process.stdout, selectors.EVENT_READ)
        self._has_begun = False

    def ask(self, number: int) -> dict[str, Any] | None:
        """What became of a case; None where the process had to be killed or died, and `why`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{number}\n".encode())
        self._process.stdin.flush()
        # The first answer waits for imports, and to make a case takes time as well.
        if not self._line(_START_SECONDS) or not (told := self._line(MOST_FILE_SECONDS)):
            return None
        return dict(json.loads(told))

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._lines.close()
        self._log.close()

    def _line(self, seconds: float) -> bytes:
        """What the process writes next; nothing where it died, or has worked or stood still for too long."""
        assert self._process.stdout is not None
        began, worked = time.monotonic(), self._worked_seconds()
        while not self._lines.select(_LOOK_SECONDS):
            # Work counts, not the clock: other work may share the cores. But a process that stands still does not work.
            is_over = self._worked_seconds() - worked > seconds
            if is_over or time.monotonic() - began > _STILL_FACTOR * seconds:
                self.why = f"reading it takes more than {seconds:.0f} s" + (
                    "" if is_over else ", in which it stands still"
                )
                return b""
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            self.why = f"the process died ({self._process.wait()}): {self._log.read()[-300:]!r}"
        return line

    def _worked_seconds(self) -> float:
        """Time on a core so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
