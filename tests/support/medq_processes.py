"""`medq` as processes of its own, started often: forked from one that has imported everything, so that a start takes no seconds.

What runs in them is the command itself with its arguments; where the real start counts, tests start `medq` by its script.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import select
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

_IMPORTED = (
    "cli.main",
    "dbos",
    "pydicom.pixels",
    "services.embedded",
    "services.evaluation.adapters.transformers_model",
    "sqlalchemy.orm",
    "transformers.models.got_ocr2",
    "transformers.models.internvl",
    "transformers.models.qwen2",
    "tests.support.imported",
)


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, or the negative signal; what it wrote to both streams; its process id."""

    code: int
    out: str
    err: str
    process: int = 0


def pool_of_processes(n_workers: int) -> ProcessPoolExecutor:
    """Workers that have imported all that `medq` needs; each starts commands by `run_medq`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_IMPORTED))
    return ProcessPoolExecutor(n_workers, mp_context=context)


def run_medq(*arguments: object, prepare: Callable[[], None] | None = None) -> Ended:
    """Run a command in a fork of this process, which is a worker of the pool and has one thread.

    Args:
        arguments: Of `medq`.
        prepare: Called in the process before the command.
    """
    return _ended(arguments, prepare, lambda process: None)


def run_medq_until(seconds: float, is_alone: bool, *arguments: object) -> Ended:
    """Run a command as `run_medq`, and kill it from outside if it has not ended by then.

    Args:
        seconds: From its start.
        is_alone: Only the process of the command is killed, as the kernel does where memory ends; else, at the same moment, all
            that it started too. Its session bears its process id.
        arguments: Of `medq`.
    """
    return _ended(arguments, os.setsid, partial(_kill_after, seconds, is_alone))


def _kill_after(seconds: float, is_alone: bool, process: int) -> None:
    end = os.pidfd_open(process)
    if not select.select([end], [], [], seconds)[0]:
        if not is_alone:
            with suppress(ProcessLookupError):  # so early that it has no group yet
                os.killpg(process, signal.SIGKILL)
        signal.pidfd_send_signal(end, signal.SIGKILL)
    os.close(end)


def _ended(arguments: Sequence[object], prepare: Callable[[], object] | None, meet: Callable[[int], None]) -> Ended:
    """Run a command, and call `meet` with its process id when it has begun."""
    with tempfile.TemporaryDirectory() as name:
        streams = [Path(name) / "out", Path(name) / "err"]
        process = _fork(arguments, streams, prepare)
        meet(process)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        # a command that was killed at once has not opened them
        out, err = (path.read_text(encoding="utf-8") if path.exists() else "" for path in streams)
        return Ended(code, out, err, process)


def set_environment(variables: dict[str, str]) -> None:
    """A `prepare` of a command that finds these variables."""
    os.environ.update(variables)


@contextmanager
def medq_at_work(pool: ProcessPoolExecutor, *arguments: object) -> Iterator[None]:
    """A command that goes on until it is told to end, which it has at the end of the block; what it writes is dropped.

    Where it does not end while the test has time, what its threads stand at is written to standard error.
    """
    with tempfile.TemporaryDirectory() as name:
        stacks = Path(name) / "stacks"
        process = pool.submit(_fork, arguments, [Path(os.devnull), stacks], None).result()
        end = os.pidfd_open(process)
        try:
            yield
        finally:
            signal.pidfd_send_signal(end, signal.SIGTERM)
            try:
                select.select([end], [], [])
            except BaseException:
                signal.pidfd_send_signal(end, signal.SIGABRT)
                select.select([end], [], [])
                sys.stderr.write(stacks.read_text(encoding="utf-8"))
                raise
            finally:
                os.close(end)


def _fork(arguments: Sequence[object], streams: Sequence[Path], prepare: Callable[[], object] | None) -> int:
    """The process id of a child that is `medq`."""
    words = [str(argument) for argument in arguments]
    process = os.fork()
    if process == 0:
        _become_medq(words, streams, prepare)
    return process


def _become_medq(words: list[str], streams: Sequence[Path], prepare: Callable[[], object] | None) -> NoReturn:
    """Go on as `medq`; nothing of what this process was returns."""
    code = 1
    try:
        for number, path in zip((1, 2), streams, strict=True):
            os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), number)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        faulthandler.enable()  # one that crashes says where each thread stood
        if prepare is not None:
            prepare()
        from cli.main import app

        app(words, prog_name="medq")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
