import threading

import structlog

from shared.background import BackgroundLoop, Bell


def test_a_ring_before_the_wait_is_not_missed() -> None:
    bell = Bell()
    seen = bell.rings
    bell.ring()
    bell.wait(seen, 600.0)  # returns at once, or the test times out


def test_a_loop_survives_what_its_step_raises_and_stops_when_closed() -> None:
    steps: list[int] = []
    third, wake = threading.Event(), threading.Event()

    def step() -> None:
        steps.append(len(steps))
        if len(steps) == 2:
            raise ConnectionError("the database is down")
        if len(steps) >= 3:
            third.set()
            wake.wait(30)

    with structlog.testing.capture_logs() as log:
        loop = BackgroundLoop("a loop", step, wake.set)
        assert third.wait(30)
        loop.close()
    assert "a loop" not in {thread.name for thread in threading.enumerate()}
    assert [entry["event"] for entry in log] == ["background_step_failed"]
