"""`TrainingProcess` as a child process, or several under `torchrun`, which train one model together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import BinaryIO

from services.training.job.log import TrainingProgress, read_progress
from services.training.job.spec import TrainingSpec, read_spec
from shared.errors import Cancelled, Internal, MedqError, decode_error

PROGRAM = "services.training.job"
REPOSITORY = Path(__file__).parents[3]
#: How long `torchrun` has to end its workers.
GRACE_SECONDS = 10.0
POLL_SECONDS = 0.2
LOG_TAIL_BYTES = 2000


@dataclass(frozen=True)
class Workers:
    """Processes that train together.

    Args:
        per_node: Processes of each node; one GPU each.
        nodes: Machines.
        rank: Which of them this is, from 0.
        master: host:port of node 0, where they meet; empty: one node.
    """

    per_node: int = 1
    nodes: int = 1
    rank: int = 0
    master: str = ""

    @property
    def has_result(self) -> bool:
        """Whether the checkpoints and the result are written on this node."""
        return self.rank == 0

    def arguments(self) -> list[str]:
        """What `torch.distributed.run` is told."""
        if not self.master:
            return ["--standalone", f"--nproc-per-node={self.per_node}"]
        host, _, port = self.master.rpartition(":")
        meeting = [f"--master-addr={host}", f"--master-port={port}", f"--node-rank={self.rank}"]
        return [f"--nnodes={self.nodes}", f"--nproc-per-node={self.per_node}", *meeting]


class JobProcess:
    """Runs each job in a child process, which ends when this process (or the calling thread) does.

    Args:
        python: The interpreter.
        workers: Processes that train together; None: a single one, without `torchrun`.
        gpus: GPUs as CUDA names them; each single process has one of them alone, and waits until one is free. Empty: all have
            the first one, if there is any.
    """

    def __init__(self, python: str = sys.executable, workers: Workers | None = None, gpus: Sequence[str] = ()) -> None:
        self._python = python
        self._workers = workers
        self._has_gpus = bool(gpus)
        self._free: SimpleQueue[str] = SimpleQueue()
        for gpu in gpus:
            self._free.put(gpu)

    def run(
        self, spec_path: Path, on_progress: Callable[[TrainingProgress], None], is_cancelled: Callable[[], bool]
    ) -> None:
        """Run the job; see `TrainingProcess.run`. The log goes to `log.txt` in the job's output folder."""
        spec = read_spec(spec_path)
        spec.output_folder.mkdir(parents=True, exist_ok=True)
        spec.error_file.unlink(missing_ok=True)
        spec.progress_file.touch()
        log_path = spec.output_folder / "log.txt"
        with log_path.open("ab") as log, spec.progress_file.open("rb") as progress:
            progress.seek(0, os.SEEK_END)
            command = self._command(spec_path)
            with (
                self._environment(is_cancelled) as environment,
                subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log) as process,
            ):
                try:
                    _follow(process, progress, on_progress, is_cancelled)
                finally:
                    self._end(process)
        is_missing = (self._workers or Workers()).has_result and not spec.result_folder.is_dir()
        if process.returncode != 0 or is_missing:
            raise _failure(spec, process.returncode, log_path)

    def _command(self, spec_path: Path) -> list[str]:
        spec = str(spec_path.resolve())
        if self._workers is None:
            return [self._python, "-m", PROGRAM, spec, "--parent", str(os.getpid())]
        torchrun = [self._python, "-m", "torch.distributed.run", *self._workers.arguments()]
        return [*torchrun, "-m", PROGRAM, spec]

    @contextmanager
    def _environment(self, is_cancelled: Callable[[], bool]) -> Iterator[dict[str, str]]:
        """A single process sees one GPU: the trainer would put `batch_size` samples of a step on each that it sees."""
        if self._workers is not None:
            yield dict(os.environ)
        elif not self._has_gpus:
            yield os.environ | {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]}
        else:
            gpu = self._take_gpu(is_cancelled)
            try:
                yield os.environ | {"CUDA_VISIBLE_DEVICES": gpu}
            finally:
                self._free.put(gpu)

    def _take_gpu(self, is_cancelled: Callable[[], bool]) -> str:
        while True:
            _go_on_unless(is_cancelled)
            with suppress(Empty):
                return self._free.get(timeout=POLL_SECONDS)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """End what is still running; `torchrun` is asked first, for it has workers to end."""
        if self._workers is not None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)
        process.kill()


def _follow(
    process: subprocess.Popen[bytes],
    progress: BinaryIO,
    on_progress: Callable[[TrainingProgress], None],
    is_cancelled: Callable[[], bool],
) -> None:
    """Report progress until the child has ended."""
    has_ended = False
    while not has_ended:
        _go_on_unless(is_cancelled)
        try:
            process.wait(timeout=POLL_SECONDS)
            has_ended = True
        except subprocess.TimeoutExpired:
            pass
        for step in _new_steps(progress):
            on_progress(step)


def _go_on_unless(is_cancelled: Callable[[], bool]) -> None:
    if is_cancelled():
        raise Cancelled("The training was called off.", remedy="Start it again: it goes on from its checkpoint.")


def _new_steps(progress: BinaryIO) -> list[TrainingProgress]:
    """The lines that were finished since the last look."""
    start = progress.tell()
    text = progress.read()
    whole = text[: text.rfind(b"\n") + 1]
    progress.seek(start + len(whole))
    return [read_progress(json.loads(line)) for line in whole.splitlines()]


def _failure(spec: TrainingSpec, code: int, log_path: Path) -> MedqError:
    """The error that the child wrote down, or one with the end of its log."""
    if spec.error_file.is_file():
        return decode_error(json.loads(spec.error_file.read_text(encoding="utf-8")))
    tail = log_path.read_bytes()[-LOG_TAIL_BYTES:].decode("utf-8", errors="replace")
    return Internal(
        f"The training process ended with code {code} and no result. Its log ends with: {tail.strip()}",
        remedy="Start it again: it goes on from its checkpoint. A negative code is a signal (-9: often too little memory).",
    )
