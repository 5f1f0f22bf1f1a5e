"""Which events a handler gets at once, and what becomes of them when it raises."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from shared.events.failure import RETRY_SECONDS, is_at_fault, is_given_up, pause_seconds, reason_of
from shared.events.kafka_backlog import Backlog, Entry


@dataclass(frozen=True)
class Batch:
    """Entries of one topic, by the backlogs that they are of."""

    topic: str
    parts: Sequence[tuple[Backlog, Sequence[Entry]]]

    @property
    def entries(self) -> list[Entry]:
        """All of them."""
        return [entry for _, entries in self.parts for entry in entries]

    @property
    def is_given_up(self) -> bool:
        """Whether it is to be buried, not handled."""
        return self.entries[0].reason != ""

    def finish(self) -> None:
        """All of it is done."""
        for backlog, entries in self.parts:
            backlog.finish(entries)

    def fail(self, error: Exception, now: float) -> None:
        """Let it come again after a pause, or give it up; a dependency that is down is not its fault."""
        for entry in self.entries:
            if entry.reason:  # its letter could not be published
                entry.due = now + RETRY_SECONDS
                continue
            entry.failures += is_at_fault(error)
            if is_given_up(entry.failures):
                entry.due, entry.reason = 0.0, reason_of(error)
            else:
                entry.due = now + pause_seconds(entry.failures)


def next_batch(topics: Sequence[str], backlogs: Collection[Backlog], now: float, size: int) -> Batch | None:
    """The next events of the first topic that has any, from all of its partitions; None where none has.

    Args:
        topics: In the order of their turns.
        backlogs: Of all partitions that are owned.
        now: Seconds of the bus's clock.
        size: The most events.
    """
    for topic in topics:
        parts: list[tuple[Backlog, Sequence[Entry]]] = []
        room = size
        for backlog in backlogs:
            entries = backlog.ready(now, room) if backlog.topic == topic and room else []
            if entries and entries[0].goes_alone:
                if not parts:
                    return Batch(topic, [(backlog, entries)])
            elif entries:
                parts.append((backlog, entries))
                room -= len(entries)
        if parts:
            return Batch(topic, parts)
    return None
