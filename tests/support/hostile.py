"""Callers that mean no good: they open calls and then send, or read, nothing more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc


@contextmanager
def silent_calls(channel: grpc.Channel, method: str, n: int) -> Iterator[list[Any]]:
    """`n` calls of a method whose message is never sent; they end with the block, if not before."""
    never = threading.Event()

    def nothing() -> Iterator[bytes]:
        never.wait()
        yield from ()

    calls: list[Any] = [channel.stream_unary(method).future(nothing(), timeout=60) for _ in range(n)]
    try:
        yield calls
    finally:
        never.set()
        for call in calls:
            call.cancel()


def ended(call: Any) -> threading.Event:
    """Set once a call has ended, whoever ended it."""
    event = threading.Event()
    if not call.add_callback(event.set):
        event.set()
    return event
