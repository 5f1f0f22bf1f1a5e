"""The program that reads images, with files at which it breaks: `python -m tests.support.fragile_reader FD PARENT MIB`."""

from __future__ import annotations

import os
import signal
import sys

import msgspec

from services.embedding.adapters import reader

_NOTE = b"kill me and note it in "


def answer(data: bytes, key: bytes, memory_mib: int) -> bytes:
    """As the program does, but for a few files."""
    if data.startswith(_NOTE):
        with open(data.removeprefix(_NOTE), "ab") as note:
            note.write(b"x")
        os.kill(os.getpid(), signal.SIGKILL)
    if data == b"for ever":
        signal.pause()
    if data == b"tell what you know":
        known = " ".join(name for name in sys.modules if "." not in name) + "|" + " ".join(os.environ)
        return msgspec.msgpack.encode(reader.Answer(refused=reader.Refused(known, "")))
    odd = {b"answer nonsense": b"\xc1 nonsense", b"answer nothing": msgspec.msgpack.encode(reader.Answer())}
    return odd.get(data) or reader.answer(data, key, memory_mib)


if __name__ == "__main__":
    reader.main(answer)
