"""The topics of the cluster: made where they are missing, and measured."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import TopicAlreadyExistsError

from shared.events.kafka_client import connected, reaching
from shared.settings import KafkaSection


class KafkaTopics:
    """Topics by their names on the cluster. Safe to use from several threads; connects when it is first asked."""

    def __init__(self, settings: KafkaSection) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client: KafkaAdminClient | None = None
        self._known: set[str] = set()

    def ensure(self, topics: Collection[str]) -> None:
        """Make the topics that are missing.

        Raises: see `reaching`.
        """
        with self._lock, reaching(self._settings):
            if self._known.issuperset(topics):
                return
            admin = self._connected()
            if missing := set(topics).difference(admin.list_topics()):
                self._make(admin, missing)
            self._known.update(topics)

    def lag(self, group: str, topics: Sequence[str]) -> int:
        """Count the records of these topics that the group has not committed; five requests.

        Raises: see `reaching`.
        """
        self.ensure(topics)
        with self._lock, reaching(self._settings):
            admin = self._connected()
            partitions = [
                TopicPartition(topic["name"], partition["partition_index"])
                for topic in admin.describe_topics(list(topics))
                for partition in topic["partitions"]
            ]
            committed = admin.list_group_offsets({group: partitions})[group]
            first = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
            end = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
        begin = {one: max(first[one].offset, committed.get(one, first[one]).offset) for one in partitions}
        return sum(end[one].offset - begin[one] for one in partitions)

    def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record of each.

        Raises: see `reaching`.
        """
        with self._lock, reaching(self._settings):
            found = self._connected().list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
        return {partition: offset.offset for partition, offset in found.items()}

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            self._disconnect()

    def _connected(self) -> KafkaAdminClient:
        if self._client is None:
            self._client = connected(KafkaAdminClient, self._settings)
        return self._client

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _make(self, admin: KafkaAdminClient, topics: set[str]) -> None:
        shape = {"num_partitions": self._settings.partitions, "replication_factor": self._settings.replication}
        for topic in sorted(topics):
            try:
                admin.create_topics({topic: shape})
            except TopicAlreadyExistsError:  # another process was first
                continue
        admin.wait_for_topics(sorted(topics))
