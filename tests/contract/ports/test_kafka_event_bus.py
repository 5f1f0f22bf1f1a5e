import time
from collections.abc import Iterator

import pytest

from shared.events.bus import Consumer, EventBus
from shared.events.failure import RETRY_SECONDS
from shared.events.kafka import KafkaEventBus
from shared.events.kafka_consumer import KafkaBusConsumer
from tests.contract.ports.event_bus_suite import EventBusSuite
from tests.support.kafka_topics import own_topics, section_of

_LOOK_SECONDS = 0.02


@pytest.fixture(scope="module")
def prefix(kafka: str) -> Iterator[str]:
    with own_topics(kafka) as prefix:
        yield prefix


class TestKafkaEventBus(EventBusSuite):
    poll_seconds = 20.0

    @pytest.fixture
    def bus(self, kafka: str, prefix: str) -> Iterator[EventBus]:
        self.now = time.monotonic()
        bus = KafkaEventBus(section_of(kafka, prefix), clock=lambda: self.now)
        yield bus
        bus.close()

    def pass_pause(self) -> None:
        self.now += RETRY_SECONDS * 2**5

    def pass_lease(self) -> None:
        """Nothing to do: `drain` waits until the broker has given the partitions away."""

    def drain(self, *consumers: Consumer) -> None:
        n_quiet = 0
        while n_quiet < 2:  # the first quiet round may have begun a rebalance
            n_taken = sum(consumer.poll(_LOOK_SECONDS) for consumer in consumers)
            members = [one for one in consumers if isinstance(one, KafkaBusConsumer)]
            is_quiet = not n_taken and all(member.is_caught_up() for member in members)
            n_quiet = n_quiet + 1 if is_quiet else 0
