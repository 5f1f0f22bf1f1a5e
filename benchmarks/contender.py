"""One contender in a process of its own: how long it works, and how much memory it needs beside its inputs."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measured:
    """What a contender took.

    Attributes:
        result: What it returned.
        seconds: By the clock; on a machine that others use, the clock measures them too.
        processor_seconds: Of its process.
        peak_bytes: The most memory that its process ever held, libraries and inputs included.
    """

    result: Any
    seconds: float
    processor_seconds: float
    peak_bytes: int

    def figures(self) -> dict[str, float]:
        """Without the result."""
        return {
            "seconds": self.seconds,
            "processor_seconds": self.processor_seconds,
            "peak_bytes": float(self.peak_bytes),
        }


def measure(prepare: Callable[..., Any], work: Callable[[Any], Any], *arguments: Any) -> Measured:
    """Run in a fresh process: `prepare(*arguments)` makes the input, `work(input)` is timed; both are functions of a module."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as process:
        return process.submit(_measure, prepare, work, arguments).result()


def _measure(prepare: Callable[..., Any], work: Callable[[Any], Any], arguments: tuple[Any, ...]) -> Measured:
    given = prepare(*arguments)
    started, started_busy = time.perf_counter(), time.process_time()
    result = work(given)
    seconds, busy = time.perf_counter() - started, time.process_time() - started_busy
    return Measured(result, seconds, busy, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
