"""Handlers of events, for tests."""

from collections.abc import Callable, Sequence

from shared.events.bus import BatchHandler, Event


def each(handler: Callable[[Event], None]) -> BatchHandler:
    """Turn a handler of one event into one of a batch."""

    def handle(events: Sequence[Event]) -> None:
        for event in events:
            handler(event)

    return handle
