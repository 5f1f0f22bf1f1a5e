"""Whoever is told to end is told, at whatever moment, and whichever thread the system hands the signal to."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from shared.stop_signals import StopSignals

_MANY = 100


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Puts back what was there."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_from_before_the_wait_ends_it(number: signal.Signals):
    stop = StopSignals()
    signal.raise_signal(number)
    stop.wait()


def test_a_signal_between_any_two_steps_of_the_wait_ends_it():
    stop = StopSignals()
    signal.raise_signal(signal.SIGTERM)
    n_steps = _wait_and_raise(stop, 0)
    assert n_steps > 1
    for step in range(1, n_steps + 1):
        _wait_and_raise(StopSignals(), step)


def test_a_signal_that_another_thread_takes_ends_the_wait():
    stop, main = StopSignals(), threading.main_thread().native_id
    is_over = threading.Event()

    def take() -> None:
        n_asleep = 0  # looks in a row: each lets go of the interpreter, so who waits for that alone is soon awake
        while n_asleep < _MANY:
            n_asleep = n_asleep + 1 if _is_asleep(main) else 0
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        is_over.wait()

    threading.Thread(target=take, daemon=True).start()
    stop.wait()
    is_over.set()


def _is_asleep(thread: int | None) -> bool:
    """If a thread waits in the kernel."""
    state = Path(f"/proc/self/task/{thread}/stat").read_text(encoding="ascii")
    return state.rpartition(")")[2].split()[0] == "S"


def _wait_and_raise(stop: StopSignals, at: int) -> int:
    """Wait, and raise a signal before the step `at`, from 1; how many steps of the interpreter there were."""
    n_steps = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal n_steps
        frame.f_trace_opcodes = True
        if event == "opcode":
            n_steps += 1
            if n_steps == at:
                signal.raise_signal(signal.SIGTERM)
        return trace

    sys.settrace(trace)
    try:
        stop.wait()
    finally:
        sys.settrace(None)
    return n_steps
