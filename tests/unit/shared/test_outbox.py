import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared.database import create_engine, sqlite_url
from shared.errors import Unavailable
from shared.events.bus import Event, each
from shared.events.outbox import LEASE_SECONDS, Outbox, OutboxDrainer
from shared.events.sqlite import SqliteEventBus

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
            event = Event(
                id=name, type=TOPIC, source="medq/oracle", key="k", data=b"m", time=datetime.now(UTC)
            )
            OUTBOX.add(connection, event)

    def published(self, group: str) -> list[str]:
        ids: list[str] = []
        consumer = self.bus.consumer(group, {TOPIC: each(lambda event: ids.append(event.id))})
        while consumer.poll():
            pass
        return ids


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    engine = create_engine(sqlite_url(tmp_path / "oracle.db"))
    METADATA.create_all(engine)
    service = Service(engine, SqliteEventBus(tmp_path / "events.db"))
    yield service
    service.bus.close()
    engine.dispose()


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


def test_dying_between_publishing_and_forgetting_publishes_no_event_twice(
    service: Service, tmp_path: Path
) -> None:
    service.decide("1")
    forgetful = ForgetfulBus(tmp_path / "events.db")
    with pytest.raises(Unavailable):
        OUTBOX.drain(service.engine, forgetful)
    forgetful.close()
    assert OUTBOX.waiting(service.engine) == 1
    assert OUTBOX.drain(service.engine, service.bus) == 1
    assert service.published("group") == ["1"]


def test_one_leads_until_it_steps_down_or_its_lease_runs_out(service: Service) -> None:
    assert OUTBOX.lead(service.engine, "a", 0.0)
    assert OUTBOX.lead(service.engine, "a", 1.0)
    assert not OUTBOX.lead(service.engine, "b", LEASE_SECONDS)
    assert OUTBOX.lead(service.engine, "b", LEASE_SECONDS + 1.0)
    assert not OUTBOX.lead(service.engine, "a", LEASE_SECONDS + 2.0)
    OUTBOX.step_down(service.engine, "a")
    assert not OUTBOX.lead(service.engine, "a", LEASE_SECONDS + 2.0)
    OUTBOX.step_down(service.engine, "b")
    assert OUTBOX.lead(service.engine, "a", LEASE_SECONDS + 2.0)


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
