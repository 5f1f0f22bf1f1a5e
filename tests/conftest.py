"""Endpoints of real servers, and databases of both kinds, for whichever test asks; how tests are shared between cores."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.support.databases import Database, postgres_database, sqlite_database
from tests.support.own_server import own_server
from tests.support.real_servers import endpoint

_E2E = "tests/e2e/"
_MOST_WORKERS = 8  # each holds a copy of PyTorch


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: one worker a core."""
    return min(len(os.sched_getaffinity(0)), _MOST_WORKERS)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    config.option.loadscopereorder = False
    return _ByFile(config, log)


class _ByFile(LoadFileScheduling):
    """A worker takes a file of tests, whose fixtures are then made once; those of `e2e` share a run, and go together."""

    def _split_scope(self, nodeid: str) -> str:
        return _E2E if nodeid.startswith(_E2E) else str(super()._split_scope(nodeid))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes longest begins first where there are several workers."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(_E2E))


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


@pytest.fixture(scope="session")
def qdrant() -> Iterator[str]:
    """http://host:port of the gRPC port of a Qdrant server: `MEDQ_TEST_QDRANT`, else one on this machine with an empty folder."""
    known = os.environ.get("MEDQ_TEST_QDRANT", "")
    if known:
        yield known
        return
    with own_server("qdrant") as server:
        yield server.endpoint


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A test that asks for this runs on both."""
    is_sqlite = request.param == "sqlite"
    with sqlite_database(tmp_path) if is_sqlite else postgres_database(request.getfixturevalue("postgres")) as opened:
        yield opened
