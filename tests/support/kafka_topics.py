"""Settings for tests on a real broker: topics of their own, and deaths that are noticed soon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from kafka import KafkaAdminClient

from shared.settings import KafkaSection


@contextmanager
def own_topics(bootstrap: str) -> Iterator[str]:
    """A prefix; the topics under it are deleted after the block."""
    prefix = f"test-{uuid4().hex[:8]}."
    yield prefix
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    mine = [topic for topic in admin.list_topics() if topic.startswith(prefix)]
    if mine:
        admin.delete_topics(mine)
    admin.close()


def section_of(bootstrap: str, prefix: str, **changes: object) -> KafkaSection:
    """Settings of one test's own topics, below the prefix."""
    values: dict[str, object] = {
        "bootstrap": bootstrap,
        "topic_prefix": f"{prefix}{uuid4().hex[:8]}.",
        "partitions": 1,
        "session_seconds": 2,
        "handler_seconds": 4,
    }
    return KafkaSection.model_validate(values | changes)
