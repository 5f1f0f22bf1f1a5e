"""Ports for servers that tests start."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from contextlib import ExitStack

from infra.dev.deployment import MOST_REPLICAS

#: Below those that the kernel gives to connections (Linux: from 32768), so that nothing takes one before the server does.
_RANGE = range(10_000, 32_000)

#: That a deployment of services on this machine takes, from its first.
OF_A_DEPLOYMENT = [number + metrics for number in range(10 * MOST_REPLICAS) for metrics in (0, 1000)]


def free_port(offsets: Sequence[int] = (0,)) -> int:
    """A port that is free on loopback, and so are those at these offsets from it. Processes that ask at once draw apart."""
    draw = random.SystemRandom()  # a test may have seeded the other
    for _ in range(1000):
        first = draw.choice(_RANGE)
        with ExitStack() as stack:
            try:
                for offset in offsets:
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", first + offset))
            except (OSError, OverflowError):
                continue
            return first
    raise AssertionError("no ports are free")
