"""A child process that takes what somebody else made, with limits on memory and time, and this end of its pipe.

What breaks a parser, fills the memory or takes for ever ends the child; the service goes on. It is started by `subprocess`: it
imports what its program needs and nothing else (`multiprocessing` would import the parent's main program, and gRPC with it).
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from shared.errors import Unavailable
from shared.parent_process import die_with_parent

_MIB = 1 << 20
_START_SECONDS = 120.0  # on a busy machine; the imports take one
_MOST_ANSWER = 1 << 30  # bytes; the PNGs of the largest image, of 8 and 16 bits, have 192 MB
#: All that a child sees of the environment: it holds no secret.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Limits:
    """What one answer of a child may take.

    Attributes:
        memory_mib: Memory of a child beside its program.
        seconds: By the clock on the wall.
    """

    memory_mib: int = 1536
    seconds: float = 60.0


class LateError(Exception):
    """The child took longer than it may; it was ended."""


class DeadError(Exception):
    """The child is gone without an answer."""


class Child:
    """The process. The kernel ends it with the thread that started it.

    Args:
        program: What it runs, as arguments of the interpreter; it calls `serve`.
        limits: Of each answer.

    Raises:
        Unavailable: It cannot be started.
    """

    def __init__(self, program: Sequence[str], limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._is_late = False
        self._pipe, theirs = Pipe()
        with theirs:
            arguments = [str(number) for number in (theirs.fileno(), os.getpid(), limits.memory_mib)]
            environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
            # The same code as here, wherever that lies; one thread, whose memory can be told.
            environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
            environment |= {"OPENBLAS_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
            try:
                self._process = subprocess.Popen(
                    [sys.executable, *program, *arguments],
                    env=environment,
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                )
            except OSError:
                self._pipe.close()
                raise _not_started() from None

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return not self._pipe.closed and self._process.poll() is None

    def await_ready(self) -> None:
        """Return once it can be asked.

        Raises:
            Unavailable: It cannot be started.
        """
        try:
            self._receive(_START_SECONDS)
        except (LateError, DeadError):
            raise _not_started() from None

    def ask(self, *parts: bytes) -> bytes:
        """Send, and receive the answer; whatever goes wrong, the child is ended.

        Raises:
            LateError: It took too long.
            DeadError: It ended.
        """
        return self._receive(self._limits.seconds, *parts)

    def _receive(self, seconds: float, *parts: bytes) -> bytes:
        alarm = threading.Timer(seconds, self._kill_late)
        alarm.start()
        answer = None
        try:
            for part in parts:
                self._pipe.send_bytes(part)
            answer = self._pipe.recv_bytes(_MOST_ANSWER)
        except (OSError, EOFError):
            pass
        finally:
            alarm.cancel()
            alarm.join()
            if answer is None or self._is_late:
                self.end()
        if answer is None:
            raise LateError if self._is_late else DeadError
        return answer

    def _kill_late(self) -> None:
        self._is_late = True
        self._process.kill()

    def end(self) -> None:
        """End it, whatever it does."""
        with self._lock:
            self._process.kill()
            self._process.wait()
            self._pipe.close()


def _not_started() -> Unavailable:
    remedy = "See the log of the service; is there memory left?"
    return Unavailable("The process that reads what is taken in does not start.", remedy=remedy)


def serve(answer: Callable[[bytes, bytes, int], bytes]) -> None:
    """Give answers to the parent until it closes its end.

    Args:
        answer: Called with what it sends, two parts, and with the limit on memory in MiB.
    """
    descriptor, parent, memory_mib = map(int, sys.argv[1:])
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    _limit_memory(memory_mib)
    with Connection(descriptor) as connection:
        connection.send_bytes(b"ready")
        _silence()
        while True:
            try:
                key, data = connection.recv_bytes(), connection.recv_bytes()
            except EOFError:
                return
            connection.send_bytes(answer(data, key, memory_mib))


def _limit_memory(memory_mib: int) -> None:
    """Grant so much beside what is mapped already; and be the first that goes where the machine has too little."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would hold a patient's pixels
    if sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as sizes:
            mapped = int(sizes.read().split()[0]) * resource.getpagesize()
        limit, most = mapped + memory_mib * _MIB, resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
            score.write("1000")


def _silence() -> None:
    """What decoders print may quote a file."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
