"""Endpoints of real servers, for whichever test asks."""

from collections.abc import Iterator

import pytest

from tests.support.real_servers import endpoint


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """host:port of an Apache Kafka broker."""
    yield from endpoint("kafka")


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """http://access:secret@host:port of an S3 endpoint."""
    yield from endpoint("s3")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """postgresql://user@host:port/database of a PostgreSQL server."""
    yield from endpoint("postgres")
