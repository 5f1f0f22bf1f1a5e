"""What of one partition a group still has to do: pure bookkeeping, no network.

A group's offset in Kafka says that all before it is done. Events that failed wait here while later ones of
other keys go on; the offset stays before the first that is not done.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.errors import InvalidArgument
from shared.events.bus import DEAD_LETTER_SUFFIX, Event
from shared.events.cloudevents import decode
from shared.events.failure import reason_of

#: Records of a partition within which a second event of the same id is dropped.
DUPLICATE_WINDOW = 1000
#: Records beyond the first undone one up to which a partition is read ahead.
READ_AHEAD = 1000


@dataclass(slots=True)
class Entry:
    """An event that is not done.

    Attributes:
        due: When it may be handled, in the seconds of the bus's clock; 0 at once.
        failures: How often it was to blame for a failed batch.
        reason: Why it is given up; "" while it is not.
    """

    offset: int
    event: Event
    due: float = 0.0
    failures: int = 0
    reason: str = ""

    @property
    def goes_alone(self) -> bool:
        """Whether it may not share a batch with others."""
        return self.failures > 0 or self.reason != ""


class Backlog:
    """One partition of one group, in one member's memory.

    Args:
        topic: The port's name of the topic.
        committed: The group's offset; None where it has none, then the first record gives it.
    """

    def __init__(self, topic: str, committed: int | None) -> None:
        self.topic = topic
        self.committed = committed
        self._next = committed
        self._undone: dict[int, Entry] = {}  # in the order of their offsets
        self._seen: OrderedDict[tuple[str, str], int] = OrderedDict()

    @property
    def next_offset(self) -> int:
        """One above the last record that was read; 0 before the first."""
        return self._next or 0

    @property
    def position(self) -> int | None:
        """All before it is done: what may be committed. None where no record is known yet."""
        return next(iter(self._undone), self._next)

    @property
    def is_full(self) -> bool:
        """Whether it is read far enough ahead."""
        return self.next_offset - (self.position or 0) >= READ_AHEAD

    def add(self, record: Any) -> None:
        """Take a record (`kafka.consumer.fetcher.ConsumerRecord`) as it comes in the order of offsets.

        One from before the group's offset is remembered only, so that a later copy of it is known.
        """
        entry = _entry(record, self.topic)
        is_copy = self._is_copy(entry)
        if record.offset >= self.next_offset:
            self._next = record.offset + 1
            if not is_copy:
                self._undone[record.offset] = entry

    def ready(self, now: float, limit: int) -> list[Entry]:
        """The next entries that go together, at most `limit`, none whose key an earlier one holds back."""
        batch: list[Entry] = []
        held: set[str] = set()
        for entry in self._undone.values():
            if len(batch) == limit:
                break
            if entry.event.key and entry.event.key in held:
                continue
            if entry.due <= now and not entry.goes_alone:
                batch.append(entry)
            elif entry.due <= now and not batch:
                return [entry]
            else:
                held.add(entry.event.key)
        return batch

    def finish(self, entries: Iterable[Entry]) -> None:
        """They are done."""
        for entry in entries:
            del self._undone[entry.offset]

    def _is_copy(self, entry: Entry) -> bool:
        """Whether the same event stood within the window before it; each group's letter is another event."""
        identity = (entry.event.attributes.get("deadlettergroup", ""), entry.event.id)
        before = self._seen.pop(identity, None)
        self._seen[identity] = entry.offset
        while next(iter(self._seen.values())) < entry.offset - DUPLICATE_WINDOW:
            self._seen.popitem(last=False)
        return before is not None and before != entry.offset


def _entry(record: Any, topic: str) -> Entry:
    """Decode a record; what is no event of ours becomes one, named by where it lies, that is to be given up."""
    headers = {name: value.decode(errors="replace") for name, value in record.headers if value is not None}
    data = record.value or b""
    try:
        return Entry(record.offset, decode(headers, data))
    except InvalidArgument as error:
        event = Event(
            id=f"{record.topic}/{record.partition}/{record.offset}",
            type=topic.partition(DEAD_LETTER_SUFFIX)[0],
            source="kafka",
            key=(record.key or b"").decode(errors="replace"),
            data=data,
            time=datetime.fromtimestamp(max(record.timestamp, 0) / 1000, UTC),
        )
        return Entry(record.offset, event, reason=reason_of(error))
