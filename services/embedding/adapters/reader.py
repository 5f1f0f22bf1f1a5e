"""The program that reads images for the embedding service: `python -m services.embedding.adapters.reader FD PARENT MIB`.

It gets a key and a file, answers with what is kept of the image, and so on until the other end closes. A file that breaks a
decoder breaks this process and no other. It knows no settings, no database and no network.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection

import msgspec

from services.embedding.adapters.dicom import quiet_pydicom
from services.embedding.adapters.formats import read_image
from services.embedding.adapters.images import limit_pillow
from services.embedding.domain.images import Quarantined, StoredForm
from shared.errors import InvalidArgument
from shared.parent_process import die_with_parent

_MIB = 1 << 20


class Refused(msgspec.Struct):
    """Why a file is no image that can be taken in."""

    message: str
    remedy: str


class Answer(msgspec.Struct):
    """What became of a file: one of the three is there."""

    stored: StoredForm | None = None
    quarantined: Quarantined | None = None
    refused: Refused | None = None


def answer(data: bytes, key: bytes, memory_mib: int) -> bytes:
    """Read one file; whatever is wrong with it is told, in MessagePack, as an `Answer`."""
    try:
        read = read_image(data, key)
        told = Answer(quarantined=read) if isinstance(read, Quarantined) else Answer(stored=read)
    except MemoryError:
        remedy = "Reduce the image; MEDQ_EMBEDDING_READER_MEMORY_MIB is the limit."
        told = Answer(refused=Refused(f"Reading the image needs more than {memory_mib} MiB.", remedy))
    except InvalidArgument as error:
        told = Answer(refused=Refused(error.message, error.remedy))
    return msgspec.msgpack.encode(told)


def main(answer: Callable[[bytes, bytes, int], bytes] = answer) -> None:
    """Serve the parent until it closes its end."""
    descriptor, parent, memory_mib = map(int, sys.argv[1:])
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    quiet_pydicom()
    limit_pillow()
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


if __name__ == "__main__":
    main()
