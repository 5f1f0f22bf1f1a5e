"""What is done to a run: a function called at each step of it. A seed decides where, so that a case can be repeated."""

from __future__ import annotations

import subprocess
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from shared.settings import SERVICES
from tests.faults.harm import Harm
from tests.faults.in_flight import KillInFlight, RestartQdrant
from tests.faults.run import Step
from tests.faults.world import Setting, World

#: A step at which work of every kind is still to come.
_EARLY = (3, 9)
_POISONS_PER_TOPIC = 200
_TOPICS = ("medq.embedding.image-ingested.v1", "medq.embedding.image-embedded.v1")
_SLOW_SECONDS = 0.05
_FULL_SECONDS = 20.0


class Calm(Harm):
    """Nothing is done."""


@dataclass
class KillServices(Harm):
    """At each step that is seen a service is killed, so that over six cases each service is killed at each step."""

    first: int = 0

    def at_step(self, step: Step) -> None:
        """Kill, a moment after the step began."""
        self.pause(float(self.rng.uniform(0, 0.4)))
        which = zlib.crc32(f"{step.arm}/{step.round}/{step.name}".encode()) + self.first
        self.world.kill(SERVICES[which % len(SERVICES)])
        self.n += 1


@dataclass
class Once(Harm):
    """Harm at one step, which the seed chooses."""

    def __post_init__(self) -> None:
        self._at = int(self.rng.integers(*_EARLY))

    def at_step(self, step: Step) -> None:
        """Do it, where the step is the one."""
        if step.number == self._at:
            self.n += 1
            self.do()

    def do(self) -> None:
        """The harm."""


@dataclass
class Restart(Once):
    """A server is killed in the middle of the run and started again."""

    backend: str = ""

    def do(self) -> None:
        """Kill and start."""
        self.world.backends.restart(self.backend)


@dataclass
class Cut(Once):
    """The wire to a server stands still for a while; nothing on it is refused, nothing answers."""

    backend: str = ""

    def do(self) -> None:
        """Hold and release."""
        wire = self.world.backends.wires[self.backend]
        wire.hold_after(1)
        self.pause(self.cut_seconds)
        wire.release()


@dataclass
class Poison(Once):
    """The topics that services listen to are filled with what is no event, or no message."""

    def do(self) -> None:
        """Publish past the bus."""
        producer = KafkaProducer(bootstrap_servers=self.world.backends.wires["kafka"].address, acks="all")
        for topic in _TOPICS:
            name = self.world.topic_prefix + topic
            for number in range(_POISONS_PER_TOPIC):
                headers = _poison_headers(topic, number) if number % 2 else []
                body = self.rng.bytes(64)
                producer.send(name, key=str(number).encode(), value=body, headers=headers)
        producer.flush(60)
        producer.close(timeout=10)


def _poison_headers(topic: str, number: int) -> list[tuple[str, bytes]]:
    """Those of a good CloudEvent, over a body that is no message."""
    texts = {
        "ce_id": f"poison-{number}", "ce_type": topic, "ce_source": "faults", "ce_specversion": "1.0",
        "ce_time": "2026-01-01T00:00:00Z", "content-type": "application/protobuf",
    }  # fmt: skip
    return [(name, text.encode()) for name, text in texts.items()]


@dataclass
class Twice(Harm):
    """At each step all events so far come again, the newest first."""

    def at_step(self, step: Step) -> None:
        """Read every topic from its beginning, and publish what is there in the opposite order."""
        address = self.world.backends.wires["kafka"].address
        consumer = KafkaConsumer(
            bootstrap_servers=address, enable_auto_commit=False, consumer_timeout_ms=3000, group_id=None
        )
        producer = KafkaProducer(bootstrap_servers=address, acks="all")
        names = {self.world.topic_prefix + topic for topic in _TOPICS} & consumer.topics()
        parts = [TopicPartition(name, part) for name in names for part in consumer.partitions_for_topic(name)]
        if parts and self.n < 3:
            consumer.assign(parts)
            consumer.seek_to_beginning(*parts)
            for record in reversed(list(consumer)):
                producer.send(record.topic, key=record.key, value=record.value, headers=record.headers)
            self.n += 1
        producer.flush(60)
        producer.close(timeout=10)
        consumer.close()


@dataclass
class SlowStore(Harm):
    """Each piece of what the object store answers is late, for the whole run."""

    def at_step(self, step: Step) -> None:
        """From the first step on."""
        if step.number == 0:
            self.world.backends.wires["s3"].slow_down(_SLOW_SECONDS)
            self.n += 1


@dataclass
class FullStore(Once):
    """The disk of the object store is full for a while."""

    s3_folder: Path = Path()

    def do(self) -> None:
        """Fill it up, and free it."""
        filler = self.s3_folder.parent / "filler"
        subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=1M"], capture_output=True, check=False)
        self.pause(_FULL_SECONDS)
        filler.unlink()


Make = Callable[[World, np.random.Generator, float], Harm]

_PLAIN = Setting()
#: A call takes long enough to be met, and the run takes seconds more for it.
_SLOW_CALLS = Setting(call_seconds=0.5)
ON_QDRANT = Setting(config="prototypes.yaml", arm="failure_driven", has_qdrant=True)


@dataclass(frozen=True)
class Case:
    """What makes its harm, and what its run is like."""

    make: Make
    setting: Setting = _PLAIN


def all_cases(s3_folder: Path, is_small_disk: bool, has_qdrant: bool) -> Mapping[str, Case]:
    """The cases by name.

    Args:
        s3_folder: Where MinIO keeps its objects.
        is_small_disk: They lie on a small file system of their own, which can be filled; else that case is left out.
        has_qdrant: There is a Qdrant here; else its cases are left out.
    """
    cases: dict[str, Case] = {}
    for first in range(len(SERVICES)):
        cases[f"kill_services_{first}"] = Case(partial(KillServices, first=first))
    cases["kill_in_flight_oracle"] = Case(partial(KillInFlight, service="oracle", least_unknown=1), _SLOW_CALLS)
    cases["kill_in_flight_controller"] = Case(partial(KillInFlight, service="controller"), _SLOW_CALLS)
    for backend in ("kafka", "postgres", "s3"):
        cases[f"restart_{backend}"] = Case(partial(Restart, backend=backend))
        cases[f"cut_{backend}"] = Case(partial(Cut, backend=backend))
    if has_qdrant:
        for name, step in (("ingest", "index_images"), ("selection", "select_samples")):
            cases[f"restart_qdrant_{name}"] = Case(partial(RestartQdrant, during=step), ON_QDRANT)
    cases |= {"poison": Case(Poison), "twice_and_out_of_order": Case(Twice), "slow_store": Case(SlowStore)}
    if is_small_disk:
        cases["full_store"] = Case(partial(FullStore, s3_folder=s3_folder))
    return cases


@contextmanager
def small_disk(folder: Path, megabytes: int = 1024) -> Iterator[bool]:
    """Mount a small file system in memory at a folder; False where that is not allowed here."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], capture_output=True, check=False
    )
    try:
        yield mounted.returncode == 0
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", folder], check=False)
