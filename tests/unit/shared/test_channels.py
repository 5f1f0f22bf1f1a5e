"""Channels by name, without a server behind them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import grpc
import pytest

from shared.rpc.channels import Channels

N_THREADS = 16


@pytest.fixture
def restless_threads() -> Iterator[None]:
    """The interpreter goes from thread to thread as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless_threads")
def test_threads_that_ask_at_once_share_one_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[grpc.Channel] = []
    insecure_channel = grpc.insecure_channel

    def open_channel(target: str, options: tuple[tuple[str, object], ...]) -> grpc.Channel:
        opened.append(insecure_channel(target, options=options))
        return opened[-1]

    monkeypatch.setattr(grpc, "insecure_channel", open_channel)
    together = Barrier(N_THREADS)
    with Channels({"triage": "127.0.0.1:1"}) as channels, ThreadPoolExecutor(N_THREADS) as pool:

        def ask(_: int) -> grpc.Channel:
            together.wait()
            return channels["triage"]

        got = list(pool.map(ask, range(N_THREADS)))
    assert len(opened) == 1
    assert set(map(id, got)) == {id(opened[0])}
