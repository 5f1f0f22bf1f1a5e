"""An endpoint that answers as it is told, the controller's ledger and audit, and calls to it with their accounts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np

from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub, add_ControllerServiceServicer_to_server
from services.controller.loop.calls import Collaborators
from services.controller.service import Controller
from services.controller.store.egress import METADATA as EGRESS
from services.controller.store.egress import EgressLog
from services.controller.store.ledger import METADATA as LEDGER
from services.controller.store.ledger import Ledger
from services.controller.store.runs import METADATA as RUNS
from services.controller.store.runs import RunStore
from shared.chat.egress import StoredImage
from shared.chat.endpoints import Endpoint
from shared.chat.messages import ChatRequest
from shared.outside.call import OutsideCall
from shared.outside.calls import OutsideCalls
from shared.outside.endpoint import SiteEndpoints
from shared.paths import ANYWHERE
from shared.rpc.interceptors import ErrorInterceptor
from shared.spending import Spending
from tests.support.chat_server import chat_server
from tests.support.databases import sqlite_database
from tests.support.servers import short_folder

N = 8
PRICES = {"in": 2.5, "out": 10.0}
IMAGE = StoredImage("a" * 64, np.full((4, 4, 3), 7, np.uint8))


@dataclass(frozen=True)
class Said:
    """An outcome."""

    text: str
    spending: Spending


class Kept:
    """An outcome store in memory."""

    def __init__(self):
        self.stored = {}

    def outcomes(self, work_id, kind):
        return dict(self.stored)

    def keep_outcomes(self, work_id, kind, outcomes):
        self.stored = {**outcomes, **self.stored}
        return {key: self.stored[key] for key in outcomes}


class World:
    """A server, the controller's ledger and audit, and calls that are made with no time passing.

    Attributes:
        pauses: Seconds that were waited, in order.
        doubts: What the detector of text says of the next images; 0 when they are used up.
    """

    def __init__(self, server, engine, stub):
        self.server, self.stub = server, stub
        self.ledger, self.egress, self.runs = Ledger(engine), EgressLog(engine), RunStore(engine)
        self.store = Kept()
        self.pauses, self.doubts = [], []

    def endpoint(self, **changes):
        values = {
            "base_url": self.server.base_url,
            "model": "gpt-4o",
            "usd_per_million": PRICES,
            "prices_of": "2026-11-01",
            "timeout_seconds": 20,
            "max_in_flight": 4,
            "tries": 3,
            "may_receive": "images",
            **changes,
        }
        return Endpoint.model_validate(values)

    def run(self, n=N, look=lambda done: None, run_id="run", **changes):
        """Ask about an image `n` times."""
        doubt = lambda pixels: self.doubts.pop(0) if self.doubts else 0.0  # noqa: E731
        site = SiteEndpoints({"gpt-4o": self.endpoint(**changes)}, doubt, quarantine_from=0.5)
        oracle = site.open("gpt-4o", "oracle", "images", "annotate.oracle")

        def call(number):
            request = ChatRequest(f"question {number}", max_tokens=10)
            return OutsideCall(
                f"k{number}", lambda: oracle.prepare(request, [IMAGE], lambda reply, spent: Said(reply.text, spent))
            )

        calls = OutsideCalls(self.store, self.stub, self.pauses.append)
        return calls.run(oracle.book("work", run_id, 8), [call(number) for number in range(n)], look)

    @property
    def entries(self):
        return self.ledger.all_entries("run")

    @property
    def states(self):
        return Counter(entry.state for entry in self.entries)

    def usd(self, state):
        return sum(entry.cost.usd for entry in self.entries if entry.state == state)

    @property
    def left(self):
        return self.egress.page("", 1000)[0]


@contextmanager
def endpoint_world(folder: Path) -> Iterator[World]:
    """A world whose database lies in a folder."""
    with sqlite_database(folder) as database, short_folder() as sockets, chat_server() as chat:
        engine = database.engine(LEDGER, RUNS, EGRESS)
        server = grpc.server(futures.ThreadPoolExecutor(4), interceptors=[ErrorInterceptor("controller")])
        parts = Collaborators(None, None, RunStore(engine), Ledger(engine), None, None)
        servicer = Controller(None, parts, {}, ANYWHERE, EgressLog(engine))
        add_ControllerServiceServicer_to_server(servicer, server)
        server.add_insecure_port(f"unix:{sockets}/c.sock")
        server.start()
        with grpc.insecure_channel(f"unix:{sockets}/c.sock") as channel:
            yield World(chat, engine, ControllerServiceStub(channel))
        server.stop(0).wait()
