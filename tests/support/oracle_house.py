"""The real oracle server on a unix socket; the ledger and the model under evolution are fakes behind real servers."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import Any

import grpc

from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from medq.oracle.v1 import events_pb2, review_pb2
from medq.oracle.v1 import oracle_pb2 as pb
from medq.oracle.v1.oracle_pb2_grpc import OracleServiceStub
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub
from services.oracle.main import build
from services.oracle.settings import OracleSettings
from shared.events.sqlite import SqliteEventBus
from shared.objects.dataset import read_object, read_rows
from shared.objects.folder import FolderObjectStore
from shared.rows.annotation import Decision, Summary, Unanswered
from shared.rpc.channels import Channels
from shared.rpc.operations import await_operation
from tests.support.annotation import FakeNeighbours, OracleWorld
from tests.support.servers import running

REVIEW = pb.EXPERT_KIND_REVIEW
WAITING = operations_pb2.OPERATION_STATE_WAITING


class House:
    """An oracle service and its neighbours on one state folder."""

    def __init__(self, folder):
        self.folder = folder
        self.objects = FolderObjectStore(folder / "objects", synced=False)
        self.world = OracleWorld(self.objects)
        self.neighbours = FakeNeighbours(self.objects)
        self.fake_server, self.targets = self.neighbours.serve(folder)
        self.bus = SqliteEventBus(folder / "events.sqlite")
        self.settings = OracleSettings(state_folder=folder / "state", listen=f"unix:{folder}/o.sock")

    @contextmanager
    def server(self):
        """One process's server; used again, it is the next process on the same state."""
        with Channels(self.targets) as channels:
            service = build(self.settings, channels, self.bus, self.objects)
            with running(service, self.bus, self.settings) as channel:
                yield channel

    def known_answers(self, channel):
        request = pb.StartImportKnownAnswersRequest(operation_id="known", benchmark_uri=self.world.benchmark_uri)
        OracleServiceStub(channel).StartImportKnownAnswers(request)
        return await_operation(channel, "known").result_uri

    def request(self, known_uri, operation_id="op", is_cold_start=True, **changes):
        policy = {
            "tau_entropy": 0.5, "target_error_rate": 0.0, "tau_agreement": 0.5, "audit_share": 0.0,
            "is_cold_start": is_cold_start, "question_mode": pb.QUESTION_MODE_CAPABILITY_DRIVEN,
            "questions_per_image": 2, "max_in_flight": 3,
            "simulated_oracle_accuracy": 1.0, "simulated_expert_accuracy": 1.0,
            "oracle": "simulated", "expert": pb.EXPERT_KIND_SIMULATED, "tau_text": 0.5,
            "tau_entropy_description": 0.5, "target_error_rate_description": 0.0,
            "description_tokens": 64,
        }  # fmt: skip
        fields = {
            "operation_id": operation_id, "run_id": "run", "arm": "arm", "round": 0 if is_cold_start else 1,
            "selection_uri": self.world.selection_uri, "model_uri": self.world.model_uri,
            "known_answers_uri": known_uri, "benchmark_uri": self.world.dev_uri, "seed": 7,
        }  # fmt: skip
        for name, value in changes.items():
            (policy if name in policy else fields)[name] = value
        return pb.StartAnnotateRequest(policy=pb.AnnotationPolicy(**policy), **fields)

    def annotate(self, channel, request):
        OracleServiceStub(channel).StartAnnotate(request)
        uri = await_operation(channel, request.operation_id).result_uri
        rows = read_rows(self.objects, uri, Decision)
        return rows, read_rows(self.objects, uri, Unanswered), read_object(self.objects, uri, Summary)

    def reviews(self):
        """The events of reviews that are published, by decision."""
        reviews = []

        def handle(events):
            reviews.extend(events_pb2.AnnotationReviewed.FromString(event.data) for event in events)

        consumer = self.bus.consumer("test", {"medq.oracle.annotation-reviewed.v1": handle}, batch_size=100)
        while consumer.poll(1.0):
            pass
        consumer.close()
        return Counter(review.decision_id for review in reviews)


def begin(house: House, channel: grpc.Channel, operation_id: str = "op", **changes: Any) -> Any:
    """Have a selection annotated by people, and wait until it waits for them."""
    request = house.request(house.known_answers(channel), operation_id, expert=REVIEW, **changes)
    OracleServiceStub(channel).StartAnnotate(request)
    until_waiting(channel, operation_id)
    return request


def until_waiting(channel: grpc.Channel, operation_id: str) -> operations_pb2.Operation:
    stub = operations_pb2_grpc.OperationsServiceStub(channel)
    request = operations_pb2.WaitOperationRequest(operation_id=operation_id)
    request.wait.FromSeconds(10)
    for _ in range(50):
        found = stub.WaitOperation(request).operation
        if found.state == WAITING:
            return found
        request.seen_revision = found.revision
    raise AssertionError("the operation does not wait")


def tasks(channel: grpc.Channel, **changes: Any) -> list[review_pb2.ReviewTask]:
    return list(ReviewServiceStub(channel).ListTasks(review_pb2.ListTasksRequest(**changes)).tasks)
