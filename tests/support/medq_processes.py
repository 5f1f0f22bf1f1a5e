"""`medq` as processes of its own, started often: forked from one that has imported everything, so that a start takes no seconds.

What runs in them is the command itself with its arguments; where the real start counts, tests start `medq` by its script.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

_IMPORTED = (
    "cli.main",
    "dbos",
    "services.embedded",
    "services.evaluation.adapters.transformers_model",
    "tests.support.medq_processes",
    "transformers.models.got_ocr2",
    "transformers.models.internvl",
    "transformers.models.qwen2",
)
KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, or the negative signal; what it wrote to both streams."""

    code: int
    out: str
    err: str


class MedqProcesses:
    """Starts `medq`.

    Args:
        folder: For what the processes write to their streams.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._n_started = 0
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(_IMPORTED))
        self._context: ForkServerContext = context

    def run(self, *arguments: object, prepare: tuple[Callable[..., None], Any] | None = None) -> Ended:
        """Run a command to its end.

        Args:
            arguments: Of `medq`.
            prepare: A function, and its argument, to call in the process before the command.
        """
        self._n_started += 1
        streams = [self._folder / f"{self._n_started}.{name}" for name in ("out", "err")]
        words = [str(argument) for argument in arguments]
        code = self.call(_medq, words, streams, prepare)
        return Ended(code, *(path.read_text(encoding="utf-8") for path in streams))

    def call(self, function: Callable[..., None], *arguments: Any) -> int:
        """Call a function in a process of its own; gives the exit code."""
        process = self._context.Process(target=function, args=arguments)
        process.start()
        process.join()
        code = process.exitcode
        process.close()
        if code is None:
            raise RuntimeError("the process has not ended")
        return code


def children_of(pid: int) -> list[int]:
    """Process ids of the living children of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _medq(arguments: list[str], streams: list[Path], prepare: tuple[Callable[..., None], Any] | None) -> None:
    for number, path in zip((1, 2), streams, strict=True):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), number)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    if prepare is not None:
        prepare[0](prepare[1])
    from cli.main import app

    app(arguments, prog_name="medq")
