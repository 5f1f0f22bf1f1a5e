"""Endpoints of real servers, and databases of both kinds, for whichever test asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import Database, postgres_database, sqlite_database
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


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A test that asks for this runs on both."""
    is_sqlite = request.param == "sqlite"
    with (
        sqlite_database(tmp_path) if is_sqlite else postgres_database(request.getfixturevalue("postgres"))
    ) as opened:
        yield opened
