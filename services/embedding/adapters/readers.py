"""Reads images in child processes with limits on memory and time: an `ImageFormats`.

A file may be made to break a decoder, to fill the memory or to take for ever. It then ends a child and becomes a row of the
report; the service goes on. The children are started when they are first needed.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import msgspec

from services.embedding.adapters.child import Child, DeadError, LateError, Limits
from services.embedding.adapters.images import read_levels, read_png
from services.embedding.adapters.reader import Answer, Heeded
from services.embedding.domain.images import SLICES, Quarantined, StoredForm
from shared.errors import InvalidArgument, Unavailable

#: A file that has ended its process so often is given up. One death may be the kernel's choice, where memory is short.
_MOST_ATTEMPTS = 3
_PROGRAM = ("-m", "services.embedding.adapters.reader")
_MOST_WAIT_SECONDS = 10.0


class ImageReaders:
    """Reads as many images at once as it has processes; safe to use from several threads.

    Args:
        n_processes: How many.
        limits: Of each.
        program: What a child runs, as arguments of the interpreter.
        n_slices: How many slices are taken of a volume.
        is_depth_kept: Whether the grey levels of more than 8 bits are kept too.
    """

    def __init__(
        self,
        n_processes: int,
        limits: Limits,
        program: Sequence[str] = _PROGRAM,
        n_slices: int = SLICES,
        is_depth_kept: bool = True,
    ) -> None:
        self.at_once = n_processes
        self._limits = limits
        self._program = program
        self._n_slices = n_slices
        self._is_depth_kept = is_depth_kept
        # The kernel ends a child with the thread that started it, so each child has a thread that lasts as long as this.
        self._threads = ThreadPoolExecutor(n_processes, thread_name_prefix="embedding-reader")
        self._mine = threading.local()
        self._children: set[Child] = set()
        self._is_closed = False
        self._preparing = threading.Lock()  # two at once would wait for each other's threads

    def prepare(self) -> None:
        """See the port: every child is there."""
        with self._preparing:
            every_thread = threading.Barrier(self.at_once)
            for ready in [self._threads.submit(self._prepare, every_thread) for _ in range(self.at_once)]:
                ready.result()

    def read(self, data: bytes, key: bytes, *, part: str = "") -> list[StoredForm | Quarantined]:
        """See the port."""
        heeded = msgspec.msgpack.encode(Heeded(key, self._n_slices, part, self._is_depth_kept))
        return self._threads.submit(self._read, data, heeded).result()

    load = staticmethod(read_png)
    load_levels = staticmethod(read_levels)

    def close(self) -> None:
        """End the children; what they have in hand is lost."""
        self._is_closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for child in tuple(self._children):
            child.end()
        self._threads.shutdown()
        for child in tuple(self._children):  # one that was started meanwhile
            child.end()

    def _prepare(self, every_thread: threading.Barrier) -> None:
        """Start this thread's child; the others wait meanwhile, so that each thread starts its own."""
        try:
            self._child()
        except BaseException:
            every_thread.abort()
            raise
        with suppress(threading.BrokenBarrierError):
            every_thread.wait(_MOST_WAIT_SECONDS)  # one that reads a slow image has its child already

    def _read(self, data: bytes, heeded: bytes) -> list[StoredForm | Quarantined]:
        for _ in range(_MOST_ATTEMPTS):
            child = self._child()
            try:
                return _outcome(child.ask(heeded, data))
            except LateError:
                seconds = f"{self._limits.seconds:g}"
                remedy = "Reduce the image; MEDQ_EMBEDDING_READER_SECONDS is the limit."
                raise InvalidArgument(f"Reading the image takes longer than {seconds} s.", remedy=remedy) from None
            except DeadError:
                continue
        raise InvalidArgument(
            f"Reading the image has ended the process that reads it {_MOST_ATTEMPTS} times.",
            remedy="Look at the file with care, and export it again.",
        )

    def _child(self) -> Child:
        """This thread's child, started where there is none that lives."""
        child: Child | None = getattr(self._mine, "child", None)
        if child is not None and child.is_alive:
            return child
        if child is not None:
            self._children.discard(child)
        if self._is_closed:
            raise Unavailable("The service stops.", remedy="Try again when it is back.")
        child = self._mine.child = Child(self._program, self._limits)
        self._children.add(child)
        child.await_ready()
        return child


def _outcome(answer: bytes) -> list[StoredForm | Quarantined]:
    try:
        told = msgspec.msgpack.decode(answer, type=Answer)
    except msgspec.MsgspecError:
        raise DeadError from None  # whoever wrote this is no reader any more
    if told.refused is not None:
        raise InvalidArgument(told.refused.message, remedy=told.refused.remedy)
    images = [image for read in told.images if (image := read.stored or read.quarantined)]
    if not images or len(images) < len(told.images):
        raise DeadError
    return images
