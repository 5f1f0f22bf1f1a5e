"""Reads images in child processes with limits on memory and time: an `ImageFormats`.

A file may be made to break a decoder, to fill the memory or to take for ever. It then ends a child and becomes a row of the
report; the service goes on. The children are started when they are first needed, by `subprocess`: they import what reads
images and nothing else (a process of `multiprocessing` would import the parent's main program, and gRPC with it).
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import Pipe

import msgspec

from services.embedding.adapters.images import read_png
from services.embedding.adapters.reader import Answer
from services.embedding.domain.images import Quarantined, StoredForm
from shared.errors import InvalidArgument, Unavailable

#: A file that has ended its process so often is given up. One death may be the kernel's choice, where memory is short.
_MOST_ATTEMPTS = 3
_PROGRAM = ("-m", "services.embedding.adapters.reader")
_START_SECONDS = 120.0  # on a busy machine; the imports take one
_MOST_ANSWER = 1 << 30  # bytes; a PNG of the largest image is far below
#: All that a child sees of the environment: it holds no secret.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Limits:
    """What reading one image may take.

    Attributes:
        memory_mib: Memory of a child beside its program.
        seconds: By the clock on the wall.
    """

    memory_mib: int = 1536
    seconds: float = 60.0


class ImageReaders:
    """Reads as many images at once as it has processes; safe to use from several threads.

    Args:
        n_processes: How many.
        limits: Of each.
        program: What a child runs, as arguments of the interpreter.
    """

    def __init__(self, n_processes: int, limits: Limits, program: Sequence[str] = _PROGRAM) -> None:
        self.at_once = n_processes
        self._limits = limits
        self._program = program
        # The kernel ends a child with the thread that started it, so each child has a thread that lasts as long as this.
        self._threads = ThreadPoolExecutor(n_processes, thread_name_prefix="embedding-reader")
        self._mine = threading.local()
        self._children: set[_Child] = set()
        self._is_closed = False

    def read(self, data: bytes, key: bytes) -> StoredForm | Quarantined:
        """See the port."""
        return self._threads.submit(self._read, data, key).result()

    load = staticmethod(read_png)

    def close(self) -> None:
        """End the children; what they have in hand is lost."""
        self._is_closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for child in tuple(self._children):
            child.end()
        self._threads.shutdown()
        for child in tuple(self._children):  # one that was started meanwhile
            child.end()

    def _read(self, data: bytes, key: bytes) -> StoredForm | Quarantined:
        for _ in range(_MOST_ATTEMPTS):
            child = self._child()
            try:
                return _outcome(child.ask(key, data))
            except _LateError:
                seconds = f"{self._limits.seconds:g}"
                remedy = "Reduce the image; MEDQ_EMBEDDING_READER_SECONDS is the limit."
                raise InvalidArgument(f"Reading the image takes longer than {seconds} s.", remedy=remedy) from None
            except _DeadError:
                continue
        raise InvalidArgument(
            f"Reading the image has ended the process that reads it {_MOST_ATTEMPTS} times.",
            remedy="Look at the file with care, and export it again.",
        )

    def _child(self) -> _Child:
        """This thread's child, started where there is none that lives."""
        child: _Child | None = getattr(self._mine, "child", None)
        if child is not None and child.is_alive:
            return child
        if child is not None:
            self._children.discard(child)
        if self._is_closed:
            raise Unavailable("The service stops.", remedy="Try again when it is back.")
        try:
            child = self._mine.child = _Child(self._program, self._limits)
        except OSError:
            raise _not_started() from None
        self._children.add(child)
        child.await_ready()
        return child


class _LateError(Exception):
    """The child took longer than it may; it was ended."""


class _DeadError(Exception):
    """The child is gone without an answer."""


class _Child:
    """A process that reads images, and this end of its pipe."""

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
            self._process = subprocess.Popen(
                [sys.executable, *program, *arguments],
                env=environment,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

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
        except (_LateError, _DeadError):
            raise _not_started() from None

    def ask(self, *parts: bytes) -> bytes:
        """Send, and receive the answer; whatever goes wrong, the child is ended.

        Raises:
            _LateError: It took too long.
            _DeadError: It ended.
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
            raise _LateError if self._is_late else _DeadError
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
    return Unavailable("The process that reads images does not start.", remedy=remedy)


def _outcome(answer: bytes) -> StoredForm | Quarantined:
    try:
        told = msgspec.msgpack.decode(answer, type=Answer)
    except msgspec.MsgspecError:
        raise _DeadError from None  # whoever wrote this is no reader any more
    if told.refused is not None:
        raise InvalidArgument(told.refused.message, remedy=told.refused.remedy)
    outcome = told.stored or told.quarantined
    if outcome is None:
        raise _DeadError
    return outcome
