"""Which partitions a member of a group owns, and how it gives one back."""

from __future__ import annotations

from typing import Any

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.errors import KafkaError

from shared.events.kafka_backlog import DUPLICATE_WINDOW, Backlog
from shared.events.kafka_batch import Batch
from shared.events.kafka_client import milliseconds
from shared.logs import get_logger
from shared.settings import KafkaSection

_log = get_logger("shared")


class Ownership(AsyncConsumerRebalanceListener):  # type: ignore[misc]  # the library is not annotated
    """The partitions of one member and their backlogs.

    Rebalances are cooperative: a member keeps what does not move. A partition that moves is released in two
    steps, and only at the second may another member have it: this listener is told, then the member joins
    again, which it does at its next poll. Offsets of what was done in it are committed in between. Where a
    batch of it is in hand, the member does not poll again until that batch is settled.

    The listener's methods run on the client's own thread, always while the thread that polls waits for it.

    Attributes:
        backlogs: Of the partitions that are owned and open.
        in_hand: Partitions of the batch that a handler works on.
        leaving: Of these, the ones that move once the batch is settled.
    """

    def __init__(self, settings: KafkaSection) -> None:
        self._settings = settings
        self._client: Any = None  # a KafkaConsumer, from `attach` on
        self._unopened: set[TopicPartition] = set()
        self.backlogs: dict[TopicPartition, Backlog] = {}
        self.in_hand: set[TopicPartition] = set()
        self.leaving: set[TopicPartition] = set()

    @property
    def is_open(self) -> bool:
        """Whether all that is owned has been opened."""
        return not self._unopened

    def attach(self, client: KafkaConsumer) -> None:
        """Begin with a client that owns nothing yet."""
        self._client = client

    def detach(self) -> None:
        """The client is closed: nothing is owned any more."""
        self._client = None
        for owned in (self._unopened, self.backlogs, self.in_hand, self.leaving):
            owned.clear()

    def open(self) -> None:
        """Make ready what was assigned: find the group's offset, go back by the window of duplicates.

        Raises:
            KafkaError: the group's offset cannot be had; the partition waits for the next call.
        """
        client = self._client
        for partition in sorted(self._unopened):
            committed = client.committed(partition, timeout_ms=milliseconds(self._settings.call_seconds))
            self.backlogs[partition] = Backlog(partition.topic.removeprefix(self._settings.topic_prefix), committed)
            if committed is not None:
                client.seek(partition, max(0, committed - DUPLICATE_WINDOW))
            client.resume(partition)
            self._unopened.discard(partition)

    def throttle(self, *, is_busy: bool) -> None:
        """Pause the partitions that are read far enough ahead, or all while a handler works."""
        for partition in self._client.assignment() & self.backlogs.keys():
            change = self._client.pause if is_busy or self.backlogs[partition].is_full else self._client.resume
            change(partition)

    def offsets(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """What can be committed and is not."""
        return {
            partition: OffsetAndMetadata(backlog.position, "", -1)
            for partition, backlog in self.backlogs.items()
            if backlog.position is not None and backlog.position != backlog.committed
        }

    def committed(self, offsets: dict[TopicPartition, OffsetAndMetadata]) -> None:
        """They are committed."""
        for partition, offset in offsets.items():
            if partition in self.backlogs:
                self.backlogs[partition].committed = offset.offset

    def take(self, batch: Batch) -> None:
        """A handler begins to work on it."""
        mine = [backlog for backlog, _ in batch.parts]
        self.in_hand = {one for one, its in self.backlogs.items() if its in mine}

    def settle(self) -> None:
        """No batch is in hand any more; what had to wait for it goes."""
        self.in_hand.clear()
        for partition in self.leaving:
            self.backlogs.pop(partition, None)
        self.leaving.clear()

    async def on_partitions_assigned(self, assigned: set[Any]) -> None:
        """They are ours: read nothing of them until they are opened."""
        self._unopened |= assigned
        self._client.pause(*assigned)

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """They move, or the member leaves: commit what was done in them and not committed."""
        self._unopened -= revoked
        self.leaving |= revoked & self.in_hand & self.backlogs.keys()
        moving = revoked - self.in_hand
        offsets = {one: offset for one, offset in self.offsets().items() if one in moving}
        if offsets:
            try:
                await self._client.commit_async(offsets)
            except KafkaError as error:  # they come again, to the next owner
                _log.warning("offsets_lost_with_partitions", error=type(error).__name__)
        for partition in moving:
            self.backlogs.pop(partition, None)

    async def on_partitions_lost(self, lost: set[Any]) -> None:
        """Others have them already: nothing may be committed."""
        self._unopened -= lost
        self.leaving -= lost
        for partition in lost:
            self.backlogs.pop(partition, None)
