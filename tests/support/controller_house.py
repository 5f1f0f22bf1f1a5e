"""A controller on a unix socket, against small stand-ins of the services that it calls."""

from __future__ import annotations

import json
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest

from medq.controller.v1 import controller_pb2 as pb
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from medq.controller.v1.events_pb2 import RoundCompleted
from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from services.controller.main import build
from services.controller.settings import ControllerSettings
from shared.events.bus import topic_of
from shared.events.sqlite import SqliteEventBus
from shared.objects.folder import FolderObjectStore
from shared.rpc.channels import Channels
from shared.status import from_rpc_error
from tests.support.events import each
from tests.support.loop_services import LoopServices, serve
from tests.support.run_files import write_run_files
from tests.support.servers import running

DOCS = Path(__file__).parents[2] / "docs"


class House:
    """A controller, and the services that it calls."""

    def __init__(self, folder):
        self.folder = folder
        self.objects = FolderObjectStore(folder / "objects")
        self.services = LoopServices(self.objects)
        self.server, self.targets = serve(self.services, folder)
        self.files = folder / "files"

    @contextmanager
    def controller(self, **overrides):
        """The controller as one process has it; used again, it is the next process on the same state."""
        settings = ControllerSettings(
            state_folder=self.folder / "state", listen=f"unix:{self.folder}/c.sock", **overrides
        )
        bus = SqliteEventBus(self.folder / "events.sqlite")
        with ExitStack() as stack:
            stack.callback(bus.close)
            channels = stack.enter_context(Channels(self.targets))
            service = build(settings, channels, bus, self.objects)
            yield stack.enter_context(running(service, bus, settings))


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


def controller_stub(channel):
    return ControllerServiceStub(channel)


def error_of(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        consume(call(request))
    return from_rpc_error(caught.value)


def consume(result):
    """A stream fails where it is read."""
    return list(result) if hasattr(result, "__iter__") else result


def get_run(channel, run_id="r1"):
    return controller_stub(channel).GetRun(pb.GetRunRequest(run_id=run_id)).run


def until(condition):
    """Poll with a deadline."""
    deadline = time.monotonic() + 20
    pause = threading.Event()
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError
        pause.wait(0.02)
    return found


def events_of(house, n):
    """The rounds that were published, when there are so many."""
    seen = []
    bus = SqliteEventBus(house.folder / "events.sqlite")
    bus.subscribe("test", {topic_of(RoundCompleted): each(seen.append)})
    until(lambda: len(seen) == n)
    bus.close()
    return [RoundCompleted.FromString(event.data) for event in seen]


def list_costs(stub, run_id):
    entries, token = [], ""
    while True:
        page = stub.ListCosts(pb.ListCostsRequest(run_id=run_id, page_size=2, page_token=token))
        entries += page.entries
        token = page.next_page_token
        if not token:
            return entries


def download(channel, run_id="r1"):
    files = {}
    uri = controller_stub(channel).GetReport(pb.GetReportRequest(run_id=run_id)).report_uri
    stub = operations_pb2_grpc.OperationsServiceStub(channel)
    for piece in stub.DownloadDataset(operations_pb2.DownloadDatasetRequest(uri=uri)):
        files[piece.file_name] = files.get(piece.file_name, b"") + piece.chunk
    assert list(files) == ["answers.jsonl", "report.html", "report.json"]
    return files
