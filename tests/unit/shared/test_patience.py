"""How long a call may hold a thread."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from shared.rpc.patience import CROWDED_SECONDS, FLOODED_SECONDS, MESSAGE_SECONDS, Patience


class Call:
    """A call's context, as far as patience knows it."""

    def __init__(self) -> None:
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Clock:
    """Turned by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def _patience(n_slow: int) -> tuple[Any, Clock]:
    clock = Clock()
    return Patience(n_slow, clock), clock


def test_a_caller_alone_may_take_its_time_to_send() -> None:
    patience, clock = _patience(1)
    call = Call()
    with patience.for_message(call):
        clock.now = MESSAGE_SECONDS - 0.1
        patience.look()
        assert not call.is_cancelled
        clock.now = MESSAGE_SECONDS
        patience.look()
    assert call.is_cancelled


def test_of_many_slow_callers_those_who_came_last_stay() -> None:
    patience, clock = _patience(2)
    calls = [Call() for _ in range(5)]
    waits = [patience.for_message(call) for call in calls]
    for n, wait in enumerate(waits):
        clock.now = n / 1000
        wait.__enter__()
    clock.now = CROWDED_SECONDS / 2
    patience.look()
    assert not any(call.is_cancelled for call in calls)
    clock.now = CROWDED_SECONDS + 1
    patience.look()
    assert [call.is_cancelled for call in calls] == [True, True, True, False, False]
    for wait in waits:
        wait.__exit__(None, None, None)


def test_a_flood_of_slow_callers_goes_sooner() -> None:
    patience, clock = _patience(2)
    calls = [Call() for _ in range(8)]
    with ExitStack() as waits:
        for call in calls:
            waits.enter_context(patience.for_message(call))
        clock.now = FLOODED_SECONDS
        patience.look()
        assert [call.is_cancelled for call in calls].count(True) == 6
        patience.look()  # two may be slow, as long as no more are
    assert [call.is_cancelled for call in calls].count(True) == 6


def test_a_call_whose_message_came_in_time_is_left_alone() -> None:
    patience, clock = _patience(1)
    call = Call()
    with patience.for_message(call):
        clock.now = 1.0
    clock.now = 100.0
    patience.look()
    assert not call.is_cancelled


def test_what_moves_has_its_time_anew() -> None:
    patience, clock = _patience(1)
    call = Call()
    with patience.within(call, 60) as moved:
        clock.now = 59
        moved()
        clock.now = 118
        patience.look()
        assert not call.is_cancelled
        clock.now = 119
        patience.look()
    assert call.is_cancelled
