from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager

import pytest

from medq.controller.v1 import controller_pb2 as pb
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from services.controller.main import build
from services.controller.settings import ControllerSettings
from shared.events.sqlite import SqliteEventBus
from shared.objects.folder import FolderObjectStore
from shared.rpc.channels import Channels
from shared.rpc.operations import await_operation
from tests.support.loop_services import LoopServices, serve
from tests.support.run_files import write_run_files
from tests.support.servers import running, short_folder


class House:
    """A controller, and the services that it calls."""

    def __init__(self, folder):
        self.folder = folder
        self.objects = FolderObjectStore(folder / "objects")
        self.services = LoopServices(self.objects)
        self.server, self.targets = serve(self.services, folder)
        self.files = folder / "files"

    @contextmanager
    def controller(self):
        """The controller as one process has it; used again, it is the next process on the same state."""
        settings = ControllerSettings(state_folder=self.folder / "state", listen=f"unix:{self.folder}/c.sock")
        bus = SqliteEventBus(self.folder / "events.sqlite")
        with ExitStack() as stack:
            stack.callback(bus.close)
            channels = stack.enter_context(Channels(self.targets))
            service = build(settings, channels, bus, self.objects)
            yield stack.enter_context(running(service, bus, settings))


@pytest.fixture
def house():
    with short_folder() as folder:
        house = House(folder)
        yield house
        house.server.stop(0).wait()


def start(channel, house, run_id="r1", **changes):
    config = write_run_files(house.files, **changes)
    request = pb.StartRunRequest(run_id=run_id, config_yaml=config, base_folder=str(house.files))
    ControllerServiceStub(channel).StartRun(request)
    return request


def report(channel, run_id="r1"):
    response = ControllerServiceStub(channel).GetReport(pb.GetReportRequest(run_id=run_id))
    return json.loads(response.report_json)


def unmeasured(told):
    return json.dumps({key: value for key, value in told.items() if key != "measured"}, sort_keys=True)


def test_a_run_of_two_arms_ends_with_a_report(house):
    with house.controller() as channel:
        start(channel, house, arms=["failure_driven", "random"])
        await_operation(channel, "r1")
        told = report(channel)
    assert [facts["round"] for facts in told["arms"]["random"]["rounds"]] == [0, 1, 2]
    values = [
        facts["test"]["perception"]["overall"]["value"] for facts in told["arms"]["failure_driven"]["rounds"]
    ]
    assert values == [2 / 8, 5 / 8, 1.0]
    assert told["is_complete"]
