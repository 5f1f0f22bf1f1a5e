"""The event bus on one Kafka broker, end to end into PostgreSQL, beside a loop that uses kafka-python alone.

    python -m benchmarks.bus [--events 20000] [--batch 500] [--kafka HOST:PORT --postgres URL]

One process publishes in lots of a hundred, as an outbox does; this one takes batches, writes each in one transaction, then
commits the offsets. The time goes from the first event's birth to the last commit, both while the other side works. Then the
same with a plain producer and consumer. Servers that are not given and not up are started for the time of the measurement.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from sqlalchemy.dialects.postgresql import insert

from benchmarks.outcome import end
from shared.database import create_engine
from shared.events.bus import Event, event_id
from shared.events.kafka import KafkaEventBus
from shared.events.kafka_client import unblock
from shared.settings import KafkaSection

MIN_EVENTS_PER_SECOND = 2000.0
TOPIC = "medq.embedding.image-ingested.v1"
LOT = 100
_SERVERS = Path(__file__).resolve().parents[1] / "infra" / "dev" / "servers"
_N_KEYS = 64
_DATA = b"x" * 200
_TABLE = sa.Table(
    f"bench_bus_{uuid4().hex[:8]}",
    sa.MetaData(),
    sa.Column("contender", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)


def main() -> None:
    """Measure both and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--kafka", default="")
    parser.add_argument("--postgres", default="")
    parser.add_argument("--publish", choices=["medq", "plain"], help=argparse.SUPPRESS)
    parser.add_argument("--prefix", default=f"bench-{uuid4().hex[:8]}.", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.publish:
        publish(options)
        return
    with server("kafka", options.kafka) as options.kafka, server("postgres", options.postgres) as postgres:
        engine = create_engine(postgres)
        _TABLE.create(engine)
        try:
            figures = {name: measure(name, options, engine) for name in ("medq", "plain")}
        finally:
            _TABLE.drop(engine)
            engine.dispose()
            delete_topics(options.kafka, options.prefix)
    mine, plain = figures["medq"], figures["plain"]
    ratio = mine["events_per_second"] / plain["events_per_second"]
    line = (
        f"event bus, {options.events} events in batches of {options.batch} into PostgreSQL: "
        f"{mine['events_per_second']:.0f} a second, {mine['lost']:.0f} lost "
        f"(wanted: {MIN_EVENTS_PER_SECOND:.0f}, none); plain kafka-python {plain['events_per_second']:.0f}, ratio {ratio:.2f}"
    )
    is_met = mine["events_per_second"] >= MIN_EVENTS_PER_SECOND and not mine["lost"]
    shape = {"events": options.events, "batch": options.batch}
    end({**shape, **figures, "ratio_to_plain": ratio}, line, is_met=is_met)


@contextmanager
def server(name: str, given: str) -> Iterator[str]:
    """A server's endpoint: as given, else as it is up on this machine, else started and stopped again."""
    if given:
        yield given
        return
    was_up = subprocess.run([_SERVERS, "pid", name], check=False, capture_output=True).returncode == 0
    started = subprocess.run([_SERVERS, "up", name], check=True, stdout=subprocess.PIPE, text=True)
    yield started.stdout.strip().split("=", 1)[1]
    if not was_up:
        subprocess.run([_SERVERS, "down", name], check=True)


def measure(name: str, options: argparse.Namespace, engine: sa.Engine) -> dict[str, float]:
    """One contender: its events a second, and how many of them never reached the table."""

    def write(rows: Sequence[dict[str, object]]) -> None:
        with engine.begin() as connection:
            connection.execute(insert(_TABLE).on_conflict_do_nothing(), rows)

    consume: Callable[..., tuple[float, float]] = {"medq": take_from_bus, "plain": take_plainly}[name]
    seconds, used = consume(options, write)
    with engine.connect() as connection:
        mine = sa.select(sa.func.count()).select_from(_TABLE).where(_TABLE.c.contender == name)
        n_rows = connection.execute(mine).scalar_one()
    return {
        "events_per_second": options.events / seconds,
        "lost": options.events - n_rows,
        "consumer_cpu_seconds_per_1000": used / options.events * 1000,
    }


def take_from_bus(options: argparse.Namespace, write: Callable[..., None]) -> tuple[float, float]:
    """Consume through the bus: seconds from the first event's birth to the last commit, and CPU seconds."""
    seen: dict[str, datetime] = {}

    def handle(events: Sequence[Event]) -> None:
        write([{"contender": "medq", "id": one.id, "key": one.key, "data": one.data} for one in events])
        seen.update((event.id, event.time) for event in events)

    bus = KafkaEventBus(KafkaSection(bootstrap=options.kafka, topic_prefix=options.prefix))
    consumer = bus.consumer("bench", {TOPIC: handle}, options.batch)
    while consumer.poll(0.1) or not (consumer.is_caught_up() and consumer.n_partitions):
        pass
    with publisher("medq", options) as check:
        used = time.process_time()
        while len(seen) < options.events:
            consumer.poll(1.0)
            check()
        last = datetime.now(UTC)
    bus.close()
    return (last - min(seen.values())).total_seconds(), time.process_time() - used


def take_plainly(options: argparse.Namespace, write: Callable[..., None]) -> tuple[float, float]:
    """The same by the library alone."""
    topic = options.prefix + "plain"
    admin = KafkaAdminClient(bootstrap_servers=options.kafka)
    admin.create_topics({topic: {"num_partitions": 4, "replication_factor": 1}}, wait_for_metadata=True)
    admin.close()
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=options.kafka,
        group_id=topic,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=options.batch,
    )
    while not consumer.assignment():
        unblock(consumer)  # else it may never join, on a busy machine
        consumer.poll(100)
    births: list[str] = []
    n_taken = 0
    with publisher("plain", options) as check:
        used = time.process_time()
        while n_taken < options.events:
            check()
            records = [one for its in consumer.poll(1000).values() for one in its]
            if records:
                headers = [dict(one.headers) for one in records]
                births.append(min(one["time"].decode() for one in headers))
                write(
                    [
                        {"contender": "plain", "id": own["id"].decode(), "key": one.key.decode(), "data": one.value}
                        for one, own in zip(records, headers, strict=True)
                    ]
                )
                consumer.commit()
                n_taken += len(records)
        last = datetime.now(UTC)
    consumer.close()
    return (last - datetime.fromisoformat(min(births))).total_seconds(), time.process_time() - used


@contextmanager
def publisher(name: str, options: argparse.Namespace) -> Iterator[Callable[[], None]]:
    """A process that publishes; it has ended after the block, which calls what it is given lest it wait for a failed one."""

    def check() -> None:
        if process.poll():
            sys.exit("the publishing process failed")

    command = [sys.executable, "-m", "benchmarks.bus", "--publish", name, "--prefix", options.prefix]
    command += ["--kafka", options.kafka, "--events", str(options.events)]
    with subprocess.Popen(command, env={**os.environ}) as process:
        yield check
    check()


def publish(options: argparse.Namespace) -> None:
    """Publish every event, each lot acknowledged before the next."""
    lots = [range(n, min(n + LOT, options.events)) for n in range(0, options.events, LOT)]
    if options.publish == "medq":
        bus = KafkaEventBus(KafkaSection(bootstrap=options.kafka, topic_prefix=options.prefix))
        for lot in lots:
            bus.publish([_event(n) for n in lot])
        bus.close()
        return
    producer = KafkaProducer(bootstrap_servers=options.kafka, linger_ms=2)
    for lot in lots:
        for n in lot:
            headers = [("id", event_id(n).encode()), ("time", datetime.now(UTC).isoformat().encode())]
            producer.send(options.prefix + "plain", _DATA, key=f"image-{n % _N_KEYS}".encode(), headers=headers)
        producer.flush()
    producer.close()


def _event(n: int) -> Event:
    key = f"image-{n % _N_KEYS}"
    return Event(event_id(n), TOPIC, "medq/bench", key, _DATA, datetime.now(UTC), run_id="bench", sequence=n)


def delete_topics(bootstrap: str, prefix: str) -> None:
    """Leave nothing on the broker."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.delete_topics([topic for topic in admin.list_topics() if topic.startswith(prefix)])
    admin.close()


if __name__ == "__main__":
    main()
