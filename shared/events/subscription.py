"""A consumer with a thread of its own; the same on every bus."""

from __future__ import annotations

from shared.background import BackgroundLoop
from shared.events.bus import Consumer

_POLL_SECONDS = 1.0


class PollingSubscription:
    """A `Subscription` that polls a consumer until it is closed."""

    def __init__(self, consumer: Consumer, group: str) -> None:
        self._consumer = consumer
        self._loop = BackgroundLoop(f"events {group}", lambda: consumer.poll(_POLL_SECONDS), consumer.close)

    def lag(self) -> int:
        """Count what is still to be done; see the port."""
        return self._consumer.lag()

    def close(self) -> None:
        """Stop promptly; see the port."""
        self._loop.close()
