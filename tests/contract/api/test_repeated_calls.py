"""Channels repeat a call that ended in UNAVAILABLE: its answer may be what was lost. The same request twice is as once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent import futures
from functools import partial
from typing import Any

import grpc
import pytest

from medq.controller.v1 import controller_pb2 as controller
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub, add_ControllerServiceServicer_to_server
from medq.embedding.v1 import embedding_pb2 as embedding
from medq.embedding.v1.embedding_pb2_grpc import EmbeddingServiceStub
from medq.evaluation.v1 import evaluation_pb2 as evaluation
from medq.evaluation.v1.evaluation_pb2_grpc import EvaluationServiceStub
from medq.operations.v1 import operations_pb2 as operations
from medq.operations.v1.operations_pb2_grpc import OperationsServiceStub
from medq.oracle.v1 import oracle_pb2 as oracle
from medq.oracle.v1.oracle_pb2_grpc import OracleServiceStub
from medq.retrieval.v1 import retrieval_pb2 as retrieval
from medq.retrieval.v1.retrieval_pb2_grpc import RetrievalServiceStub
from medq.training.v1 import training_pb2 as training
from medq.training.v1.training_pb2_grpc import TrainingServiceStub
from services.controller.loop.calls import Collaborators
from services.controller.service import Controller
from services.controller.store.egress import METADATA as EGRESS
from services.controller.store.egress import EgressLog
from services.controller.store.ledger import METADATA as LEDGER
from services.controller.store.ledger import Ledger
from services.controller.store.runs import METADATA as RUNS
from services.controller.store.runs import RunStore
from services.embedded import Embedded
from shared.errors import AlreadyExists, MedqError
from shared.rpc.channels import Channels
from shared.rpc.interceptors import ErrorInterceptor
from shared.rpc.operations import await_operation
from shared.rpc.rights import RIGHTS, Role
from shared.status import from_rpc_error
from tests.support.controller_house import House, list_costs, start
from tests.support.databases import Database
from tests.support.servers import short_folder

URI = "sha256:" + "0" * 64  # nothing is there: each operation ends by a typed failure, which is an end like others
SAMPLING = evaluation.Sampling(temperature=0.0, top_p=1.0, max_new_tokens=4, seed=1)
POLICY = oracle.AnnotationPolicy(
    question_mode=oracle.QUESTION_MODE_CAPABILITY_DRIVEN,
    questions_per_image=1,
    max_in_flight=1,
    oracle="simulated",
    expert=oracle.EXPERT_KIND_SIMULATED,
    description_tokens=1,
)
STUBS = {
    "embedding": EmbeddingServiceStub,
    "evaluation": EvaluationServiceStub,
    "oracle": OracleServiceStub,
    "retrieval": RetrievalServiceStub,
    "training": TrainingServiceStub,
}
#: Service, and the request of each RPC that starts an operation, but for its id.
REQUESTS: list[tuple[str, Any]] = [
    ("embedding", embedding.StartIngestRequest(source_uri=URI, split="pool")),
    ("embedding", embedding.StartReembedRequest(image_set_uri=URI)),
    ("retrieval", retrieval.StartIndexImagesRequest(image_set_uri=URI)),
    (
        "retrieval",
        retrieval.StartSelectSamplesRequest(
            run_id="r", arm="a", strategy=retrieval.STRATEGY_RANDOM, budget=1, tau_sim=0.5, pool_uris=[URI]
        ),
    ),
    ("evaluation", evaluation.StartImportBenchmarkRequest(items_uri="/nowhere.tsv", image_set_uri=URI, split="dev")),
    (
        "evaluation",
        evaluation.StartEvaluateRequest(
            arm="a", model_uri=URI, benchmark_uri=URI, n_runs=1, sampling=SAMPLING, extractor=evaluation.EXTRACTOR_STRICT
        ),
    ),
    (
        "evaluation",
        evaluation.StartMineFailuresRequest(
            evaluation_uri=URI, benchmark_uri=URI, image_set_uri=URI, gamma=0.5, visual_weight=0.5, max_clusters=2,
            n_runs=1, axes=["modality"], min_cell_items=1, min_prototype_size=1,
        ),
    ),
    ("evaluation", evaluation.StartGenerateRequest(model_uri=URI, questions_uri=URI, sampling=SAMPLING)),
    (
        "oracle",
        oracle.StartAnnotateRequest(
            selection_uri=URI, known_answers_uri=URI, benchmark_uri=URI, model_uri=URI, policy=POLICY
        ),
    ),
    ("oracle", oracle.StartImportKnownAnswersRequest(benchmark_uri=URI)),
    ("training", training.StartImportModelRequest(folder_uri="/nowhere/model")),
    (
        "training",
        training.StartBuildDatasetRequest(
            decisions_uri=URI, image_set_uris=[URI], guard_uris=[URI], is_quality_assurance_off=True
        ),
    ),
    (
        "training",
        training.StartTrainRequest(
            model_uri=URI, dataset_uri=URI, learning_rate=1e-4, epochs=1, batch_size=1, gradient_accumulation=1,
            loss=training.LOSS_REDUCTION_TOKEN_MEAN,
        ),
    ),
]  # fmt: skip
#: It says where to, and is tried in `retrieval/test_encoders.py`: the second time it changes nothing.
SWITCH = "SwitchEncoder"
#: The RPCs that change something and have a test of their own below.
OF_THE_CONTROLLER = {"StartRun", "ReserveCosts", "SettleCosts", "ReleaseCosts", "RecordEgress"}
#: Those that `controller/test_paused_runs.py` sends twice.
OF_PAUSES = {"PauseRun", "ResumeRun"}
#: Those of the experts' queue, which `test_reviews.py`, `test_review_changes.py` and `test_review_desk.py` send twice.
OF_THE_QUEUE = {
    "LeaseTasks",
    "DecideTask",
    "CloseTasks",
    "ReleaseTask",
    "UndoDecision",
    "ReopenTask",
    "AssignTasks",
    "PrioritizeTasks",
}


def rpc_of(request: Any) -> str:
    return type(request).__name__.removesuffix("Request")


@pytest.fixture(scope="module")
def channels() -> Iterator[Channels]:
    with short_folder() as folder:
        system = Embedded(folder / "state")
        system.start()
        with Channels(system.targets) as opened:
            yield opened
        system.stop()


def rows(channel: grpc.Channel, operation_id: str) -> list[operations.Operation]:
    request = operations.ListOperationsRequest(id_prefix=operation_id)
    return list(OperationsServiceStub(channel).ListOperations(request).operations)


def ended(channel: grpc.Channel, operation_id: str) -> operations.Operation:
    with pytest.raises(MedqError):
        await_operation(channel, operation_id)
    (row,) = rows(channel, operation_id)
    return row


def test_each_rpc_that_changes_something_is_tried_here() -> None:
    changing = {
        name
        for service, names in RIGHTS.items()
        for name, roles in names.items()
        if roles != frozenset(Role) and service != "medq.operations.v1.OperationsService"
    }
    tried = {rpc_of(request) for _, request in REQUESTS}
    assert changing == tried | OF_THE_CONTROLLER | OF_PAUSES | OF_THE_QUEUE | {SWITCH}


@pytest.mark.parametrize(("service", "request_"), REQUESTS, ids=[rpc_of(request) for _, request in REQUESTS])
def test_what_is_started_twice_is_one_operation(channels: Channels, service: str, request_: Any) -> None:
    channel, name = channels[service], rpc_of(request_)
    call = getattr(STUBS[service](channel), name)
    request_.operation_id = f"twice/{name}"
    answers = [call(request_), call(request_)]
    once = ended(channel, request_.operation_id)
    answers.append(call(request_))
    assert answers == [answers[0]] * 3
    assert once.attempts == 1
    assert rows(channel, request_.operation_id) == [once]
    request_.ClearField(next(field.name for field, _ in request_.ListFields() if "uri" in field.name))
    with pytest.raises(grpc.RpcError):  # another request: refused as such, or as one that can never work
        call(request_)
    assert rows(channel, request_.operation_id) == [once]


def test_what_is_called_off_twice_is_called_off_once(channels: Channels) -> None:
    channel = channels["oracle"]
    request = oracle.StartImportKnownAnswersRequest(operation_id="off", benchmark_uri=URI)
    OracleServiceStub(channel).StartImportKnownAnswers(request)
    once = ended(channel, "off")
    answers = [
        OperationsServiceStub(channel).CancelOperation(operations.CancelOperationRequest(operation_id="off"))
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert rows(channel, "off") == [once]


def test_a_run_that_is_started_twice_is_one_run() -> None:
    with short_folder() as folder:
        house = House(folder)
        house.services.hold("ingest_pool")
        with house.controller() as channel:
            request = start(channel, house, rounds=1)
            house.services.await_request("r1/-/0/ingest_pool")
            assert ControllerServiceStub(channel).StartRun(request).run_id == "r1"
            house.services.release("ingest_pool")
            await_operation(channel, "r1")
            once = rows(channel, "r1")
            ControllerServiceStub(channel).StartRun(request)
            assert rows(channel, "r1") == once
            assert [operation.attempts for operation in once] == [1]
            costs = list_costs(ControllerServiceStub(channel), "r1")
        house.server.stop(0).wait()
    assert {(entry.attempt, entry.state) for entry in costs} == {(1, "settled")}


class LosesFirstAnswers(grpc.ServerInterceptor):
    """Does what it is asked, and lets the first answer to each different request be lost as a broken wire does."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._lock = threading.Lock()

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = continuation(details)

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            response = handler.unary_unary(request, context)
            with self._lock:
                asked = details.method.encode() + request.SerializeToString(deterministic=True)
                is_first = asked not in self.seen
                self.seen.add(asked)
            if is_first:
                context.abort(grpc.StatusCode.UNAVAILABLE, "The answer was lost.")
            return response

        return grpc.unary_unary_rpc_method_handler(answer, handler.request_deserializer, handler.response_serializer)


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database.engine(LEDGER, RUNS, EGRESS))


@pytest.fixture
def stub(ledger: Ledger) -> Iterator[ControllerServiceStub]:
    """The controller's servicer behind a wire that loses answers, and a channel that repeats calls."""
    lossy = LosesFirstAnswers()
    server = grpc.server(futures.ThreadPoolExecutor(4), interceptors=[lossy, ErrorInterceptor("controller")])
    parts: Any = Collaborators(*[None] * 2, RunStore(ledger._engine), ledger, *[None] * 2)  # type: ignore[arg-type]
    add_ControllerServiceServicer_to_server(Controller(None, parts, {}, (), EgressLog(ledger._engine)), server)  # type: ignore[arg-type]
    with short_folder() as folder:
        target = f"unix:{folder}/c.sock"
        server.add_insecure_port(target)
        server.start()
        with Channels({"controller": target}) as channels:
            yield ControllerServiceStub(channels["controller"])
        server.stop(0).wait()
    assert lossy.seen


def states(ledger: Ledger) -> list[tuple[str, int, str]]:
    return [(entry.cost.key, entry.attempt, entry.state) for entry in ledger.all_entries("r")]


def test_costs_whose_answers_are_lost_are_reserved_settled_and_released_once(
    stub: ControllerServiceStub, ledger: Ledger
) -> None:
    costs = [controller.Cost(key=key, kind="oracle", usd=1.0) for key in "abc"]
    reserve = partial(controller.ReserveCostsRequest, run_id="r", costs=costs)
    assert not stub.ReserveCosts(reserve(request_id="one")).unknown_keys
    assert states(ledger) == [("a", 1, "reserved"), ("b", 1, "reserved"), ("c", 1, "reserved")]
    stub.SettleCosts(controller.SettleCostsRequest(run_id="r", costs=costs[:1]))
    stub.ReleaseCosts(controller.ReleaseCostsRequest(run_id="r", request_id="one", keys=["b"], unknown_keys=["c"]))
    once = [("a", 1, "settled"), ("b", 1, "released"), ("c", 1, "unknown")]
    assert states(ledger) == once
    stub.SettleCosts(controller.SettleCostsRequest(run_id="r", costs=costs[:1], is_on_record=True))
    assert states(ledger) == once
    assert list(stub.ReserveCosts(reserve(request_id="two")).unknown_keys) == ["c"]
    assert states(ledger) == [*once, ("a", 2, "reserved"), ("b", 2, "reserved"), ("c", 2, "reserved")]
    assert ledger.committed("r") == (1.0 + 1.0 + 3.0, 0.0)


def test_what_leaves_is_noted_once(stub: ControllerServiceStub, ledger: Ledger) -> None:
    row = controller.Egress(
        endpoint="gpt-4o", host="127.0.0.1:9", model="gpt-4o", purpose="oracle", key="k", text_sha256="0" * 64
    )
    request = controller.RecordEgressRequest(run_id="r", egress=[row, row], request_id="one")
    stub.RecordEgress(request)
    stub.RecordEgress(request)
    stub.RecordEgress(controller.RecordEgressRequest(run_id="s", egress=[row], request_id="two"))
    entries = stub.ListEgress(controller.ListEgressRequest()).entries
    assert [(entry.run_id, entry.egress) for entry in entries] == [("r", row), ("r", row), ("s", row)]
    assert [entry.run_id for entry in stub.ListEgress(controller.ListEgressRequest(run_id="s")).entries] == ["s"]


def test_a_request_id_that_is_used_for_other_costs_is_refused(stub: ControllerServiceStub) -> None:
    stub.ReserveCosts(
        controller.ReserveCostsRequest(run_id="r", costs=[controller.Cost(key="a", kind="oracle")], request_id="one")
    )
    with pytest.raises(grpc.RpcError) as caught:
        stub.ReserveCosts(
            controller.ReserveCostsRequest(
                run_id="r", costs=[controller.Cost(key="b", kind="oracle")], request_id="one"
            )
        )
    assert isinstance(from_rpc_error(caught.value), AlreadyExists)
