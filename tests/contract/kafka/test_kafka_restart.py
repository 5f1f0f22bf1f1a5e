"""A broker that dies and comes back; it belongs to this module alone."""

import threading
from collections.abc import Iterator

import pytest

from shared.errors import Unavailable
from shared.events.bus import Event
from shared.events.kafka import KafkaEventBus
from tests.contract.ports.event_bus_suite import TOPIC, fact
from tests.support.events import each
from tests.support.kafka_topics import section_of
from tests.support.own_server import OwnServer, own_server

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]
N_EVENTS = 400


@pytest.fixture(scope="module")
def broker() -> Iterator[OwnServer]:
    with own_server("kafka") as server:
        yield server


class Collector:
    """Keeps the ids that it got, and tells when there are so many different ones."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._changed:
            self.ids.append(event.id)
            self._changed.notify_all()

    def wait_for(self, n: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(set(self.ids)) >= n, 120)


def publish_all(bus: KafkaEventBus) -> None:
    """As an outbox does: one after the other, each until it is there."""
    for i in range(N_EVENTS):
        while True:
            try:
                bus.publish([fact(str(i), key=f"key-{i % 4}")])
                break
            except Unavailable:
                continue


@pytest.mark.parametrize("is_down_for_longer_than_a_session", [False, True])
def test_a_broker_that_is_killed_and_comes_back_loses_nothing(
    broker: OwnServer, is_down_for_longer_than_a_session: bool
) -> None:
    changes = {"partitions": 2, "call_seconds": 3, "session_seconds": 30}
    if is_down_for_longer_than_a_session:
        changes["session_seconds"] = 1
    bus = KafkaEventBus(section_of(broker.endpoint, "restart.", **changes))
    collector = Collector()
    subscription = bus.subscribe("group", {TOPIC: each(collector)})
    publisher = threading.Thread(target=publish_all, args=(bus,))
    publisher.start()
    collector.wait_for(N_EVENTS // 4)
    broker.kill()
    broker.up()
    publisher.join(120)
    collector.wait_for(N_EVENTS)
    assert set(collector.ids) == {str(i) for i in range(N_EVENTS)}
    for key in range(4):
        firsts = list(dict.fromkeys(int(one) for one in collector.ids if int(one) % 4 == key))
        assert firsts == sorted(firsts)
    subscription.close()
    assert subscription.lag() == 0
    bus.close()
