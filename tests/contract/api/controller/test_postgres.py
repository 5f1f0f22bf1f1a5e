"""The real controller on a real PostgreSQL: runs, their steps, and one controller a database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from medq.controller.v1 import controller_pb2 as pb
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from services.controller.adapters.sole_controller import SoleController
from services.controller.main import build
from services.controller.settings import ControllerSettings
from services.migrate import migrate
from shared.database import create_engine, lock_key
from shared.errors import FailedPrecondition
from shared.events.sqlite import SqliteEventBus
from shared.objects.folder import FolderObjectStore
from shared.rpc.channels import Channels
from shared.rpc.operations import await_operation
from shared.rpc.server import Service
from tests.support.databases import postgres_installation
from tests.support.loop_services import LoopServices, serve
from tests.support.own_server import own_server
from tests.support.run_files import write_run_files
from tests.support.servers import running, short_folder


@pytest.fixture(scope="module")
def url(postgres: str) -> Iterator[str]:
    with postgres_installation(postgres) as url:
        migrate(url)
        yield url


class House:
    """The services that a controller calls, and what it needs itself."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.objects = FolderObjectStore(folder / "objects")
        self.services: Any = LoopServices(self.objects)
        self.server, self.targets = serve(self.services, folder)
        self.bus = SqliteEventBus(folder / "events.sqlite")

    def settings(self, owner: str) -> ControllerSettings:
        return ControllerSettings(
            state_folder=self.folder / owner,
            listen=f"unix:{self.folder}/{owner}.sock",
            owner=owner,
            database_url=self.url,
        )

    def build(self, owner: str, channels: Channels) -> Service:
        return build(self.settings(owner), channels, self.bus, self.objects)

    def start(self, channel: Any, run_id: str) -> None:
        config = write_run_files(self.folder / "files")
        request = pb.StartRunRequest(run_id=run_id, config_yaml=config, base_folder=str(self.folder / "files"))
        ControllerServiceStub(channel).StartRun(request)

    def close(self) -> None:
        self.bus.close()
        self.server.stop(0).wait()


@pytest.fixture
def house(url: str) -> Iterator[House]:
    with short_folder() as folder:
        house = House(folder, url)
        yield house
        house.close()


def test_a_run_that_one_controller_began_is_ended_by_the_next_whatever_its_name(house: House) -> None:
    house.services.hold("train")
    with Channels(house.targets) as channels:
        with running(house.build("one", channels), house.bus, house.settings("one")) as channel:
            house.start(channel, "r1")
            house.services.await_request("r1/failure_driven/0/train")
        house.services.release("train")
        with running(house.build("two", channels), house.bus, house.settings("two")) as channel:
            assert await_operation(channel, "r1").result_uri
    requests = [name for name in house.services.requests if name.startswith("r1/")]
    assert len(requests) == len(set(requests))
    assert "r1/failure_driven/0/train/2" not in requests


class Alone:
    """A `SoleController` that notes when it is told to go."""

    def __init__(self, url: str, patience_seconds: float = 30.0) -> None:
        self.is_told_to_go = threading.Event()
        self.lock = SoleController(url, self.is_told_to_go.set, patience_seconds)


class Server:
    """What an administrator sees and does."""

    def __init__(self, url: str) -> None:
        self.engine = create_engine(url, schema="controller").execution_options(isolation_level="AUTOCOMMIT")

    def locks(self, *, granted: bool) -> int:
        """How many sessions have, or wait for, a lock of a name in this database."""
        statement = "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database WHERE locktype = 'advisory'"
        mine = "AND datname = current_database() AND granted = :granted"
        with self.engine.connect() as connection:
            return int(connection.execute(sa.text(f"{statement} {mine}"), {"granted": granted}).scalar_one())

    def end_session(self) -> None:
        """Break the session of the one controller."""
        statement = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        where = "WHERE application_name LIKE 'medq-controller-%' AND datname = current_database()"
        with self.engine.connect() as connection:
            assert len(connection.execute(sa.text(f"{statement} {where}")).all()) == 1


@pytest.fixture
def server(url: str) -> Iterator[Server]:
    server = Server(url)
    yield server
    server.engine.dispose()


def until(condition: Callable[[], bool]) -> None:
    """Poll with a deadline."""
    deadline, pause = time.monotonic() + 30, threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        pause.wait(0.05)


def test_a_second_controller_waits_and_is_refused_until_the_first_has_gone(url: str) -> None:
    first = Alone(url)
    with pytest.raises(FailedPrecondition, match="Another controller"):
        Alone(url, patience_seconds=0)
    first.lock.close()
    Alone(url).lock.close()


def test_a_controller_whose_session_is_lost_opens_another_one(url: str, server: Server) -> None:
    first = Alone(url)
    server.end_session()
    assert server.locks(granted=True) == 0
    until(lambda: server.locks(granted=True) == 1)
    with pytest.raises(FailedPrecondition):
        Alone(url, patience_seconds=0)
    assert not first.is_told_to_go.is_set()
    first.lock.close()


def test_a_controller_that_another_one_has_replaced_is_told_to_go(url: str, server: Server) -> None:
    first = Alone(url)
    with server.engine.connect() as second, ThreadPoolExecutor(1) as pool:
        taken = pool.submit(second.execute, sa.select(sa.func.pg_advisory_lock(lock_key("sole"))))
        until(lambda: server.locks(granted=False) == 1)
        server.end_session()
        taken.result()
        assert first.is_told_to_go.wait(30)
        second.invalidate()
    first.lock.close()


@pytest.mark.timeout(300)
def test_a_run_goes_on_after_postgresql_was_killed() -> None:
    with own_server("postgres") as server, short_folder() as folder:
        migrate(server.endpoint)
        house = House(folder, server.endpoint)
        house.services.hold("train")
        with Channels(house.targets) as channels:
            with running(house.build("one", channels), house.bus, house.settings("one")) as channel:
                house.start(channel, "r1")
                house.services.await_request("r1/failure_driven/0/train")
                server.kill()
                house.services.release("train")
                server.up()
                assert await_operation(channel, "r1").result_uri
            assert not [name for name in house.services.requests if name.endswith("/2")]
        house.close()
