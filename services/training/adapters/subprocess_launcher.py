"""`TrainingLauncher` as a child process on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from services.training.ports import TrainingProgress
from services.training.spec import TrainingSpec, read_spec
from shared.errors import Cancelled, Internal, MedqError

PROGRAM = "services.training.job"
REPOSITORY = Path(__file__).parents[3]
POLL_SECONDS = 0.2
LOG_TAIL_BYTES = 2000


class SubprocessLauncher:
    """Runs each job in a child process, which ends when this process (or the calling thread) does.

    Args:
        python: The interpreter.
    """

    def __init__(self, python: str = sys.executable) -> None:
        self._python = python

    def run(
        self,
        spec_path: Path,
        on_progress: Callable[[TrainingProgress], None],
        is_cancelled: Callable[[], bool],
    ) -> None:
        """Run the job; see `TrainingLauncher.run`. The log goes to `log.txt` in the job's output folder."""
        spec = read_spec(spec_path)
        spec.output_folder.mkdir(parents=True, exist_ok=True)
        spec.error_file.unlink(missing_ok=True)
        spec.progress_file.touch()
        log_path = spec.output_folder / "log.txt"
        command = [self._python, "-m", PROGRAM, str(spec_path.resolve()), "--parent", str(os.getpid())]
        with log_path.open("ab") as log, spec.progress_file.open("rb") as progress:
            progress.seek(0, os.SEEK_END)
            with subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log) as process:
                try:
                    _follow(process, progress, on_progress, is_cancelled)
                finally:
                    process.kill()
        if process.returncode != 0 or not spec.result_folder.is_dir():
            raise _failure(spec, process.returncode, log_path)


def _follow(
    process: subprocess.Popen[bytes],
    progress: BinaryIO,
    on_progress: Callable[[TrainingProgress], None],
    is_cancelled: Callable[[], bool],
) -> None:
    """Report progress until the child has ended."""
    has_ended = False
    while not has_ended:
        if is_cancelled():
            raise Cancelled(
                "The training was called off", remedy="start it again: it goes on from its checkpoint"
            )
        try:
            process.wait(timeout=POLL_SECONDS)
            has_ended = True
        except subprocess.TimeoutExpired:
            pass
        for step in _new_steps(progress):
            on_progress(step)


def _new_steps(progress: BinaryIO) -> list[TrainingProgress]:
    """The lines that were finished since the last look."""
    start = progress.tell()
    text = progress.read()
    whole = text[: text.rfind(b"\n") + 1]
    progress.seek(start + len(whole))
    rows = [json.loads(line) for line in whole.splitlines()]
    return [TrainingProgress(row["step"], row["n_steps"], row["loss"], row["learning_rate"]) for row in rows]


def _failure(spec: TrainingSpec, code: int, log_path: Path) -> MedqError:
    """The error that the child wrote down, or one with the end of its log."""
    if spec.error_file.is_file():
        told = json.loads(spec.error_file.read_text(encoding="utf-8"))
        kinds = {kind.reason: kind for kind in MedqError.__subclasses__()}
        kind = kinds.get(told.pop("reason"), Internal)
        return kind(told.pop("message"), **told)
    tail = log_path.read_bytes()[-LOG_TAIL_BYTES:].decode("utf-8", errors="replace")
    return Internal(
        f"The training process ended with code {code} and no result; its log ends with: {tail.strip()}",
        remedy="start it again: it goes on from its checkpoint; a negative code is a signal (-9: often too little memory)",
    )
