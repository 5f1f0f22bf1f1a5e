import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared.errors import Unavailable
from shared.events.bus import Event
from shared.events.outbox import Outbox, OutboxDrainer
from shared.events.sqlite import SqliteEventBus
from tests.support.databases import Database
from tests.support.events import each

TOPIC = "medq.oracle.annotation-reviewed.v1"
METADATA = sa.MetaData()
DECISIONS = sa.Table("decisions", METADATA, sa.Column("id", sa.String, primary_key=True))
OUTBOX = Outbox(METADATA)


@dataclass
class Service:
    """A service with a table, an outbox and a bus."""

    engine: sa.Engine
    bus: SqliteEventBus

    def decide(self, name: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(DECISIONS.insert(), {"id": name})
            event = Event(id=name, type=TOPIC, source="medq/oracle", key="k", data=b"m", time=datetime.now(UTC))
            OUTBOX.add(connection, event)

    def published(self, group: str) -> list[str]:
        ids: list[str] = []
        consumer = self.bus.consumer(group, {TOPIC: each(lambda event: ids.append(event.id))})
        while consumer.poll():
            pass
        return ids


@pytest.fixture
def service(tmp_path: Path, database: Database) -> Iterator[Service]:
    service = Service(database.engine(METADATA), SqliteEventBus(tmp_path / "events.db"))
    yield service
    service.bus.close()


class ForgetfulBus(SqliteEventBus):
    """Publishes, then fails before its caller hears of it."""

    def publish(self, events: object) -> None:
        super().publish(events)  # type: ignore[arg-type]
        raise Unavailable("the broker went away")


def test_what_is_committed_is_published_in_order(service: Service) -> None:
    for n in range(150):
        service.decide(str(n))
    assert OUTBOX.waiting(service.engine) == 150
    assert [OUTBOX.drain(service.engine, service.bus) for _ in range(3)] == [100, 50, 0]
    assert service.published("group") == [str(n) for n in range(150)]
    assert OUTBOX.waiting(service.engine) == 0


def test_what_is_rolled_back_is_not_published(service: Service) -> None:
    service.decide("1")
    with pytest.raises(sa.exc.IntegrityError):
        service.decide("1")
    OUTBOX.drain(service.engine, service.bus)
    assert service.published("group") == ["1"]


def test_dying_between_publishing_and_forgetting_publishes_no_event_twice(service: Service, tmp_path: Path) -> None:
    service.decide("1")
    forgetful = ForgetfulBus(tmp_path / "events.db")
    with pytest.raises(Unavailable):
        OUTBOX.drain(service.engine, forgetful)
    forgetful.close()
    assert OUTBOX.waiting(service.engine) == 1
    assert OUTBOX.drain(service.engine, service.bus) == 1
    assert service.published("group") == ["1"]


class WatchedBus(SqliteEventBus):
    """Lets another one try while it publishes."""

    def __init__(self, path: Path, other: Callable[[], int]) -> None:
        super().__init__(path)
        self.other = other
        self.drained_by_another: list[int] = []

    def publish(self, events: Sequence[Event]) -> None:
        self.drained_by_another.append(self.other())
        super().publish(events)


def test_while_one_process_publishes_another_does_not(service: Service, database: Database, tmp_path: Path) -> None:
    another = database.engine(METADATA)
    bus = WatchedBus(tmp_path / "events.db", lambda: OUTBOX.drain(another, service.bus))
    for n in range(150):
        service.decide(str(n))
    assert [OUTBOX.drain(service.engine, bus) for _ in range(2)] == [100, 50]
    assert bus.drained_by_another == [0, 0]
    service.decide("later")
    assert OUTBOX.drain(another, service.bus) == 1
    bus.close()
    assert service.published("group") == [*(str(n) for n in range(150)), "later"]


def test_a_drainer_publishes_by_itself_and_the_next_one_takes_over(service: Service) -> None:
    arrived = threading.Semaphore(0)
    ids: list[str] = []

    def handle(event: Event) -> None:
        ids.append(event.id)
        arrived.release()

    subscription = service.bus.subscribe("group", {TOPIC: each(handle)})
    for name in ("1", "2"):
        drainer = OutboxDrainer(OUTBOX, service.engine, service.bus)
        service.decide(name)
        assert arrived.acquire(timeout=30)
        drainer.close()
    subscription.close()
    assert ids == ["1", "2"]
