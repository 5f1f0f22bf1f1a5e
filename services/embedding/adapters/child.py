"""The frame of a program that reads files of strangers for the service, in a process of its own with limits.

It gets two messages, answers with one, and so on until the other end closes. A file that breaks a decoder breaks this process
and no other. It knows no settings, no database and no network.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection

from shared.parent_process import die_with_parent

_MIB = 1 << 20


def serve(answer: Callable[[bytes, bytes, int], bytes]) -> None:
    """Serve the parent until it closes its end; the arguments of the program are FD PARENT MIB.

    Args:
        answer: Takes the second message, the first one, and the limit on memory in MiB.
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
                first, second = connection.recv_bytes(), connection.recv_bytes()
            except EOFError:
                return
            connection.send_bytes(answer(second, first, memory_mib))


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
